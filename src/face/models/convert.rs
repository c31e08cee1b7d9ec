//! Turns a TFLite network into ONNX, with the channels before height and width (NCHW), which tract runs fastest.
//!
//! Slopes of PReLU become `[1, C, 1, 1]`: with `[C, 1, 1]` tract takes a slow general broadcast.

use super::flatbuffer::{Malformed, Result};
use super::onnx::{Attribute, Graph};
use super::tflite::{Activation, Kind, Model, Operator, Padding, Tensor, Window};
use std::collections::HashMap;

/// The name of the network's input in the ONNX file.
pub const INPUT: &str = "input";

/// Zeros around a picture.
#[derive(Debug, Clone, Copy, Default)]
struct Border {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
}

/// Where a tensor of the TFLite file is in the ONNX network.
#[derive(Debug, Clone)]
enum Place {
    /// A picture, channels first.
    Picture(String),
    /// In the same order as in the TFLite file.
    Plain(String),
    /// Another tensor, with a border that the convolution after it takes over.
    Bordered(usize, Border),
    /// A widened constant: the tensor that has its values.
    Constant(usize),
}

/// The ONNX file of a network whose one input is a picture.
///
/// # Errors
/// When an operator is used in a way that the face networks do not use it.
pub fn to_onnx(model: &Model) -> Result<Vec<u8>> {
    let [h, w, c] = model.tensor(model.input)?.hwc()?;
    let mut writer = Writer { model, graph: Graph::default(), places: HashMap::new(), flat: HashMap::new() };
    writer.places.insert(model.input, Place::Picture(INPUT.to_owned()));
    for op in &model.operators {
        writer.operator(op)?;
    }
    let mut outputs = Vec::new();
    for &i in &model.outputs {
        let t = model.tensor(i)?;
        let source = writer.plain(i)?;
        let shape = vec![1, t.len()];
        let shape = if t.shape.len() == 4 { shape } else { t.shape.clone() };
        let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let dims = writer.graph.ints("shape", &dims);
        outputs.push((writer.graph.node("Reshape", &[&source, &dims], &t.name, &[]), shape));
    }
    Ok(writer.graph.finish("face", &[(INPUT, &[1, c, h, w])], &outputs))
}

/// The values of a constant with its axes in the order `axes`.
pub(super) fn transpose(values: &[f32], shape: [usize; 4], axes: [usize; 4]) -> Result<Vec<f32>> {
    let mut order = axes;
    order.sort_unstable();
    if order != [0, 1, 2, 3] || values.len() != shape.iter().product::<usize>() {
        return Err(Malformed(format!("cannot turn {} values of shape {shape:?} by {axes:?}", values.len())));
    }
    let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
    let (n, s) = (axes.map(|a| shape[a]), axes.map(|a| strides[a]));
    let mut turned = Vec::with_capacity(values.len());
    for a in 0..n[0] {
        for b in 0..n[1] {
            for c in 0..n[2] {
                for d in 0..n[3] {
                    turned.push(values[a * s[0] + b * s[1] + c * s[2] + d * s[3]]);
                }
            }
        }
    }
    Ok(turned)
}

struct Writer<'m> {
    model: &'m Model,
    graph: Graph,
    places: HashMap<usize, Place>,
    /// Pictures that were already turned back to TFLite's order.
    flat: HashMap<usize, String>,
}

