//! Reads the part of a TFLite file that a float network without control flow needs.
//!
//! Schema: `tensorflow/lite/schema/schema.fbs`, version 3 (field numbers below are the order of its fields).

use super::flatbuffer::{Malformed, Result, Table};

/// Most tensors or operators that a file may hold; the face networks have about 300.
const MOST: usize = 10_000;
/// Most elements of one tensor, and of all constants together; the face networks have about 1,200,000 weights.
const MOST_ELEMENTS: usize = 1 << 24;

/// A constant of the file, as 32-bit numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// 32-bit floats; 16-bit ones are widened.
    Float(Vec<f32>),
    /// 32-bit integers.
    Int(Vec<i32>),
}

/// A tensor: its shape and, when it is a constant, its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name in the file.
    pub name: String,
    /// Shape, in TFLite's NHWC order.
    pub shape: Vec<usize>,
    /// Values of a constant.
    pub constant: Option<Constant>,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of a float constant.
    pub fn floats(&self) -> Result<&[f32]> {
        match &self.constant {
            Some(Constant::Float(v)) => Ok(v),
            _ => Err(Malformed(format!("tensor {} should be a float constant", self.name))),
        }
    }

    /// The values of an integer constant.
    pub fn ints(&self) -> Result<&[i32]> {
        match &self.constant {
            Some(Constant::Int(v)) => Ok(v),
            _ => Err(Malformed(format!("tensor {} should be an integer constant", self.name))),
        }
    }

    /// Height, width and channels of a four-dimensional tensor of batch 1.
    pub fn hwc(&self) -> Result<[usize; 3]> {
        match self.shape[..] {
            [1, h, w, c] => Ok([h, w, c]),
            _ => Err(Malformed(format!(
                "tensor {} has shape {:?}, not [1, height, width, channels]",
                self.name, self.shape
            ))),
        }
    }
}

/// How a window treats the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros around, so that the output has `ceil(size / stride)` elements.
    Same,
    /// None.
    Valid,
}

/// What a convolution or addition does with its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Geometry of a convolution or pooling window, each pair vertical first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Border.
    pub padding: Padding,
    /// Strides.
    pub stride: [usize; 2],
    /// Dilations.
    pub dilation: [usize; 2],
    /// Activation applied to the result.
    pub activation: Activation,
}

/// What an operator computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Convolution; weights `[out, kh, kw, in]`.
    Conv(Window),
    /// Depthwise convolution; weights `[1, kh, kw, channels]`.
    Depthwise(Window),
    /// Maximum over a window of this height and width.
    MaxPool(Window, [usize; 2]),
    /// Widens 16-bit floats.
    Dequantize,
    /// `x > 0 ? x : slope * x`, one slope per channel.
    Prelu,
    /// Sum.
    Add(Activation),
    /// `max(x, 0)`.
    Relu,
    /// Sigmoid.
    Logistic,
    /// Constant border.
    Pad,
    /// Same elements, other shape.
    Reshape,
    /// Joined along this axis.
    Concatenation(i32),
}

/// An operator with the tensors it reads and writes; an absent optional input is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// What it computes.
    pub kind: Kind,
    /// Tensors read.
    pub inputs: Vec<Option<usize>>,
    /// The tensor written.
    pub output: usize,
}

/// A network of one subgraph. Every tensor number in it is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// All tensors.
    pub tensors: Vec<Tensor>,
    /// The operators in the order of execution.
    pub operators: Vec<Operator>,
    /// The input tensor.
    pub input: usize,
    /// The output tensors.
    pub outputs: Vec<usize>,
}

impl Model {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file is damaged, or holds something that the face networks do not have.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let model = Table::root(bytes, b"TFL3")?;
        let codes: Vec<i32> = model.tables(1)?.iter().map(operator_code).collect::<Result<_>>()?;
        let graphs = model.tables(2)?;
        let [graph] = graphs[..] else {
            return Err(Malformed(format!("the file has {} subgraphs, not one", graphs.len())));
        };
        let buffers = model.tables(4)?;
        let (tensors, operators) = (graph.tables(0)?, graph.tables(3)?);
        if tensors.len() > MOST || operators.len() > MOST {
            return Err(Malformed(format!("more than {MOST} tensors or operators")));
        }
        // Tensors may share a buffer, so a small file could otherwise ask for any amount of memory.
        let mut left = MOST_ELEMENTS;
        let tensors: Vec<Tensor> = tensors.iter().map(|t| tensor(t, &buffers, &mut left)).collect::<Result<_>>()?;
        let count = tensors.len();
        let operators = operators.iter().map(|o| operator(o, &codes, count)).collect::<Result<_>>()?;
        let inputs = graph.i32s(1)?;
        let [input] = inputs[..] else {
            return Err(Malformed(format!("the network has {} inputs, not one", inputs.len())));
        };
        let outputs = graph.i32s(2)?.into_iter().map(|i| index(i, count)).collect::<Result<_>>()?;
        Ok(Self { tensors, operators, input: index(input, count)?, outputs })
    }

    /// Tensor `i`.
    pub fn tensor(&self, i: usize) -> Result<&Tensor> {
        self.tensors.get(i).ok_or_else(|| Malformed(format!("there is no tensor {i}")))
    }
}

fn index(i: i32, count: usize) -> Result<usize> {
    usize::try_from(i).ok().filter(|i| *i < count).ok_or_else(|| Malformed(format!("there is no tensor {i}")))
}

