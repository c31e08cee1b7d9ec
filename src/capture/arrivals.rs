//! Times of frames that come through a pipe from a camera: a pipe carries no times, so those of arrival are taken, and
//! frames that the writer lost are known from the gaps.

use super::rate::Rate;
use crate::time::Timestamp;

/// A frame that comes within this share of an interval behind another one had waited somewhere.
const WAITED: f64 = 0.25;

/// What is known of a frame from its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// When it was there.
    pub time: Timestamp,
    /// Frames that did not come before it.
    pub lost: u32,
}

/// Follows the arrivals of one stream.
#[derive(Debug)]
pub struct Arrivals {
    interval_us: f64,
    /// Arrival of the last frame, of whichever kind.
    last: Option<i64>,
    /// Arrival of the last frame that counted.
    counted: Option<i64>,
}

impl Arrivals {
    /// For a stream of this rate.
    pub fn new(rate: Rate) -> Self {
        Self { interval_us: rate.interval_us(), last: None, counted: None }
    }

    /// Notes a frame that was there at `us`, on any rising clock. `None` when it had waited somewhere: then its arrival
    /// says nothing about its time, and it is left out; the gap in front of those it waited with has counted it.
    pub fn saw(&mut self, us: i64) -> Option<Arrived> {
        let since = |before: Option<i64>| before.map(|b| us.saturating_sub(b) as f64 / self.interval_us);
        let (step, gap) = (since(self.last), since(self.counted));
        self.last = Some(us);
        if step.is_some_and(|s| s < WAITED) {
            return None;
        }
        self.counted = Some(us);
        // A float to integer cast saturates.
        Some(Arrived { time: Timestamp::from_micros(us), lost: gap.map_or(0, |g| (g.round() - 1.0).max(0.0) as u32) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Lost frames before each frame, at 100 frames/s and these arrivals in ms; `None` for one that was left out.
    fn lost(ms: &[f64]) -> Vec<Option<u32>> {
        let mut arrivals = Arrivals::new(Rate::new(100, 1).unwrap());
        ms.iter().map(|ms| arrivals.saw((ms * 1000.0) as i64).map(|a| a.lost)).collect()
    }

    #[test]
    fn jitter_is_no_loss_and_a_gap_is() {
        assert_eq!(lost(&[0.0, 11.0, 19.0, 30.5, 39.0]), [Some(0); 5]);
        assert_eq!(lost(&[0.0, 10.0, 40.0, 50.0]), [Some(0), Some(0), Some(2), Some(0)]);
    }

    #[test]
    fn frames_that_waited_together_are_left_out_but_for_the_first() {
        // The writer was held up for 40 ms and then hands over what it kept: three frames at once, the first of them
        // after a gap of three, and time goes on.
        let seen = lost(&[0.0, 40.0, 40.5, 41.0, 50.0, 60.0]);
        assert_eq!(seen, [Some(0), Some(3), None, None, Some(0), Some(0)]);
    }
}
