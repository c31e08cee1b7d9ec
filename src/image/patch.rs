//! Square patches of a plane at sub-pixel places.

use super::Plane;

/// An affine map of patch pixels (u, v) into a plane: `x = m[0][0] u + m[0][1] v + t[0]`, `y` likewise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// The linear part.
    pub m: [[f32; 2]; 2],
    /// Where (0, 0) goes.
    pub t: [f32; 2],
}

impl Warp {
    /// The map with this linear part that puts the middle of an `n` x `n` patch at `place`.
    pub fn around(place: [f32; 2], m: [[f32; 2]; 2], n: usize) -> Self {
        let c = (n as f32 - 1.0) / 2.0;
        Self { m, t: [place[0] - (m[0][0] + m[0][1]) * c, place[1] - (m[1][0] + m[1][1]) * c] }
    }
}

/// Samples an `n` x `n` patch whose top-left pixel lies at (x, y), bilinearly; outside of the plane the border is
/// repeated. `out` must hold `n * n` values.
pub fn bilinear(plane: &Plane, x: f32, y: f32, n: usize, out: &mut [f32]) {
    let (w, h) = (plane.width(), plane.height());
    if w == 0 || h == 0 || !(x.is_finite() && y.is_finite()) {
        out.fill(0.0);
        return;
    }
    let (xf, yf) = (x.floor(), y.floor());
    let (fx, fy) = (x - xf, y - yf);
    let (x0, y0) = (xf as i32, yf as i32);
    let inside = x0 >= 0 && y0 >= 0 && x0 as usize + n < w && y0 as usize + n < h;
    if inside {
        let x0 = x0 as usize;
        let (k00, k10, k01, k11) = ((1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy);
        for (v, line) in out.chunks_exact_mut(n).take(n).enumerate() {
            let a = &plane.row(y0 as usize + v)[x0..x0 + n + 1];
            let b = &plane.row(y0 as usize + v + 1)[x0..x0 + n + 1];
            for (u, o) in line.iter_mut().enumerate() {
                *o = k00 * a[u] + k10 * a[u + 1] + k01 * b[u] + k11 * b[u + 1];
            }
        }
        return;
    }
    let at = |x: i32, y: i32| {
        let (x, y) = (x.clamp(0, w as i32 - 1) as usize, y.clamp(0, h as i32 - 1) as usize);
        plane.row(y)[x]
    };
    for (v, line) in out.chunks_exact_mut(n).take(n).enumerate() {
        for (u, o) in line.iter_mut().enumerate() {
            let (x, y) = (x0.saturating_add(u as i32), y0.saturating_add(v as i32));
            let (x1, y1) = (x.saturating_add(1), y.saturating_add(1));
            let top = at(x, y) * (1.0 - fx) + at(x1, y) * fx;
            let bottom = at(x, y1) * (1.0 - fx) + at(x1, y1) * fx;
            *o = top + (bottom - top) * fy;
        }
    }
}

/// Samples an `n` x `n` patch through an affine map, with the Catmull-Rom cubic: pixel (u, v) of the patch is the
/// plane at `warp(u, v)`. Outside of the plane the border is repeated. `out` must hold `n * n` values.
///
/// The cubic keeps the fine structure that bilinear interpolation would blur; it is used for templates, which are
/// sampled rarely and compared often.
pub fn cubic(plane: &Plane, warp: &Warp, n: usize, out: &mut [f32]) {
    let (w, h) = (plane.width() as i32, plane.height() as i32);
    if w == 0 || h == 0 {
        out.fill(0.0);
        return;
    }
    // whether all samples and their neighbours lie inside: then nothing has to be limited
    let corner = |u: f32, v: f32| place(warp, u, v);
    let far = n.saturating_sub(1) as f32;
    let corners = [corner(0.0, 0.0), corner(far, 0.0), corner(0.0, far), corner(far, far)];
    let inside = corners.iter().all(|&(x, y)| x >= 1.0 && y >= 1.0 && x < (w - 3) as f32 && y < (h - 3) as f32);
    let stride = plane.width();
    for (v, line) in out.chunks_exact_mut(n).take(n).enumerate() {
        for (u, o) in line.iter_mut().enumerate() {
            let (x, y) = place(warp, u as f32, v as f32);
            if inside {
                // positive, so that cutting off is rounding down
                let (xi, yi) = (x as i32, y as i32);
                let (kx, ky) = (catmull_rom(x - xi as f32), catmull_rom(y - yi as f32));
                let begin = (yi as usize - 1) * stride + xi as usize - 1;
                let rows = &plane.values()[begin..begin + 3 * stride + 4];
                let mut sum = 0.0;
                for (j, ky) in ky.iter().enumerate() {
                    let r = &rows[j * stride..j * stride + 4];
                    sum += ky * (kx[0] * r[0] + kx[1] * r[1] + kx[2] * r[2] + kx[3] * r[3]);
                }
                *o = sum;
                continue;
            }
            let (xf, yf) = (x.floor(), y.floor());
            let (kx, ky) = (catmull_rom(x - xf), catmull_rom(y - yf));
            let (x0, y0) = (xf as i32 - 1, yf as i32 - 1);
            let mut sum = 0.0;
            for (j, ky) in ky.iter().enumerate() {
                let row = plane.row((y0 + j as i32).clamp(0, h - 1) as usize);
                for (i, kx) in kx.iter().enumerate() {
                    sum += ky * kx * row[(x0 + i as i32).clamp(0, w - 1) as usize];
                }
            }
            *o = sum;
        }
    }
}

/// Where a pixel of a patch lies in the plane.
fn place(warp: &Warp, u: f32, v: f32) -> (f32, f32) {
    let x = warp.m[0][0] * u + warp.m[0][1] * v + warp.t[0];
    let y = warp.m[1][0] * u + warp.m[1][1] * v + warp.t[1];
    (x.clamp(-1e6, 1e6), y.clamp(-1e6, 1e6))
}

/// Weights of the four neighbours of a place `t` (0 to 1) after the second.
fn catmull_rom(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane() -> Plane {
        let mut p = Plane::new(40, 36);
        for v in 0..36 {
            for (u, o) in p.row_mut(v).iter_mut().enumerate() {
                *o = (u as f32 * 0.31).sin() * 3.0 + (v as f32 * 0.23).cos() * 2.0;
            }
        }
        p
    }

    #[test]
    fn the_cubic_follows_a_smooth_function_closely() {
        let warp = Warp { m: [[0.9, -0.3], [0.3, 0.9]], t: [12.25, 7.6] };
        let mut out = vec![0.0; 64];
        cubic(&plane(), &warp, 8, &mut out);
        for (i, &o) in out.iter().enumerate() {
            let (u, v) = ((i % 8) as f32, (i / 8) as f32);
            let (x, y) = (0.9 * u - 0.3 * v + 12.25, 0.3 * u + 0.9 * v + 7.6);
            let want = (x * 0.31).sin() * 3.0 + (y * 0.23).cos() * 2.0;
            assert!((o - want).abs() < 0.01, "{o} {want}");
        }
    }

    #[test]
    fn inside_and_border_paths_of_the_bilinear_patch_agree() {
        let p = plane();
        // a plane with two more columns and rows of the repeated border: the same samples, all inside
        let mut big = Plane::new(60, 56);
        for v in 0..56 {
            for u in 0..60 {
                big.row_mut(v)[u] = p.row(v.saturating_sub(10).min(35))[u.saturating_sub(10).min(39)];
            }
        }
        for (x, y) in [(-3.3, 2.7), (30.2, 20.9), (35.5, 31.25), (10.0, 10.0)] {
            let (mut a, mut b) = (vec![0.0; 64], vec![0.0; 64]);
            bilinear(&p, x, y, 8, &mut a);
            bilinear(&big, x + 10.0, y + 10.0, 8, &mut b);
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "at {x} {y}");
        }
    }

    #[test]
    fn absurd_places_are_harmless() {
        let mut out = vec![0.0; 64];
        for x in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
            bilinear(&plane(), x, x, 8, &mut out);
            cubic(&plane(), &Warp { m: [[1.0, 0.0], [0.0, 1.0]], t: [x, x] }, 8, &mut out);
            cubic(&Plane::default(), &Warp { m: [[1.0, 0.0], [0.0, 1.0]], t: [x, x] }, 8, &mut out);
        }
    }
}
