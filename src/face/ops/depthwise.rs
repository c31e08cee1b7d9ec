//! Depthwise convolution, 3 x 3 or 5 x 5, stride 1 or 2.

use std::cell::RefCell;

use tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::{Planes, slice};

/// Each plane of the input convolved with the kernel of its channel. Inputs: planes, kernels, one bias per channel.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Depthwise(Planes);

thread_local! {
    /// One padded plane. Kept by the thread, so that the frame loop does not allocate it each time.
    static PADDED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Depthwise {
    /// This operator in place of `conv`, when it does the same.
    pub(super) fn covering(conv: &Conv, input: &TypedFact) -> Option<Self> {
        let p = Planes::of(&conv.pool_spec, input)?;
        let depthwise = conv.group == p.channels && conv.pool_spec.output_channels == p.channels && p.channels > 1;
        let covered = depthwise
            && conv.q_params.is_none()
            && matches!(conv.kernel_fmt, KernelFormat::OIHW)
            && matches!(p.kernel, [3, 3] | [5, 5])
            && matches!(p.stride, [1, 1] | [2, 2]);
        covered.then_some(Self(p))
    }

    /// Number of channels.
    pub(super) fn channels(&self) -> usize {
        self.0.channels
    }

    fn run<const K: usize, const STRIDE: usize>(&self, x: &[f32], kernels: &[f32], bias: &[f32], y: &mut [f32]) {
        let ([h, w], [oh, ow]) = (self.0.input, self.0.output);
        let rows = Rows::new::<K, STRIDE>(&self.0);
        PADDED.with_borrow_mut(|padded| {
            padded.clear();
            padded.resize(rows.height * rows.stride, 0.0);
            let kernels = kernels.chunks_exact(K * K).zip(bias);
            for ((from, to), (kernel, bias)) in x.chunks_exact(h * w).zip(y.chunks_exact_mut(oh * ow)).zip(kernels) {
                rows.fill::<STRIDE>(from, w, padded);
                let mut taps = [[0.0; K]; K];
                taps.iter_mut().flatten().zip(kernel).for_each(|(t, k)| *t = *k);
                for (line, to) in to.chunks_exact_mut(ow).enumerate() {
                    let top = line * STRIDE * rows.stride;
                    let lines: [&[f32]; K] = std::array::from_fn(|i| {
                        let start = top + i * rows.stride;
                        padded.get(start..start + rows.stride).unwrap_or(&[])
                    });
                    convolve::<K, STRIDE>(&lines, &taps, *bias, rows.half, to);
                }
            }
        });
    }
}

/// The layout of a padded plane. With stride 2 the even columns of a row come first, then the odd ones, so that
/// the columns under one tap lie side by side.
#[derive(Debug, Clone, Copy)]
struct Rows {
    before: [usize; 2],
    /// Rows that the window reads.
    height: usize,
    /// Where the odd columns begin; the whole row with stride 1.
    half: usize,
    /// Elements from one row to the next.
    stride: usize,
}

impl Rows {
    fn new<const K: usize, const STRIDE: usize>(p: &Planes) -> Self {
        let half = ((p.output[1] - 1) * STRIDE + K).div_ceil(STRIDE);
        Self { before: p.before, height: (p.output[0] - 1) * STRIDE + K, half, stride: half * STRIDE }
    }

    /// Writes a plane inside the border. The border is zero and stays so from plane to plane.
    fn fill<const STRIDE: usize>(&self, plane: &[f32], width: usize, padded: &mut [f32]) {
        let lines = padded.chunks_exact_mut(self.stride).skip(self.before[0]);
        for (from, to) in plane.chunks_exact(width).zip(lines) {
            let left = self.before[1];
            if STRIDE == 1 {
                let n = width.min(self.half - left.min(self.half));
                if let (Some(from), Some(to)) = (from.get(..n), to.get_mut(left..left + n)) {
                    to.copy_from_slice(from);
                }
                continue;
            }
            let (even, odd) = to.split_at_mut(self.half);
            // The first column is even in the padded row when the border before it is.
            let (first, second) = if left.is_multiple_of(2) { (even, odd) } else { (odd, even) };
            let first = first.get_mut(left / 2..).unwrap_or(&mut []);
            let second = second.get_mut(left.div_ceil(2)..).unwrap_or(&mut []);
            let (pairs, rest) = from.as_chunks::<2>();
            // Columns beyond the last one that the window reads are left out.
            let limit = |start: usize| self.half.saturating_sub(start);
            let (n, m) = (limit(left / 2), limit(left.div_ceil(2)));
            for (to, pair) in first.iter_mut().take(n).zip(pairs) {
                *to = pair[0];
            }
            for (to, pair) in second.iter_mut().take(m).zip(pairs) {
                *to = pair[1];
            }
            if let (Some(last), Some(to)) = (rest.first(), first.iter_mut().take(n).nth(pairs.len())) {
                *to = *last;
            }
        }
    }
}

/// One output row. Plain loops over whole rows: the compiler makes vector instructions of them, and of nothing
/// that keeps the sums of a few elements in an array.
#[inline(always)]
fn convolve<const K: usize, const STRIDE: usize>(
    lines: &[&[f32]; K],
    taps: &[[f32; K]; K],
    bias: f32,
    half: usize,
    to: &mut [f32],
) {
    to.fill(bias);
    let n = to.len();
    for (line, taps) in lines.iter().zip(taps) {
        let seen: [&[f32]; K] = std::array::from_fn(|j| {
            let start = if STRIDE == 1 { j } else { (j % 2) * half + j / 2 };
            line.get(start..start + n).unwrap_or(&[])
        });
        match (&seen[..], &taps[..]) {
            ([a, b, c], [p, q, r]) => add_three(to, [a, b, c], [*p, *q, *r]),
            ([a, b, c, rest @ ..], [p, q, r, others @ ..]) => {
                add_three(to, [a, b, c], [*p, *q, *r]);
                for (a, p) in rest.iter().zip(others) {
                    to.iter_mut().zip(*a).for_each(|(to, a)| *to += a * p);
                }
            }
            _ => {}
        }
    }
}

/// Adds three taps to a row.
#[inline(always)]
fn add_three(to: &mut [f32], [a, b, c]: [&[f32]; 3], [p, q, r]: [f32; 3]) {
    for (((to, a), b), c) in to.iter_mut().zip(a).zip(b).zip(c) {
        *to = *to + a * p + b * q + c * r;
    }
}

impl Op for Depthwise {
    fn name(&self) -> StaticName {
        "DepthwisePlanes".into()
    }
    op_as_typed_op!();
}

impl EvalOp for Depthwise {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [x, kernels, bias] = &inputs[..] else { bail!("three inputs expected") };
        let mut y = Tensor::zero::<f32>(&self.0.output_shape())?;
        let mut view = y.try_as_plain_ram_mut()?;
        let (x, kernels, bias, out) = (slice(x)?, slice(kernels)?, slice(bias)?, view.as_slice_mut::<f32>()?);
        ensure!(
            bias.len() == self.0.channels && kernels.len() == self.0.channels * self.0.kernel[0] * self.0.kernel[1]
        );
        match (self.0.kernel[0], self.0.stride[0]) {
            (3, 1) => self.run::<3, 1>(x, kernels, bias, out),
            (3, _) => self.run::<3, 2>(x, kernels, bias, out),
            (_, 1) => self.run::<5, 1>(x, kernels, bias, out),
            _ => self.run::<5, 2>(x, kernels, bias, out),
        }
        Ok(tvec!(y.into_tvalue()))
    }
}

impl TypedOp for Depthwise {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.0.output_shape())))
    }
    as_op!();
}
