//! Cuts the input of a network out of a picture: upright squares by area, turned squares by interpolation.

use crate::frame::Luma;
use crate::geometry::Roi;

/// Cuts upright squares, each output pixel being the mean of the picture under it; what lies outside is black.
/// Keeps its memory between calls.
#[derive(Debug, Default)]
pub struct SquareCrop {
    columns: Taps,
    rows: Taps,
    line: Vec<f32>,
}

/// For each output pixel of one axis: which input pixels it sees and how much of each.
#[derive(Debug, Default)]
struct Taps {
    /// First input pixel, and where its weights begin.
    first: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Taps {
    /// `size` output pixels over `[start, start + side)` of an axis of `length` input pixels, in pixel edges.
    fn set(&mut self, size: usize, start: f32, side: f32, length: usize) {
        self.first.clear();
        self.weights.clear();
        let step = side / size as f32;
        for i in 0..size {
            let from = start + i as f32 * step;
            // An output pixel narrower than an input pixel interpolates between neighbours: that is the same
            // mean, taken over the picture as linear interpolation draws it.
            let (from, to) = if step >= 1.0 {
                (from, from + step)
            } else {
                let middle = from + step / 2.0;
                (middle - 0.5, middle + 0.5)
            };
            let width = to - from;
            let low = (from.max(0.0) as usize).min(length);
            let high = (to.max(0.0).ceil() as usize).min(length);
            self.first.push((low, self.weights.len()));
            for x in low..high {
                let covered = to.min(x as f32 + 1.0) - from.max(x as f32);
                self.weights.push(covered.max(0.0) / width);
            }
        }
    }

    /// First input pixel and weights of each output pixel.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let ends = self.first.iter().skip(1).map(|(_, at)| *at).chain(std::iter::once(self.weights.len()));
        self.first.iter().zip(ends).map(|((low, at), end)| (*low, self.weights.get(*at..end).unwrap_or(&[])))
    }
}

impl SquareCrop {
    /// Fills `out`, `size * size` grey levels 0 to 255, from the square with its top-left corner at pixel edge
    /// (`x`, `y`), where (0, 0) is the corner of the picture, and this side in pixels.
    pub fn cut(&mut self, picture: &Luma, x: f32, y: f32, side: f32, size: usize, out: &mut [f32]) {
        self.columns.set(size, x, side, picture.width() as usize);
        self.rows.set(size, y, side, picture.height() as usize);
        self.line.resize(picture.width() as usize, 0.0);
        for ((top, weights), out) in self.rows.iter().zip(out.chunks_exact_mut(size)) {
            self.line.fill(0.0);
            for (row, weight) in weights.iter().enumerate() {
                let row = picture.row(u32::try_from(top + row).unwrap_or(u32::MAX));
                for (sum, pixel) in self.line.iter_mut().zip(row) {
                    *sum += weight * f32::from(*pixel);
                }
            }
            for ((left, weights), out) in self.columns.iter().zip(out) {
                let pixels = self.line.get(left..left + weights.len()).unwrap_or(&[]);
                *out = pixels.iter().zip(weights).map(|(p, w)| p * w).sum();
            }
        }
    }
}

/// Cuts turned squares by bilinear interpolation, halving the picture first where it shrinks.
/// What lies outside repeats the border. Keeps its memory between calls.
#[derive(Debug, Default)]
pub struct TurnedCrop {
    half: Vec<u8>,
    spare: Vec<u8>,
}

/// Positions and sizes in pixels that no picture reaches; NaN is not below it either.
const FAR: f32 = 1e6;

/// A part of the picture at some reduction: pixel (i, j) of it is centred on picture pixel
/// `(x + (i + 0.5) * scale - 0.5, y + (j + 0.5) * scale - 0.5)`.
#[derive(Debug, Clone, Copy)]
struct Part {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    scale: f32,
}

impl TurnedCrop {
    /// Fills `out`, `size * size` grey levels 0 to 255, from the square `roi`.
    /// A region without a size, beyond [`FAR`] or not finite gives black.
    pub fn cut(&mut self, picture: &Luma, roi: &Roi, size: usize, out: &mut [f32]) {
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        let near = |v: f32| v.abs() < FAR;
        let sensible = near(roi.centre.x) && near(roi.centre.y) && near(roi.side) && near(roi.angle) && roi.side > 0.0;
        if !sensible || w * h == 0 {
            out.fill(0.0);
            return;
        }
        let mut part = Part { x: 0, y: 0, width: w, height: h, scale: 1.0 };
        let mut factor = roi.side / size as f32;
        if factor > 2.0 {
            part = bounds(picture, roi);
            let mut halved = false;
            while factor > 2.0 && part.width >= 2 && part.height >= 2 {
                if halved {
                    std::mem::swap(&mut self.half, &mut self.spare);
                    let n = part.width * part.height;
                    part = halve(self.spare.get(..n).unwrap_or(&[]), part.width, part, &mut self.half);
                } else {
                    let rows = picture.pixels().get(part.y * w + part.x..).unwrap_or(&[]);
                    part = halve(rows, w, part, &mut self.half);
                    halved = true;
                }
                factor /= 2.0;
            }
            if halved {
                sample(&self.half, part, roi, size, factor, out);
                return;
            }
            part = Part { x: 0, y: 0, width: w, height: h, scale: 1.0 };
        }
        sample(picture.pixels(), part, roi, size, factor, out);
    }
}

