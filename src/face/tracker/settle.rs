//! After the search: who was found, where the head is, and where that puts the others.

use super::super::track_fit::{HEAD_WEIGHT, affine_part, both, robust_similarity};
use super::super::track_joint::Reading;
use super::super::track_picture::first_followed;
use super::super::track_point::Found;
use super::{Standing, Tracker};
use crate::geometry::{Iod, Px};
use crate::landmarks::{COUNT, PerLandmark};

/// Pull per frame is never more than this, in IOD: 0.04 pixels at an IOD of 80.
const MAX_PULL_STEP_IOD: f32 = 0.0005;
/// Confidence of a contour landmark that only moves with the head, against the mean of the others.
const CARRIED_CONFIDENCE: f32 = 0.2;
/// Time in which a landmark that was lost gains and loses weight in the joint estimate, in ms.
const TRUST_MS: f32 = 80.0;
/// Least variance of the difference of a patch from the picture.
const MIN_NOISE: f32 = 0.005;

impl Tracker {
    /// Takes the found places over, updates the head's place, and puts lost landmarks where the head carries them.
    pub(super) fn settle(&mut self, found: &PerLandmark<Option<(Px, Found)>>, dt: f32) {
        let first = first_followed(&self.config);
        let predicted = both(&self.head, &self.motion);
        let iod_px = predicted.scale();
        let mut weight = [0.0; COUNT];
        for i in first..COUNT {
            // the mouth opens by half an inter-ocular distance; nothing else goes far; and what was lost is looked
            // for where it should be
            let reach = if self.points[i].lost {
                0.12
            } else if i >= 48 {
                0.6
            } else {
                0.25
            } * iod_px;
            let expected = predicted.apply(self.carried(i));
            // what leaps against the head is more often something similar nearby than the landmark
            let seed = self.motion.apply(self.at[i]);
            let plausible = found[i].filter(|(p, f)| {
                let leap = p.distance(seed) / iod_px;
                p.distance(expected) < reach
                    && f.agreement.correlation > self.config.min_correlation + 3.0 * (leap - 0.02)
            });
            let good = self.points[i].update(plausible.map(|(_, f)| f), dt, &self.config);
            if let (true, Some((p, f))) = (good, plausible) {
                self.at[i] = p;
                self.noise[i] += 0.2 * (f.agreement.residual.clamp(MIN_NOISE, 0.5) - self.noise[i]);
                weight[i] = HEAD_WEIGHT[i] * f.agreement.correlation.max(0.0);
            }
        }
        let model: PerLandmark<Px> = std::array::from_fn(|i| predicted.apply(self.bent(self.shape[i])));
        self.head = match robust_similarity(&model, &self.at, &weight, 0.03 * iod_px) {
            Some(s) if (0.8..1.25).contains(&s.scale()) => both(&predicted, &s),
            _ => predicted,
        };
        let Some(back) = self.head.inverse() else { return };
        let moved: PerLandmark<Iod> = std::array::from_fn(|i| back.apply(self.at[i]) - self.shape[i]);
        let [fx, fy] = affine_part(&self.shape, &moved, &weight, 0.02);
        // turn, size and shift belong to the head; an expression bends a face for a moment, a turned head for longer
        let bend = [(fx[0] - fy[1]) / 2.0, (fx[1] + fy[0]) / 2.0];
        let (follow, rest_follow, forget) =
            (1.0 - (-dt / 150.0).exp(), 1.0 - (-dt / 1000.0).exp(), 1.0 - (-dt / 80.0).exp());
        for (b, new) in self.bend.iter_mut().zip(bend) {
            *b += (new.clamp(-0.5, 0.5) - *b) * follow;
        }
        for i in 0..COUNT {
            let carried = self.head.apply(self.carried(i));
            if i < first {
                self.at[i] = carried;
            } else if self.points[i].lost {
                let moved = self.motion.apply(self.at[i]);
                self.at[i] = moved + (carried - moved) * forget;
            } else {
                let rest = back.apply(self.at[i]) - self.bent(self.shape[i]);
                self.rest[i] += (rest - self.rest[i]) * rest_follow;
            }
        }
    }

    /// Where landmark `i` is expected, in the face frame: its place in the face, bent, with its habit.
    pub(super) fn carried(&self, i: usize) -> Iod {
        self.bent(self.shape[i]) + self.rest[i]
    }

    /// Moves the landmarks by the share of the pull, and of the offset that a change of patches left, that is due.
    pub(super) fn apply_pull(&mut self, dt: f32) {
        let most = (self.config.pull_speed_iod * dt / 1000.0).min(MAX_PULL_STEP_IOD);
        let share = (dt / self.pull_ms).min(1.0);
        let limit = |v: Iod, most: f32| v * (most / v.norm().max(1e-12)).min(1.0);
        for i in 0..COUNT {
            let step = limit(self.pull[i] * share, most);
            self.pull[i] = self.pull[i] * (1.0 - share);
            self.offset[i] += step;
            self.target[i] += step;
            for picture in &mut self.pictures {
                picture.offset[i] += step;
            }
            let rest = self.target[i] - self.offset[i];
            self.offset[i] += limit(rest, most);
        }
        self.pull_ms = (self.pull_ms - dt).max(1.0);
    }

    /// Estimates the landmarks together, from their readings.
    pub(super) fn join(&mut self, found: &PerLandmark<Option<(Px, Found)>>, dt: f32) {
        let places = self.readings();
        self.joined = places;
        let follow = 1.0 - (-dt / TRUST_MS).exp();
        let pixel = self.working.factor as f32;
        // against the face at rest, which does not change: then the estimate is the same function of the readings always
        let rest: PerLandmark<Px> = self.shape.map(|p| self.head.apply(self.bent(p)));
        let mut readings = [Reading::default(); COUNT];
        for (i, reading) in readings.iter_mut().enumerate() {
            let good = found[i].filter(|_| !self.points[i].lost);
            self.trust[i] += (f32::from(u8::from(good.is_some())) - self.trust[i]) * follow;
            let moved = places[i] - rest[i];
            reading.moved = [moved.x / pixel, moved.y / pixel];
            if let Some((_, f)) = good {
                let doubt = self.config.joint_noise / self.trust[i].max(0.01);
                (reading.pulled, reading.noise) = (f.pulled, Some(f.noise * doubt * doubt));
            }
        }
        let joined = self.joint.estimate(&readings);
        self.joined = std::array::from_fn(|i| rest[i] + Px::new(joined[i][0], joined[i][1]) * pixel);
    }

    pub(super) fn measure_standing(&mut self) {
        let inner = &self.points[17..];
        let found = inner.iter().filter(|p| !p.lost).count() as f32;
        self.standing = Standing {
            found: found / inner.len() as f32,
            correlation: inner.iter().map(|p| p.correlation).sum::<f32>() / found.max(1.0),
            confidence: inner.iter().map(|p| p.confidence).sum::<f32>() / inner.len() as f32,
            key_changed: false,
        };
        for p in &mut self.points[..first_followed(&self.config)] {
            p.confidence = CARRIED_CONFIDENCE * self.standing.confidence;
        }
    }
}
