//! Which patch, of which key picture, a landmark is searched from.

use super::super::track_picture::{Picture, Working, first_followed, view_scale};
use super::Tracker;
use crate::geometry::{Iod, Px};
use crate::image::Pyramid;
use crate::landmarks::{COUNT, PerLandmark};
use std::ops::Range;

/// Time between two tries of other patches, and between two key pictures, in ms.
const TRY_MS: f64 = 250.0;
/// Landmarks that try other patches at a time.
const TRIES: usize = 12;
/// How much larger or smaller than in its key picture a face may be, as a ratio.
const COMPARABLE: Range<f32> = 0.75..1.34;
/// Longest way from a patch to its landmark, in IOD.
const MAX_OFFSET_IOD: f32 = 0.06;
/// Landmarks that must need a new patch for a key picture to be worth taking.
const WORTH: usize = 4;

impl Tracker {
    /// Gives landmarks that look different than in their key picture another patch: an old one if one fits better,
    /// otherwise one of the present picture at the tracked place.
    pub(super) fn choose_patches(&mut self) {
        if !COMPARABLE.contains(&self.zoom())
            && let Some(working) = Working::of(&self.at, &self.config)
        {
            (self.working, self.region) = (working, None);
            self.render();
        }
        if self.time.ms_since(self.tried) < TRY_MS {
            return;
        }
        self.tried = self.time;
        let first = first_followed(&self.config);
        for i in first..COUNT {
            if let Some(picture) = self.pictures.get_mut(self.source[i]) {
                picture.used = self.time;
            }
        }
        let mut tries = 0;
        for k in 0..COUNT - first {
            let i = first + (self.next_try + k) % (COUNT - first);
            if self.needs_patch(i) {
                tries += 1;
                self.standing.key_changed |= self.try_old_patches(i);
            }
            if tries == TRIES {
                self.next_try = i + 1 - first;
                break;
            }
        }
        if self.standing.key_changed {
            self.aim();
        }
        let renew: PerLandmark<bool> =
            std::array::from_fn(|i| i >= first && !self.points[i].lost && self.needs_patch(i));
        let count = renew.iter().filter(|&&r| r).count();
        if count >= WORTH && self.time.ms_since(self.taken) >= TRY_MS {
            self.renew_patches(&renew);
        }
    }

    fn needs_patch(&self, i: usize) -> bool {
        let p = &self.points[i];
        let own = self.pictures.get(self.source[i]).map_or(1.0, |k| view_scale(&k.view));
        p.lost
            || p.slow_correlation < self.config.reseed_correlation
            || self.offset[i].norm() > MAX_OFFSET_IOD
            || !COMPARABLE.contains(&(view_scale(&self.view()) / own.max(1e-6)))
    }

    /// Looks whether the patch of landmark `i` in another key picture agrees better. If so, the landmark takes that;
    /// it stays where it is, and what the other patch says otherwise is worked off slowly.
    fn try_old_patches(&mut self, i: usize) -> bool {
        let view = self.view();
        let home = self.head.apply(self.carried(i));
        let lost = self.points[i].lost;
        let start = if lost { home } else { self.at[i] };
        let mut best: Option<(usize, Px, f32)> = None;
        for k in 0..self.pictures.len() {
            let Some(picture) = self.pictures.get(k) else { continue };
            let zoom = view_scale(&view) / view_scale(&picture.view).max(1e-6);
            if k == self.source[i] || picture.patches[i].is_none() || !COMPARABLE.contains(&zoom) {
                continue;
            }
            self.templates.render_trial(i, picture, &view, &self.working, &self.config);
            let Some((p, found)) = self.search_trial(i, start) else { continue };
            let correlation = found.agreement.correlation;
            if found.back_iod < self.config.max_forward_backward_iod && best.is_none_or(|(_, _, c)| c < correlation) {
                best = Some((k, p, correlation));
            }
        }
        // a face that has changed its size is better off with a picture of about the same size
        let own_zoom = self.pictures.get(self.source[i]).map_or(0.0, |o| view_scale(&view) / view_scale(&o.view));
        let own = if lost || !COMPARABLE.contains(&own_zoom) { 0.0 } else { self.points[i].slow_correlation };
        let Some((k, p, _)) = best.filter(|(_, _, c)| *c > (own + 0.08).max(0.75)) else { return false };
        let landmark = self.at[i] + self.head.apply_vector(self.offset[i]);
        let Some(back) = self.head.inverse() else { return false };
        let Some(picture) = self.pictures.get(k) else { return false };
        (self.source[i], self.at[i], self.target[i]) = (k, p, picture.offset[i]);
        self.offset[i] = if lost { picture.offset[i] } else { back.apply_vector(landmark - p) };
        self.points[i].slow_correlation = 1.0;
        self.templates.render_point(i, picture, &self.working);
        true
    }

    /// Takes the present picture as a key picture; the marked landmarks get their patches from it, where they are.
    pub(super) fn renew_patches(&mut self, renew: &PerLandmark<bool>) {
        let landmarks = self.readings();
        let spare = self.spare_picture(renew);
        let patches = std::array::from_fn(|i| (renew[i] || !self.points[i].lost).then_some(landmarks[i]));
        let index = self.take_picture(spare, patches);
        let zero = Iod::default();
        for i in 0..COUNT {
            if renew[i] {
                (self.source[i], self.at[i]) = (index, landmarks[i]);
                (self.offset[i], self.target[i]) = (zero, zero);
                self.points[i].slow_correlation = 1.0;
            }
        }
        (self.taken, self.standing.key_changed) = (self.time, true);
        self.render();
    }

    /// Memory for one more key picture: new, or that of the picture that is missed least. Landmarks that had their
    /// patch there and are not about to get another are lost.
    fn spare_picture(&mut self, renew: &PerLandmark<bool>) -> Pyramid {
        if self.pictures.len() < self.config.keys {
            return Pyramid::default();
        }
        // the picture of the start stays: nothing has drifted in it
        let users = |k: usize| (0..COUNT).filter(|&i| self.source[i] == k && !renew[i] && !self.points[i].lost).count();
        let least = (1..self.pictures.len()).min_by_key(|&k| (users(k), self.pictures[k].used)).unwrap_or(0);
        let pyramid = self.pictures.swap_remove(least).pyramid;
        let last = self.pictures.len();
        for i in 0..COUNT {
            if self.source[i] == least {
                // the patch in the first picture may still serve
                self.source[i] = 0;
                if !renew[i] {
                    self.points[i].replace(&self.config);
                }
            } else if self.source[i] == last {
                self.source[i] = least;
            }
        }
        pyramid
    }

    /// Adds the present picture to the key pictures, with these patches, and returns its number. `spare` becomes the
    /// next present picture's memory.
    pub(super) fn take_picture(&mut self, spare: Pyramid, patches: PerLandmark<Option<Px>>) -> usize {
        let pyramid = std::mem::replace(&mut self.current, spare);
        let offset = [Iod::default(); COUNT];
        self.pictures.push(Picture { pyramid, view: self.view(), patches, offset, used: self.time });
        self.pictures.len() - 1
    }
}
