//! Event time: the driver's, in microseconds, monotonic. The wall clock appears only at the edge.

use serde::{Deserialize, Serialize};

/// A point on the source's monotonic clock, in microseconds.
///
/// The origin is the source's own (boot for a camera, the first frame for a file), so only differences
/// within one source mean something. Every duration in mercam is a difference of two of these; none is
/// ever a number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A time stamp from microseconds.
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    /// A time stamp from seconds, rounded to the microsecond.
    pub fn from_secs(s: f64) -> Self {
        Self((s * 1e6).round() as i64)
    }

    /// Microseconds since the source's origin.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds since the source's origin.
    pub fn as_secs(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later. Never overflows.
    pub fn ms_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e3
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later. Saturates.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved by `us` microseconds. Saturates.
    pub const fn plus_micros(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// This time moved by `ms` milliseconds. Saturates.
    pub fn plus_ms(self, ms: f64) -> Self {
        self.plus_micros((ms * 1e3) as i64)
    }
}
