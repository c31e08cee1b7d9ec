//! From the pixel formats of cameras and streams to the 8-bit luma plane that mercam works on.
//!
//! Landmarks need no colour, so chroma is never looked at. Luma is taken as the camera sends it (full or
//! limited range); RGB is weighted by BT.601.

use super::CaptureError;
use super::options::{hint, spec};
use super::rate::Size;
use crate::frame::Luma;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An uncompressed pixel format. Of formats with more than 8 bits per sample the highest 8 are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    /// One byte per pixel.
    Grey,
    /// Planar 4:2:0: Y, then U, then V (V4L2 `YU12`, also called I420).
    Yuv420,
    /// Y plane, then interleaved UV at half resolution.
    Nv12,
    /// Y plane, then interleaved VU at half resolution.
    Nv21,
    /// Packed 4:2:2: Y U Y V.
    Yuyv,
    /// Packed 4:2:2: U Y V Y.
    Uyvy,
    /// Three bytes per pixel: R, G, B.
    Rgb24,
    /// Three bytes per pixel: B, G, R.
    Bgr24,
    /// Two bytes per pixel, little-endian: 10 bits of grey (infra-red and machine-vision cameras).
    Y10,
    /// Two bytes per pixel, little-endian: 12 bits of grey.
    Y12,
    /// Two bytes per pixel, little-endian: 16 bits of grey.
    Y16,
}

impl PixelFormat {
    /// Every format, in the order in which messages list them.
    pub const ALL: [Self; 11] = [
        Self::Grey,
        Self::Yuv420,
        Self::Nv12,
        Self::Nv21,
        Self::Yuyv,
        Self::Uyvy,
        Self::Rgb24,
        Self::Bgr24,
        Self::Y10,
        Self::Y12,
        Self::Y16,
    ];

    /// The name in options and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Yuv420 => "yuv420",
            Self::Nv12 => "nv12",
            Self::Nv21 => "nv21",
            Self::Yuyv => "yuyv",
            Self::Uyvy => "uyvy",
            Self::Rgb24 => "rgb24",
            Self::Bgr24 => "bgr24",
            Self::Y10 => "y10",
            Self::Y12 => "y12",
            Self::Y16 => "y16",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of one row of the first (for planar formats: the luma) plane without padding.
    pub const fn row_bytes(self, width: u32) -> usize {
        let w = width as usize;
        match self {
            Self::Grey | Self::Yuv420 | Self::Nv12 | Self::Nv21 => w,
            // A pair of pixels shares its chroma, so an odd width is rounded up to a whole pair.
            Self::Yuyv | Self::Uyvy => w.div_ceil(2) * 4,
            Self::Rgb24 | Self::Bgr24 => w * 3,
            Self::Y10 | Self::Y12 | Self::Y16 => w * 2,
        }
    }

    /// Bytes of a whole picture whose rows are `stride` bytes apart; chroma planes have half that stride
    /// (4:2:0 planar) or the same (NV12, NV21).
    pub const fn picture_bytes(self, size: Size, stride: usize) -> usize {
        let h = size.height as usize;
        match self {
            Self::Yuv420 => stride * h + 2 * stride.div_ceil(2) * h.div_ceil(2),
            Self::Nv12 | Self::Nv21 => stride * h + stride.next_multiple_of(2) * h.div_ceil(2),
            _ => stride * h,
        }
    }

    /// Bytes from the start of a picture to the end of the last luma value: what a buffer must hold at least.
    pub const fn needed_bytes(self, size: Size, stride: usize) -> usize {
        stride * (size.height as usize - 1) + self.row_bytes(size.width)
    }

