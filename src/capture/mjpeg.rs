//! Luma of motion-JPEG frames, with what cameras get wrong: cut frames, missing Huffman tables.

use super::rate::{MAX_SIDE, Size};
use crate::frame::Luma;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// After so many frames, none of which was a correct JPEG, the camera is taken to bend the rules and
/// incorrect frames are shown as far as they can be decoded.
const PATIENCE: u32 = 20;

/// An application segment that tells the decoder to use the standard Huffman tables, which MJPEG from USB
/// cameras leaves out (USB Video Class, MJPEG payload, 3.2).
const STANDARD_TABLES: [u8; 9] = [0xFF, 0xE0, 0, 7, b'A', b'V', b'I', b'1', 0];

/// Decodes the luma of JPEG frames.
#[derive(Debug, Default)]
pub struct MjpegDecoder {
    patched: Vec<u8>,
    /// Luma and chroma, where the chroma is needed to know whether a frame is whole.
    colour: Vec<u8>,
    good: u64,
    bad: u32,
    tolerant: bool,
}

impl MjpegDecoder {
    /// Decodes the luma of one frame, which must have this size.
    ///
    /// # Errors
    /// What is wrong with the frame. The content of `out` is unspecified then.
    pub fn decode(&mut self, bytes: &[u8], size: Size, out: &mut Luma) -> Result<(), String> {
        let result = self.try_decode(bytes, size, out);
        match result {
            Ok(()) => self.good += 1,
            Err(_) => self.bad = self.bad.saturating_add(1),
        }
        if self.good == 0 && self.bad >= PATIENCE && !self.tolerant {
            log::warn!(
                "none of the first {PATIENCE} JPEG frames was correct; from now on incorrect ones are used as far as they go"
            );
            self.tolerant = true;
        }
        result
    }

    fn try_decode(&mut self, bytes: &[u8], size: Size, out: &mut Luma) -> Result<(), String> {
        let layout = scan(bytes)?;
        if !layout.ended && !self.tolerant {
            return Err("the JPEG frame has no end marker: it was cut short".into());
        }
        let Self { patched, colour, tolerant, .. } = self;
        let bytes = if layout.has_tables {
            bytes
        } else {
            let (start, rest) = bytes.split_at_checked(2).ok_or("the JPEG frame is empty")?;
            patched.clear();
            for part in [start, &STANDARD_TABLES, rest] {
                patched.extend_from_slice(part);
            }
            patched
        };
        out.resize(size.width, size.height);
        let Err(why) = decode_as(bytes, ColorSpace::Luma, *tolerant, size, out.pixels_mut()) else { return Ok(()) };
        // Of about every sixth good frame the decoder (zune-jpeg 0.5) fails to skip the very last chroma block: it looks
        // for more bits than there are. With the chroma read it does not.
        colour.resize(3 * size.pixels(), 0);
        decode_as(bytes, ColorSpace::YCbCr, *tolerant, size, colour).map_err(|_| why)?;
        out.pixels_mut()
            .iter_mut()
            .zip(colour.chunks_exact(3))
            .for_each(|(to, from)| *to = from.first().map_or(0, |y| *y));
        Ok(())
    }
}

/// Decodes a JPEG that has all its tables into `out`, as luma alone or with the chroma.
fn decode_as(bytes: &[u8], colours: ColorSpace, tolerant: bool, size: Size, out: &mut [u8]) -> Result<(), String> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(colours)
        .set_strict_mode(!tolerant)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let info = decoder.info().ok_or("the JPEG frame has no header")?;
    if (u32::from(info.width), u32::from(info.height)) != (size.width, size.height) {
        return Err(format!("the JPEG frame is {}x{} pixels, {size} were negotiated", info.width, info.height));
    }
    if decoder.output_buffer_size() != Some(out.len()) {
        return Err("the JPEG frame is neither grey nor YCbCr".into());
    }
    decoder.decode_into(out).map_err(|e| e.to_string())
}

/// What a look at the markers tells.
struct Layout {
    has_tables: bool,
    ended: bool,
}

