//! The true frame rate, from the frames' own times.

use crate::time::Timestamp;

/// Length of the window over which the rate is measured.
const WINDOW_MS: f64 = 1000.0;

/// Measures frames per second over windows of source time, counting intervals and not frames
/// (N frames span N - 1 intervals: counting frames reads high).
#[derive(Debug, Default)]
pub struct RateMeter {
    start: Option<Timestamp>,
    intervals: u32,
    fps: f32,
}

impl RateMeter {
    /// Notes a frame.
    pub fn saw(&mut self, time: Timestamp) {
        let Some(start) = self.start else {
            self.start = Some(time);
            return;
        };
        let span = time.ms_since(start);
        if span < 0.0 {
            *self = Self { start: Some(time), ..Self::default() }; // the source began again
            return;
        }
        self.intervals += 1;
        if span >= WINDOW_MS || self.fps == 0.0 && span > 0.0 {
            self.fps = (f64::from(self.intervals) * 1000.0 / span) as f32;
        }
        if span >= WINDOW_MS {
            (self.start, self.intervals) = (Some(time), 0);
        }
    }

    /// Frames per second; 0 before the second frame.
    pub fn fps(&self) -> f32 {
        self.fps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_frames_per_second_read_as_thirty() {
        let mut meter = RateMeter::default();
        for k in 0..100 {
            meter.saw(Timestamp::from_secs(f64::from(k) / 30.0));
        }
        assert!((meter.fps() - 30.0).abs() < 0.01, "{}", meter.fps());
    }

    #[test]
    fn a_clock_that_goes_back_starts_a_new_window() {
        let mut meter = RateMeter::default();
        for t in [5.0, 5.01, 0.0, 0.02, 0.04] {
            meter.saw(Timestamp::from_secs(t));
        }
        assert!((meter.fps() - 50.0).abs() < 0.01);
    }
}