    /// Writes the luma of one picture into `out`, which gets the picture's size.
    ///
    /// # Errors
    /// [`TooShort`] when `source` ends before the last luma value or when `stride` is shorter than a row.
    pub fn to_luma(self, source: &[u8], stride: usize, size: Size, out: &mut Luma) -> Result<(), TooShort> {
        let row = self.row_bytes(size.width);
        let needed = self.needed_bytes(size, stride.max(row));
        if source.len() < needed || stride < row {
            return Err(TooShort { needed, found: source.len(), stride, row });
        }
        out.resize(size.width, size.height);
        let w = size.width as usize;
        for (from, to) in source.chunks(stride).zip(out.pixels_mut().chunks_exact_mut(w)) {
            match self {
                Self::Grey | Self::Yuv420 | Self::Nv12 | Self::Nv21 => {
                    to.iter_mut().zip(from).for_each(|(to, &y)| *to = y);
                }
                Self::Yuyv => to.iter_mut().zip(from.iter().step_by(2)).for_each(|(to, &y)| *to = y),
                Self::Uyvy => to.iter_mut().zip(from.iter().skip(1).step_by(2)).for_each(|(to, &y)| *to = y),
                Self::Rgb24 => {
                    for (to, rgb) in to.iter_mut().zip(from.chunks_exact(3)) {
                        if let &[r, g, b] = rgb {
                            *to = bt601(r, g, b);
                        }
                    }
                }
                Self::Bgr24 => {
                    for (to, bgr) in to.iter_mut().zip(from.chunks_exact(3)) {
                        if let &[b, g, r] = bgr {
                            *to = bt601(r, g, b);
                        }
                    }
                }
                Self::Y10 => highest(from, to, 2),
                Self::Y12 => highest(from, to, 4),
                Self::Y16 => highest(from, to, 8),
            }
        }
        Ok(())
    }
}

impl FromStr for PixelFormat {
    type Err = CaptureError;

    fn from_str(name: &str) -> Result<Self, CaptureError> {
        Self::from_name(name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            spec(format!("unknown pixel format \"{name}\"{}; the formats are {}", hint(name, &known), known.join(", ")))
        })
    }
}

/// The highest 8 bits of little-endian samples that have `extra` bits more; a sample beyond its range is white.
fn highest(from: &[u8], to: &mut [u8], extra: u32) {
    for (to, sample) in to.iter_mut().zip(from.chunks_exact(2)) {
        if let &[low, high] = sample {
            *to = u8::try_from(u16::from_le_bytes([low, high]) >> extra).unwrap_or(u8::MAX);
        }
    }
}

/// Full-range luma of an RGB value by ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B), in 1/256 steps, rounded.
pub const fn bt601(r: u8, g: u8, b: u8) -> u8 {
    // 77 + 150 + 29 = 256, so the result never exceeds 255.
    ((77 * r as u32 + 150 * g as u32 + 29 * b as u32 + 128) >> 8) as u8
}

/// A buffer that cannot hold the picture it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a picture needs {needed} bytes in rows of at least {row}, found {found} bytes in rows of {stride}")]
pub struct TooShort {
    /// Bytes that the luma of the picture takes.
    pub needed: usize,
    /// Bytes that are there.
    pub found: usize,
    /// Bytes from row to row.
    pub stride: usize,
    /// Bytes of one row without padding.
    pub row: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn size(width: u32, height: u32) -> Size {
        Size::new(width, height).unwrap()
    }

    /// A picture whose luma at (x, y) is 10 y + x, in the given format, with padding bytes of 0xEE.
    fn picture(format: PixelFormat, size: Size, stride: usize) -> Vec<u8> {
        let mut bytes = vec![0xEE; format.picture_bytes(size, stride)];
        for y in 0..size.height as usize {
            for x in 0..size.width as usize {
                let v = (10 * y + x) as u8;
                let row = y * stride;
                match format {
                    PixelFormat::Yuyv => bytes[row + 2 * x] = v,
                    PixelFormat::Uyvy => bytes[row + 2 * x + 1] = v,
                    PixelFormat::Rgb24 | PixelFormat::Bgr24 => bytes[row + 3 * x..row + 3 * x + 3].fill(v),
                    PixelFormat::Y10 | PixelFormat::Y12 | PixelFormat::Y16 => {
                        // The bits below the highest eight are set: they must not be seen.
                        let extra = [(PixelFormat::Y10, 2), (PixelFormat::Y12, 4), (PixelFormat::Y16, 8)];
                        let extra = extra.iter().find(|(f, _)| *f == format).unwrap().1;
                        let sample = (u16::from(v) << extra) | ((1 << extra) - 1);
                        bytes[row + 2 * x..row + 2 * x + 2].copy_from_slice(&sample.to_le_bytes());
                    }
                    _ => bytes[row + x] = v,
                }
            }
        }
        bytes
    }

