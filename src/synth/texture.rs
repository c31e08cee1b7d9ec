//! Pictures that are sampled between their pixels: bicubic (Catmull and Rom 1974), from a source that was blurred
//! to what the output can hold. All frames go through the same resampling, the neutral ones too: otherwise
//! "blurred" would mean "moved".

use super::light::light_of;
use crate::frame::Luma;
use crate::geometry::Iod;

/// Steps between two pixels in the table of weights.
const PHASES: usize = 512;

/// The four Catmull-Rom weights of every phase.
#[derive(Debug, Clone)]
pub(crate) struct Weights(Vec<[f32; 4]>);

impl Weights {
    pub(crate) fn new() -> Self {
        let weights = |k: usize| {
            let t = k as f32 / PHASES as f32;
            let (t2, t3) = (t * t, t * t * t);
            [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2]
        };
        Self((0..=PHASES).map(weights).collect())
    }

    fn of(&self, fraction: f32) -> [f32; 4] {
        self.0.get((fraction * PHASES as f32 + 0.5) as i32 as usize).copied().unwrap_or([0.0, 1.0, 0.0, 0.0])
    }
}

/// A plane of numbers, row by row: light, or coverage.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<f32>,
}

impl Plane {
    pub(crate) fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// The light of a picture.
    pub(crate) fn from_luma(luma: &Luma) -> Self {
        let mut plane = Self::default();
        plane.fill(luma);
        plane
    }

    /// Takes over the light of a picture, keeping the memory.
    pub(crate) fn fill(&mut self, luma: &Luma) {
        (self.width, self.height) = (luma.width() as usize, luma.height() as usize);
        self.data.clear();
        self.data.extend(luma.pixels().iter().map(|&v| light_of(v)));
    }

    /// The value at (x, y); beyond the edge that of the edge.
    #[inline]
    pub(crate) fn sample(&self, w: &Weights, x: f32, y: f32) -> f32 {
        let x = x.max(1.0).min(self.width as f32 - 3.0);
        let y = y.max(1.0).min(self.height as f32 - 3.0);
        // By way of i32: the conversion to usize itself is several times slower on x86.
        let (i, j) = (x as i32 as usize, y as i32 as usize);
        let (wx, wy) = (w.of(x - i as f32), w.of(y - j as f32));
        // Columns first: four lanes at a time.
        let mut sum = [0.0f32; 4];
        for (r, k) in wy.iter().enumerate() {
            let start = (j + r).wrapping_sub(1).wrapping_mul(self.width).wrapping_add(i).wrapping_sub(1);
            let Some(taps) = self.data.get(start..start.wrapping_add(4)) else { return 0.0 };
            for (s, v) in sum.iter_mut().zip(taps) {
                *s += k * v;
            }
        }
        sum[0] * wx[0] + sum[1] * wx[1] + sum[2] * wx[2] + sum[3] * wx[3]
    }

    /// Gaussian blur with `sigma` pixels; the edge is continued.
    pub(crate) fn blur(&mut self, sigma: f32) {
        if !(sigma > 0.05 && self.width > 0 && self.height > 0) {
            return;
        }
        let reach = (3.0 * sigma).ceil().min(64.0) as usize;
        let mut kernel: Vec<f32> = (0..=2 * reach)
            .map(|k| {
                let d = (k as f32 - reach as f32) / sigma;
                (-0.5 * d * d).exp()
            })
            .collect();
        let total: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|k| *k /= total);
        let mut padded = Vec::new();
        let mut line = |out: &mut dyn FnMut(usize, f32), n: usize, at: &dyn Fn(usize) -> f32| {
            padded.clear();
            padded.extend((0..n + 2 * reach).map(|k| at(k.saturating_sub(reach).min(n - 1))));
            for (i, window) in padded.windows(2 * reach + 1).enumerate() {
                out(i, window.iter().zip(&kernel).map(|(a, b)| a * b).sum());
            }
        };
        let (w, h) = (self.width, self.height);
        for j in 0..h {
            let row = self.data[j * w..(j + 1) * w].to_vec();
            line(&mut |i, v| self.data[j * w + i] = v, w, &|k| row[k]);
        }
        let mut column = vec![0.0; h];
        for i in 0..w {
            for (j, v) in column.iter_mut().enumerate() {
                *v = self.data[j * w + i];
            }
            line(&mut |j, v| self.data[j * w + i] = v, h, &|k| column[k]);
        }
    }
}

/// Where a texture is opaque, empty or partly covered.
const EMPTY: u8 = 0;
const SOLID: u8 = 1;
const PARTLY: u8 = 2;

/// A picture over the face frame, with coverage where it has a background to stand before.
#[derive(Debug, Clone)]
pub(crate) struct Texture {
    luma: Plane,
    cover: Option<(Plane, Vec<u8>)>,
    per_iod: f32,
    origin: [f32; 2],
}

