//! `replay:FILE`: landmarks recorded earlier, as JSON lines. No pixel is in such a file.
//!
//! The first line is a header, every other line one frame:
//! ```json
//! {"mercam":"landmarks","version":1,"source":"v4l2:/dev/video0"}
//! {"us":0,"seq":0,"lost":0,"faces":[{"id":1,"bounds":{...},"landmarks":[[x,y],...],"confidence":[...]}]}
//! ```
//! `us` is the frame's time in microseconds and rises, `seq` counts lost frames too, `lost` are the frames
//! lost before this one, coordinates are pixels, confidences 0 to 1. [`LandmarkWriter`] writes it.

use super::input::{Fill, Input, Origin};
use super::{CaptureError, Source, Step};
use crate::frame::{Content, Face, Frame};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Longest line, in bytes: a face takes about 3 kB.
const MAX_LINE: usize = 1 << 20;
/// What the header calls the format.
const FORMAT: &str = "landmarks";
/// The version that is written and read.
const VERSION: u32 = 1;

/// First line of a recording. Unknown keys are left alone, so that others may add to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    mercam: String,
    version: u32,
    #[serde(default)]
    source: String,
}

/// One frame of a recording.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    us: Timestamp,
    seq: u64,
    lost: u32,
    faces: Vec<Face>,
}

/// The same, borrowed for writing.
#[derive(Serialize)]
struct RowOut<'a> {
    us: Timestamp,
    seq: u64,
    lost: u32,
    faces: &'a [Face],
}

/// Writes a landmark recording. It does not buffer more than the line that it writes, so give it a
/// `BufWriter` for files.
#[derive(Debug)]
pub struct LandmarkWriter<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> LandmarkWriter<W> {
    /// Writes the header; `source` says where the landmarks come from.
    ///
    /// # Errors
    /// Whatever writing to `out` brings.
    pub fn new(out: W, source: &str) -> io::Result<Self> {
        let mut writer = Self { out, line: Vec::new() };
        writer.put(&Header { mercam: FORMAT.into(), version: VERSION, source: source.into() })?;
        Ok(writer)
    }

    /// Writes one frame; its times must rise from call to call, or it cannot be replayed.
    ///
    /// # Errors
    /// `InvalidData` when a coordinate or confidence is not finite, else whatever writing brings.
    pub fn write(&mut self, time: Timestamp, sequence: u64, lost_before: u32, faces: &[Face]) -> io::Result<()> {
        let finite = |f: &Face| {
            f.landmarks.iter().all(|p| p.x.is_finite() && p.y.is_finite())
                && f.confidence.iter().all(|c| c.is_finite())
                && [f.bounds.x, f.bounds.y, f.bounds.width, f.bounds.height].into_iter().all(f32::is_finite)
        };
        if let Some(face) = faces.iter().find(|f| !finite(f)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("frame {sequence}: a number of face {} is not finite", face.id.0),
            ));
        }
        self.put(&RowOut { us: time, seq: sequence, lost: lost_before, faces })
    }

    /// Hands everything on to where it is written.
    ///
    /// # Errors
    /// Whatever flushing brings.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives back what was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn put(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

/// Options of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplaySpec {
    /// The recording.
    pub origin: Origin,
}

impl ReplaySpec {
    /// Opens the recording; its header is read by the first call of [`Source::next`].
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when it cannot be opened.
    pub fn build(&self) -> Result<ReplaySource, CaptureError> {
        Ok(ReplaySource { input: Input::open("replay", &self.origin)?, line: 0, last: None })
    }
}

/// A landmark recording.
#[derive(Debug)]
pub struct ReplaySource {
    input: Input,
    line: u64,
    last: Option<(Timestamp, u64)>,
}

impl Source for ReplaySource {
    fn name(&self) -> String {
        self.input.name().to_owned()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        let deadline = Instant::now() + timeout;
        loop {
            let length = match self.input.line(MAX_LINE, deadline)? {
                (Fill::Timeout, _) => return Ok(Step::Timeout),
                (Fill::End, _) if self.line == 0 => {
                    return Err(self.input.malformed("the recording is empty: it has no header line"));
                }
                (Fill::End, _) => return Ok(Step::End),
                (Fill::Ready, length) => length,
            };
            self.line += 1;
            let line = self.input.bytes().get(..length).unwrap_or(&[]);
            let row = if self.line == 1 {
                header(line).map(|()| None)
            } else if line.iter().all(u8::is_ascii_whitespace) {
                Ok(None)
            } else {
                self.row(line).map(Some)
            };
            let row = row.map_err(|why| self.input.malformed(&format!("line {}: {why}", self.line)))?;
            self.input.consume(length + 1);
            if let Some(row) = row {
                self.last = Some((row.us, row.seq));
                (frame.time, frame.sequence, frame.lost_before) = (row.us, row.seq, row.lost);
                frame.content = Content::Faces(row.faces);
                return Ok(Step::Frame);
            }
        }
    }
}

impl ReplaySource {
    fn row(&self, line: &[u8]) -> Result<Row, String> {
        let row: Row = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        if let Some((time, sequence)) = self.last {
            if row.us <= time {
                return Err(format!("time {} us does not come after {} us", row.us.as_micros(), time.as_micros()));
            }
            let wanted = sequence.saturating_add(1).saturating_add(u64::from(row.lost));
            if row.seq != wanted {
                return Err(format!(
                    "sequence {} after {sequence} with {} lost; {wanted} was expected",
                    row.seq, row.lost
                ));
            }
        }
        if let Some(face) = row.faces.iter().find(|f| f.confidence.iter().any(|c| !(0.0..=1.0).contains(c))) {
            return Err(format!("a confidence of face {} is not from 0 to 1", face.id.0));
        }
        Ok(row)
    }
}

