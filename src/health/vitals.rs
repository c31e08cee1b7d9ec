//! The line's pulse: a few counters that the line's threads keep and whoever watches over them reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The counters. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    captured: AtomicU64,
    attempts: AtomicU64,
    analysed: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
    faces: AtomicU32,
    /// Bits of an `f32`.
    rate: AtomicU32,
    /// Frames that are left out after each analysed one, on purpose.
    left_out: AtomicU32,
}

/// What the counters say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pulse {
    /// Frames that the source delivered.
    pub captured: u64,
    /// Attempts to open a lost camera again that failed.
    pub attempts: u64,
    /// Frames whose analysis is finished.
    pub analysed: u64,
    /// Frames lost by the source or on the way.
    pub lost: u64,
    /// Events that did not get through, as of the last status event.
    pub dropped: u64,
    /// Faces followed now.
    pub faces: u32,
    /// Analysed frames per second of source time.
    pub rate: f32,
}

impl Vitals {
    /// The capture thread has a frame.
    pub fn captured(&self) {
        self.0.captured.fetch_add(1, Relaxed);
    }

    /// So many attempts to open the camera again have failed since the start.
    pub fn attempts(&self, total: u64) {
        self.0.attempts.store(total, Relaxed);
    }

    /// A frame has been analysed.
    pub fn analysed(&self, lost: u64, faces: usize, rate: f32) {
        self.0.lost.store(lost, Relaxed);
        self.0.faces.store(faces as u32, Relaxed);
        self.0.rate.store(rate.to_bits(), Relaxed);
        self.0.analysed.fetch_add(1, Relaxed);
    }

    /// So many events have not got through since the start.
    pub fn dropped(&self, total: u64) {
        self.0.dropped.store(total, Relaxed);
    }

    /// Asks that `n` frames be left out after each one that is analysed.
    pub fn leave_out(&self, n: u32) {
        self.0.left_out.store(n, Relaxed);
    }

    /// Frames to be left out after each one that is analysed; 0: every frame is analysed.
    pub fn left_out(&self) -> u32 {
        self.0.left_out.load(Relaxed)
    }

    /// Reads the counters.
    pub fn pulse(&self) -> Pulse {
        let c = &*self.0;
        Pulse {
            captured: c.captured.load(Relaxed),
            attempts: c.attempts.load(Relaxed),
            analysed: c.analysed.load(Relaxed),
            lost: c.lost.load(Relaxed),
            dropped: c.dropped.load(Relaxed),
            faces: c.faces.load(Relaxed),
            rate: f32::from_bits(c.rate.load(Relaxed)),
        }
    }
}
