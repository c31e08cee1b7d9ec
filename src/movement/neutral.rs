//! The running neutral face: follows slow change, is hardly moved by a short expression.

use super::MovementConfig;
use crate::geometry::{Iod, Px};
use crate::landmarks::{COUNT, PerLandmark, face_frame};

/// The neutral face of one track.
#[derive(Debug, Clone)]
pub(super) struct Neutral {
    pub face: PerLandmark<Iod>,
    /// Time since the start, in ms.
    age_ms: f32,
    /// How long each landmark has been away by more than `pull`, in ms.
    away_ms: PerLandmark<f32>,
}

impl Neutral {
    /// The face of one frame, in its own eye-centred frame. `None` when it has no usable eyes.
    pub fn start(points: &PerLandmark<Px>) -> Option<Self> {
        if !points.iter().all(|p| p.is_finite()) {
            return None;
        }
        let to_face = face_frame(points)?;
        let face = points.map(|p| to_face.apply(p));
        let sane = face.iter().all(|p| p.is_finite() && p.norm() < 10.0);
        sane.then_some(Self { face, age_ms: 0.0, away_ms: [0.0; COUNT] })
    }

    /// Lets the neutral face follow the movement `left` of this frame, `dt_ms` after the one before.
    ///
    /// At the start it is the plain mean. Later every landmark is pulled with the time constant, but by no
    /// more than `pull` (Huber's influence function), unless it has been away for `hold_ms`.
    pub fn follow(&mut self, left: &PerLandmark<Iod>, confidence: &PerLandmark<f32>, dt_ms: f32, c: &MovementConfig) {
        let young = self.age_ms < c.start_ms;
        self.age_ms = (self.age_ms + dt_ms).min(1e9);
        let running = 1.0 - (-dt_ms / c.neutral_ms).exp();
        let mean = dt_ms / self.age_ms.max(dt_ms).max(1e-3);
        let gain = if young { mean.max(running) } else { running };
        let points = self.face.iter_mut().zip(&mut self.away_ms).zip(left).zip(confidence);
        for (((place, away), shift), trust) in points {
            let length = shift.norm();
            *away = if length > c.pull { *away + dt_ms } else { 0.0 };
            let full = young || *away > c.hold_ms || length <= c.pull;
            let bound = if full { 1.0 } else { c.pull / length };
            *place += *shift * (gain * bound * trust.clamp(0.0, 1.0));
        }
    }
}

/// Height of both eyes over their width, averaged: the landmarks of Soukupova and Cech's eye aspect ratio (2016).
/// `None` when an eye has no width.
pub(super) fn eye_aspect(face: &PerLandmark<Iod>) -> Option<f32> {
    let eye = |s: usize| -> Option<f32> {
        let at = |k: usize| face.get(s + k).copied();
        let (a, b, c, d, e, f) = (at(0)?, at(1)?, at(2)?, at(3)?, at(4)?, at(5)?);
        let width = a.distance(d);
        (width > 1e-3).then(|| (b.distance(f) + c.distance(e)) / (2.0 * width))
    };
    Some((eye(36)? + eye(42)?) / 2.0)
}