/// The part of the picture that the region's corners span, with a border for interpolation.
fn bounds(picture: &Luma, roi: &Roi) -> Part {
    let reach = roi.side / 2.0 * (roi.angle.cos().abs() + roi.angle.sin().abs()) + 4.0;
    let span = |centre: f32, length: u32| {
        let low = (centre - reach).clamp(0.0, length as f32 - 1.0) as usize;
        let high = ((centre + reach).clamp(0.0, length as f32 - 1.0) as usize + 1).max(low + 1);
        (low, high - low)
    };
    let (x, width) = span(roi.centre.x, picture.width());
    let (y, height) = span(roi.centre.y, picture.height());
    Part { x, y, width, height, scale: 1.0 }
}

/// Means of 2 x 2 pixels; an odd last row or column is left out.
fn halve(from: &[u8], stride: usize, part: Part, to: &mut Vec<u8>) -> Part {
    let (width, height) = (part.width / 2, part.height / 2);
    to.resize(width * height, 0);
    for (j, out) in to.chunks_exact_mut(width).enumerate() {
        let row = |k: usize| from.get((2 * j + k) * stride..(2 * j + k) * stride + 2 * width).unwrap_or(&[]);
        let (top, bottom) = (row(0).as_chunks::<2>().0, row(1).as_chunks::<2>().0);
        for ((o, [a, b]), [c, d]) in out.iter_mut().zip(top).zip(bottom) {
            *o = ((u16::from(*a) + u16::from(*b) + u16::from(*c) + u16::from(*d) + 2) / 4) as u8;
        }
    }
    Part { width, height, scale: part.scale * 2.0, ..part }
}

/// Bits behind the point of the positions in [`sample`]: an error of 1/65536 pixel per step, 1/300 over a row.
const BITS: u32 = 16;

/// Interpolates; `factor` is the step in `part`'s pixels. From 1 on, each output pixel is the mean of four.
/// Whole-number arithmetic: conversions from floats at each of some 100,000 positions took most of the time.
fn sample(pixels: &[u8], part: Part, roi: &Roi, size: usize, factor: f32, out: &mut [f32]) {
    let fixed = |v: f32| (f64::from(v) * f64::from(1u32 << BITS)).round() as i64;
    let image = Bilinear {
        pixels,
        width: part.width,
        right: ((part.width as i64 - 1) << BITS) - 1,
        bottom: ((part.height as i64 - 1) << BITS) - 1,
    };
    if part.width < 2 || part.height < 2 {
        out.fill(0.0);
        return;
    }
    let (cos, sin) = (roi.angle.cos() * factor, roi.angle.sin() * factor);
    let middle = (
        (roi.centre.x + 0.5 - part.x as f32) / part.scale - 0.5,
        (roi.centre.y + 0.5 - part.y as f32) / part.scale - 0.5,
    );
    let step = (fixed(cos), fixed(sin));
    let (a, b) = (fixed(cos / 4.0), fixed(sin / 4.0));
    let unit = 1.0 / (1u32 << 16) as f32;
    let first = 0.5 - size as f32 / 2.0;
    for (j, line) in out.chunks_exact_mut(size).enumerate() {
        let v = j as f32 + first;
        let mut x = fixed(middle.0 + first * cos - v * sin);
        let mut y = fixed(middle.1 + first * sin + v * cos);
        for out in line {
            *out = if factor <= 1.0 {
                image.at(x, y) as f32 * unit
            } else {
                let sum = image.at(x - a + b, y - b - a)
                    + image.at(x + a + b, y + b - a)
                    + image.at(x - a - b, y - b + a)
                    + image.at(x + a - b, y + b + a);
                sum as f32 * (unit / 4.0)
            };
            x += step.0;
            y += step.1;
        }
    }
}

/// A picture of at least 2 x 2 pixels.
struct Bilinear<'a> {
    pixels: &'a [u8],
    width: usize,
    /// Largest position to the right and down.
    right: i64,
    bottom: i64,
}