impl Texture {
    /// `per_iod` samples per inter-ocular distance, the first at `origin` of the face frame. Luma is premultiplied
    /// by the coverage.
    pub(crate) fn new(luma: Plane, cover: Option<Plane>, per_iod: f32, origin: [f32; 2]) -> Self {
        let cover = cover.map(|c| {
            let kind = kinds(&c);
            (c, kind)
        });
        Self { luma, cover, per_iod, origin }
    }

    /// The place of the point `p` of the face frame, in texture pixels.
    pub(crate) fn place(&self, p: Iod) -> [f32; 2] {
        [(p.x - self.origin[0]) * self.per_iod, (p.y - self.origin[1]) * self.per_iod]
    }

    /// The point of the face frame at texture pixel (u, v).
    pub(crate) fn point(&self, [u, v]: [f32; 2]) -> Iod {
        Iod::new(u / self.per_iod + self.origin[0], v / self.per_iod + self.origin[1])
    }

    /// What is seen at texture pixel (u, v) before `behind`.
    pub(crate) fn over(&self, w: &Weights, [u, v]: [f32; 2], behind: f32) -> f32 {
        let Some((cover, kind)) = &self.cover else { return self.luma.sample(w, u, v) };
        // Truncation is enough: the kinds look three pixels around.
        if !(u >= 0.0 && v >= 0.0 && u < cover.width as f32 && v < cover.height as f32) {
            return behind;
        }
        match kind.get(v as i32 as usize * cover.width + u as i32 as usize).copied().unwrap_or(EMPTY) {
            EMPTY => behind,
            SOLID => self.luma.sample(w, u, v),
            _ => self.luma.sample(w, u, v) + (1.0 - cover.sample(w, u, v).clamp(0.0, 1.0)) * behind,
        }
    }

    /// What is seen at the point `p` of the face frame before `behind`.
    #[cfg(test)]
    pub(crate) fn sample(&self, w: &Weights, p: Iod, behind: f32) -> f32 {
        self.over(w, self.place(p), behind)
    }

    /// The luma plane, for tests that draw marks.
    #[cfg(test)]
    pub(crate) fn luma_mut(&mut self) -> &mut Plane {
        &mut self.luma
    }
}

/// The kind that all have, or partly.
fn agreed(mut values: impl Iterator<Item = u8>) -> u8 {
    let first = values.next().unwrap_or(PARTLY);
    if values.all(|v| v == first) { first } else { PARTLY }
}

/// Classifies every pixel by the coverage within the reach of the resampler.
fn kinds(cover: &Plane) -> Vec<u8> {
    let (w, h) = (cover.width, cover.height);
    let mut across = vec![PARTLY; w * h];
    let one = |c: f32| {
        if c > 0.9995 {
            SOLID
        } else if c < 0.0005 {
            EMPTY
        } else {
            PARTLY
        }
    };
    for j in 0..h {
        let row = &cover.data[j * w..(j + 1) * w];
        for i in 0..w {
            across[j * w + i] = agreed(row[i.saturating_sub(3)..(i + 4).min(w)].iter().map(|&c| one(c)));
        }
    }
    let down = |k: usize| {
        let (i, j) = (k % w, k / w);
        agreed((j.saturating_sub(3)..(j + 4).min(h)).map(|r| across[r * w + i]))
    };
    (0..w * h).map(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(w: usize, h: usize) -> Plane {
        let mut p = Plane::filled(w, h, 0.0);
        for j in 0..h {
            for i in 0..w {
                p.data[j * w + i] = 100.0 + 40.0 * (i as f32 * 0.5).sin() + 20.0 * (j as f32 * 0.3).cos();
            }
        }
        p
    }

    #[test]
    fn sampling_follows_a_wave_between_the_pixels() {
        let (p, w) = (wave(40, 40), Weights::new());
        for k in 0..100 {
            let (x, y) = (5.0 + k as f32 * 0.29, 6.0 + k as f32 * 0.23);
            let truth = 100.0 + 40.0 * (x * 0.5).sin() + 20.0 * (y * 0.3).cos();
            assert!((p.sample(&w, x, y) - truth).abs() < 0.4);
        }
        assert!(p.sample(&w, -1e9, f32::NAN).is_finite());
    }

    #[test]
    fn blurring_keeps_the_mean_and_takes_the_detail() {
        let mut p = Plane::filled(31, 31, 0.0);
        p.data[15 * 31 + 15] = 1.0;
        p.blur(1.5);
        assert!((p.data.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        let peak = 1.0 / (2.0 * std::f32::consts::PI * 1.5 * 1.5);
        assert!((p.data[15 * 31 + 15] - peak).abs() < 0.004);
        Plane::default().blur(2.0);
    }
}
