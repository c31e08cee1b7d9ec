//! Local contrast normalisation: `(I - G8) / sqrt(G12((I - G8)^2) + floor)`.
//!
//! Raw luma is useless for sub-pixel tracking under changing light: 2 % more brightness moves Lucas-Kanade points by
//! 0.2 px. What remains after taking away the local mean and dividing by the local spread does not depend on
//! brightness and gain. Both are smooth, so they are measured on a grid of block means and interpolated back, which
//! costs three passes over the region instead of two wide Gaussian filters.

use super::Plane;

/// Widths of the statistics, in pixels of the plane that is normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormaliseScale {
    /// Standard deviation of the Gaussian of the local mean, in pixels.
    pub mean_sigma: f32,
    /// Standard deviation of the Gaussian of the local spread, in pixels.
    pub spread_sigma: f32,
    /// Variance added to the local one, in grey levels squared: where a picture has no more structure than
    /// this, its noise is not blown up.
    pub floor: f32,
    /// Side of the blocks whose means carry the statistics, in pixels, at least 1: see [`Self::step_for`].
    pub step: usize,
}

impl NormaliseScale {
    /// The side of the blocks that fits a mean's sigma: a power of two, about half of it.
    pub fn step_for(mean_sigma: f32) -> usize {
        let mut step = 1;
        while step < 32 && (step * 2) as f32 <= mean_sigma * 0.6 {
            step *= 2;
        }
        step
    }

    /// The same statistics for a face that is `zoom` times as large; the blocks stay.
    pub fn zoomed(&self, zoom: f32) -> Self {
        Self { mean_sigma: self.mean_sigma * zoom, spread_sigma: self.spread_sigma * zoom, ..*self }
    }
}

/// Normalises planes; holds the buffers.
#[derive(Debug, Clone, Default)]
pub struct Normaliser {
    coarse: Plane,
    blurred: Plane,
    scratch: Plane,
    wide: Plane,
    kernel: Vec<f32>,
    padded: Vec<f32>,
}

impl Normaliser {
    /// Normalises `plane` in place.
    pub fn run(&mut self, plane: &mut Plane, scale: &NormaliseScale) {
        let (w, h) = (plane.width(), plane.height());
        if w == 0 || h == 0 {
            return;
        }
        let step = scale.step.max(1);
        block_means(plane, step, &mut self.coarse);
        self.blur(scale.mean_sigma / step as f32);
        self.widen(w, step);
        for v in 0..h {
            let (a, b, t) = between(v, step);
            let (a, b) = (self.wide.row(a), self.wide.row(b));
            for ((p, a), b) in plane.row_mut(v).iter_mut().zip(a).zip(b) {
                *p -= a + (b - a) * t;
            }
        }
        block_mean_squares(plane, step, &mut self.coarse);
        self.blur(scale.spread_sigma / step as f32);
        for v in self.blurred.values_mut() {
            *v = 1.0 / (v.max(0.0) + scale.floor.max(1e-6)).sqrt();
        }
        self.widen(w, step);
        for v in 0..h {
            let (a, b, t) = between(v, step);
            let (a, b) = (self.wide.row(a), self.wide.row(b));
            for ((p, a), b) in plane.row_mut(v).iter_mut().zip(a).zip(b) {
                *p *= a + (b - a) * t;
            }
        }
    }

