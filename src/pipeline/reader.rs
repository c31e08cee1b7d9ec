//! The capture thread: reads the source, notices stalls, and hands frames on.
//!
//! A live source opens itself again when it fails; an error that gets here is final.

use super::channel::Outlet;
use super::shutdown::Shutdown;
use super::thinner::Thinner;
use crate::capture::{CaptureError, Source, Step, blank_frame};
use crate::clock::Stopwatch;
use crate::frame::Frame;
use crate::health::vitals::Vitals;
use crate::time::Timestamp;
use crossbeam_channel::Receiver;
use std::time::Duration;

/// A source has stalled when no frame came for two frame intervals, but at least for this long.
const STALL_FLOOR: Duration = Duration::from_secs(2);
/// How long one look at the source may take; bounds how late a shutdown is noticed.
const POLL: Duration = Duration::from_millis(100);

/// What the capture thread saw, told when it ends.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReaderReport {
    /// Frames delivered by the source.
    pub frames: u64,
    /// Times the source stalled.
    pub stalls: u64,
}

/// Reads `source` until it ends, the stop is asked for, or `limit` of source time has passed.
/// Frames whose memory is free again come back through `spare`.
///
/// # Errors
/// The error of a source that cannot go on.
pub fn read(
    source: &mut dyn Source,
    limit: Option<Duration>,
    frames: &Outlet<Frame>,
    spare: &Receiver<Frame>,
    vitals: &Vitals,
    stop: &Shutdown,
) -> Result<ReaderReport, CaptureError> {
    let mut report = ReaderReport::default();
    let mut first: Option<Timestamp> = None;
    let mut watch = StallWatch::new();
    let mut frame = blank_frame();
    let mut thinner = Thinner::default();
    while !stop.requested() {
        let step = source.next(&mut frame, POLL)?;
        vitals.attempts(source.attempts());
        match step {
            Step::Frame => {
                if let Some(silent) = watch.saw(frame.time) {
                    log::info!("frames come again after {:.1} s: {}", silent.as_secs_f64(), source.name());
                }
                let start = *first.get_or_insert(frame.time);
                if limit.is_some_and(|l| frame.time.micros_since(start) > l.as_micros() as i64) {
                    break;
                }
                report.frames += 1;
                vitals.captured();
                if source.is_live() && !thinner.passes(&mut frame, vitals.left_out()) {
                    continue;
                }
                let next = spare.try_recv().unwrap_or_else(|_| blank_frame());
                match frames.send(std::mem::replace(&mut frame, next)) {
                    Ok(Some(evicted)) => frame = evicted,
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
            Step::Timeout => {
                if let Some(silent) = watch.stalled() {
                    report.stalls += 1;
                    log::warn!("stalled, no frame for {:.1} s: {}", silent.as_secs_f64(), source.name());
                }
            }
            Step::End => break,
        }
    }
    Ok(report)
}

/// Notices that frames have stopped coming, and says so once.
#[derive(Debug)]
struct StallWatch {
    since: Stopwatch,
    last: Option<Timestamp>,
    interval: Duration,
    told: bool,
}

impl StallWatch {
    fn new() -> Self {
        Self { since: Stopwatch::start(), last: None, interval: Duration::ZERO, told: false }
    }

    /// Notes a frame. Returns how long none came, when that had been told.
    fn saw(&mut self, time: Timestamp) -> Option<Duration> {
        if let Some(last) = self.last {
            self.interval = Duration::from_micros(time.micros_since(last).max(0) as u64);
        }
        self.last = Some(time);
        let silent = self.since.lap();
        std::mem::take(&mut self.told).then_some(silent)
    }

    /// How long nothing came, once that is too long and has not been told yet.
    fn stalled(&mut self) -> Option<Duration> {
        let silent = self.since.elapsed();
        let stalled = silent > STALL_FLOOR.max(self.interval * 2) && !self.told;
        self.told |= stalled;
        stalled.then_some(silent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::channel::{Policy, bounded};
    use super::*;

    /// Delivers `frames` frames of 10 ms, then nothing more.
    struct Silent {
        frames: u64,
        sent: u64,
    }

    impl Source for Silent {
        fn name(&self) -> String {
            "silent".into()
        }
        fn is_live(&self) -> bool {
            true
        }
        fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
            if self.sent == self.frames {
                std::thread::sleep(timeout);
                return Ok(Step::Timeout);
            }
            (frame.sequence, frame.time) = (self.sent, Timestamp::from_micros(10_000 * self.sent as i64));
            self.sent += 1;
            Ok(Step::Frame)
        }
    }

    #[test]
    fn a_source_that_falls_silent_is_noticed_and_can_be_stopped() {
        let stop = Shutdown::new();
        let (frames, inbox) = bounded("frames", 64, Policy::Block);
        let (_give_back, spare) = crossbeam_channel::bounded(1);
        let stopper = stop.clone();
        let reader = std::thread::spawn(move || {
            read(&mut Silent { frames: 10, sent: 0 }, None, &frames, &spare, &Vitals::default(), &stopper).unwrap()
        });
        std::thread::sleep(STALL_FLOOR + Duration::from_millis(400));
        stop.request();
        assert_eq!(reader.join().unwrap(), ReaderReport { frames: 10, stalls: 1 });
        assert_eq!(inbox.try_iter().count(), 10);
    }

    #[test]
    fn the_limit_is_of_source_time() {
        let (frames, inbox) = bounded("frames", 64, Policy::Block);
        let (_give_back, spare) = crossbeam_channel::bounded(1);
        let limit = Some(Duration::from_millis(50));
        read(&mut Silent { frames: 60, sent: 0 }, limit, &frames, &spare, &Vitals::default(), &Shutdown::new())
            .unwrap();
        drop(frames);
        assert_eq!(inbox.iter().map(|f| f.sequence).max(), Some(5));
    }
}