impl Writer<'_> {
    fn input(&self, op: &Operator, i: usize) -> Result<usize> {
        op.inputs.get(i).copied().flatten().ok_or_else(|| Malformed(format!("input {i} of {:?} is missing", op.kind)))
    }

    /// A constant, also when it was widened from 16 bits by an operator of its own.
    fn constant(&self, i: usize) -> Result<&Tensor> {
        let t = match self.places.get(&i) {
            Some(Place::Constant(source)) => self.model.tensor(*source)?,
            _ => self.model.tensor(i)?,
        };
        t.constant.is_some().then_some(t).ok_or_else(|| Malformed(format!("tensor {} should be a constant", t.name)))
    }

    fn picture(&self, i: usize) -> Result<String> {
        match self.places.get(&i) {
            Some(Place::Picture(name)) => Ok(name.clone()),
            _ => {
                Err(Malformed(format!("tensor {} should be a picture made before its use", self.model.tensor(i)?.name)))
            }
        }
    }

    /// The tensor in TFLite's order of elements.
    fn plain(&mut self, i: usize) -> Result<String> {
        let name = match self.places.get(&i) {
            Some(Place::Plain(name)) => return Ok(name.clone()),
            Some(Place::Picture(name)) => name.clone(),
            _ => return Err(Malformed(format!("tensor {} is used before it is made", self.model.tensor(i)?.name))),
        };
        let [h, w, _] = self.model.tensor(i)?.hwc()?;
        if h == 1 && w == 1 {
            return Ok(name);
        }
        if let Some(flat) = self.flat.get(&i) {
            return Ok(flat.clone());
        }
        let perm = Attribute::Ints(vec![0, 2, 3, 1]);
        let flat = self.graph.node("Transpose", &[&name], &format!("{name}_nhwc"), &[("perm", perm)]);
        self.flat.insert(i, flat.clone());
        Ok(flat)
    }

    /// The name for the value before the activation: the tensor's own when there is none.
    fn before(activation: Activation, name: &str) -> String {
        if activation == Activation::None { name.to_owned() } else { format!("{name}_linear") }
    }

    fn activate(&mut self, activation: Activation, from: &str, to: &str) {
        match activation {
            Activation::None => {}
            Activation::Relu => {
                self.graph.node("Relu", &[from], to, &[]);
            }
            Activation::Relu6 => {
                let (low, high) = (self.graph.floats("low", &[], &[0.0]), self.graph.floats("high", &[], &[6.0]));
                self.graph.node("Clip", &[from, &low, &high], to, &[]);
            }
        }
    }

    fn operator(&mut self, op: &Operator) -> Result<()> {
        let name = format!("t{}", op.output);
        let place = match op.kind {
            Kind::Dequantize => {
                let source = self.input(op, 0)?;
                self.constant(source)?;
                Place::Constant(source)
            }
            Kind::Conv(window) => Place::Picture(self.convolution(op, window, false, &name)?),
            Kind::Depthwise(window) => Place::Picture(self.convolution(op, window, true, &name)?),
            Kind::Prelu => {
                let (x, slope) = (self.picture(self.input(op, 0)?)?, self.constant(self.input(op, 1)?)?);
                let [_, _, c] = self.model.tensor(self.input(op, 0)?)?.hwc()?;
                let slope = slope.floats()?.to_vec();
                if slope.len() != c {
                    return Err(Malformed(format!("{} slopes for {c} channels", slope.len())));
                }
                let slope = self.graph.floats("slope", &[1, c, 1, 1], &slope);
                Place::Picture(self.graph.node("PRelu", &[&x, &slope], &name, &[]))
            }
            Kind::Relu => self.same_place(op, "Relu", &name)?,
            Kind::Logistic => self.same_place(op, "Sigmoid", &name)?,
            Kind::Add(activation) => {
                let (a, b) = (self.picture(self.input(op, 0)?)?, self.picture(self.input(op, 1)?)?);
                let linear = Self::before(activation, &name);
                self.graph.node("Add", &[&a, &b], &linear, &[]);
                self.activate(activation, &linear, &name);
                Place::Picture(name)
            }
            Kind::MaxPool(window, kernel) => {
                let source = self.input(op, 0)?;
                let [h, w, _] = self.model.tensor(source)?.hwc()?;
                let pads = around([h, w], kernel, window);
                let x = self.picture(source)?;
                let linear = Self::before(window.activation, &name);
                self.graph.node(
                    "MaxPool",
                    &[&x],
                    &linear,
                    &[("kernel_shape", ints(&kernel)), ("strides", ints(&window.stride)), ("pads", pads.attribute())],
                );
                self.activate(window.activation, &linear, &name);
                Place::Picture(name)
            }
            Kind::Pad => self.pad(op, &name)?,
            Kind::Reshape => {
                let source = self.plain(self.input(op, 0)?)?;
                let dims: Vec<i64> = self.model.tensor(op.output)?.shape.iter().map(|d| *d as i64).collect();
                let dims = self.graph.ints("shape", &dims);
                Place::Plain(self.graph.node("Reshape", &[&source, &dims], &name, &[]))
            }
            Kind::Concatenation(axis) => {
                let mut parts = Vec::new();
                for i in 0..op.inputs.len() {
                    parts.push(self.plain(self.input(op, i)?)?);
                }
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                Place::Plain(self.graph.node("Concat", &parts, &name, &[("axis", Attribute::Int(i64::from(axis)))]))
            }
        };
        self.places.insert(op.output, place);
        Ok(())
    }

    /// An operator on single elements, which keeps the order of its input.
    fn same_place(&mut self, op: &Operator, onnx: &str, name: &str) -> Result<Place> {
        let i = self.input(op, 0)?;
        if let Some(Place::Plain(x)) = self.places.get(&i) {
            let x = x.clone();
            return Ok(Place::Plain(self.graph.node(onnx, &[&x], name, &[])));
        }
        let x = self.picture(i)?;
        Ok(Place::Picture(self.graph.node(onnx, &[&x], name, &[])))
    }

    fn convolution(&mut self, op: &Operator, window: Window, depthwise: bool, name: &str) -> Result<String> {
        let (source, border) = match self.places.get(&self.input(op, 0)?) {
            Some(Place::Bordered(source, border)) => (*source, *border),
            _ => (self.input(op, 0)?, Border::default()),
        };
        let [h, w, c] = self.model.tensor(source)?.hwc()?;
        let weights = self.constant(self.input(op, 1)?)?;
        let [a, kh, kw, b] = weights.shape[..] else {
            return Err(Malformed(format!("weights {} have shape {:?}", weights.name, weights.shape)));
        };
        // TFLite keeps [out, h, w, in], depthwise [1, h, w, channels]; ONNX wants [out, in per group, h, w].
        let (axes, shape) = if depthwise { ([3, 0, 1, 2], [b, a, kh, kw]) } else { ([0, 3, 1, 2], [a, b, kh, kw]) };
        let (expected, outputs) = if depthwise { ([1, c], b) } else { ([a, c], a) };
        if [a, b] != expected {
            return Err(Malformed(format!("weights {} have shape {:?} for {c} channels", weights.name, weights.shape)));
        }
        let turned = transpose(weights.floats()?, [a, kh, kw, b], axes)?;
        let bias = match op.inputs.get(2).copied().flatten() {
            Some(i) => {
                let bias = self.constant(i)?.floats()?;
                if bias.len() != outputs {
                    return Err(Malformed(format!("{} biases for {outputs} channels", bias.len())));
                }
                Some(bias.to_vec())
            }
            None => None,
        };
        let mut pads = around([h + border.top + border.bottom, w + border.left + border.right], [kh, kw], window);
        pads.top += border.top;
        pads.left += border.left;
        pads.bottom += border.bottom;
        pads.right += border.right;
        let x = self.picture(source)?;
        let mut inputs = vec![x, self.graph.floats("w", &shape, &turned)];
        if let Some(bias) = bias {
            inputs.push(self.graph.floats("b", &[outputs], &bias));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let linear = Self::before(window.activation, name);
        self.graph.node(
            "Conv",
            &inputs,
            &linear,
            &[
                ("kernel_shape", ints(&[kh, kw])),
                ("strides", ints(&window.stride)),
                ("dilations", ints(&window.dilation)),
                ("group", Attribute::Int(if depthwise { c as i64 } else { 1 })),
                ("pads", pads.attribute()),
            ],
        );
        self.activate(window.activation, &linear, name);
        Ok(name.to_owned())
    }

    /// A border in height and width goes into the convolutions after it; any other becomes a node.
    fn pad(&mut self, op: &Operator, name: &str) -> Result<Place> {
        let source = self.input(op, 0)?;
        let amounts: Vec<usize> = self
            .constant(self.input(op, 1)?)?
            .ints()?
            .iter()
            .map(|v| {
                usize::try_from(*v).ok().filter(|v| *v < 4096).ok_or_else(|| Malformed(format!("a border of {v}")))
            })
            .collect::<Result<_>>()?;
        let [n0, n1, top, bottom, left, right, c0, c1] = amounts[..] else {
            return Err(Malformed(format!("{} numbers for the border of a picture", amounts.len())));
        };
        let convolved = |o: &&Operator| matches!(o.kind, Kind::Conv(_) | Kind::Depthwise(_));
        let mut readers = self.model.operators.iter().filter(|o| o.inputs.contains(&Some(op.output)));
        if [n0, n1, c0, c1] == [0; 4] && readers.all(|o| convolved(&o)) {
            return Ok(Place::Bordered(source, Border { top, left, bottom, right }));
        }
        let x = self.picture(source)?;
        let pads: Vec<i64> = [n0, c0, top, left, n1, c1, bottom, right].iter().map(|v| *v as i64).collect();
        let pads = self.graph.ints("pads", &pads);
        Ok(Place::Picture(self.graph.node("Pad", &[&x, &pads], name, &[("mode", Attribute::Text("constant"))])))
    }
}

