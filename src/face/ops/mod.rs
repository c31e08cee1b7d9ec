//! Operators that make the face networks fast in tract.
//!
//! tract's ONNX reader spells PReLU out as three operators, and its pooling and depthwise convolution are general
//! code: together they took more than half of the time of these networks. The ones here know the one layout that
//! the networks have (batch 1, channels first, contiguous planes) and are written as loops over short arrays, which
//! the compiler turns into NEON or SSE instructions. They are safe code; anything they do not cover stays with tract.

mod depthwise;
mod grey;
mod max_pool;
mod prelu;

pub use grey::grey;

use tract_core::ops::cnn::{Conv, MaxPool, PoolSpec};
use tract_core::ops::nn::DataFormat;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// The optimised plan of a converted network, its input of this shape.
///
/// # Errors
/// When the bytes are no ONNX network that tract can run.
pub fn optimised(onnx: &[u8], input: [usize; 4]) -> TractResult<TypedModel> {
    let mut reader = tract_onnx::onnx();
    prelu::register(&mut reader);
    let mut model = reader
        .model_for_read(&mut &*onnx)?
        .with_input_fact(0, f32::fact(input).into())?
        .into_typed()?
        .into_decluttered()?;
    replace(&mut model)?;
    model.into_optimized()
}

/// A window over planes of known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Planes {
    /// 3 for channels, height, width; 4 with a batch of 1 before them.
    rank: usize,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Zeros before the first row and column.
    before: [usize; 2],
}

impl Planes {
    /// The window of a pooling or convolution, when it is of the one layout that is covered here.
    fn of(spec: &PoolSpec, input: &TypedFact) -> Option<Self> {
        let shape = input.shape.as_concrete()?;
        if input.datum_type != f32::datum_type() {
            return None;
        }
        let (rank, channels, h, w) = match (spec.data_format, shape) {
            (DataFormat::NCHW, [1, c, h, w]) => (4, *c, *h, *w),
            (DataFormat::CHW, [c, h, w]) => (3, *c, *h, *w),
            _ => return None,
        };
        let [kh, kw] = spec.kernel_shape[..] else { return None };
        let pair = |v: &Option<TVec<usize>>| match v.as_deref() {
            None => Some([1, 1]),
            Some([a, b]) => Some([*a, *b]),
            Some(_) => None,
        };
        let (stride, dilation) = (pair(&spec.strides)?, pair(&spec.dilations)?);
        if dilation != [1, 1] {
            return None;
        }
        let padding = spec.padding.compute(&[h, w], &[kh, kw], &dilation, &stride);
        let [v, o] = &padding[..] else { return None };
        Some(Self {
            rank,
            channels,
            input: [h, w],
            output: [v.convoluted, o.convoluted],
            kernel: [kh, kw],
            stride,
            before: [v.pad_before, o.pad_before],
        })
    }

    fn output_shape(&self) -> TVec<usize> {
        let mut shape: TVec<usize> = if self.rank == 4 { tvec!(1) } else { tvec!() };
        shape.extend([self.channels, self.output[0], self.output[1]]);
        shape
    }
}

/// Puts the operators of this module in place of the general ones that they cover.
fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        let node = model.nodes[id].clone();
        let Some(input) = node.inputs.first() else { continue };
        let input = model.outlet_fact(*input)?.clone();
        if let Some(pool) = node.op_as::<MaxPool>() {
            if let Some(op) = max_pool::MaxPool2x2::covering(pool, &input) {
                TypedModelPatch::replace_single_op(model, &node, &node.inputs, op)?.apply(model)?;
            }
        } else if let Some(conv) = node.op_as::<Conv>()
            && let Some(op) = depthwise::Depthwise::covering(conv, &input)
        {
            let mut patch = TypedModelPatch::default();
            let mut inputs = patch.taps(model, &node.inputs)?;
            // tract keeps a bias that is the same for all channels as one number.
            if let Some(bias) = &model.outlet_fact(node.inputs[2])?.konst
                && bias.len() == 1
            {
                let bias = slice(bias)?.first().copied().unwrap_or(0.0);
                inputs[2] = patch.add_const(format!("{}.bias", node.name), tensor1(&vec![bias; op.channels()]))?;
            }
            let wire = patch.wire_node(&node.name, op, &inputs)?;
            patch.shunt_outside(model, node.id.into(), wire[0])?;
            patch.apply(model)?;
        }
    }
    model.compact()
}

/// The elements of a float tensor.
fn slice(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.try_as_plain_ram()?.as_slice::<f32>()
}