/// The newer field wins when both are set; the older one is a byte.
fn operator_code(table: &Table) -> Result<i32> {
    Ok(table.i32(3, 0)?.max(i32::from(table.u8(0, 0)?)))
}

fn tensor(table: &Table, buffers: &[Table], left: &mut usize) -> Result<Tensor> {
    let name = table.string(3)?.to_owned();
    let wrong = |what: String| Malformed(format!("tensor {name}: {what}"));
    let shape: Vec<usize> = table
        .i32s(0)?
        .into_iter()
        .map(|d| usize::try_from(d).ok().filter(|d| *d > 0).ok_or_else(|| wrong(format!("a dimension of {d}"))))
        .collect::<Result<_>>()?;
    let elements = shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))
        .filter(|n| *n <= MOST_ELEMENTS)
        .ok_or_else(|| wrong(format!("shape {shape:?} is too large")))?;
    let buffer = table.u32(2, 0)? as usize;
    let data = buffers.get(buffer).ok_or_else(|| wrong(format!("there is no buffer {buffer}")))?.bytes(0)?;
    let constant = if data.is_empty() {
        None
    } else {
        *left = left.checked_sub(data.len() / 2).ok_or_else(|| wrong("the constants are too large".into()))?;
        let constant = match table.u8(1, 0)? {
            0 => Constant::Float(data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            1 => Constant::Float(data.as_chunks::<2>().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect()),
            2 => Constant::Int(data.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            other => return Err(wrong(format!("constants of type {other} are not supported"))),
        };
        let n = match &constant {
            Constant::Float(v) => v.len(),
            Constant::Int(v) => v.len(),
        };
        if n != elements {
            return Err(wrong(format!("{n} values for shape {shape:?}")));
        }
        if matches!(&constant, Constant::Float(v) if v.iter().any(|x| !x.is_finite())) {
            return Err(wrong("a value is not finite".into()));
        }
        Some(constant)
    };
    Ok(Tensor { name, shape, constant })
}

/// IEEE 754 half precision, widened exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        (0, _) => {
            let magnitude = fraction as f32 / (1u32 << 24) as f32;
            if sign == 0 { magnitude } else { -magnitude }
        }
        (31, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

fn operator(table: &Table, codes: &[i32], tensors: usize) -> Result<Operator> {
    let code = table.u32(0, 0)? as usize;
    let code = *codes.get(code).ok_or_else(|| Malformed(format!("there is no operator code {code}")))?;
    let options = table.table(4)?;
    let options = |name: &str| options.ok_or_else(|| Malformed(format!("a {name} has no options")));
    let kind = match code {
        0 => Kind::Add(match table.table(4)? {
            Some(t) => activation(t.u8(0, 0)?)?,
            None => Activation::None,
        }),
        2 => Kind::Concatenation(options("concatenation")?.i32(0, 0)?),
        3 => Kind::Conv(window(&options("convolution")?, 3, Some((4, 5)))?),
        4 => Kind::Depthwise(window(&options("depthwise convolution")?, 4, Some((5, 6)))?),
        6 => Kind::Dequantize,
        14 => Kind::Logistic,
        17 => {
            let o = options("pooling")?;
            Kind::MaxPool(
                window(&o, 5, None)?,
                [small(o.i32(4, 0)?, "filter height")?, small(o.i32(3, 0)?, "filter width")?],
            )
        }
        19 => Kind::Relu,
        22 => Kind::Reshape,
        34 => Kind::Pad,
        54 => Kind::Prelu,
        other => return Err(Malformed(format!("operator {other} is not one that the face networks use"))),
    };
    let inputs = table
        .i32s(1)?
        .into_iter()
        .map(|i| if i == -1 { Ok(None) } else { index(i, tensors).map(Some) })
        .collect::<Result<_>>()?;
    let outputs = table.i32s(2)?;
    let [output] = outputs[..] else {
        return Err(Malformed(format!("an operator writes {} tensors, not one", outputs.len())));
    };
    Ok(Operator { kind, inputs, output: index(output, tensors)? })
}

/// A window's options: padding, strides (horizontal first in the file), and the fields named here.
fn window(o: &Table, activation_field: usize, dilation: Option<(usize, usize)>) -> Result<Window> {
    let padding = match o.u8(0, 0)? {
        0 => Padding::Same,
        1 => Padding::Valid,
        other => return Err(Malformed(format!("padding {other} is unknown"))),
    };
    let dilation = match dilation {
        Some((w, h)) => [small(o.i32(h, 1)?, "dilation")?, small(o.i32(w, 1)?, "dilation")?],
        None => [1, 1],
    };
    Ok(Window {
        padding,
        stride: [small(o.i32(2, 0)?, "stride")?, small(o.i32(1, 0)?, "stride")?],
        dilation,
        activation: activation(o.u8(activation_field, 0)?)?,
    })
}

fn small(v: i32, what: &str) -> Result<usize> {
    usize::try_from(v).ok().filter(|v| (1..=64).contains(v)).ok_or_else(|| Malformed(format!("a {what} of {v}")))
}

fn activation(code: u8) -> Result<Activation> {
    match code {
        0 => Ok(Activation::None),
        1 => Ok(Activation::Relu),
        3 => Ok(Activation::Relu6),
        other => Err(Malformed(format!("activation {other} is not one that the face networks use"))),
    }
}

#[cfg(test)]
pub(super) mod tests;
