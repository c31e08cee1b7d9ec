//! What goes on beside the line: counters for whoever watches over it, a recording of what it saw, and changes of its
//! settings.

use super::RunError;
use super::analyser::Analyser;
use super::delivery::Delivery;
use crate::capture::LandmarkWriter;
use crate::frame::{Face, Frame};
use crate::health::vitals::Vitals;
use crate::metrics::Metrics;
use crate::sinks::Sink;
use crate::spotting::SpottingConfig;
use crate::time::Timestamp;
use crossbeam_channel::Receiver;
use std::io::Write;

/// How much source time of a recording may be lost when the power fails.
const FLUSH_MS: f64 = 1000.0;

/// Beside the line; the default is nothing.
pub struct Aside {
    /// Counters, to be read elsewhere.
    pub vitals: Vitals,
    /// Where the landmarks of each analysed frame are written.
    pub recorder: Option<Recorder>,
    /// Where the state can be watched.
    pub metrics: Option<Metrics>,
    /// Changes to be put in force while the line runs.
    pub changes: Receiver<Change>,
}

impl Default for Aside {
    fn default() -> Self {
        Self { vitals: Vitals::default(), recorder: None, metrics: None, changes: crossbeam_channel::never() }
    }
}

/// New settings for a line that runs. Everything in it has been checked and opened already.
pub struct Change {
    /// Thresholds of spotting.
    pub spotting: SpottingConfig,
    /// Probability of the class none above which a movement is rejected.
    pub reject_none_above: f32,
    /// Which of the present sinks stay, in their order.
    pub keep: Vec<bool>,
    /// Sinks that join them.
    pub sinks: Vec<Box<dyn Sink>>,
}

impl Change {
    /// Puts it in force between two frames.
    pub(super) fn apply(self, analyser: &mut Analyser, delivery: &mut Delivery) {
        if let Err(e) = analyser.configure(self.spotting, self.reject_none_above) {
            log::error!("the thresholds stay as they were: {e}");
        }
        if let Err(e) = delivery.replace(&self.keep, self.sinks) {
            log::error!("a new sink gets no thread: {e}");
        }
    }
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
