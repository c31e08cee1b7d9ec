//! A Gaussian pyramid of a normalised region.

use super::{NormaliseScale, Normaliser, Plane, Region};
use crate::frame::Luma;

/// Contrast-normalised planes of one region: level 0 in region pixels, every further level at half the size.
///
/// Pixel (u, v) of level `l` lies on pixel (2^l u, 2^l v) of level 0.
#[derive(Debug, Clone, Default)]
pub struct Pyramid {
    region: Region,
    levels: Vec<Plane>,
    half: Plane,
}

impl Pyramid {
    /// Cuts the region, smooths it a little, normalises it and builds `levels` levels (at least 1).
    ///
    /// The smoothing is the 3 x 3 binomial filter: it takes away pixel noise and most of what bilinear
    /// interpolation would do wrong between pixels.
    pub fn build(
        &mut self,
        picture: &Luma,
        region: Region,
        levels: usize,
        normaliser: &mut Normaliser,
        scale: &NormaliseScale,
    ) {
        self.region = region;
        self.levels.resize_with(levels.max(1), Plane::default);
        if let Some(base) = self.levels.first_mut() {
            region.cut(picture, &mut self.half);
            binomial(&mut self.half, base);
            normaliser.run(base, scale);
        }
        for l in 1..self.levels.len() {
            let (fine, coarse) = self.levels.split_at_mut(l);
            if let (Some(fine), Some(coarse)) = (fine.last(), coarse.first_mut()) {
                halve(fine, &mut self.half, coarse);
            }
        }
    }

    /// The region it was built from.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The planes, finest first.
    pub fn levels(&self) -> &[Plane] {
        &self.levels
    }
}

/// 3 x 3 binomial filter; the border is repeated. Spoils `input`.
fn binomial(input: &mut Plane, out: &mut Plane) {
    let (w, h) = (input.width(), input.height());
    out.resize(w, h);
    if w < 2 {
        out.values_mut().copy_from_slice(input.values());
        return;
    }
    for v in 0..h {
        let (a, b, c) = (input.row(v.saturating_sub(1)), input.row(v), input.row(v + 1));
        for (((o, a), b), c) in out.row_mut(v).iter_mut().zip(a).zip(b).zip(c) {
            *o = a + 2.0 * b + c;
        }
    }
    for v in 0..h {
        let scratch = input.row_mut(v);
        let row = out.row_mut(v);
        scratch.copy_from_slice(row);
        for (o, n) in row[1..].iter_mut().zip(scratch.windows(3)) {
            *o = (n[0] + 2.0 * n[1] + n[2]) / 16.0;
        }
        row[0] = (3.0 * scratch[0] + scratch[1]) / 16.0;
        row[w - 1] = (3.0 * scratch[w - 1] + scratch[w - 2]) / 16.0;
    }
}

/// Every second pixel of `fine` after the 5 x 5 binomial filter; the border is repeated.
fn halve(fine: &Plane, scratch: &mut Plane, coarse: &mut Plane) {
    let (w, h) = (fine.width(), fine.height());
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    scratch.resize(w, ch);
    coarse.resize(cw, ch);
    for v in 0..ch {
        let y = 2 * v;
        let (a, b, c) = (fine.row(y.saturating_sub(2)), fine.row(y.saturating_sub(1)), fine.row(y));
        let (d, e) = (fine.row(y + 1), fine.row(y + 2));
        for (((((o, a), b), c), d), e) in scratch.row_mut(v).iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
            *o = (a + e + 4.0 * (b + d) + 6.0 * c) / 256.0;
        }
    }
    for v in 0..ch {
        let row = scratch.row(v);
        let out = coarse.row_mut(v);
        let at = |i: isize| row[(i.max(0) as usize).min(w - 1)];
        let tap = |u: usize| {
            let x = 2 * u as isize;
            at(x - 2) + at(x + 2) + 4.0 * (at(x - 1) + at(x + 1)) + 6.0 * at(x)
        };
        let inner = if w >= 5 { (w - 5) / 2 + 1 } else { 0 };
        for (o, n) in out.iter_mut().skip(1).zip(row.windows(5).step_by(2)) {
            *o = n[0] + n[4] + 4.0 * (n[1] + n[3]) + 6.0 * n[2];
        }
        for u in (0..cw.min(1)).chain(inner + 1..cw) {
            out[u] = tap(u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_keep_a_constant_and_a_ramp() {
        for (w, h) in [(32, 24), (31, 17), (7, 9), (3, 3), (1, 4)] {
            let mut fine = Plane::new(w, h);
            for v in 0..h {
                for (u, p) in fine.row_mut(v).iter_mut().enumerate() {
                    *p = 3.0 + 2.0 * u as f32 - v as f32;
                }
            }
            let (mut scratch, mut coarse) = (Plane::default(), Plane::default());
            halve(&fine, &mut scratch, &mut coarse);
            assert_eq!((coarse.width(), coarse.height()), (w.div_ceil(2), h.div_ceil(2)));
            for v in 1..coarse.height().saturating_sub(2) {
                for u in 1..coarse.width().saturating_sub(2) {
                    let want = 3.0 + 4.0 * u as f32 - 2.0 * v as f32;
                    assert!((coarse.row(v)[u] - want).abs() < 1e-3, "{w}x{h} at {u} {v}");
                }
            }
            let (mut input, mut out) = (fine.clone(), Plane::default());
            binomial(&mut input, &mut out);
            for v in 1..h.saturating_sub(1) {
                for u in 1..w.saturating_sub(1) {
                    assert!((out.row(v)[u] - fine.row(v)[u]).abs() < 1e-3);
                }
            }
        }
    }
}
