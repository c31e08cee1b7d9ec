//! A rectangular region of the picture, at an integer reduction, and its cut.

use super::Plane;
use crate::frame::Luma;
use crate::geometry::Px;

/// A region of the picture at an integer reduction: pixel (u, v) of the region is the mean of the `factor` x `factor`
/// picture pixels that begin at (`x0 + factor u`, `y0 + factor v`).
///
/// It may lie partly, or wholly, outside of the picture; what is outside repeats the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Region {
    /// Left edge, in picture pixels.
    pub x0: i32,
    /// Top edge, in picture pixels.
    pub y0: i32,
    /// Picture pixels per region pixel, at least 1.
    pub factor: i32,
    /// Width in region pixels.
    pub width: usize,
    /// Height in region pixels.
    pub height: usize,
}

impl Region {
    /// A region of `width` x `height` region pixels around `centre`, its origin on a multiple of `grid` region
    /// pixels, so that everything computed on a coarser grid stays in phase when the region moves.
    pub fn around(centre: Px, width: usize, height: usize, factor: i32, grid: i32) -> Self {
        let factor = factor.max(1);
        let step = factor.saturating_mul(grid.max(1));
        let origin = |c: f32, n: usize| {
            let left = (c - n as f32 * factor as f32 / 2.0).clamp(-1e8, 1e8);
            ((left / step as f32).round() as i32).saturating_mul(step)
        };
        Self { x0: origin(centre.x, width), y0: origin(centre.y, height), factor, width, height }
    }

    /// Region coordinates of a picture point (pixel centres at integers in both).
    pub fn to_region(&self, p: Px) -> [f32; 2] {
        let (f, half) = (self.factor as f32, (self.factor - 1) as f32 / 2.0);
        [(p.x - self.x0 as f32 - half) / f, (p.y - self.y0 as f32 - half) / f]
    }

    /// The picture point of region coordinates.
    pub fn to_picture(&self, [u, v]: [f32; 2]) -> Px {
        let (f, half) = (self.factor as f32, (self.factor - 1) as f32 / 2.0);
        Px::new(self.x0 as f32 + half + u * f, self.y0 as f32 + half + v * f)
    }

    /// Copies the region out of the picture. An empty picture gives zeros.
    pub fn cut(&self, picture: &Luma, out: &mut Plane) {
        out.resize(self.width, self.height);
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        if w == 0 || h == 0 {
            out.values_mut().fill(0.0);
            return;
        }
        let factor = self.factor.max(1);
        for v in 0..self.height {
            let line = out.row_mut(v);
            if factor == 1 {
                let row = picture.row(clamped(self.y0.saturating_add(v as i32), h) as u32);
                cut_row(row, self.x0, line);
                continue;
            }
            line.fill(0.0);
            for k in 0..factor {
                let y = self.y0.saturating_add(v as i32 * factor + k);
                add_reduced_row(picture.row(clamped(y, h) as u32), self.x0, factor, line);
            }
            let scale = 1.0 / (factor * factor) as f32;
            for value in line {
                *value *= scale;
            }
        }
    }
}

/// `y` limited to 0..n.
fn clamped(y: i32, n: usize) -> usize {
    (y.max(0) as usize).min(n - 1)
}

/// Copies `out.len()` pixels that begin at `x0`, repeating the ends of the row.
fn cut_row(row: &[u8], x0: i32, out: &mut [f32]) {
    let (Some(&first), Some(&last)) = (row.first(), row.last()) else { return };
    let before = (x0.min(0).unsigned_abs() as usize).min(out.len());
    let start = (x0.max(0) as usize).min(row.len());
    let inside = (row.len() - start).min(out.len() - before);
    let (left, rest) = out.split_at_mut(before);
    let (middle, right) = rest.split_at_mut(inside);
    left.fill(f32::from(first));
    for (o, &i) in middle.iter_mut().zip(&row[start..start + inside]) {
        *o = f32::from(i);
    }
    right.fill(f32::from(last));
}

/// Adds the sums of `factor` neighbours to `out`.
fn add_reduced_row(row: &[u8], x0: i32, factor: i32, out: &mut [f32]) {
    let n = factor as usize;
    let fits = x0 >= 0 && (x0 as usize) + out.len() * n <= row.len();
    if fits {
        let row = &row[x0 as usize..x0 as usize + out.len() * n];
        match n {
            2 => add_blocks::<2>(row, out),
            3 => add_blocks::<3>(row, out),
            4 => add_blocks::<4>(row, out),
            _ => {
                for (o, block) in out.iter_mut().zip(row.chunks_exact(n)) {
                    *o += block.iter().map(|&b| u32::from(b)).sum::<u32>() as f32;
                }
            }
        }
    } else {
        for (u, o) in out.iter_mut().enumerate() {
            let left = x0.saturating_add(u as i32 * factor);
            *o += (0..factor).map(|k| u32::from(row[clamped(left.saturating_add(k), row.len())])).sum::<u32>() as f32;
        }
    }
}

/// Adds the sums of `N` neighbours.
fn add_blocks<const N: usize>(row: &[u8], out: &mut [f32]) {
    for (o, block) in out.iter_mut().zip(row.chunks_exact(N)) {
        let mut sum = 0u16;
        for &b in block {
            sum += u16::from(b);
        }
        *o += f32::from(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(w: u32, h: u32) -> Luma {
        let mut p = Luma::new(w, h);
        for (i, v) in p.pixels_mut().iter_mut().enumerate() {
            *v = ((i as u32 % w) * 2 + (i as u32 / w) * 3) as u8;
        }
        p
    }

    #[test]
    fn a_cut_repeats_the_border_outside_of_the_picture() {
        let picture = ramp(20, 10);
        let region = Region { x0: -4, y0: -2, factor: 1, width: 32, height: 16 };
        let mut out = Plane::default();
        region.cut(&picture, &mut out);
        for v in 0..16i32 {
            for u in 0..32i32 {
                let (x, y) = ((u - 4).clamp(0, 19), (v - 2).clamp(0, 9));
                assert_eq!(out.row(v as usize)[u as usize], (x * 2 + y * 3) as f32);
            }
        }
    }

    #[test]
    fn a_reduced_cut_is_the_mean_of_blocks_and_its_coordinates_agree() {
        let picture = ramp(40, 30);
        let region = Region { x0: 4, y0: 8, factor: 2, width: 12, height: 8 };
        let mut out = Plane::default();
        region.cut(&picture, &mut out);
        for v in 0..8 {
            for u in 0..12 {
                // a linear ramp has its block mean at the block centre
                let p = region.to_picture([u as f32, v as f32]);
                assert!((out.row(v)[u] - (p.x * 2.0 + p.y * 3.0)).abs() < 1e-3);
                let back = region.to_region(p);
                assert!((back[0] - u as f32).abs() < 1e-4 && (back[1] - v as f32).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn regions_far_outside_and_empty_pictures_are_harmless() {
        let mut out = Plane::default();
        for x0 in [-1_000_000, 1_000_000] {
            for factor in [1, 3] {
                let region = Region { x0, y0: x0, factor, width: 9, height: 9 };
                region.cut(&ramp(10, 10), &mut out);
                assert!(out.values().iter().all(|v| v.is_finite()));
                region.cut(&Luma::default(), &mut out);
            }
        }
        let r = Region::around(Px::new(f32::NAN, f32::INFINITY), 16, 16, 2, 8);
        r.cut(&ramp(10, 10), &mut out);
    }
}
