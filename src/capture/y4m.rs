//! `y4m:FILE` and `y4m:-`: uncompressed YUV4MPEG2 video, as written by `ffmpeg -f yuv4mpegpipe`, mjpegtools
//! and x264, read from a file, a named pipe or standard input.
//!
//! The format is described in the yuv4mpeg(5) manual page of mjpegtools. Only luma is used; samples of more
//! than 8 bits are shortened to their upper 8.

use super::input::{Fill, Input, Origin};
use super::rate::{MAX_SIDE, Rate, Size};
use super::{CaptureError, Source, Step, take_luma};
use crate::frame::{Content, Frame};
use std::time::{Duration, Instant};

/// Longest stream header and longest frame header, in bytes. Real ones have less than 200.
const MAX_LINE: usize = 4096;

/// Options of a y4m source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Y4mSpec {
    /// File or standard input.
    pub origin: Origin,
    /// Frame rate to be used in place of the one in the stream.
    pub fps: Option<Rate>,
}

impl Y4mSpec {
    /// Opens the stream. The header is read by the first call of [`Source::next`], so a pipe that is still
    /// silent does not hold up the start.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when the file cannot be opened.
    pub fn build(&self) -> Result<Y4mSource, CaptureError> {
        Ok(Y4mSource {
            input: Input::open("y4m", &self.origin)?,
            fps: self.fps,
            header: None,
            frames: 0,
            in_frame: false,
        })
    }
}

/// A YUV4MPEG2 stream.
#[derive(Debug)]
pub struct Y4mSource {
    input: Input,
    fps: Option<Rate>,
    header: Option<Header>,
    frames: u64,
    in_frame: bool,
}

impl Source for Y4mSource {
    fn name(&self) -> String {
        self.input.name().to_owned()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        let deadline = Instant::now() + timeout;
        let header = match self.header {
            Some(h) => h,
            None => match self.input.line(MAX_LINE, deadline)? {
                (Fill::Timeout, _) => return Ok(Step::Timeout),
                (Fill::End, _) => {
                    return Err(self.input.malformed(
                        "the stream is empty: it has no YUV4MPEG2 header. Did the program that writes it fail?",
                    ));
                }
                (Fill::Ready, n) => self.read_header(n)?,
            },
        };
        if !self.in_frame {
            match self.input.line(MAX_LINE, deadline)? {
                (Fill::Timeout, _) => return Ok(Step::Timeout),
                (Fill::End, _) if self.frames == 0 => {
                    return Err(self.input.malformed("the stream has a header but no frame"));
                }
                (Fill::End, _) => return Ok(Step::End),
                (Fill::Ready, n) => self.read_frame_header(n)?,
            }
        }
        match self.input.fill(header.frame_bytes, deadline)? {
            Fill::Timeout => Ok(Step::Timeout),
            Fill::End => Err(self.truncated(header.frame_bytes)),
            Fill::Ready => {
                let mut luma = take_luma(frame);
                luma.resize(header.size.width, header.size.height);
                header.luma_into(self.input.bytes(), luma.pixels_mut());
                frame.content = Content::Picture(luma);
                self.input.consume(header.frame_bytes);
                (frame.time, frame.sequence, frame.lost_before) = (header.rate.time_of(self.frames), self.frames, 0);
                self.frames += 1;
                self.in_frame = false;
                Ok(Step::Frame)
            }
        }
    }
}

impl Y4mSource {
    fn read_header(&mut self, length: usize) -> Result<Header, CaptureError> {
        let line = self.input.bytes().get(..length).unwrap_or(&[]);
        let header =
            Header::parse(line, self.fps).map_err(|why| self.input.malformed(&format!("stream header: {why}")))?;
        if header.interlaced {
            log::warn!(
                "{}: the video is interlaced, which tears fast movement apart; deinterlace it first (ffmpeg -vf yadif)",
                self.input.name()
            );
        }
        self.input.consume(length + 1);
        self.header = Some(header);
        Ok(header)
    }