    /// `coarse` blurred by a Gaussian into `blurred`; the border is repeated.
    fn blur(&mut self, sigma: f32) {
        let radius = ((sigma * 2.5).ceil() as usize).clamp(1, 64);
        self.kernel.clear();
        self.kernel.extend((0..=radius).map(|k| (-0.5 * (k as f32 / sigma.max(0.1)).powi(2)).exp()));
        let sum = self.kernel[0] + 2.0 * self.kernel[1..].iter().sum::<f32>();
        for k in &mut self.kernel {
            *k /= sum;
        }
        let (w, h) = (self.coarse.width(), self.coarse.height());
        self.scratch.resize(w, h);
        self.blurred.resize(w, h);
        for v in 0..h {
            let out = self.scratch.row_mut(v);
            for (o, i) in out.iter_mut().zip(self.coarse.row(v)) {
                *o = i * self.kernel[0];
            }
            for (k, &weight) in self.kernel.iter().enumerate().skip(1) {
                let (above, below) = (self.coarse.row(v.saturating_sub(k)), self.coarse.row(v + k));
                for ((o, a), b) in out.iter_mut().zip(above).zip(below) {
                    *o += weight * (a + b);
                }
            }
        }
        let radius = self.kernel.len() - 1;
        for v in 0..h {
            // the row with its ends repeated, so that every tap is a shifted slice
            let row = self.scratch.row(v);
            self.padded.clear();
            self.padded.resize(radius, row[0]);
            self.padded.extend_from_slice(row);
            self.padded.resize(w + 2 * radius, row[w - 1]);
            let out = self.blurred.row_mut(v);
            for (o, i) in out.iter_mut().zip(&self.padded[radius..]) {
                *o = i * self.kernel[0];
            }
            for (k, &weight) in self.kernel.iter().enumerate().skip(1) {
                let (left, right) = (&self.padded[radius - k..], &self.padded[radius + k..]);
                for ((o, a), b) in out.iter_mut().zip(left).zip(right) {
                    *o += weight * (a + b);
                }
            }
        }
    }

    /// Interpolates `blurred` along x to `width` pixels, into `wide` (still one row per row of blocks, with the
    /// first and the last row repeated, see [`between`]).
    fn widen(&mut self, width: usize, step: usize) {
        let rows = self.blurred.height();
        self.wide.resize(width, rows + 2);
        let half = step / 2;
        for v in 0..rows + 2 {
            let row = self.blurred.row(v.saturating_sub(1));
            let out = self.wide.row_mut(v);
            if step == 1 {
                out.copy_from_slice(row);
                continue;
            }
            // half a block before the first centre and after the last, the value of that centre
            let (first, rest) = out.split_at_mut(half.min(width));
            first.fill(row[0]);
            let mut steps = rest.chunks_mut(step);
            // windows first: a zip takes from its first part before it sees that the second has ended
            for (pair, chunk) in row.windows(2).zip(&mut steps) {
                let (a, slope) = (pair[0], (pair[1] - pair[0]) / step as f32);
                for (j, o) in chunk.iter_mut().enumerate() {
                    *o = a + slope * (j as f32 + 0.5);
                }
            }
            let last = row[row.len() - 1];
            steps.for_each(|chunk| chunk.fill(last));
        }
    }
}

/// The two blocks between whose centres pixel `i` lies, counted from 1, and how far it is from the first to the second.
fn between(i: usize, step: usize) -> (usize, usize, f32) {
    let centre = (i as f32 + 0.5) / step as f32 + 0.5;
    let a = centre as usize;
    (a, a + 1, centre - a as f32)
}

fn block_means(plane: &Plane, step: usize, out: &mut Plane) {
    block_sums(plane, step, out, |v| v);
}

fn block_mean_squares(plane: &Plane, step: usize, out: &mut Plane) {
    block_sums(plane, step, out, |v| v * v);
}

/// Means of `f` over blocks of `step` x `step` pixels; blocks at the far borders may be smaller.
#[inline(always)]
fn block_sums(plane: &Plane, step: usize, out: &mut Plane, f: impl Fn(f32) -> f32) {
    let (w, h) = (plane.width(), plane.height());
    out.resize(w.div_ceil(step), h.div_ceil(step));
    out.values_mut().fill(0.0);
    for v in 0..h {
        let line = out.row_mut(v / step);
        let row = plane.row(v);
        match step {
            2 => add_blocks::<2>(row, line, &f),
            4 => add_blocks::<4>(row, line, &f),
            8 => add_blocks::<8>(row, line, &f),
            _ => {
                for (o, block) in line.iter_mut().zip(row.chunks(step)) {
                    *o += block.iter().map(|&v| f(v)).sum::<f32>();
                }
            }
        }
    }
    for j in 0..out.height() {
        let rows = step.min(h - j * step);
        let line = out.row_mut(j);
        let n = line.len();
        for (i, o) in line.iter_mut().enumerate() {
            let columns = if i + 1 == n { w - i * step } else { step };
            *o /= (rows * columns) as f32;
        }
    }
}