impl Bilinear<'_> {
    /// The grey level at a position, times 65536.
    #[inline(always)]
    fn at(&self, x: i64, y: i64) -> u32 {
        let (x, y) = (x.clamp(0, self.right), y.clamp(0, self.bottom));
        let (fx, fy) = ((x >> (BITS - 8)) as u32 & 255, (y >> (BITS - 8)) as u32 & 255);
        let i = (y >> BITS) as usize * self.width + (x >> BITS) as usize;
        let pair = |i: usize| match self.pixels.get(i..i + 2) {
            Some([p, q]) => u32::from(*p) * (256 - fx) + u32::from(*q) * fx,
            _ => 0,
        };
        pair(i) * (256 - fy) + pair(i + self.width) * fy
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::geometry::Px;

    /// A picture whose grey level is a linear function of the position.
    fn ramp(width: u32, height: u32, dx: f32, dy: f32) -> Luma {
        let data = (0..height)
            .flat_map(|y| (0..width).map(move |x| (20.0 + dx * x as f32 + dy * y as f32).round() as u8))
            .collect();
        Luma::from_vec(width, height, data).unwrap()
    }

    #[test]
    fn a_square_is_the_mean_of_what_lies_under_it() {
        let picture = Luma::from_vec(4, 2, vec![0, 40, 80, 120, 8, 48, 88, 128]).unwrap();
        let mut out = [0.0; 4];
        // 4 x 4 around a picture of 4 x 2: half of each output row lies outside and is black.
        SquareCrop::default().cut(&picture, 0.0, -1.0, 4.0, 2, &mut out);
        assert_eq!(out, [10.0, 50.0, 14.0, 54.0]);
        // 1.5 pixels per output pixel.
        let mut out = [0.0; 1];
        SquareCrop::default().cut(&picture, 0.5, 0.0, 1.5, 1, &mut out);
        let (top, bottom) = ((0.5 * 0.0 + 40.0) / 1.5, (0.5 * 8.0 + 48.0) / 1.5);
        assert!((out[0] - (top + 0.5 * bottom) / 1.5).abs() < 1e-4, "{out:?}");
    }

    #[test]
    fn a_small_picture_is_interpolated() {
        let picture = ramp(8, 8, 10.0, 0.0);
        let mut out = [0.0; 16 * 16];
        SquareCrop::default().cut(&picture, 0.0, 0.0, 8.0, 16, &mut out);
        // Output pixel 5 is centred on edge coordinate 2.75, pixel coordinate 2.25.
        assert!((out[16 * 7 + 5] - 42.5).abs() < 1e-3, "{}", out[16 * 7 + 5]);
    }

    #[test]
    fn a_turned_square_sees_the_right_place_at_every_reduction() {
        let picture = ramp(900, 700, 0.15, 0.1);
        for side in [40.0, 64.0, 100.0, 150.0, 300.0, 400.0] {
            for angle in [0.0, 0.3, -2.0f32] {
                let roi = Roi { centre: Px::new(430.3, 340.7), side, angle };
                let mut out = vec![0.0; 64 * 64];
                TurnedCrop::default().cut(&picture, &roi, 64, &mut out);
                for (i, j) in [(10usize, 20usize), (32, 32), (60, 5)] {
                    let (u, v) = ((i as f32 - 31.5) * side / 64.0, (j as f32 - 31.5) * side / 64.0);
                    let x = roi.centre.x + u * angle.cos() - v * angle.sin();
                    let y = roi.centre.y + u * angle.sin() + v * angle.cos();
                    let expected = 20.0 + 0.15 * x + 0.1 * y;
                    // Grey levels are rounded, so a position is right within about two of them.
                    assert!(
                        (out[j * 64 + i] - expected).abs() < 0.8,
                        "{side} {angle} {i} {j}: {} {expected}",
                        out[j * 64 + i]
                    );
                }
            }
        }
    }

    #[test]
    fn regions_outside_and_senseless_ones_are_harmless() {
        let picture = ramp(30, 20, 1.0, 1.0);
        let mut out = vec![1.0; 16];
        let mut crop = TurnedCrop::default();
        for (x, side) in [(-500.0, 20.0), (1e9, 1e9), (15.0, 1e7), (f32::NAN, 10.0), (10.0, 0.0), (10.0, f32::INFINITY)]
        {
            crop.cut(&picture, &Roi { centre: Px::new(x, 5.0), side, angle: 1.0 }, 4, &mut out);
            assert!(out.iter().all(|v| v.is_finite()));
        }
        crop.cut(&Luma::default(), &Roi { centre: Px::new(0.0, 0.0), side: 5.0, angle: 0.0 }, 4, &mut out);
        assert_eq!(out, [0.0; 16]);
        SquareCrop::default().cut(&Luma::default(), 0.0, 0.0, 10.0, 4, &mut out);
        assert_eq!(out, [0.0; 16]);
    }
}