    /// A frame header is `FRAME`, then parameters that concern nothing we use.
    fn read_frame_header(&mut self, length: usize) -> Result<(), CaptureError> {
        let line = self.input.bytes().get(..length).unwrap_or(&[]);
        match line.strip_prefix(b"FRAME") {
            Some(rest) if rest.first().is_none_or(|&b| b == b' ' || b == b'\r') => {
                self.input.consume(length + 1);
                self.in_frame = true;
                Ok(())
            }
            _ if b"FRAME".starts_with(line) => Err(self.truncated(0)),
            _ => Err(self.input.malformed(&format!(
                "frame {}: expected FRAME, found \"{}\": the stream is damaged or its size is not what its header says",
                self.frames,
                excerpt(line)
            ))),
        }
    }

    /// A stream that ends inside a frame has lost something, so it ends with an error and not like a whole
    /// one; all whole frames have been delivered by then.
    fn truncated(&self, wanted: usize) -> CaptureError {
        self.input.malformed(&format!(
            "frame {}: the stream ends inside it ({} of {wanted} bytes); the {} frames before it are whole",
            self.frames,
            self.input.bytes().len(),
            self.frames
        ))
    }
}

/// What the stream header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    size: Size,
    rate: Rate,
    depth: u32,
    interlaced: bool,
    frame_bytes: usize,
}

impl Header {
    fn parse(line: &[u8], fps: Option<Rate>) -> Result<Self, String> {
        let Some(rest) = line.strip_prefix(b"YUV4MPEG2") else {
            return Err(format!(
                "expected YUV4MPEG2, found \"{}\". Compressed video is converted by: ffmpeg -i FILE -f yuv4mpegpipe -pix_fmt yuv420p -",
                excerpt(line)
            ));
        };
        let (mut width, mut height, mut rate, mut interlaced) = (None, None, None, false);
        let mut chroma = "420";
        for token in rest.split(|b| b.is_ascii_whitespace()).filter(|t| !t.is_empty()) {
            let text = std::str::from_utf8(token).map_err(|_| format!("\"{}\" is not text", excerpt(token)))?;
            let value = text.get(1..).unwrap_or("");
            match token.first() {
                Some(b'W') => width = Some(side("width", value)?),
                Some(b'H') => height = Some(side("height", value)?),
                Some(b'F') => rate = Some(value),
                Some(b'I') => interlaced = matches!(value, "t" | "b" | "m"),
                Some(b'C') => chroma = value,
                _ => {} // A (pixel shape) and X (comments) change nothing for us; unknown ones are to be skipped.
            }
        }
        let size = width
            .zip(height)
            .and_then(|(w, h)| Size::new(w, h))
            .ok_or("it does not give both width (W) and height (H)")?;
        let rate = match fps {
            Some(fps) => fps,
            None => frame_rate(rate)?,
        };
        let (frame_bytes, depth) = layout(chroma, size)?;
        Ok(Self { size, rate, depth, interlaced, frame_bytes })
    }

    /// Copies the luma of a whole frame. More than 8 bits come as little-endian pairs of bytes.
    fn luma_into(&self, bytes: &[u8], out: &mut [u8]) {
        if self.depth == 8 {
            out.iter_mut().zip(bytes).for_each(|(to, &y)| *to = y);
        } else {
            let shift = self.depth - 8;
            for (to, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                if let &[low, high] = pair {
                    *to = (u16::from_le_bytes([low, high]) >> shift).min(255) as u8;
                }
            }
        }
    }
}

fn side(what: &str, value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(n) if (1..=MAX_SIDE).contains(&n) => Ok(n),
        _ => Err(format!("{what} \"{}\" is not a number from 1 to {MAX_SIDE}", excerpt(value.as_bytes()))),
    }
}

fn frame_rate(value: Option<&str>) -> Result<Rate, String> {
    let mend = "say it yourself with ?fps=N, or convert to a constant rate (ffmpeg -fps_mode cfr -r N)";
    let Some(value) = value else {
        return Err(format!("it gives no frame rate (F), and every duration depends on it: {mend}"));
    };
    value.split_once(':').and_then(|(n, d)| Rate::new(n.parse().ok()?, d.parse().ok()?)).ok_or_else(|| {
        format!("frame rate \"{}\" is unknown or no camera's (0.001 to 10000): {mend}", excerpt(value.as_bytes()))
    })
}

