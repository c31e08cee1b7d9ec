//! What goes on beside the line: counters for whoever watches over it, and a recording of what it saw.

use super::RunError;
use crate::capture::LandmarkWriter;
use crate::frame::{Face, Frame};
use crate::health::vitals::Vitals;
use crate::metrics::Metrics;
use crate::time::Timestamp;
use std::io::Write;

/// How much source time of a recording may be lost when the power fails.
const FLUSH_MS: f64 = 1000.0;

/// Beside the line; the default is nothing.
#[derive(Default)]
pub struct Aside {
    /// Counters, to be read elsewhere.
    pub vitals: Vitals,
    /// Where the landmarks of each analysed frame are written.
    pub recorder: Option<Recorder>,
    /// Where the state can be watched.
    pub metrics: Option<Metrics>,
}

/// Writes the landmarks of each analysed frame, so that a replay gives the same detections.
///
/// It works on the analysis thread on purpose: a slow disk then costs frames, which are counted, and never leaves a hole
/// between what was analysed and what was recorded.
pub struct Recorder {
    writer: LandmarkWriter<Box<dyn Write + Send>>,
    last: Option<u64>,
    flushed: Option<Timestamp>,
}

impl Recorder {
    /// Writes to `out`, header first. `source` says in the header where the landmarks come from.
    ///
    /// # Errors
    /// Whatever writing brings.
    pub fn new(out: Box<dyn Write + Send>, source: &str) -> std::io::Result<Self> {
        Ok(Self { writer: LandmarkWriter::new(out, source)?, last: None, flushed: None })
    }

    /// Adds a frame with what was found in it. The gap in front of it is taken from the numbers, so that frames which
    /// gave way to newer ones between camera and analysis are in the recording as well.
    pub(super) fn add(&mut self, frame: &Frame, faces: &[Face]) -> Result<(), RunError> {
        let lost = match self.last.replace(frame.sequence) {
            Some(last) => u32::try_from(frame.sequence.saturating_sub(last).saturating_sub(1)).unwrap_or(u32::MAX),
            None => frame.lost_before,
        };
        self.writer.write(frame.time, frame.sequence, lost, faces).map_err(RunError::Recording)?;
        if frame.time.ms_since(*self.flushed.get_or_insert(frame.time)) >= FLUSH_MS {
            self.flushed = Some(frame.time);
            self.finish()?;
        }
        Ok(())
    }

    /// Writes out what is held back.
    pub(super) fn finish(&mut self) -> Result<(), RunError> {
        self.writer.flush().map_err(RunError::Recording)
    }
}
