//! `raw:FILE` and `raw:-`: pictures one after another without any header, such as
//! `rpicam-vid --codec yuv420 -o -` writes. Size, format and rate have to be given.

use super::arrivals::Arrivals;
use super::input::{Fill, Input, Origin};
use super::luma::PixelFormat;
use super::rate::{Rate, Size};
use super::{CaptureError, Source, Step, take_luma};
use crate::clock::monotonic_us;
use crate::frame::{Content, Frame};
use std::time::{Duration, Instant};

/// Options of a raw source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RawSpec {
    /// File or standard input.
    pub origin: Origin,
    /// Pixel format.
    pub format: PixelFormat,
    /// Size of a picture.
    pub size: Size,
    /// Frame rate.
    pub fps: Rate,
    /// Bytes from row to row of the first plane, where rows are padded; otherwise the row itself.
    pub stride: Option<u32>,
    /// The stream comes from a camera now: times are those of arrival, and a picture that nobody waits for is let go.
    pub live: bool,
}

impl RawSpec {
    /// Opens the stream.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when the file cannot be opened, [`CaptureError::Spec`] when the stride
    /// is shorter than a row.
    pub fn build(&self) -> Result<RawSource, CaptureError> {
        let row = self.format.row_bytes(self.size.width);
        let stride = self.stride.map_or(row, |s| s as usize);
        // No hardware pads a row to more than a few hundred bytes; far more is a slip of the pen.
        if stride < row || stride > row * 2 + 4096 {
            return Err(CaptureError::Spec(format!(
                "stride={stride}: a row of {} pixels in {} takes {row} bytes; the stride is that or a little more",
                self.size.width,
                self.format.name()
            )));
        }
        let bytes = self.format.picture_bytes(self.size, stride);
        let input = Input::open("raw", &self.origin)?;
        let arrivals = self.live.then(|| Arrivals::new(self.fps));
        Ok(RawSource { input, spec: self.clone(), stride, bytes, frames: 0, arrivals })
    }
}

/// A stream of bare pictures.
#[derive(Debug)]
pub struct RawSource {
    input: Input,
    spec: RawSpec,
    stride: usize,
    bytes: usize,
    frames: u64,
    /// Of a live stream.
    arrivals: Option<Arrivals>,
}

impl Source for RawSource {
    fn name(&self) -> String {
        self.input.name().to_owned()
    }

    fn is_live(&self) -> bool {
        self.spec.live
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        let deadline = Instant::now() + timeout;
        let arrived = loop {
            match self.input.fill(self.bytes, deadline)? {
                Fill::Timeout => return Ok(Step::Timeout),
                Fill::End => return self.end(),
                Fill::Ready => {}
            }
            let Some(arrivals) = &mut self.arrivals else { break None };
            match arrivals.saw(monotonic_us()) {
                Some(arrived) => break Some(arrived),
                None => self.input.consume(self.bytes),
            }
        };
        let mut luma = take_luma(frame);
        self.spec
            .format
            .to_luma(self.input.bytes(), self.stride, self.spec.size, &mut luma)
            .map_err(|e| self.input.malformed(&format!("frame {}: {e}", self.frames)))?;
        frame.content = Content::Picture(luma);
        self.input.consume(self.bytes);
        let (time, lost) = arrived.map_or((self.spec.fps.time_of(self.frames), 0), |a| (a.time, a.lost));
        self.frames += u64::from(lost);
        (frame.time, frame.sequence, frame.lost_before) = (time, self.frames, lost);
        self.frames += 1;
        Ok(Step::Frame)
    }
}