/// Bytes of a frame and bits of a sample for a chroma tag such as `420jpeg`, `422p10` or `mono16`.
fn layout(tag: &str, size: Size) -> Result<(usize, u32), String> {
    let refused = || {
        format!(
            "colour space \"{}\" is not supported; supported are mono, 420, 411, 422 and 444 with 8 to 16 bits: ffmpeg -pix_fmt yuv420p",
            excerpt(tag.as_bytes())
        )
    };
    let (w, h) = (size.width as usize, size.height as usize);
    let (family, rest) = if let Some(rest) = tag.strip_prefix("mono") {
        ("mono", rest)
    } else {
        tag.split_at_checked(3).ok_or_else(refused)?
    };
    let chroma = match (family, rest) {
        ("mono", _) => 0,
        ("420", _) => 2 * w.div_ceil(2) * h.div_ceil(2),
        ("411", _) => 2 * w.div_ceil(4) * h,
        ("422", _) => 2 * w.div_ceil(2) * h,
        ("444", "alpha") => 3 * w * h,
        ("444", _) => 2 * w * h,
        _ => return Err(refused()),
    };
    let depth = match (family, rest) {
        (_, "") | ("420", "jpeg" | "mpeg2" | "paldv") | ("444", "alpha") => 8,
        ("mono", bits) => bits.parse().map_err(|_| refused())?,
        (_, bits) => bits.strip_prefix('p').and_then(|b| b.parse().ok()).ok_or_else(refused)?,
    };
    match depth {
        8 => Ok((w * h + chroma, 8)),
        9..=16 => Ok((2 * (w * h + chroma), depth)),
        _ => Err(refused()),
    }
}

