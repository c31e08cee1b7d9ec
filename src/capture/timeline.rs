//! Arithmetic on what drivers say about time and sequence: pure, so that it can be tested without a camera.

/// The shortest time between two frames that any camera here is taken to have.
const SHORTEST_INTERVAL_US: f64 = 1000.0;
/// A driver's clock further than this from the system's monotonic clock is another clock.
const FOREIGN_US: i64 = 10_000_000;
/// A step back by more than this means that the driver's clock began anew, not that two frames swapped.
const RESTART_US: i64 = 1_000_000;

/// Frames that a driver lost between two buffers it delivered one after the other.
///
/// `elapsed_us` is the time between the two and `interval_us` the time between frames, as far as it is
/// known. The sequence is 32 bits wide and wraps. It may repeat (vivid begins 0, 0, 1) or go back, which
/// loses nothing, and it may jump further than time allows (v4l2loopback takes over its writer's number
/// after the first buffer), which is not a loss either.
pub fn lost_between(last: u32, now: u32, elapsed_us: i64, interval_us: Option<f64>) -> u32 {
    let step = now.wrapping_sub(last);
    if step <= 1 || step > u32::MAX / 2 {
        return 0;
    }
    let lost = step - 1;
    let interval = interval_us.unwrap_or(SHORTEST_INTERVAL_US).max(SHORTEST_INTERVAL_US);
    // Twice the time and four frames of tolerance: drivers are not exact, and a jump is thousands.
    let possible = 2.0 * elapsed_us.max(0) as f64 / interval + 4.0;
    if f64::from(lost) <= possible { lost } else { 0 }
}

/// What a frame's time was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// The driver's time of the exposure, on the monotonic clock.
    Driver,
    /// The time at which the frame arrived here, because the driver's is of no use.
    Arrival,
}

/// Turns the drivers' times into one that always rises.
#[derive(Debug, Default)]
pub struct Clock {
    kind: Option<ClockKind>,
    shift: i64,
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    out: i64,
    arrival: i64,
}

impl Clock {
    /// The kind chosen at the first frame.
    pub fn kind(&self) -> Option<ClockKind> {
        self.kind
    }

    /// The time of the last frame that was given one.
    pub fn last(&self) -> Option<i64> {
        self.last.map(|l| l.out)
    }

    /// Time of a frame in microseconds; `None` when it is not later than the frame before it.
    ///
    /// `monotonic` is the driver's promise that `driver` is CLOCK_MONOTONIC; `arrival` is that clock now.
    /// Without the promise the driver's time counts if it is near that clock. A driver whose clock begins
    /// anew (after it was opened again) is carried on from the time that has really passed.
    pub fn stamp(&mut self, driver: i64, monotonic: bool, arrival: i64) -> Option<i64> {
        let kind = *self.kind.get_or_insert(if monotonic || driver.abs_diff(arrival) < FOREIGN_US as u64 {
            ClockKind::Driver
        } else {
            ClockKind::Arrival
        });
        let raw = match kind {
            ClockKind::Driver => driver,
            ClockKind::Arrival => arrival,
        };
        let mut out = raw.saturating_add(self.shift);
        if let Some(last) = self.last {
            if last.out.saturating_sub(out) > RESTART_US {
                let passed = arrival.saturating_sub(last.arrival).max(1);
                self.shift = last.out.saturating_add(passed).saturating_sub(raw);
                out = raw.saturating_add(self.shift);
            }
            if out <= last.out {
                return None;
            }
        }
        self.last = Some(Last { out, arrival });
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const FPS30: Option<f64> = Some(33_333.0);

    #[test]
    fn gaps_are_counted_over_the_wrap() {
        assert_eq!(lost_between(4, 5, 33_333, FPS30), 0);
        assert_eq!(lost_between(4, 6, 66_666, FPS30), 1);
        assert_eq!(lost_between(u32::MAX, 0, 33_333, FPS30), 0);
        assert_eq!(lost_between(u32::MAX - 1, 2, 133_333, FPS30), 3);
    }

    #[test]
    fn a_repeated_sequence_does_not_lose_four_billion_frames() {
        assert_eq!(lost_between(0, 0, 33_333, FPS30), 0);
        assert_eq!(lost_between(7, 3, 33_333, FPS30), 0);
        assert_eq!(lost_between(7, 3, 33_333, None), 0);
    }

    #[test]
    fn a_jump_that_time_does_not_allow_is_no_loss() {
        assert_eq!(lost_between(0, 120_000, 33_333, FPS30), 0);
        assert_eq!(lost_between(0, 120_000, 33_333, None), 0);
        // Ten seconds of silence do allow three hundred frames.
        assert_eq!(lost_between(0, 301, 10_000_000, FPS30), 300);
    }

    #[test]
    fn the_drivers_time_is_taken_when_it_can_be_believed() {
        let mut c = Clock::default();
        assert_eq!(c.stamp(5_000, true, 9_999_999_999), Some(5_000));
        assert_eq!(c.kind(), Some(ClockKind::Driver));
        let mut c = Clock::default();
        assert_eq!(c.stamp(5_000_000, false, 5_020_000), Some(5_000_000));
        let mut c = Clock::default();
        assert_eq!(c.stamp(1_700_000_000_000_000, false, 77), Some(77), "wall-clock stamps are not monotonic");
        assert_eq!(c.kind(), Some(ClockKind::Arrival));
    }

    #[test]
    fn frames_that_are_not_later_have_no_time() {
        let mut c = Clock::default();
        assert_eq!(c.stamp(100, true, 100), Some(100));
        assert_eq!(c.stamp(100, true, 110), None);
        assert_eq!(c.stamp(90, true, 120), None);
        assert_eq!(c.stamp(140, true, 140), Some(140));
    }

    #[test]
    fn a_clock_that_begins_anew_is_carried_on() {
        let mut c = Clock::default();
        assert_eq!(c.stamp(9_223_372_020_000_000, true, 1_000_000), Some(9_223_372_020_000_000));
        assert_eq!(c.stamp(0, true, 1_500_000), Some(9_223_372_020_500_000));
        assert_eq!(c.stamp(33_000, true, 1_533_000), Some(9_223_372_020_533_000));
    }

    proptest! {
        #[test]
        fn times_always_rise(frames in proptest::collection::vec((any::<i64>(), any::<bool>(), any::<i64>()), 0..40)) {
            let mut clock = Clock::default();
            let mut last = None;
            for (driver, monotonic, arrival) in frames {
                if let Some(t) = clock.stamp(driver, monotonic, arrival) {
                    prop_assert!(last.is_none_or(|l| l < t));
                    last = Some(t);
                }
            }
        }
    }
}