impl RawSource {
    /// The stream is over: cleanly after a whole picture only. A remainder means that the stream was cut or
    /// that size, format or stride are wrong, and then every picture was wrong too.
    fn end(&self) -> Result<Step, CaptureError> {
        let (left, n) = (self.input.bytes().len(), self.frames);
        if left == 0 && n == 0 {
            Err(self.input.malformed("the stream is empty. Did the program that writes it fail?"))
        } else if left == 0 {
            Ok(Step::End)
        } else {
            Err(self.input.malformed(&format!(
                "{left} bytes are left after {n} pictures of {} bytes: the stream was cut, or it is not {} {} (format, size, stride)",
                self.bytes,
                self.spec.format.name(),
                self.spec.size
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::capture::testing::{collect, write};
    use proptest::prelude::*;

    fn spec(path: &std::path::Path, format: PixelFormat, size: &str, stride: Option<u32>) -> RawSpec {
        RawSpec {
            origin: Origin::File(path.to_owned()),
            format,
            size: size.parse().unwrap(),
            fps: "90".parse().unwrap(),
            stride,
            live: false,
        }
    }

    #[test]
    fn pictures_follow_one_another() {
        // Two NV12 pictures of 2x2 with a stride of 4.
        let file = write(&[1, 2, 0, 0, 3, 4, 0, 0, 9, 9, 0, 0, 5, 6, 0, 0, 7, 8, 0, 0, 9, 9, 0, 0]);
        let (frames, end) = collect(&mut spec(file.path(), PixelFormat::Nv12, "2x2", Some(4)).build().unwrap());
        end.unwrap();
        let pixels: Vec<_> = frames
            .iter()
            .map(|f| match &f.content {
                Content::Picture(p) => p.pixels().to_vec(),
                Content::Faces(_) => panic!("no picture"),
            })
            .collect();
        assert_eq!(pixels, [[1, 2, 3, 4], [5, 6, 7, 8]]);
        assert_eq!(frames[1].time.as_micros(), 11_111);
    }

    #[test]
    fn a_remainder_is_named() {
        let file = write(&[0; 10]);
        let (frames, end) = collect(&mut spec(file.path(), PixelFormat::Grey, "2x2", None).build().unwrap());
        assert_eq!(frames.len(), 2);
        let e = end.unwrap_err().to_string();
        assert!(e.contains("2 bytes are left after 2 pictures of 4 bytes"), "{e}");
        let (_, end) = collect(&mut spec(write(&[]).path(), PixelFormat::Grey, "2x2", None).build().unwrap());
        assert!(end.unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn an_impossible_stride_is_refused() {
        let file = write(&[0; 10]);
        for stride in [1, 7, 1_000_000] {
            let e = spec(file.path(), PixelFormat::Yuyv, "4x4", Some(stride)).build().unwrap_err().to_string();
            assert!(e.contains("stride"), "{e}");
        }
    }

    #[test]
    fn a_live_stream_has_the_times_of_arrival_and_gaps_where_none_arrived() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let spec = RawSpec { live: true, ..spec(&path, PixelFormat::Grey, "2x2", None) };
        let writer = std::thread::spawn(move || {
            let mut pipe = std::fs::File::create(&path).unwrap();
            for pause in [0, 20, 400, 20] {
                std::thread::sleep(Duration::from_millis(pause));
                pipe.write_all(&[7; 4]).unwrap();
            }
        });
        let mut source = spec.build().unwrap();
        assert!(source.is_live());
        let mut frame = crate::capture::blank_frame();
        let mut seen = vec![];
        for _ in 0..1000 {
            match source.next(&mut frame, Duration::from_millis(50)).unwrap() {
                Step::Frame => seen.push((frame.time, frame.sequence, frame.lost_before)),
                Step::Timeout => {}
                Step::End => break,
            }
        }
        writer.join().unwrap();
        assert!(seen.len() >= 2, "{seen:?}");
        assert!(seen.windows(2).all(|w| w[1].0 > w[0].0 && w[1].1 == w[0].1 + 1 + u64::from(w[1].2)), "{seen:?}");
        // 400 ms at 90 frames/s, less whatever this machine was late with the frames before and after.
        let lost: u32 = seen.iter().map(|s| s.2).sum();
        assert!(lost >= 30, "{seen:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_whole_pictures_or_an_error(
            f in 0usize..7, w in 1u32..20, h in 1u32..20, bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            let format = PixelFormat::ALL[f];
            let file = write(&bytes);
            let spec = spec(file.path(), format, &format!("{w}x{h}"), None);
            let each = format.picture_bytes(spec.size, format.row_bytes(w));
            let (frames, end) = collect(&mut spec.build().unwrap());
            prop_assert_eq!(frames.len(), bytes.len() / each);
            prop_assert_eq!(end.is_ok(), !bytes.is_empty() && bytes.len().is_multiple_of(each));
        }
    }
}