/// The beginning of some bytes, printable, for messages.
fn excerpt(bytes: &[u8]) -> String {
    bytes.get(..40).unwrap_or(bytes).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::capture::testing::{collect, write};
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> (Vec<Frame>, Result<(), CaptureError>) {
        let file = write(bytes);
        collect(&mut Y4mSpec { origin: Origin::File(file.path().to_owned()), fps: None }.build().unwrap())
    }

    fn luma(f: &Frame) -> &[u8] {
        let Content::Picture(p) = &f.content else { panic!("no picture") };
        p.pixels()
    }

    #[test]
    fn frames_come_with_exact_times_and_only_their_luma() {
        let mut y4m = b"YUV4MPEG2 W2 H2 F30000:1001 Ip A1:1 C420jpeg XFOO=bar\n".to_vec();
        for k in 0u8..3 {
            y4m.extend(b"FRAME Ip XX\n");
            y4m.extend([k, k + 10, k + 20, k + 30, 200, 201]);
        }
        let (frames, end) = read(&y4m);
        end.unwrap();
        assert_eq!(frames.len(), 3);
        assert_eq!(luma(&frames[2]), [2, 12, 22, 32]);
        let times: Vec<_> = frames.iter().map(|f| f.time.as_micros()).collect();
        assert_eq!(times, [0, 33_367, 66_733]);
        assert_eq!(frames[2].sequence, 2);
    }

    #[test]
    fn every_chroma_layout_has_its_size() {
        let size = Size::new(5, 3).unwrap();
        for (tag, bytes, depth) in [
            ("420", 27, 8),
            ("420mpeg2", 27, 8),
            ("420paldv", 27, 8),
            ("411", 27, 8),
            ("422", 33, 8),
            ("444", 45, 8),
            ("444alpha", 60, 8),
            ("mono", 15, 8),
            ("mono10", 30, 10),
            ("420p10", 54, 10),
            ("444p16", 90, 16),
        ] {
            assert_eq!(layout(tag, size), Ok((bytes, depth)), "{tag}");
        }
        for bad in ["", "4", "420p", "420p7", "420p17", "mono33", "440", "rgb", "422jpeg", "é"] {
            assert!(layout(bad, size).unwrap_err().contains("colour space"), "{bad}");
        }
    }

    #[test]
    fn ten_bit_samples_keep_their_upper_eight() {
        let mut y4m = b"YUV4MPEG2 W2 H1 F25:1 Cmono10\nFRAME\n".to_vec();
        y4m.extend([0xff, 0x03, 0x04, 0x00]);
        let (frames, end) = read(&y4m);
        end.unwrap();
        assert_eq!(luma(&frames[0]), [255, 1]);
    }

    #[test]
    fn a_rate_can_be_given_where_the_stream_has_none() {
        let y4m = b"YUV4MPEG2 W1 H1 F0:0 Cmono\nFRAME\nxFRAME\ny";
        let (_, end) = read(y4m);
        assert!(end.unwrap_err().to_string().contains("?fps=N"));
        let file = write(y4m);
        let spec = Y4mSpec { origin: Origin::File(file.path().to_owned()), fps: Rate::new(200, 1) };
        let (frames, end) = collect(&mut spec.build().unwrap());
        end.unwrap();
        assert_eq!(frames[1].time.as_micros(), 5000);
    }

    #[test]
    fn bad_streams_are_named() {
        for (bytes, message) in [
            (&b""[..], "empty"),
            (b"\x00\x00\x00\x18ftypmp42", "ffmpeg"),
            (b"YUV4MPEG2 H2 F25:1\n", "width (W)"),
            (b"YUV4MPEG2 W2 H2\n", "no frame rate"),
            (b"YUV4MPEG2 W2 H2 F90000000:1\n", "frame rate"),
            (b"YUV4MPEG2 W99999 H2 F25:1\n", "width \"99999\""),
            (b"YUV4MPEG2 W2 H-2 F25:1\n", "height \"-2\""),
            (b"YUV4MPEG2 W2 H2 F25:1 C999\n", "colour space"),
            (b"YUV4MPEG2 W2 H2 F25:1 Cmono\n", "no frame"),
            (b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRA", "ends inside"),
            (b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAME\nabcdFRAME\nab", "frame 1"),
            (b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAME\nabcdeFRAME\nabcd", "expected FRAME"),
            (b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAMED\nabcd", "expected FRAME"),
        ] {
            let e = read(bytes).1.unwrap_err().to_string();
            assert!(e.contains(message), "{e} should contain {message}");
        }
    }

    #[test]
    fn whole_frames_before_a_cut_are_delivered() {
        let (frames, end) = read(b"YUV4MPEG2 W2 H2 F25:1 Cmono\nFRAME\nabcdFRAME\nabcdFRAME\nabc");
        assert_eq!(frames.len(), 2);
        assert!(matches!(end, Err(CaptureError::Malformed { .. })));
    }

    #[test]
    fn an_absurd_header_takes_no_memory() {
        let file = write(b"YUV4MPEG2 W8192 H8192 F25:1 C444p16\nFRAME\nabc");
        let mut source = Y4mSpec { origin: Origin::File(file.path().to_owned()), fps: None }.build().unwrap();
        let (frames, end) = collect(&mut source);
        assert!(frames.is_empty() && end.is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_end_in_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).1.is_err());
        }

        #[test]
        fn hostile_headers_never_panic(header in "(W|H|F|C|I|A|X|FRAME|[0-9:]{0,12}| |mono|420p|\\PC){0,24}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = format!("YUV4MPEG2 {header}\n").into_bytes();
            bytes.extend(body);
            let _ = read(&bytes);
        }

        #[test]
        fn a_cut_anywhere_keeps_the_whole_frames(cut in 0usize..200) {
            let mut whole = b"YUV4MPEG2 W4 H4 F25:1 C420\n".to_vec();
            let header = whole.len();
            for k in 0..5u8 {
                whole.extend(b"FRAME\n");
                whole.extend([k; 24]);
            }
            let cut = cut.min(whole.len());
            let (frames, end) = read(&whole[..cut]);
            prop_assert_eq!(frames.len(), cut.saturating_sub(header) / 30);
            let clean = cut > header && (cut - header).is_multiple_of(30);
            prop_assert_eq!(end.is_ok(), clean);
        }
    }
}