/// Adds the sums of `f` over `N` neighbours each; the rest of the row, if any, goes to the last block.
#[inline(always)]
fn add_blocks<const N: usize>(row: &[f32], out: &mut [f32], f: &impl Fn(f32) -> f32) {
    let mut blocks = row.chunks_exact(N);
    let mut used = 0;
    for (o, block) in out.iter_mut().zip(&mut blocks) {
        let mut sum = 0.0;
        for &v in block {
            sum += f(v);
        }
        *o += sum;
        used += 1;
    }
    if let Some(o) = out.get_mut(used) {
        *o += blocks.remainder().iter().map(|&v| f(v)).sum::<f32>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: NormaliseScale = NormaliseScale { mean_sigma: 7.2, spread_sigma: 10.8, floor: 4.0, step: 4 };

    fn noise(w: usize, h: usize) -> Plane {
        let mut p = Plane::new(w, h);
        let mut s = 7u32;
        for v in p.values_mut() {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *v = 100.0 + 40.0 * ((s >> 8) as f32 / 16_777_216.0 - 0.5);
        }
        p
    }

    /// The definition, by direct summation.
    fn reference(plane: &Plane, x: usize, y: usize, s: &NormaliseScale) -> f32 {
        let gauss = |p: &dyn Fn(i32, i32) -> f32, cx: i32, cy: i32, sigma: f32| {
            let (mut sum, mut weight) = (0.0, 0.0);
            let r = (sigma * 3.0) as i32;
            for dy in -r..=r {
                for dx in -r..=r {
                    let k = (-0.5 * ((dx * dx + dy * dy) as f32) / (sigma * sigma)).exp();
                    sum += k * p(cx + dx, cy + dy);
                    weight += k;
                }
            }
            sum / weight
        };
        let at = |x: i32, y: i32| plane.row(y as usize)[x as usize];
        let centred = |x: i32, y: i32| at(x, y) - gauss(&at, x, y, s.mean_sigma);
        let spread = gauss(&|x, y| centred(x, y).powi(2), x as i32, y as i32, s.spread_sigma);
        centred(x as i32, y as i32) / (spread + s.floor).sqrt()
    }

    #[test]
    fn the_block_statistics_agree_with_the_definition() {
        let small = NormaliseScale { mean_sigma: 3.6, spread_sigma: 5.4, floor: 4.0, step: 2 };
        let plane = noise(72, 64);
        let mut fast = plane.clone();
        Normaliser::default().run(&mut fast, &small);
        for (x, y) in [(36, 30), (33, 35), (40, 33)] {
            let (a, b) = (fast.row(y)[x], reference(&plane, x, y, &small));
            assert!((a - b).abs() < 0.08, "{a} against {b}");
        }
    }

    #[test]
    fn gain_and_offset_of_the_light_do_not_matter() {
        let plane = noise(200, 180);
        let mut a = plane.clone();
        let mut b = plane;
        for v in b.values_mut() {
            *v = *v * 1.15 + 12.0;
        }
        let mut n = Normaliser::default();
        n.run(&mut a, &SCALE);
        n.run(&mut b, &SCALE);
        let worst = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.02, "largest difference {worst}");
        let power = a.values().iter().map(|v| v * v).sum::<f32>() / a.values().len() as f32;
        assert!((0.8..1.1).contains(&power), "power {power}");
    }

    #[test]
    fn odd_and_tiny_planes_work() {
        let mut n = Normaliser::default();
        for (w, h) in [(1, 1), (3, 17), (33, 5), (61, 47)] {
            let mut p = noise(w, h);
            n.run(&mut p, &SCALE);
            assert!(p.values().iter().all(|v| v.is_finite()));
        }
        n.run(&mut Plane::default(), &SCALE);
    }
}