fn header(line: &[u8]) -> Result<(), String> {
    let wanted = format!("the first line must be {{\"mercam\":\"{FORMAT}\",\"version\":{VERSION},...}}");
    let header: Header = serde_json::from_slice(line).map_err(|e| format!("{wanted}: {e}"))?;
    if header.mercam != FORMAT {
        return Err(format!("{wanted}; this is \"{}\"", header.mercam.escape_default()));
    }
    if header.version != VERSION {
        return Err(format!(
            "version {} of the format is not known here; this program reads version {VERSION}",
            header.version
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::capture::testing::{collect, write};
    use crate::frame::FaceId;
    use crate::geometry::{Px, Rect};
    use crate::landmarks::COUNT;
    use proptest::prelude::*;

    fn face(id: u32, x: f32) -> Face {
        let landmarks = std::array::from_fn(|i| Px::new(x + i as f32 * 0.123, 2.0 * x - i as f32));
        Face { id: FaceId(id), bounds: Rect::around(landmarks), landmarks, confidence: [0.75; COUNT] }
    }

    fn recording(frames: &[(i64, u64, u32, Vec<Face>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = LandmarkWriter::new(&mut bytes, "test").unwrap();
        for (us, seq, lost, faces) in frames {
            writer.write(Timestamp::from_micros(*us), *seq, *lost, faces).unwrap();
        }
        writer.flush().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<Frame>, Result<(), CaptureError>) {
        let file = write(bytes);
        collect(&mut ReplaySpec { origin: Origin::File(file.path().to_owned()) }.build().unwrap())
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let frames = vec![
            (-5, 7, 7, vec![face(1, 100.1), face(2, -3.7)]),
            (0, 8, 0, vec![]),
            (33_367, 11, 2, vec![face(1, 1.0 / 3.0)]),
        ];
        let (read, end) = read(&recording(&frames));
        end.unwrap();
        assert_eq!(read.len(), 3);
        for (got, (us, seq, lost, faces)) in read.iter().zip(frames) {
            assert_eq!((got.time.as_micros(), got.sequence, got.lost_before), (us, seq, lost));
            assert_eq!(got.content, Content::Faces(faces));
        }
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused_when_writing() {
        let mut writer = LandmarkWriter::new(Vec::new(), "test").unwrap();
        let e = writer.write(Timestamp::default(), 3, 0, &[face(1, f32::NAN)]).unwrap_err().to_string();
        assert!(e.contains("frame 3") && e.contains("face 1"), "{e}");
    }

    #[test]
    fn errors_name_the_line() {
        let good = String::from_utf8(recording(&[(0, 0, 0, vec![]), (10, 1, 0, vec![])])).unwrap();
        let add = |line: &str| format!("{good}{line}\n");
        for (text, message) in [
            (String::new(), "empty"),
            ("{}\n".into(), "line 1: the first line"),
            ("{\"mercam\":\"events\",\"version\":1}\n".into(), "line 1"),
            ("{\"mercam\":\"landmarks\",\"version\":2}\n".into(), "version 2"),
            (add("nonsense"), "line 4"),
            (add("{\"us\":10,\"seq\":2,\"lost\":0,\"faces\":[]}"), "line 4: time 10 us"),
            (add("{\"us\":20,\"seq\":9,\"lost\":0,\"faces\":[]}"), "line 4: sequence 9 after 1"),
            (add("{\"us\":20,\"seq\":2,\"lost\":0,\"faces\":[],\"x\":1}"), "line 4: unknown field"),
            (add("{\"us\":20,\"seq\":2,\"lost\":0,\"faces\":[{\"id\":1}]}"), "line 4: missing field"),
            (good.replace("\n", ""), "line 1"),
        ] {
            let e = read(text.as_bytes()).1.unwrap_err().to_string();
            assert!(e.contains(message), "{e} should contain {message}");
        }
        let mut doubtful = face(1, 5.0);
        doubtful.confidence[3] = 1.5;
        let e = read(&recording(&[(0, 0, 0, vec![doubtful])])).1.unwrap_err().to_string();
        assert!(e.contains("line 2") && e.contains("confidence"), "{e}");
    }

    #[test]
    fn a_cut_recording_gives_its_whole_lines() {
        let bytes = recording(&[(0, 0, 0, vec![face(1, 1.0)]), (10, 1, 0, vec![face(1, 1.0)])]);
        let (frames, end) = read(&bytes[..bytes.len() - 20]);
        assert_eq!(frames.len(), 1);
        assert!(end.unwrap_err().to_string().contains("line 3"));
    }

    proptest! {
        #[test]
        fn hostile_lines_never_panic(lines in proptest::collection::vec("[\\PC]{0,60}", 0..6)) {
            let text = format!("{{\"mercam\":\"landmarks\",\"version\":1}}\n{}", lines.join("\n"));
            let _ = read(text.as_bytes());
        }

        #[test]
        fn random_bytes_end_in_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).1.is_err());
        }
    }
}