/// Walks over the segments up to the start of the scan.
fn scan(bytes: &[u8]) -> Result<Layout, String> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8]).ok_or("the frame does not begin like a JPEG")?;
    let mut has_tables = false;
    loop {
        let &[0xFF, marker, high, low, ..] = rest else {
            return Err("the JPEG frame is damaged before its picture".into());
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if marker == 0xC4 {
            has_tables = true;
        }
        rest = rest.get(2 + length.max(2)..).ok_or("the JPEG frame ends before its picture")?;
        if marker == 0xDA {
            // Inside the picture 0xFF is always followed by something else than 0xD9.
            let ended = rest.windows(2).rev().any(|w| w == [0xFF, 0xD9]);
            return Ok(Layout { has_tables, ended });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size { width: 64, height: 48 };

    fn value(x: u32, y: u32) -> u8 {
        (x * 2 + y * 2) as u8
    }

    /// A colour JPEG with luma 2x + 2y, standard Huffman tables.
    fn jpeg() -> Vec<u8> {
        let picture = image::RgbImage::from_fn(SIZE.width, SIZE.height, |x, y| image::Rgb([value(x, y); 3]));
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(&picture).unwrap();
        bytes
    }

    /// The same without its Huffman tables, as USB cameras send it.
    fn without_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut out = jpeg[..2].to_vec();
        let mut at = 2;
        while jpeg[at + 1] != 0xDA {
            let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] != 0xC4 {
                out.extend(&jpeg[at..end]);
            }
            at = end;
        }
        out.extend(&jpeg[at..]);
        assert!(out.len() < jpeg.len());
        out
    }

    fn check(luma: &Luma) {
        for y in 0..SIZE.height {
            for x in 0..SIZE.width {
                let got = luma.row(y)[x as usize];
                assert!(got.abs_diff(value(x, y)) <= 4, "({x}, {y}): {got}");
            }
        }
    }

    #[test]
    fn luma_is_decoded_with_padding_behind_and_without_tables() {
        let mut decoder = MjpegDecoder::default();
        let mut luma = Luma::default();
        let plain = jpeg();
        let mut padded = plain.clone();
        padded.resize(plain.len() + 3000, 0);
        for bytes in [plain.clone(), padded, without_tables(&plain)] {
            decoder.decode(&bytes, SIZE, &mut luma).unwrap();
            check(&luma);
        }
    }

    #[test]
    fn a_good_frame_is_good_though_its_last_chroma_block_ends_with_the_data() {
        // 32x16 of grey-brown skin, as ffmpeg compresses it: the decoder's own way to luma alone refuses it.
        let bytes = include_bytes!("../../tests/data/mjpeg/last_chroma.jpg");
        let size = Size { width: 32, height: 16 };
        let mut luma = Luma::default();
        let mut alone = vec![0; size.pixels()];
        assert!(
            decode_as(bytes, ColorSpace::Luma, false, size, &mut alone).is_err(),
            "the work-around is not needed any more"
        );
        MjpegDecoder::default().decode(bytes, size, &mut luma).unwrap();
        let expected = image::load_from_memory(bytes).unwrap().to_luma8();
        assert!(luma.pixels().iter().zip(expected.as_raw()).all(|(a, b)| a.abs_diff(*b) <= 2));
    }

    #[test]
    fn cut_frames_are_refused_wherever_they_are_cut() {
        let whole = jpeg();
        let mut luma = Luma::default();
        for cut in (0..whole.len() - 1).step_by(7) {
            assert!(MjpegDecoder::default().decode(&whole[..cut], SIZE, &mut luma).is_err(), "{cut}");
        }
        let mut decoder = MjpegDecoder::default();
        decoder.decode(&whole, SIZE, &mut luma).unwrap();
        let other = Size { width: 32, height: 48 };
        assert!(decoder.decode(&whole, other, &mut luma).unwrap_err().contains("32x48"));
    }

    #[test]
    fn a_camera_that_never_sends_a_correct_frame_is_tolerated() {
        let mut cut = jpeg();
        cut.truncate(cut.len() - 2);
        let mut decoder = MjpegDecoder::default();
        let mut luma = Luma::default();
        for _ in 0..PATIENCE {
            decoder.decode(&cut, SIZE, &mut luma).unwrap_err();
        }
        decoder.decode(&cut, SIZE, &mut luma).unwrap();
        // One good frame at the start, and patience never ends.
        let mut decoder = MjpegDecoder::default();
        decoder.decode(&jpeg(), SIZE, &mut luma).unwrap();
        assert!((0..3 * PATIENCE).all(|_| decoder.decode(&cut, SIZE, &mut luma).is_err()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_never_panics(at in 0usize..4000, value in any::<u8>(), cut in 0usize..4000) {
            let mut bytes = jpeg();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(cut.max(2));
            let mut luma = Luma::default();
            for tolerant in [false, true] {
                let mut decoder = MjpegDecoder { tolerant, ..MjpegDecoder::default() };
                let _ = decoder.decode(&bytes, SIZE, &mut luma);
            }
        }
    }
}