/// The one input of an operator.
fn one(inputs: TVec<TValue>) -> TractResult<TValue> {
    let n = inputs.len();
    inputs.into_iter().next().filter(|_| n == 1).ok_or_else(|| format_err!("one input expected, {n} came"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::face::models::onnx::{Attribute, Graph};
    use proptest::prelude::*;

    /// Numbers between -1 and 1 that look random and are the same every time.
    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / (1u32 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn run(model: TypedModel, shape: [usize; 4], x: &[f32]) -> Vec<f32> {
        let x = Tensor::from_shape(&shape, x).unwrap();
        let y = model.into_runnable().unwrap().run(tvec!(x.into())).unwrap();
        slice(&y[0]).unwrap().to_vec()
    }

    /// Runs the network with tract's own operators and with these; the plan with these must have `expected`.
    fn compare(onnx: &[u8], shape: [usize; 4], expected: &str) {
        let x = numbers(shape.iter().product(), 7);
        let ours = optimised(onnx, shape).unwrap();
        assert!(ours.nodes.iter().any(|n| n.op.name() == expected), "{expected} is not in the plan: {ours:#?}");
        let theirs = tract_onnx::onnx().model_for_read(&mut &*onnx).unwrap().into_optimized().unwrap();
        assert!(theirs.nodes.iter().all(|n| n.op.name() != expected));
        let (ours, theirs) = (run(ours, shape, &x), run(theirs, shape, &x));
        assert_eq!(ours.len(), theirs.len());
        for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "element {i}: {a} {b}");
        }
    }

    fn depthwise_network(
        shape: [usize; 4],
        k: usize,
        stride: usize,
        pads: [i64; 4],
        bias: bool,
    ) -> (Vec<u8>, Vec<usize>) {
        let [_, c, h, w] = shape;
        let mut g = Graph::default();
        let weights = g.floats("w", &[c, 1, k, k], &numbers(c * k * k, 1));
        let b = if bias { numbers(c, 2) } else { vec![0.0; c] };
        let b = g.floats("b", &[c], &b);
        g.node(
            "Conv",
            &["input", &weights, &b],
            "out",
            &[
                ("kernel_shape", Attribute::Ints(vec![k as i64; 2])),
                ("strides", Attribute::Ints(vec![stride as i64; 2])),
                ("group", Attribute::Int(c as i64)),
                ("pads", Attribute::Ints(pads.to_vec())),
            ],
        );
        let size = |n: usize, a: usize| (n + pads[a] as usize + pads[a + 2] as usize - k) / stride + 1;
        let out = vec![1, c, size(h, 0), size(w, 1)];
        (g.finish("test", &[("input", &shape)], &[("out".into(), out.clone())]), out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn depthwise_is_tracts_own(
            c in 2usize..6, h in 3usize..20, w in 3usize..40, five in any::<bool>(), stride in 1usize..3,
            pads in prop::array::uniform4(0i64..3), bias in any::<bool>(),
        ) {
            let k = if five { 5 } else { 3 };
            let fits = |n: usize, a: usize| n as i64 + pads[a] + pads[a + 2] >= k as i64;
            prop_assume!(fits(h, 0) && fits(w, 1));
            let shape = [1, c, h, w];
            let (onnx, _) = depthwise_network(shape, k, stride, pads, bias);
            compare(&onnx, shape, "DepthwisePlanes");
        }

        #[test]
        fn pooling_is_tracts_own(c in 1usize..5, h in 1usize..12, w in 1usize..30) {
            let shape = [1, c, 2 * h, 2 * w];
            let mut g = Graph::default();
            g.node("MaxPool", &["input"], "out", &[
                ("kernel_shape", Attribute::Ints(vec![2, 2])),
                ("strides", Attribute::Ints(vec![2, 2])),
            ]);
            let onnx = g.finish("test", &[("input", &shape)], &[("out".into(), vec![1, c, h, w])]);
            compare(&onnx, shape, "MaxPool2x2");
        }

        #[test]
        fn prelu_is_tracts_own(c in 2usize..40, h in 1usize..12, w in 1usize..12) {
            let shape = [1, c, h, w];
            let mut g = Graph::default();
            let slopes: Vec<f32> = numbers(c, 3).iter().map(|v| 20.0 * v).collect();
            let slopes = g.floats("slope", &[1, c, 1, 1], &slopes);
            g.node("PRelu", &["input", &slopes], "out", &[]);
            let onnx = g.finish("test", &[("input", &shape)], &[("out".into(), shape.to_vec())]);
            compare(&onnx, shape, "PReluChannels");
        }
    }

    #[test]
    fn a_grey_network_gives_what_three_equal_channels_give() {
        let shape = [1, 3, 9, 7];
        let mut g = Graph::default();
        let weights = g.floats("w", &[5, 3, 3, 3], &numbers(5 * 27, 4));
        let kernel = [("kernel_shape", Attribute::Ints(vec![3, 3]))];
        g.node("Conv", &["input", &weights], "out", &kernel);
        let onnx = g.finish("test", &[("input", &shape)], &[("out".into(), vec![1, 5, 7, 5])]);
        let one = numbers(63, 9);
        let colour = run(optimised(&onnx, shape).unwrap(), shape, &[&one[..], &one[..], &one[..]].concat());
        let folded = grey(&onnx).unwrap();
        let shape = [1, 1, 9, 7];
        let folded = run(optimised(&folded, shape).unwrap(), shape, &one);
        assert!(colour.iter().zip(&folded).all(|(a, b)| (a - b).abs() < 1e-5), "{colour:?} {folded:?}");
    }

    #[test]
    fn a_network_that_cannot_be_made_grey_is_refused() {
        let shape = [1, 3, 4, 4];
        let mut g = Graph::default();
        g.node("Relu", &["input"], "out", &[]);
        let onnx = g.finish("test", &[("input", &shape)], &[("out".into(), shape.to_vec())]);
        assert!(grey(&onnx).unwrap_err().to_string().contains("a Relu reads the input"));
        assert!(grey(b"no protobuf").is_err());
    }

    #[test]
    fn a_window_that_is_not_covered_stays_with_tract() {
        let shape = [1, 4, 9, 9];
        let mut g = Graph::default();
        g.node(
            "MaxPool",
            &["input"],
            "out",
            &[("kernel_shape", Attribute::Ints(vec![3, 3])), ("strides", Attribute::Ints(vec![2, 2]))],
        );
        let onnx = g.finish("test", &[("input", &shape)], &[("out".into(), vec![1, 4, 4, 4])]);
        let plan = optimised(&onnx, shape).unwrap();
        assert!(plan.nodes.iter().all(|n| n.op.name() != "MaxPool2x2"));
    }
}
