//! Fits over all landmarks of a face: the head's motion, and the low-order part of a difference.

use crate::geometry::{Iod, Pixels, Point, Px, Similarity};
use crate::landmarks::{COUNT, PerLandmark};

/// How much a landmark says about where the head is: what only the skull moves counts most.
pub const HEAD_WEIGHT: PerLandmark<f32> = {
    let mut w = [0.3; COUNT]; // lids, mouth
    let mut i = 0;
    while i < 17 {
        w[i] = 0.1; // contour: background behind it, known along one axis only
        i += 1;
    }
    while i < 27 {
        w[i] = 0.4; // brows
        i += 1;
    }
    while i < 36 {
        w[i] = 1.0; // nose ...
        i += 1;
    }
    w[31] = 0.4; // ... without its wings
    w[35] = 0.4;
    w[36] = 1.0; // corners of the eyes
    w[39] = 1.0;
    w[42] = 1.0;
    w[45] = 1.0;
    w
};

/// `first`, then `second`.
pub fn both<A: Copy, B: Copy, C: Copy>(first: &Similarity<A, B>, second: &Similarity<B, C>) -> Similarity<A, C> {
    let shift = second.apply(Point::new(first.tx, first.ty));
    Similarity::new(second.a * first.a - second.b * first.b, second.b * first.a + second.a * first.b, shift.x, shift.y)
}

/// Similarity that carries `from` onto `to`, with Tukey-like weights against outliers: pairs far beyond `scale` pixels
/// from the rest do not count. `weight` 0 leaves a pair out. `None` without enough spread.
pub fn robust_similarity(
    from: &PerLandmark<Px>,
    to: &PerLandmark<Px>,
    weight: &PerLandmark<f32>,
    scale: f32,
) -> Option<Similarity<Pixels, Pixels>> {
    // the start: a shift by the weighted median, which a half of bad pairs cannot spoil
    let mut order = [0usize; COUNT];
    let mut median = |value: &dyn Fn(usize) -> f32| {
        let total: f32 = weight.iter().sum();
        for (i, o) in order.iter_mut().enumerate() {
            *o = i;
        }
        order.sort_unstable_by(|&a, &b| value(a).total_cmp(&value(b)));
        let mut below = 0.0;
        for &i in &order {
            below += weight[i];
            if below * 2.0 >= total && weight[i] > 0.0 {
                return value(i);
            }
        }
        0.0
    };
    let mut fit = Similarity::new(1.0, 0.0, median(&|i| to[i].x - from[i].x), median(&|i| to[i].y - from[i].y));
    let mut now = [0f32; COUNT];
    for round in 0..5 {
        let s = scale * [8.0, 4.0, 2.0, 1.0, 1.0][round];
        for i in 0..COUNT {
            let r = fit.apply(from[i]) - to[i];
            let r2 = (r.x * r.x + r.y * r.y) / (s * s);
            now[i] = if weight[i] > 0.0 { weight[i] / (1.0 + r2).powi(2) } else { 0.0 };
        }
        fit = Similarity::fit((0..COUNT).map(|i| (from[i], to[i], now[i])))?;
    }
    let finite = fit.a.is_finite() && fit.b.is_finite() && fit.tx.is_finite() && fit.ty.is_finite();
    (finite && fit.scale() > 1e-3).then_some(fit)
}

/// The affine deformation (six numbers) that explains `difference` best at the places `at` of the face frame, with
/// Huber weights beyond `scale`. Zero without enough points.
///
/// This is all that the landmark network may say about a track: it sees where the face is and how it is turned, but
/// follows local movement by a third only and errs at each landmark by half a pixel in its own way.
pub fn affine_part(
    at: &PerLandmark<Iod>,
    difference: &PerLandmark<Iod>,
    weight: &PerLandmark<f32>,
    scale: f32,
) -> [[f32; 3]; 2] {
    let mut fit = [[0f64; 3]; 2];
    for _ in 0..4 {
        let (mut m, mut rhs) = ([[0f64; 3]; 3], [[0f64; 3]; 2]);
        for i in 0..COUNT {
            if !(weight[i] > 0.0 && at[i].is_finite() && difference[i].is_finite()) {
                continue;
            }
            let p = [f64::from(at[i].x), f64::from(at[i].y), 1.0];
            let d = [f64::from(difference[i].x), f64::from(difference[i].y)];
            let eval = |f: &[f64; 3]| f[0] * p[0] + f[1] * p[1] + f[2];
            let r = ((d[0] - eval(&fit[0])).powi(2) + (d[1] - eval(&fit[1])).powi(2)).sqrt();
            let w = f64::from(weight[i]) * (f64::from(scale) / r.max(1e-9)).min(1.0);
            for j in 0..3 {
                for k in 0..3 {
                    m[j][k] += w * p[j] * p[k];
                }
                rhs[0][j] += w * p[j] * d[0];
                rhs[1][j] += w * p[j] * d[1];
            }
        }
        // a little stiffness: few points say nothing about the far side of the face
        let ridge = 0.02 * (m[2][2] + 1e-9);
        m[0][0] += ridge;
        m[1][1] += ridge;
        let (Some(x), Some(y)) = (solve3(m, rhs[0]), solve3(m, rhs[1])) else { return [[0.0; 3]; 2] };
        fit = [x, y];
    }
    fit.map(|row| row.map(|v| v as f32))
}