    #[test]
    fn every_format_gives_the_same_luma_with_and_without_padding() {
        for format in PixelFormat::ALL {
            for (w, h) in [(4, 3), (5, 3), (1, 1), (7, 2)] {
                for padding in [0, 6] {
                    let size = size(w, h);
                    let stride = format.row_bytes(w) + padding;
                    let mut out = Luma::default();
                    format.to_luma(&picture(format, size, stride), stride, size, &mut out).unwrap();
                    let wanted: Vec<u8> = (0..h).flat_map(|y| (0..w).map(move |x| (10 * y + x) as u8)).collect();
                    assert_eq!(out.pixels(), wanted, "{format:?} {w}x{h} stride {stride}");
                }
            }
        }
    }

    #[test]
    fn picture_sizes_match_the_formats_definitions() {
        let vga = size(640, 480);
        for (format, stride, bytes) in [
            (PixelFormat::Grey, 640, 307_200),
            (PixelFormat::Yuv420, 640, 460_800),
            (PixelFormat::Nv12, 640, 460_800),
            (PixelFormat::Nv21, 640, 460_800),
            (PixelFormat::Yuyv, 1280, 614_400),
            (PixelFormat::Uyvy, 1280, 614_400),
            (PixelFormat::Rgb24, 1920, 921_600),
            (PixelFormat::Bgr24, 1920, 921_600),
            (PixelFormat::Y10, 1280, 614_400),
        ] {
            assert_eq!(format.row_bytes(640), stride, "{format:?}");
            assert_eq!(format.picture_bytes(vga, stride), bytes, "{format:?}");
        }
        assert_eq!(PixelFormat::Yuv420.picture_bytes(size(5, 3), 5), 15 + 2 * 3 * 2);
    }

    #[test]
    fn a_short_buffer_or_stride_is_refused() {
        let size = size(4, 4);
        let mut out = Luma::default();
        assert!(PixelFormat::Grey.to_luma(&[0; 15], 4, size, &mut out).is_err());
        assert!(PixelFormat::Grey.to_luma(&[0; 64], 3, size, &mut out).is_err());
        assert!(PixelFormat::Grey.to_luma(&[0; 64], 0, size, &mut out).is_err());
        // The padding after the last row may be missing: v4l2loopback and some drivers leave it out.
        assert!(PixelFormat::Grey.to_luma(&[0; 8 * 3 + 4], 8, size, &mut out).is_ok());
    }

    #[test]
    fn rgb_is_weighted_by_bt601() {
        assert_eq!(bt601(255, 255, 255), 255);
        assert_eq!(bt601(0, 0, 0), 0);
        let mut out = Luma::default();
        PixelFormat::Bgr24.to_luma(&[255, 0, 0, 0, 0, 255], 6, size(2, 1), &mut out).unwrap();
        assert_eq!(out.pixels(), [29, 77], "blue comes first");
        PixelFormat::Y10.to_luma(&[0xff, 0xff], 2, size(1, 1), &mut out).unwrap();
        assert_eq!(out.pixels(), [255], "beyond ten bits");
        assert_eq!((bt601(255, 0, 0), bt601(0, 255, 0), bt601(0, 0, 255)), (77, 149, 29));
    }

    proptest! {
        #[test]
        fn no_buffer_makes_it_panic(
            f in 0usize..11, w in 1u32..40, h in 1u32..40, stride in 0usize..200, bytes in proptest::collection::vec(any::<u8>(), 0..4000),
        ) {
            let mut out = Luma::default();
            let size = size(w, h);
            let format = PixelFormat::ALL[f];
            let enough = stride >= format.row_bytes(w) && bytes.len() >= format.needed_bytes(size, stride);
            prop_assert_eq!(format.to_luma(&bytes, stride, size, &mut out).is_ok(), enough);
        }
    }
}
