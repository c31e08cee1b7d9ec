//! What is known about a camera's frames: their numbers and times, what was lost and why, and their pictures.

use super::super::mjpeg::MjpegDecoder;
use super::super::modes::{CameraFormat, Mode};
use super::super::take_luma;
use super::super::timeline::{Clock, ClockKind, lost_between};
use super::Buffer;
use super::pace::{Finding, Pace};
use crate::frame::{Content, Frame, Luma};
use crate::time::Timestamp;
use std::time::Duration;

/// A camera that is silent for so long (or for four frame intervals) is opened again.
pub const STALL: Duration = Duration::from_secs(5);

/// What happened to a camera's frames so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveCounts {
    /// Frames handed on.
    pub delivered: u64,
    /// Lost by the driver (gaps in its numbers).
    pub lost: u64,
    /// Skipped because a newer one was there.
    pub skipped: u64,
    /// Flagged as damaged by the driver.
    pub damaged: u64,
    /// Not decodable.
    pub corrupt: u64,
    /// Not later than the frame before.
    pub unordered: u64,
    /// Times the camera was opened again.
    pub reopened: u64,
    /// Attempts to open it again that failed.
    pub attempts: u64,
}

/// What is known about the frames so far.
pub struct Book {
    pub name: String,
    pub mode: Mode,
    clock: Clock,
    jpeg: MjpegDecoder,
    pub counts: LiveCounts,
    /// Driver's number and time of the last buffer since the camera was opened.
    last: Option<(u32, i64)>,
    /// Number of the next frame if nothing is lost.
    sequence: u64,
    /// Lost since the last frame that was delivered.
    pending: u32,
    /// The camera was opened again and has not delivered since.
    resumed: bool,
    pace: Pace,
    /// What the pace brought to light and nobody has told yet.
    pub finding: Option<Finding>,
}

impl Book {
    pub fn new(name: String, mode: Mode) -> Self {
        Self {
            name,
            mode,
            clock: Clock::default(),
            jpeg: MjpegDecoder::default(),
            counts: LiveCounts::default(),
            last: None,
            sequence: 0,
            pending: 0,
            resumed: false,
            pace: Pace::default(),
            finding: None,
        }
    }

    pub fn begin_again(&mut self, mode: Mode) {
        self.mode = mode;
        self.counts.reopened += 1;
        (self.last, self.resumed) = (None, true);
        self.pace.begin_again();
    }

    fn interval_us(&self) -> Option<f64> {
        self.mode.rate.map(|r| r.interval_us())
    }

    /// How long a camera may be silent.
    pub fn patience(&self) -> Duration {
        let four = self.interval_us().map_or(Duration::ZERO, |us| Duration::from_micros((4.0 * us) as u64));
        STALL.max(four)
    }

    /// Enters one buffer; `true` when `frame` was filled from it.
    pub fn enter(&mut self, buffer: &Buffer<'_>, skip: bool, stride: usize, arrival: i64, frame: &mut Frame) -> bool {
        let lost = self.last.map_or(0, |(sequence, us)| {
            lost_between(sequence, buffer.sequence, buffer.us.saturating_sub(us), self.interval_us())
        });
        self.counts.lost += u64::from(lost);
        self.pending = self.pending.saturating_add(lost);
        self.finding = self.pace.saw(buffer.us, lost, self.mode.rate).or(self.finding);
        self.last = Some((buffer.sequence, buffer.us));
        match self.judge(buffer, skip, stride, arrival, frame) {
            Some(us) => {
                self.sequence += u64::from(self.pending);
                frame.time = Timestamp::from_micros(us);
                frame.sequence = self.sequence;
                frame.lost_before = std::mem::take(&mut self.pending);
                self.sequence += 1;
                self.counts.delivered += 1;
                true
            }
            None => {
                self.pending = self.pending.saturating_add(1);
                false
            }
        }
    }

    /// Time of the buffer's picture when it is good and wanted; the picture is in `frame` then.
    fn judge(
        &mut self,
        buffer: &Buffer<'_>,
        skip: bool,
        stride: usize,
        arrival: i64,
        frame: &mut Frame,
    ) -> Option<i64> {
        if buffer.damaged {
            self.counts.damaged += 1;
            return None;
        }
        if skip {
            self.counts.skipped += 1;
            return None;
        }
        let mut luma = take_luma(frame);
        let decoded = self.decode(buffer.bytes, stride, &mut luma);
        frame.content = Content::Picture(luma);
        if let Err(why) = decoded {
            self.counts.corrupt += 1;
            if self.counts.corrupt == 1 {
                log::warn!("{}: a frame cannot be read: {why}; such frames are skipped and counted", self.name);
            }
            return None;
        }
        let before = self.clock.last();
        let first = self.clock.kind().is_none();
        let Some(us) = self.clock.stamp(buffer.us, buffer.monotonic, arrival) else {
            self.counts.unordered += 1;
            return None;
        };
        if first && self.clock.kind() == Some(ClockKind::Arrival) {
            log::warn!(
                "{}: the driver's frame times are not on the monotonic clock; using the time of arrival, which is less exact",
                self.name
            );
        }
        if std::mem::take(&mut self.resumed) {
            self.count_the_pause(before, us);
        }
        Some(us)
    }

    /// Frames that were not taken while the camera was away, from the time that passed.
    fn count_the_pause(&mut self, before: Option<i64>, now: i64) {
        if let Some((before, interval)) = before.zip(self.interval_us()) {
            let missed = (now.saturating_sub(before) as f64 / interval).round() - 1.0;
            // A float to integer cast saturates, so a pause of years is still a number.
            self.pending = self.pending.max(missed as u32);
        }
    }

    fn decode(&mut self, bytes: &[u8], stride: usize, luma: &mut Luma) -> Result<(), String> {
        match self.mode.format {
            CameraFormat::Plain(f) => f.to_luma(bytes, stride, self.mode.size, luma).map_err(|e| e.to_string()),
            CameraFormat::Mjpeg => self.jpeg.decode(bytes, self.mode.size, luma),
        }
    }
}
