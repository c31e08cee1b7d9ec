//! What is said about a movement: its times, its size, how far it can be trusted, and the landmarks for DeRe-GRL.

use super::history::History;
use super::patch::COUNT;
use super::tracker::{Excursion, Tracker};
use super::{Spotted, SpottingConfig};
use crate::event::{Interval, Stage};
use crate::frame::FaceId;
use crate::landmarks::Component;
use crate::time::Timestamp;

/// The face before the onset is averaged over this time, in ms.
const BEFORE_MS: f64 = 25.0;
/// The face at the apex is averaged over this time on both sides, in ms.
const APEX_HALF_MS: f64 = 12.0;
/// All that is known about a face.
pub(super) struct Known<'a> {
    pub history: &'a History,
    pub trackers: &'a [Tracker; COUNT],
    pub config: &'a SpottingConfig,
}

impl Known<'_> {
    /// What is known about the movement of part `i`, as a provisional event.
    pub fn describe(
        &self,
        i: usize,
        (face, key): (FaceId, u64),
        offset: Option<Timestamp>,
        iod: f32,
    ) -> Option<Spotted> {
        let t = self.trackers.get(i)?;
        let x = t.excursion.as_ref()?;
        let shape = self.history.mean_face(x.onset.plus_ms(-BEFORE_MS), x.onset)?;
        let apex = self.history.mean_face(x.apex.plus_ms(-APEX_HALF_MS), x.apex.plus_ms(APEX_HALF_MS))?;
        let mut displacement = apex;
        for (d, s) in displacement.iter_mut().zip(&shape) {
            *d = *d - *s;
        }
        let moving = |t: &&Tracker| {
            t.excursion.as_ref().is_some_and(Excursion::live) || t.patch.landmarks == self.trackers[i].patch.landmarks
        };
        let lengths = self.trackers.iter().filter(moving).flat_map(|t| t.patch.landmarks.iter());
        let amplitude = lengths.filter_map(|&k| displacement.get(k)).map(|d| d.norm()).fold(0.0, f32::max);
        Some(Spotted {
            stage: Stage::Provisional,
            key: self.key(face, key),
            face,
            interval: Interval::new(x.onset, x.apex, offset)?,
            component: t.patch.component,
            amplitude,
            score: (x.peak - t.noise.median()).max(0.0) / t.noise.sigma().max(1e-6),
            rate: self.history.rate(),
            quality: self.quality(t.patch.component, x.onset, iod),
            iod,
            reason: None,
            shape,
            displacement,
        })
    }

    /// The number of an event within the face below that of the face: unique over all faces.
    pub fn key(&self, face: FaceId, key: u64) -> u64 {
        (u64::from(face.0) << 32) | (key & 0xffff_ffff)
    }

    /// How far the measurement can be trusted: landmark confidence, head motion against its limits, face size.
    pub fn quality(&self, component: Component, onset: Timestamp, iod: f32) -> f32 {
        let (mut trust, mut speed, mut roll, mut n) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for s in self.history.since(onset) {
            trust += s.trust(component);
            speed += s.head.speed;
            roll += s.head.roll_rate.abs();
            n += 1.0;
        }
        let n = n.max(1.0);
        let c = self.config;
        let motion = (speed / n / c.max_head_speed.max(1e-6)).max(roll / n / c.max_roll_rate.max(1e-6));
        let quality = trust / n * (1.0 - 0.5 * motion.min(1.0)) * (iod / c.full_quality_iod).clamp(0.0, 1.0);
        if quality.is_finite() { quality.clamp(0.0, 1.0) } else { 0.0 }
    }
}
