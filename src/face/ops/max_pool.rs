//! Maximum over 2 x 2 elements, with stride 2.

use tract_core::ops::cnn::MaxPool;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::{Planes, one, slice};

/// The maximum of each 2 x 2 elements of a plane.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct MaxPool2x2(Planes);

impl MaxPool2x2 {
    /// This operator in place of `pool`, when it does the same.
    pub(super) fn covering(pool: &MaxPool, input: &TypedFact) -> Option<Self> {
        let p = Planes::of(&pool.pool_spec, input)?;
        let halves = p.output == [p.input[0] / 2, p.input[1] / 2] && p.before == [0, 0];
        let covered = pool.with_index_outputs.is_none() && p.kernel == [2, 2] && p.stride == [2, 2] && halves;
        covered.then_some(Self(p))
    }
}

impl Op for MaxPool2x2 {
    fn name(&self) -> StaticName {
        "MaxPool2x2".into()
    }
    op_as_typed_op!();
}

impl EvalOp for MaxPool2x2 {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = one(inputs)?;
        let mut y = Tensor::zero::<f32>(&self.0.output_shape())?;
        let ([h, w], [oh, ow]) = (self.0.input, self.0.output);
        let mut view = y.try_as_plain_ram_mut()?;
        let planes = view.as_slice_mut::<f32>()?.chunks_exact_mut((oh * ow).max(1));
        for (from, to) in slice(&x)?.chunks_exact((h * w).max(1)).zip(planes) {
            // Each output row is under two input rows; an odd last row or column has none.
            for (rows, to) in from.chunks_exact(2 * w).zip(to.chunks_exact_mut(ow)) {
                let (top, bottom) = rows.split_at(w);
                let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
                for (to, ([a, b], [c, d])) in to.iter_mut().zip(pairs) {
                    *to = max(max(*a, *c), max(*b, *d));
                }
            }
        }
        Ok(tvec!(y.into_tvalue()))
    }
}

/// One instruction, unlike `f32::max`, which treats NaN in a way of its own.
#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

impl TypedOp for MaxPool2x2 {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.0.output_shape())))
    }
    as_op!();
}