/// The product of two 2 x 2 matrices.
pub fn product(a: &[[f32; 2]; 2], b: &[[f32; 2]; 2]) -> [[f32; 2]; 2] {
    let e = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[e(0, 0), e(0, 1)], [e(1, 0), e(1, 1)]]
}

/// The inverse of a 2 x 2 matrix; `None` when it is (nearly) singular.
pub fn inverse(m: &[[f32; 2]; 2]) -> Option<[[f32; 2]; 2]> {
    let d = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    (d.is_finite() && d.abs() > 1e-6).then(|| [[m[1][1] / d, -m[0][1] / d], [-m[1][0] / d, m[0][0] / d]])
}

/// The value of an [`affine_part`] at a place of the face frame.
pub fn affine_at(fit: &[[f32; 3]; 2], p: Iod) -> Iod {
    let eval = |f: &[f32; 3]| f[0] * p.x + f[1] * p.y + f[2];
    Iod::new(eval(&fit[0]), eval(&fit[1]))
}

/// Solves a symmetric 3 x 3 system by Cramer's rule.
fn solve3(m: [[f64; 3]; 3], b: [f64; 3]) -> Option<[f64; 3]> {
    let det = |a: [f64; 3], b: [f64; 3], c: [f64; 3]| {
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    };
    let d = det(m[0], m[1], m[2]);
    // m is symmetric, so its rows are its columns
    (d.is_finite() && d.abs() > 1e-12).then(|| [det(b, m[1], m[2]) / d, det(m[0], b, m[2]) / d, det(m[0], m[1], b) / d])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn spread() -> PerLandmark<Px> {
        std::array::from_fn(|i| Px::new(200.0 + 20.0 * (i % 9) as f32, 150.0 + 17.0 * (i / 9) as f32))
    }

    #[test]
    fn the_head_motion_survives_a_third_of_outliers() {
        let from = spread();
        let truth = Similarity::<Pixels, Pixels>::new(1.01, 0.02, 3.0, -5.0);
        let to: PerLandmark<Px> = std::array::from_fn(|i| {
            let p = truth.apply(from[i]);
            if i % 3 == 0 { p + Px::new(12.0, 6.0) } else { p }
        });
        let fit = robust_similarity(&from, &to, &[1.0; COUNT], 1.5).unwrap();
        for i in (0..COUNT).filter(|i| i % 3 != 0) {
            assert!(fit.apply(from[i]).distance(to[i]) < 0.1);
        }
        assert!(robust_similarity(&from, &to, &[0.0; COUNT], 1.5).is_none());
    }

    #[test]
    fn the_affine_part_is_found_and_a_local_movement_left_alone() {
        let at: PerLandmark<Iod> =
            std::array::from_fn(|i| Iod::new((i % 9) as f32 / 4.0 - 1.0, (i / 9) as f32 / 4.0 - 0.5));
        let truth = [[0.02, -0.01, 0.03], [0.01, 0.015, -0.02]];
        let mut d: PerLandmark<Iod> = std::array::from_fn(|i| affine_at(&truth, at[i]));
        for i in [40, 41, 49, 50] {
            d[i] += Iod::new(0.3, 0.2);
        }
        let fit = affine_part(&at, &d, &[1.0; COUNT], 0.005);
        for p in at {
            assert!(affine_at(&fit, p).distance(affine_at(&truth, p)) < 0.004);
        }
        assert_eq!(affine_part(&at, &d, &[0.0; COUNT], 0.005), [[0.0; 3]; 2]);
    }
}
