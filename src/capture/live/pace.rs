//! Whether a camera takes frames as fast as its mode promises. Automatic exposure lengthens the frames in the dark, often
//! to twice their length, and no driver says so.

use super::Rate;

/// Length of a measurement in microseconds of the driver's time.
const WINDOW_US: i64 = 2_000_000;
/// A camera that takes fewer than this share of the promised frames is slow.
const SLOW: f64 = 0.8;
/// One that takes this share again is as fast as promised.
const FAST: f64 = 0.92;

/// What a measurement brought to light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding {
    /// So many frames per second are taken, and more were promised.
    Slow(f64),
    /// They are as many as promised again.
    Fast(f64),
}

/// Measures, over windows of the driver's time. Frames that were taken and lost on the way are counted in, so that only
/// the camera itself is judged.
#[derive(Debug, Default)]
pub struct Pace {
    start: Option<i64>,
    frames: u32,
    slow: bool,
}

impl Pace {
    /// Notes a frame of the driver's time `us`, in front of which `lost` ones were lost. Says what is new.
    pub fn saw(&mut self, us: i64, lost: u32, promised: Option<Rate>) -> Option<Finding> {
        let promised = promised?.hertz();
        let Some(start) = self.start else {
            self.start = Some(us);
            return None;
        };
        self.frames = self.frames.saturating_add(1).saturating_add(lost);
        let span = us.saturating_sub(start);
        if (0..WINDOW_US).contains(&span) {
            return None;
        }
        let measured = f64::from(self.frames) * 1e6 / span as f64;
        (self.start, self.frames) = (Some(us), 0);
        let slow = measured < promised * if self.slow { FAST } else { SLOW };
        // A clock that jumped makes no rate.
        if !(0..=4 * WINDOW_US).contains(&span) || slow == self.slow {
            return None;
        }
        self.slow = slow;
        Some(if slow { Finding::Slow(measured) } else { Finding::Fast(measured) })
    }

    /// The camera was opened anew.
    pub fn begin_again(&mut self) {
        (self.start, self.frames) = (None, 0);
    }
}

/// What slows a camera down and what helps; `lengthens` is whether its automatic exposure may.
pub fn mend(lengthens: Option<bool>) -> &'static str {
    match lengthens {
        Some(true) => {
            "its automatic exposure lengthens the frames: give more light, or add ?exposure=keep_rate to the source"
        }
        Some(false) => {
            "its automatic exposure may not lengthen the frames; is the exposure time longer than a frame, or the USB bus too slow?"
        }
        None => {
            "in the dark automatic exposure lengthens the frames: give more light, or a shorter exposure if the camera can be told one (?exposure=10ms)"
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn findings(pace: &mut Pace, from: i64, fps: f64, frames: u32, lost: u32) -> Vec<Finding> {
        let rate = Rate::new(30, 1);
        let time = |k: u32| from + (f64::from(k * (lost + 1)) * 1e6 / fps) as i64;
        (0..frames).filter_map(|k| pace.saw(time(k), lost, rate)).collect()
    }

    #[test]
    fn a_halved_rate_is_told_once_and_so_is_the_end_of_it() {
        let mut pace = Pace::default();
        assert_eq!(findings(&mut pace, 0, 30.0, 300, 0), []);
        let slow = findings(&mut pace, 10_000_000, 15.0, 150, 0);
        assert!(matches!(slow[..], [Finding::Slow(rate)] if (14.0..16.5).contains(&rate)), "{slow:?}");
        let fast = findings(&mut pace, 20_000_000, 30.0, 300, 0);
        assert!(matches!(fast[..], [Finding::Fast(rate)] if (28.0..30.5).contains(&rate)), "{fast:?}");
    }

    #[test]
    fn lost_frames_a_slightly_slow_camera_and_a_new_clock_are_no_dark_room() {
        assert_eq!(findings(&mut Pace::default(), 0, 30.0, 100, 1), [], "every second frame was lost on the way");
        assert_eq!(findings(&mut Pace::default(), 0, 25.0, 300, 0), []);
        let mut pace = Pace::default();
        findings(&mut pace, 0, 30.0, 70, 0);
        assert_eq!(findings(&mut pace, 900_000_000, 30.0, 200, 0), []);
        assert_eq!(findings(&mut pace, 5, 30.0, 200, 0), []);
        pace.begin_again();
        assert_eq!(findings(&mut pace, 77_000_000, 30.0, 200, 0), []);
        assert_eq!(Pace::default().saw(0, 0, None), None);
    }
}
