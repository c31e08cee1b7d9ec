//! The only place that asks the operating system for the time.
//!
//! Event time is the driver's ([`crate::time::Timestamp`]); what is here measures our own work and maps
//! event time to wall time at the edge.

use crate::event::Moment;
use crate::time::Timestamp;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 (UTC) by the wall clock; may jump.
pub fn wall_unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A number that no other call, process or device gives: from the system's randomness, the time and this process.
pub fn unique() -> u64 {
    RandomState::new().hash_one((std::process::id(), wall_unix_us()))
}

/// CLOCK_MONOTONIC in microseconds: the clock that V4L2 drivers and the service manager use.
pub fn monotonic_us() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// Measures how long something of ours takes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start, and starts again.
    pub fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now.duration_since(self.0);
        self.0 = now;
        lap
    }
}

/// Maps the source's monotonic time to wall time, for live sources only: a file has no wall time.
///
/// The map is renewed with every frame, so a step of the wall clock (a board without a real-time clock that
/// meets its time server) changes only the moments of later events and never a duration.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallMap {
    offset_us: Option<i64>,
}

impl WallMap {
    /// Notes that a frame with this time has just arrived.
    pub fn observe(&mut self, frame: Timestamp) {
        self.offset_us = Some(wall_unix_us().saturating_sub(frame.as_micros()));
    }

    /// The moment, with wall time when the source is live.
    pub fn moment(&self, at: Timestamp) -> Moment {
        Moment { us: at, unix_us: self.offset_us.map(|o| o.saturating_add(at.as_micros())) }
    }
}
