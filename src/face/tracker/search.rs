//! The search: first the head, then each landmark.

use super::super::lk::Belief;
use super::super::track_fit::{HEAD_WEIGHT, robust_similarity};
use super::super::track_picture::first_followed;
use super::super::track_point::Found;
use super::{Motion, STILL, Tracker};
use crate::geometry::Px;
use crate::landmarks::{COUNT, PerLandmark};

/// The differences of neighbouring pixels are not independent: a residual counts as this much white noise.
const COLOURED: f32 = 3.0;
/// Time in which a landmark that the picture holds along one axis only returns to its place in the face, in ms.
const RETURN_MS: f32 = 1500.0;

impl Tracker {
    /// The motion of the head since the last frame, from the coarsest level.
    pub(super) fn head_motion(&mut self) -> Motion {
        let level = self.working.levels - 1;
        let first = self.head_motion_from(level, STILL);
        if first.1 > 0.5 {
            return first.0;
        }
        // fast motion goes on: look where it leads
        let second = self.head_motion_from(level, self.motion);
        if second.1 > first.1 { second.0 } else { first.0 }
    }

    /// The motion, looked for from a guess, and the share of the landmarks' weight that agrees with it.
    fn head_motion_from(&mut self, level: usize, guess: Motion) -> (Motion, f32) {
        let Some(plane) = self.current.levels().get(level) else { return (guess, 0.0) };
        let region = *self.current.region();
        let shrink = (1 << level) as f32;
        let reach = 0.45 * self.working.iod / shrink;
        let mut to = self.at;
        let mut weight = [0.0; COUNT];
        let (mut possible, mut reached) = (0.0, 0.0);
        for i in first_followed(&self.config)..COUNT {
            possible += HEAD_WEIGHT[i];
            let bank = self.templates.coarse(level).unwrap_or(self.templates.fine(i));
            let start = region.to_region(guess.apply(self.at[i])).map(|c| c / shrink);
            let Some(p) = bank.search(i, plane, start, None, reach, &mut self.scratch) else { continue };
            let agreement = bank.compare(i, plane, p, &mut self.scratch);
            if agreement.correlation > 0.5 {
                to[i] = region.to_picture(p.map(|c| c * shrink));
                weight[i] = HEAD_WEIGHT[i] * agreement.correlation;
                reached += HEAD_WEIGHT[i];
            }
        }
        let scale = 0.02 * self.working.iod * self.working.factor as f32;
        match robust_similarity(&self.at, &to, &weight, scale) {
            // a head neither spins nor jumps at the lens between two frames
            Some(m) if (0.7..1.4).contains(&m.scale()) && m.angle().abs() < 0.6 => {
                (m, reached / f32::max(possible, 1e-6))
            }
            _ => (guess, 0.0),
        }
    }

    /// Searches every landmark from where the head's motion puts it.
    pub(super) fn search_all(&mut self, dt: f32) -> PerLandmark<Option<(Px, Found)>> {
        let mut found = [None; COUNT];
        for i in first_followed(&self.config)..COUNT {
            found[i] = self.search_one(i, dt);
        }
        found
    }

    /// What is believed about a landmark before the picture is asked, at level 0: it stays where the head's motion
    /// puts it, give or take a random walk, and tends to its place in the face.
    fn belief(&self, i: usize, dt: f32) -> Belief {
        let seed = self.motion.apply(self.at[i]);
        let home = self.motion.apply(self.head.apply(self.bent(self.shape[i])));
        let at = seed + (home - seed) * (1.0 - (-dt / RETURN_MS).exp());
        let walk = self.config.loose_iod * (dt / 33.0).clamp(0.1, 4.0).sqrt();
        Belief {
            at: self.current.region().to_region(at),
            deviation: walk * self.working.iod,
            noise: COLOURED * self.noise[i],
        }
    }

    fn search_one(&mut self, i: usize, dt: f32) -> Option<(Px, Found)> {
        let belief = self.belief(i, dt);
        let region = *self.current.region();
        let planes = self.current.levels();
        let seed = region.to_region(self.motion.apply(self.at[i]));
        let mut start = seed;
        for level in (1..self.working.levels.saturating_sub(1).max(2).min(self.working.levels)).rev() {
            let (bank, plane, shrink) = (self.templates.coarse(level)?, planes.get(level)?, (1 << level) as f32);
            let reach = 0.15 * self.working.iod / shrink;
            let from = start.map(|c| c / shrink);
            let belief = Belief { at: belief.at.map(|c| c / shrink), deviation: belief.deviation / shrink, ..belief };
            if let Some(p) = bank.search(i, plane, from, Some(&belief), reach, &mut self.scratch)
                && bank.compare(i, plane, p, &mut self.scratch).correlation > 0.6
            {
                start = p.map(|c| c * shrink);
            }
        }
        let (bank, plane) = (self.templates.fine(i), planes.first()?);
        let reach = (0.06 * self.working.iod).max(2.5);
        let at = bank
            .search(i, plane, start, Some(&belief), reach, &mut self.scratch)
            .or_else(|| bank.search(i, plane, seed, Some(&belief), reach, &mut self.scratch))?;
        let agreement = bank.compare(i, plane, at, &mut self.scratch);
        let from = way_back(start, at);
        let back = bank.backward(i, plane, at, from, Some(&belief), &mut self.scratch)?;
        let iod = self.working.iod;
        let noise = belief.noise * bank.window().share();
        let found = Found {
            agreement,
            back_iod: back / iod,
            deviation_iod: agreement.deviation / iod,
            noise,
            pulled: [0, 1].map(|k| (at[k] - belief.at[k]) * noise / (belief.deviation * belief.deviation)),
        };
        Some((region.to_picture(at), found))
    }

    /// Looks for the trial template of landmark `i` around `start`.
    pub(super) fn search_trial(&mut self, i: usize, start: Px) -> Option<(Px, Found)> {
        let region = *self.current.region();
        let plane = self.current.levels().first()?;
        let bank = self.templates.trial();
        let start = region.to_region(start);
        let belief = Belief { at: start, deviation: 0.05 * self.working.iod, noise: COLOURED * self.noise[i] };
        let reach = (0.08 * self.working.iod).max(3.0);
        let at = bank.search(0, plane, start, Some(&belief), reach, &mut self.scratch)?;
        let agreement = bank.compare(0, plane, at, &mut self.scratch);
        let back = bank.backward(0, plane, at, way_back(start, at), Some(&belief), &mut self.scratch)?;
        let iod = self.working.iod;
        let (noise, pulled) = (0.0, [0.0; 2]); // of no use: the landmark does not move by a trial
        let deviation_iod = agreement.deviation / iod;
        let found = Found { agreement, back_iod: back / iod, deviation_iod, noise, pulled };
        Some((region.to_picture(at), found))
    }
}

/// Where the way back begins: as far from the truth as the way there did, but never at the truth itself.
fn way_back(start: [f32; 2], at: [f32; 2]) -> [f32; 2] {
    let (dx, dy) = (start[0] - at[0], start[1] - at[1]);
    let length = dx.hypot(dy);
    if length < 1e-3 {
        return [0.5, 0.5];
    }
    let k = length.clamp(0.7, 1.5) / length;
    [dx * k, dy * k]
}
