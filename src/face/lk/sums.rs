//! Sums over windows: correlations, moments, and how the Hessian is shared out.

use super::{CELLS, Cell, Cells};
use crate::image::{Plane, patch};

/// The correlations of both gradients with the picture at the four corners of the cell at (`cx`, `cy`), in the
/// order (0, 0), (1, 0), (0, 1), (1, 1).
pub(super) fn cell(
    plane: &Plane,
    cx: f32,
    cy: f32,
    n: usize,
    gx: &[f32],
    gy: &[f32],
    around: &mut Vec<f32>,
) -> [[f32; 4]; 2] {
    let (w, h) = (plane.width(), plane.height());
    let inside = cx >= 0.0 && cy >= 0.0 && (cx as usize).saturating_add(n) < w && (cy as usize).saturating_add(n) < h;
    if inside {
        correlate(&plane.values()[cy as usize * w + cx as usize..], w, n, gx, gy)
    } else {
        around.resize((n + 1) * (n + 1), 0.0);
        patch::bilinear(plane, cx, cy, n + 1, around);
        correlate(around, n + 1, n, gx, gy)
    }
}

/// See [`cell`]; `picture` begins at the cell's corner and has rows of `stride`.
pub(super) fn correlate(picture: &[f32], stride: usize, n: usize, gx: &[f32], gy: &[f32]) -> [[f32; 4]; 2] {
    let mut acc = [[0f32; 4]; 8];
    for (v, (gx, gy)) in gx.chunks_exact(n).zip(gy.chunks_exact(n)).enumerate() {
        let a = &picture[v * stride..][..n + 1];
        let b = &picture[(v + 1) * stride..][..n + 1];
        let lanes = gx
            .chunks_exact(4)
            .zip(gy.chunks_exact(4))
            .zip(a[..n].chunks_exact(4).zip(a[1..].chunks_exact(4)))
            .zip(b[..n].chunks_exact(4).zip(b[1..].chunks_exact(4)));
        for (((gx, gy), (a0, a1)), (b0, b1)) in lanes {
            for k in 0..4 {
                acc[0][k] += gx[k] * a0[k];
                acc[1][k] += gx[k] * a1[k];
                acc[2][k] += gx[k] * b0[k];
                acc[3][k] += gx[k] * b1[k];
                acc[4][k] += gy[k] * a0[k];
                acc[5][k] += gy[k] * a1[k];
                acc[6][k] += gy[k] * b0[k];
                acc[7][k] += gy[k] * b1[k];
            }
        }
    }
    let s = |i: usize| (acc[i][0] + acc[i][1]) + (acc[i][2] + acc[i][3]);
    [[s(0), s(1), s(2), s(3)], [s(4), s(5), s(6), s(7)]]
}

/// Shares out the Hessian.
pub(super) fn cells(gx: &[f32], gy: &[f32], weights: &[f32], n: usize) -> Cells {
    let mut cells = [Cell::default(); CELLS * CELLS];
    let middle = (n as f32 - 1.0) / 2.0;
    for (v, ((gx, gy), weights)) in gx.chunks_exact(n).zip(gy.chunks_exact(n)).zip(weights.chunks_exact(n)).enumerate()
    {
        for c in 0..CELLS {
            let (begin, end) = (c * n / CELLS, (c + 1) * n / CELLS);
            let (mut xx, mut xy, mut yy, mut along) = (0f32, 0f32, 0f32, 0f32);
            for u in begin..end {
                let (x, y, w) = (gx[u], gy[u], weights[u]);
                let square = w * (x * x + y * y);
                xx += w * x * x;
                xy += w * x * y;
                yy += w * y * y;
                along += square * u as f32;
            }
            let Some(cell) = cells.get_mut(v * CELLS / n * CELLS + c) else { continue };
            cell.at[0] += along - (xx + yy) * middle;
            cell.at[1] += (xx + yy) * (v as f32 - middle);
            cell.hessian.iter_mut().zip([xx, xy, yy]).for_each(|(h, v)| *h += v);
        }
    }
    for cell in &mut cells {
        let energy = (cell.hessian[0] + cell.hessian[2]).max(1e-12);
        cell.at = cell.at.map(|v| v / energy);
    }
    cells
}

pub(super) fn subtract(values: &mut [f32], k: f32) {
    for v in values {
        *v -= k;
    }
}

pub(super) fn multiply(values: &mut [f32], by: &[f32]) {
    for (v, b) in values.iter_mut().zip(by) {
        *v *= b;
    }
}

/// Lanes of a sum: two registers of SSE2 or NEON, so that one addition need not wait for the other.
const LANES: usize = 8;

pub(super) fn total(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for k in 0..LANES {
            acc[k] += a[k] * b[k];
        }
    }
    total(acc)
}

pub(super) fn dot3(w: &[f32], a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [0f32; LANES];
    for ((w, a), b) in w.chunks_exact(LANES).zip(a.chunks_exact(LANES)).zip(b.chunks_exact(LANES)) {
        for k in 0..LANES {
            acc[k] += w[k] * a[k] * b[k];
        }
    }
    total(acc)
}

/// Weighted sum and sum of squares.
pub(super) fn sums(values: &[f32], weights: &[f32]) -> (f32, f32) {
    let (mut first, mut second) = ([0f32; LANES], [0f32; LANES]);
    for (v, w) in values.chunks_exact(LANES).zip(weights.chunks_exact(LANES)) {
        for k in 0..LANES {
            let wv = w[k] * v[k];
            first[k] += wv;
            second[k] += wv * v[k];
        }
    }
    (total(first), total(second))
}