impl Border {
    fn attribute(self) -> Attribute {
        ints(&[self.top, self.left, self.bottom, self.right])
    }
}

fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(values.iter().map(|v| *v as i64).collect())
}

/// TFLite's border of a window: with [`Padding::Same`], what lacks is split, the odd one going to the end.
fn around(size: [usize; 2], kernel: [usize; 2], window: Window) -> Border {
    if window.padding == Padding::Valid {
        return Border::default();
    }
    let lacking = |i: usize| {
        let steps = size[i].div_ceil(window.stride[i]).saturating_sub(1);
        (steps * window.stride[i] + (kernel[i] - 1) * window.dilation[i] + 1).saturating_sub(size[i])
    };
    let (v, h) = (lacking(0), lacking(1));
    Border { top: v / 2, left: h / 2, bottom: v - v / 2, right: h - h / 2 }
}

/// Whether a network's input and outputs have these shapes (outputs by their number of elements).
pub fn has_shapes(model: &Model, input: [usize; 4], outputs: &[usize]) -> bool {
    model.tensors.get(model.input).is_some_and(|t| t.shape == input && t.constant.is_none())
        && model.outputs.len() >= outputs.len()
        && outputs.iter().zip(&model.outputs).all(|(n, i)| model.tensors.get(*i).is_some_and(|t| t.len() == *n))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tflite::{Activation, Model, Padding, Window};
    use super::{around, to_onnx, transpose};
    use tract_onnx::prelude::*;

    #[test]
    fn a_converted_network_computes_what_the_file_says() {
        let slopes = [0.25, -2.0, 3.5];
        let model = Model::parse(&super::super::tflite::tests::prelu_file(&slopes)).unwrap();
        let bytes = to_onnx(&model).unwrap();
        let net = onnx().model_for_read(&mut &bytes[..]).unwrap().into_runnable().unwrap();
        let x: Vec<f32> = (0..12).map(|i| i as f32 - 6.0).collect();
        let out = net.run(tvec!(Tensor::from_shape(&[1, 3, 2, 2], &x).unwrap().into())).unwrap();
        let y = out[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
        // The input is channels first, the output in the file's order: height, width, channel.
        let expected: Vec<f32> = (0..4)
            .flat_map(|p| (0..3).map(move |c| c * 4 + p))
            .map(|i| if x[i] > 0.0 { x[i] } else { x[i] * slopes[i / 4] })
            .collect();
        assert_eq!(y, expected);
    }

    #[test]
    fn the_odd_border_goes_to_the_end() {
        let window = Window { padding: Padding::Same, stride: [2, 2], dilation: [1, 1], activation: Activation::None };
        let b = around([192, 6], [3, 3], window);
        assert_eq!((b.top, b.bottom, b.left, b.right), (0, 1, 0, 1));
        let b = around([5, 7], [5, 3], Window { stride: [1, 1], ..window });
        assert_eq!((b.top, b.bottom, b.left, b.right), (2, 2, 1, 1));
    }

    #[test]
    fn weights_are_turned() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        assert_eq!(
            transpose(&values, [1, 2, 2, 3], [3, 0, 1, 2]).unwrap(),
            [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]
        );
        assert!(transpose(&values, [1, 2, 2, 2], [3, 0, 1, 2]).is_err());
    }
}
