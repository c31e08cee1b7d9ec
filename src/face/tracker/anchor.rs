//! What a later look of the landmark network may do to a track.

use super::super::Anchor;
use super::super::track_fit::{HEAD_WEIGHT, affine_at, affine_part};
use super::super::track_picture::{Working, first_followed};
use super::{Anchored, Stance, Tracker};
use crate::geometry::{Iod, Roi};
use crate::landmarks::{COUNT, PerLandmark, iod};
use crate::time::Timestamp;

/// Time between two key pictures that are taken for lost landmarks, in ms; longer when there are few.
const RENEW_MS: f64 = 500.0;
const RENEW_FEW_MS: f64 = 2000.0;

impl Tracker {
    /// How the face stands in the picture that was followed last, to be held against what the network sees in it.
    pub fn stance(&self) -> Stance {
        Stance { head: Some(self.head), landmarks: self.landmarks() }
    }

    /// What the network would see now, from what it saw in the picture of `then`: its difference to the landmarks is
    /// carried along by the head. `None` when nothing has been noted then.
    pub fn carry(&self, then: &Stance, seen: &Anchor) -> Option<Anchor> {
        let back = then.head?.inverse()?;
        let now = self.landmarks();
        let points = std::array::from_fn(|i| {
            now[i] + self.head.apply_vector(back.apply(seen.points[i]) - back.apply(then.landmarks[i]))
        });
        let roi = Roi {
            centre: self.head.apply(back.apply(seen.roi.centre)),
            side: seen.roi.side * back.scale() * self.head.scale(),
            angle: seen.roi.angle + back.angle() + self.head.angle(),
        };
        Some(Anchor { points, presence: seen.presence, roi })
    }

    /// Takes in a later look of the network at [`Self::roi`], in the picture that was followed last or carried to it.
    pub fn anchor(&mut self, time: Timestamp, anchor: &Anchor) -> Anchored {
        let since = (time.ms_since(self.anchored) as f32).clamp(50.0, 2000.0);
        self.anchored = time;
        let landmarks = self.readings();
        if Working::of(&anchor.points, &self.config).is_none() {
            return Anchored::Refused;
        }
        let scale = iod(&landmarks).max(1.0);
        let mut distance: [f32; COUNT] = std::array::from_fn(|i| anchor.points[i].distance(landmarks[i]) / scale);
        let inner = &mut distance[17..];
        inner.sort_unstable_by(f32::total_cmp);
        if !(inner[inner.len() / 2] < self.config.restart_iod) {
            return Anchored::Astray;
        }
        let Some(back) = self.head.inverse() else { return Anchored::Refused };
        let places: PerLandmark<Iod> = landmarks.map(|p| back.apply(p));
        let difference = std::array::from_fn(|i| back.apply(anchor.points[i]) - places[i]);
        let weight = std::array::from_fn(|i| if self.points[i].confidence > 0.1 { HEAD_WEIGHT[i] } else { 0.0 });
        let fit = affine_part(&places, &difference, &weight, 0.02);
        for (pull, &place) in self.pull.iter_mut().zip(&places) {
            *pull = affine_at(&fit, place) * self.config.anchor_pull;
        }
        self.pull_ms = since;
        // the region of the next look drifts to where the network would have it, too slowly to be seen
        self.set_roi(&anchor.roi, 0.05);
        let first = first_followed(&self.config);
        for i in first..COUNT {
            let stray = (difference[i] - affine_at(&fit, places[i])).norm();
            if !self.points[i].lost && stray > self.config.stray_iod {
                self.points[i].give_up(&self.config);
            }
        }
        self.replace_lost(anchor, &fit, &places);
        Anchored::Pulled
    }

    /// Gives landmarks that have been lost for some time a new patch at the network's place.
    fn replace_lost(&mut self, anchor: &Anchor, fit: &[[f32; 3]; 2], places: &PerLandmark<Iod>) {
        let first = first_followed(&self.config);
        let renew: PerLandmark<bool> = std::array::from_fn(|i| {
            i >= first && self.points[i].lost && self.points[i].lost_ms >= self.config.replace_ms
        });
        let count = renew.iter().filter(|&&r| r).count();
        let wait = if count >= 4 { RENEW_MS } else { RENEW_FEW_MS };
        if count == 0 || self.time.ms_since(self.taken) < wait {
            return;
        }
        let Some(back) = self.head.inverse() else { return };
        for i in (0..COUNT).filter(|&i| renew[i]) {
            let place = anchor.points[i] - self.head.apply_vector(affine_at(fit, places[i]));
            self.at[i] = place;
            (self.offset[i], self.target[i]) = (Iod::default(), Iod::default());
            self.rest[i] = back.apply(place) - self.bent(self.shape[i]);
            self.points[i].replace(&self.config);
        }
        self.renew_patches(&renew);
    }

    /// Notes that the network looked and saw no face, so that it is not asked again at once.
    pub const fn skip_anchor(&mut self, time: Timestamp) -> Anchored {
        self.anchored = time;
        Anchored::Refused
    }
}
