//! Frame rates as exact fractions and picture sizes as text, the way sources and their options write them.

use super::CaptureError;
use crate::time::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Widest and highest picture that any source delivers, in pixels. More is a damaged header, not a camera.
pub const MAX_SIDE: u32 = 8192;

/// Frames per second as an exact fraction, between 1/1000 and 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// `num / den` frames per second; `None` outside 1/1000 to 10 000 frames per second.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        let (n, d) = (num as u64, den as u64);
        if n > 0 && d > 0 && n <= d * 10_000 && d <= n * 1000 { Some(Self { num, den }) } else { None }
    }

    /// Frames per second, rounded to a number that can be compared and printed.
    pub fn hertz(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Numerator and denominator.
    pub const fn parts(self) -> (u32, u32) {
        (self.num, self.den)
    }

    /// Time between two frames in microseconds.
    pub fn interval_us(self) -> f64 {
        1e6 / self.hertz()
    }

    /// Time of frame `k`, counted from frame 0, rounded to the microsecond. Computed from `k`, never summed
    /// up, so it does not drift; strictly rising because a rate is at most 10 000.
    pub fn time_of(self, k: u64) -> Timestamp {
        let (num, den) = (u128::from(self.num), u128::from(self.den));
        let us = (u128::from(k) * den * 1_000_000 + num / 2) / num;
        Timestamp::from_micros(i64::try_from(us).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

impl FromStr for Rate {
    type Err = CaptureError;

    /// Reads `90`, `29.97` or `30000/1001`.
    fn from_str(s: &str) -> Result<Self, CaptureError> {
        let parsed = if let Some((n, d)) = s.split_once('/') {
            n.parse().ok().zip(d.parse().ok())
        } else if let Some((whole, part)) = s.split_once('.') {
            decimal(whole, part)
        } else {
            s.parse().ok().map(|n| (n, 1))
        };
        parsed.and_then(|(n, d)| Self::new(n, d)).ok_or_else(|| {
            CaptureError::Spec(format!(
                "\"{s}\" is no frame rate: write frames per second, such as 90, 29.97 or 30000/1001 (0.001 to 10000)"
            ))
        })
    }
}

/// `whole.part` as a fraction over a power of ten, at most six decimals.
fn decimal(whole: &str, part: &str) -> Option<(u32, u32)> {
    if part.is_empty() || part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = 10u32.checked_pow(u32::try_from(part.len()).ok()?)?;
    let whole: u32 = whole.parse().ok()?;
    let num = whole.checked_mul(scale)?.checked_add(part.parse().ok()?)?;
    Some((num, scale))
}

/// Size of a picture in pixels, each side from 1 to [`MAX_SIDE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size; `None` when a side is 0 or longer than [`MAX_SIDE`].
    pub const fn new(width: u32, height: u32) -> Option<Self> {
        if width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE {
            Some(Self { width, height })
        } else {
            None
        }
    }

    /// Number of pixels.
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = CaptureError;

    /// Reads `640x480`.
    fn from_str(s: &str) -> Result<Self, CaptureError> {
        s.split_once(['x', 'X'])
            .and_then(|(w, h)| Self::new(w.parse().ok()?, h.parse().ok()?))
            .ok_or_else(|| CaptureError::Spec(format!(
                "\"{s}\" is no picture size: write WIDTHxHEIGHT in pixels, such as 640x480, each side at most {MAX_SIDE}"
            )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_read_in_three_ways() {
        assert_eq!("90".parse::<Rate>().unwrap(), Rate::new(90, 1).unwrap());
        assert_eq!("29.97".parse::<Rate>().unwrap().parts(), (2997, 100));
        assert_eq!("30000/1001".parse::<Rate>().unwrap().parts(), (30000, 1001));
        for bad in ["", "0", "-1", "1/0", "0/0", "20000", "fast", "1.", ".5x", "99999999999", "1.1234567"] {
            let e = bad.parse::<Rate>().unwrap_err().to_string();
            assert!(e.contains("frame rate"), "{bad}: {e}");
        }
    }

    #[test]
    fn a_long_recording_does_not_drift() {
        let ntsc = Rate::new(30000, 1001).unwrap();
        // 30 000 frames of 1001/30000 s are exactly 1001 s, a summed 33 367 us would be 10 ms late.
        assert_eq!(ntsc.time_of(30_000).as_micros(), 1_001_000_000);
        assert_eq!(ntsc.time_of(1).as_micros(), 33_367);
        assert_eq!(ntsc.time_of(0).as_micros(), 0);
    }

    #[test]
    fn sizes_have_bounds() {
        assert_eq!("640x480".parse::<Size>().unwrap(), Size { width: 640, height: 480 });
        for bad in ["640", "0x480", "640x", "x", "9000x1", "640x480x3", "-1x4"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printed_rates_read_back_and_times_rise(n in 1u32..100_000, d in 1u32..100_000, k in 0u64..1_000_000_000) {
            if let Some(r) = Rate::new(n, d) {
                prop_assert_eq!(r.to_string().parse::<Rate>().unwrap(), r);
                prop_assert!(r.time_of(k) < r.time_of(k + 1));
            }
        }
    }
}
