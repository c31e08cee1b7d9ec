//! One tracked face: 68 landmarks that the network places once and Lucas-Kanade follows.
//!
//! Every landmark is searched from its patch in a key picture, never from frame to frame, so errors do not add up. The
//! head's motion comes first, from the coarsest pyramid level and all landmarks together; it seeds each landmark's own
//! search. When the face has turned too far for its patches a new key picture is taken at the *tracked* places, so the
//! landmarks do not step; when it turns back the old one serves again. The network's later looks pull slowly, and only
//! by what an affine deformation of the whole face explains.

use super::Anchor;
use super::lk::{Belief, Scratch};
use super::track_config::TrackerConfig;
use super::track_fit::{HEAD_WEIGHT, affine_at, affine_part, both, product, robust_similarity};
use super::track_key::{Key, SAME_VIEW, Templates, View, Working, first_followed};
use super::track_point::{Found, PointState};
use crate::frame::{Face, FaceId, Luma};
use crate::geometry::{Iod, Pixels, Px, Rect, Roi, Similarity};
use crate::image::{Normaliser, Pyramid, Region};
use crate::landmarks::{COUNT, PerLandmark, iod};
use crate::time::Timestamp;

type Motion = Similarity<Pixels, Pixels>;
const STILL: Motion = Similarity::new(1.0, 0.0, 0.0, 0.0);
const FLAT: [[f32; 3]; 2] = [[0.0; 3]; 2];
/// Variance of the difference of a patch from the picture, in units of the local contrast: at the start, and at least.
const START_NOISE: f32 = 0.05;
const MIN_NOISE: f32 = 0.005;
/// The differences of neighbouring pixels are not independent: a residual counts as this much white noise.
const COLOURED: f32 = 3.0;
/// Pull per frame is never more than this, in IOD: 0.04 pixels at an IOD of 80.
const MAX_PULL_STEP_IOD: f32 = 0.0005;
/// Confidence of a contour landmark that only moves with the head.
const CARRIED_CONFIDENCE: f32 = 0.2;

/// How well a face is being followed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Share of the landmarks of brows, nose, eyes and mouth that were found, 0 to 1.
    pub found: f32,
    /// Mean correlation of those with their key patches, 0 to 1.
    pub correlation: f32,
    /// Mean confidence of the landmarks of brows, nose, eyes and mouth, 0 to 1.
    pub confidence: f32,
    /// A new key picture has been taken, or an old one taken up again, in this frame.
    pub key_changed: bool,
}

/// What a look of the landmark network did to a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchored {
    /// It agrees; the landmarks are pulled a little.
    Pulled,
    /// It does not: the track was started anew at the network's landmarks.
    Restarted,
    /// Its landmarks are no face.
    Refused,
}

/// Follows the landmarks of one face. See the module's text.
#[derive(Debug)]
pub struct Tracker {
    config: TrackerConfig,
    working: Working,
    time: Timestamp,
    /// Where the patches are now, in picture pixels.
    at: PerLandmark<Px>,
    points: PerLandmark<PointState>,
    /// Slow mean of the place of each patch against where head and bend carry it, in the face frame.
    rest: PerLandmark<Iod>,
    /// Mean variance of the difference of each patch from the picture.
    noise: PerLandmark<f32>,
    /// From the key picture to now.
    head: Motion,
    /// What the head's turning out of the picture plane adds to that: an affine deformation of the face frame.
    bend: [[f32; 3]; 2],
    /// The head's motion in the last frame.
    motion: Motion,
    keys: Vec<Key>,
    active: usize,
    current: Pyramid,
    region: Option<Region>,
    normaliser: Normaliser,
    templates: Templates,
    scratch: Scratch,
    /// Still to be added to the landmarks, in the face frame.
    pull: PerLandmark<Iod>,
    /// Time over which the pull is spread, in ms.
    pull_ms: f32,
    anchored: Timestamp,
    standing: Standing,
    /// Mean correlation over the last quarter of a second.
    slow_correlation: f32,
    key_since: Timestamp,
}

impl Tracker {
    /// Starts at the network's landmarks in `picture`. With `trusted` they count at once, otherwise only after they
    /// have been followed for a while (a face that was lost and is back: its landmarks jump). `None` when the
    /// landmarks do not make a face.
    pub fn start(
        config: &TrackerConfig,
        time: Timestamp,
        picture: &Luma,
        anchor: &Anchor,
        trusted: bool,
    ) -> Option<Self> {
        let working = Working::of(&anchor.points, config)?;
        let mut tracker = Self {
            config: config.clone(),
            working,
            time,
            at: anchor.points,
            points: [PointState::default(); COUNT],
            rest: [Iod::default(); COUNT],
            noise: [START_NOISE; COUNT],
            head: STILL,
            bend: FLAT,
            motion: STILL,
            keys: Vec::with_capacity(config.keys.max(1)),
            active: 0,
            current: Pyramid::default(),
            region: None,
            normaliser: Normaliser::default(),
            templates: Templates::default(),
            scratch: Scratch::default(),
            pull: [Iod::default(); COUNT],
            pull_ms: 250.0,
            anchored: time,
            standing: Standing::default(),
            slow_correlation: 1.0,
            key_since: time,
        };
        tracker.restart(time, picture, anchor, trusted).then_some(tracker)
    }

    /// Starts anew, see [`Self::start`], keeping the memory. `false`, and nothing done, when the landmarks do not make
    /// a face.
    pub fn restart(&mut self, time: Timestamp, picture: &Luma, anchor: &Anchor, trusted: bool) -> bool {
        let Some(working) = Working::of(&anchor.points, &self.config) else { return false };
        (self.working, self.time, self.anchored) = (working, time, time);
        self.at = anchor.points;
        self.points = [PointState::begin(trusted, &self.config); COUNT];
        self.pull = [Iod::default(); COUNT];
        self.motion = STILL;
        self.region = None;
        self.head = STILL;
        // old key pictures show other places of the landmarks
        let spare = self.keys.pop().map(|k| k.pyramid).unwrap_or_default();
        self.keys.clear();
        self.look(picture);
        let pyramid = std::mem::replace(&mut self.current, spare);
        let Some(key) = Key::new(pyramid, &anchor.points, anchor.roi, time) else { return false };
        self.keys.push(key);
        self.begin_key(0, time);
        self.measure_standing();
        self.slow_correlation = 1.0;
        true
    }

    /// Follows the face into the next picture.
    pub fn follow(&mut self, time: Timestamp, picture: &Luma) -> Standing {
        let dt = (time.ms_since(self.time) as f32).clamp(0.0, 1000.0);
        self.time = time;
        self.look(picture);
        let Some(key) = self.keys.get(self.active) else { return self.standing };
        let view = self.view(key);
        if self.templates.stale(&view, &self.config) {
            self.templates.render(key, &view, &self.working, &self.config);
        }
        self.motion = self.head_motion();
        let found = self.search_all();
        self.settle(&found, dt);
        self.apply_pull(dt);
        self.measure_standing();
        self.slow_correlation += (self.standing.correlation - self.slow_correlation) * (1.0 - (-dt / 250.0).exp());
        self.choose_key(time);
        self.standing
    }

    /// The landmarks as they are now, in picture pixels.
    pub fn landmarks(&self) -> PerLandmark<Px> {
        let mut landmarks = self.at;
        if let Some(key) = self.keys.get(self.active) {
            for (p, offset) in landmarks.iter_mut().zip(&key.offset) {
                *p += self.head.apply_vector(key.from_face.apply_vector(*offset));
            }
        }
        landmarks
    }

    /// The face as it is now.
    pub fn face(&self, id: FaceId) -> Face {
        let landmarks = self.landmarks();
        let confidence = std::array::from_fn(|i| self.points[i].confidence);
        Face { id, bounds: Rect::around(landmarks.iter().copied()), landmarks, confidence }
    }

    /// How well the face was followed in the last frame.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Time of the last look of the network, or of the start.
    pub const fn anchored(&self) -> Timestamp {
        self.anchored
    }

    /// Where the landmark network should look: the region of its first look, carried along by the head, so that the
    /// network sees the face at the same sub-pixel place each time and errs in the same way.
    pub fn roi(&self) -> Option<Roi> {
        let roi = self.keys.get(self.active)?.roi;
        Some(Roi {
            centre: self.head.apply(roi.centre),
            side: roi.side * self.head.scale(),
            angle: roi.angle + self.head.angle(),
        })
    }

    /// Takes in a later look of the network at [`Self::roi`] in the picture that was followed last.
    pub fn anchor(&mut self, time: Timestamp, picture: &Luma, anchor: &Anchor) -> Anchored {
        let since = (time.ms_since(self.anchored) as f32).clamp(50.0, 2000.0);
        self.anchored = time;
        let landmarks = self.landmarks();
        if Working::of(&anchor.points, &self.config).is_none() {
            return Anchored::Refused;
        }
        let scale = iod(&landmarks).max(1.0);
        let mut distance: [f32; COUNT] = std::array::from_fn(|i| anchor.points[i].distance(landmarks[i]) / scale);
        let inner = &mut distance[17..];
        inner.sort_unstable_by(f32::total_cmp);
        if !(inner[inner.len() / 2] < self.config.restart_iod) {
            let done = self.restart(time, picture, anchor, false);
            return if done { Anchored::Restarted } else { Anchored::Refused };
        }
        let Some(key) = self.keys.get_mut(self.active) else { return Anchored::Refused };
        let Some(back) = self.head.inverse() else { return Anchored::Refused };
        let to_face = |p: Px| key.to_face.apply(back.apply(p));
        let places: PerLandmark<Iod> = std::array::from_fn(|i| to_face(landmarks[i]));
        let difference = std::array::from_fn(|i| to_face(anchor.points[i]) - places[i]);
        let weight = std::array::from_fn(|i| if self.points[i].confidence > 0.1 { HEAD_WEIGHT[i] } else { 0.0 });
        let fit = affine_part(&places, &difference, &weight, 0.02);
        for (pull, &place) in self.pull.iter_mut().zip(&places) {
            *pull = affine_at(&fit, place) * self.config.anchor_pull;
        }
        self.pull_ms = since;
        // the region of the next look drifts to where the network would have it, too slowly to be seen
        let (wanted, k) = (anchor.roi, 0.05);
        key.roi.centre = key.roi.centre + (back.apply(wanted.centre) - key.roi.centre) * k;
        key.roi.side += (wanted.side * back.scale() - key.roi.side) * k;
        key.roi.angle += turn(wanted.angle + back.angle() - key.roi.angle) * k;
        // landmarks that have been lost for long, or whose patch cannot be trusted, get a new patch at the network's place
        for i in first_followed(&self.config)..COUNT {
            if self.points[i].orphan || self.points[i].lost_ms > 2000.0 {
                let place =
                    anchor.points[i] - self.head.apply_vector(key.from_face.apply_vector(affine_at(&fit, places[i])));
                key.points[i] = back.apply(place);
                (key.offset[i], key.target[i], self.rest[i]) = (Iod::default(), Iod::default(), Iod::default());
                self.at[i] = place;
                self.points[i].replace(&self.config);
                self.templates.render_point(i, key, &self.working);
            }
        }
        Anchored::Pulled
    }

    /// Notes that the network looked and saw no face, so that it is not asked again at once.
    pub const fn skip_anchor(&mut self, time: Timestamp) -> Anchored {
        self.anchored = time;
        Anchored::Refused
    }

    /// Builds the pyramid of the region around the face.
    fn look(&mut self, picture: &Luma) {
        let wanted = self.working.region(&self.at, &self.config);
        let slack = self.working.iod as i32 * self.working.factor / 8;
        let region = match self.region {
            // standing still costs nothing, and what the border does to the statistics stays the same
            Some(r)
                if (r.width, r.height, r.factor) == (wanted.width, wanted.height, wanted.factor)
                    && (r.x0.abs_diff(wanted.x0) as i32) <= slack
                    && (r.y0.abs_diff(wanted.y0) as i32) <= slack =>
            {
                r
            }
            _ => wanted,
        };
        self.region = Some(region);
        let zoom = self.head.scale() * self.key_zoom();
        let scale = self.working.normalise.zoomed(zoom);
        self.current.build(picture, region, self.working.levels, &mut self.normaliser, &scale);
    }

    /// Size of the face in the active key picture against the size that the working scale was chosen for.
    fn key_zoom(&self) -> f32 {
        let working_iod = self.working.iod * self.working.factor as f32;
        self.keys.get(self.active).map_or(1.0, |k| (k.iod_px() / working_iod).clamp(0.5, 2.0))
    }

    /// The motion of the head since the last frame, from the coarsest level.
    fn head_motion(&mut self) -> Motion {
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
            if self.points[i].orphan {
                continue;
            }
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
    fn search_all(&mut self) -> PerLandmark<Option<(Px, Found)>> {
        let mut found = [None; COUNT];
        for i in first_followed(&self.config)..COUNT {
            let seed = self.motion.apply(self.at[i]);
            found[i] = self.search_one(i, seed);
        }
        found
    }

    fn search_one(&mut self, i: usize, seed: Px) -> Option<(Px, Found)> {
        let region = *self.current.region();
        let planes = self.current.levels();
        let seed = region.to_region(seed);
        let mut start = seed;
        let loose = self.config.loose_iod * self.working.iod;
        let belief = |level: usize| {
            let shrink = (1 << level) as f32;
            let at = seed.map(|c| c / shrink);
            Belief { at, deviation: loose / shrink, noise: COLOURED * self.noise[i] }
        };
        for level in (1..self.working.levels.saturating_sub(1).max(2).min(self.working.levels)).rev() {
            let (bank, plane, shrink) = (self.templates.coarse(level)?, planes.get(level)?, (1 << level) as f32);
            let reach = 0.15 * self.working.iod / shrink;
            let from = start.map(|c| c / shrink);
            if let Some(p) = bank.search(i, plane, from, Some(&belief(level)), reach, &mut self.scratch)
                && bank.compare(i, plane, p, &mut self.scratch).correlation > 0.6
            {
                start = p.map(|c| c * shrink);
            }
        }
        let (bank, plane) = (self.templates.fine(i), planes.first()?);
        let reach = (0.06 * self.working.iod).max(2.5);
        let belief = belief(0);
        let at = bank
            .search(i, plane, start, Some(&belief), reach, &mut self.scratch)
            .or_else(|| bank.search(i, plane, seed, Some(&belief), reach, &mut self.scratch))?;
        let agreement = bank.compare(i, plane, at, &mut self.scratch);
        // the way back begins as far from the truth as the way there did, but never at the truth itself
        let (dx, dy) = (start[0] - at[0], start[1] - at[1]);
        let length = dx.hypot(dy);
        let k = if length > 1e-3 { length.clamp(0.7, 1.5) / length } else { 0.0 };
        let from = if k > 0.0 { [dx * k, dy * k] } else { [0.5, 0.5] };
        let back = bank.backward(i, plane, at, from, Some(&belief), &mut self.scratch)?;
        let found = Found {
            agreement,
            back_iod: back / self.working.iod,
            deviation_iod: agreement.deviation / self.working.iod,
        };
        Some((region.to_picture(at), found))
    }

    /// Takes the found places over, updates the head's place, and puts lost landmarks where the head carries them.
    fn settle(&mut self, found: &PerLandmark<Option<(Px, Found)>>, dt: f32) {
        let Some(key) = self.keys.get(self.active) else { return };
        let first = first_followed(&self.config);
        let predicted = both(&self.head, &self.motion);
        let iod_px = key.iod_px() * predicted.scale();
        let mut weight = [0.0; COUNT];
        for i in first..COUNT {
            // the mouth opens by half an inter-ocular distance; nothing else goes far
            let reach = if i >= 48 { 0.6 } else { 0.25 } * iod_px;
            let expected = predicted.apply(self.carried(key, i));
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
        let fit = robust_similarity(&key.points, &self.at, &weight, 0.03 * iod_px);
        self.head = match fit {
            Some(s) if (0.8..1.25).contains(&(s.scale() / predicted.scale())) => s,
            _ => predicted,
        };
        let (follow, forget) = (1.0 - (-dt / 1000.0).exp(), 1.0 - (-dt / 80.0).exp());
        let Some(back) = self.head.inverse() else { return };
        let places = key.points.map(|p| key.to_face.apply(p));
        let from_key = |p: Px, i: usize| key.to_face.apply(back.apply(p)) - places[i];
        let moved = std::array::from_fn(|i| from_key(self.at[i], i));
        let bend = affine_part(&places, &moved, &weight, 0.02);
        // an expression bends a face for a moment, a turned head for longer
        for (b, new) in self.bend.iter_mut().flatten().zip(bend.iter().flatten()) {
            *b += (new - *b) * (1.0 - (-dt / 150.0).exp());
        }
        for i in 0..COUNT {
            let carried = self.head.apply(self.carried(key, i));
            if i < first {
                self.at[i] = carried;
            } else if self.points[i].lost {
                let moved = self.motion.apply(self.at[i]);
                self.at[i] = moved + (carried - moved) * forget;
            } else {
                let rest = moved[i] - affine_at(&self.bend, places[i]);
                self.rest[i] += (rest - self.rest[i]) * follow;
            }
        }
    }

    /// Where landmark `i` is expected, in the key picture's coordinates: its place there, bent, with its habit.
    fn carried(&self, key: &Key, i: usize) -> Px {
        let p = key.points[i];
        p + key.from_face.apply_vector(affine_at(&self.bend, key.to_face.apply(p)) + self.rest[i])
    }

    /// How the face is seen now, compared with the key picture.
    fn view(&self, key: &Key) -> View {
        let (f, b) = (&key.from_face, &key.to_face);
        let bend = [[1.0 + self.bend[0][0], self.bend[0][1]], [self.bend[1][0], 1.0 + self.bend[1][1]]];
        let here = product(&[[f.a, -f.b], [f.b, f.a]], &product(&bend, &[[b.a, -b.b], [b.b, b.a]]));
        product(&[[self.head.a, -self.head.b], [self.head.b, self.head.a]], &here)
    }

    /// Moves the landmarks by the share of the pull, and of the offset that a change of key left, that is due in `dt`.
    fn apply_pull(&mut self, dt: f32) {
        let most = (self.config.pull_speed_iod * dt / 1000.0).min(MAX_PULL_STEP_IOD);
        let share = (dt / self.pull_ms).min(1.0);
        let limit = |v: Iod, most: f32| v * (most / v.norm().max(1e-12)).min(1.0);
        for i in 0..COUNT {
            let step = limit(self.pull[i] * share, most);
            for key in &mut self.keys {
                key.offset[i] += step;
                key.target[i] += step;
            }
            if let Some(key) = self.keys.get_mut(self.active) {
                let rest = key.target[i] - key.offset[i];
                key.offset[i] += limit(rest, most);
            }
        }
        let left = (self.pull_ms - dt).max(1.0);
        for pull in &mut self.pull {
            *pull = *pull * (1.0 - share);
        }
        self.pull_ms = left;
    }

    fn measure_standing(&mut self) {
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

    /// Takes a new key picture, or an old one again, when the present one has stopped to fit.
    fn choose_key(&mut self, time: Timestamp) {
        let Some(key) = self.keys.get_mut(self.active) else { return };
        key.used = time;
        let scale = self.head.scale();
        let far = key.offset[17..].iter().any(|o| o.norm() > 0.06);
        let bad = self.slow_correlation < self.config.reseed_correlation || !(0.75..1.34).contains(&scale) || far;
        // in the middle of an occlusion the picture is no better than the key
        if !bad || self.standing.found < 0.7 || time.ms_since(self.key_since) < 300.0 {
            return;
        }
        if !self.return_to_old_key(time) {
            self.take_key(time);
        }
    }

    /// Takes the present picture as the key picture, at the present landmarks.
    fn take_key(&mut self, time: Timestamp) {
        let landmarks = self.landmarks();
        let (Some(roi), Some(working)) = (self.roi(), Working::of(&landmarks, &self.config)) else { return };
        let spare = if self.keys.len() >= self.config.keys.max(1) {
            let oldest = self.keys.iter().enumerate().min_by_key(|(_, k)| k.used).map_or(0, |(i, _)| i);
            self.keys.swap_remove(oldest).pyramid
        } else {
            Pyramid::default()
        };
        let pyramid = std::mem::replace(&mut self.current, spare);
        let Some(key) = Key::new(pyramid, &landmarks, roi, time) else { return };
        for p in &mut self.points {
            // what hides a landmark must not become its patch
            p.orphan |= p.lost;
        }
        self.working = working;
        self.region = None;
        self.at = landmarks;
        self.keys.push(key);
        self.begin_key(self.keys.len() - 1, time);
    }

    /// Makes a key picture the active one, with the face where that was taken.
    fn begin_key(&mut self, index: usize, time: Timestamp) {
        self.active = index;
        self.head = STILL;
        self.rest = [Iod::default(); COUNT];
        self.bend = FLAT;
        (self.key_since, self.slow_correlation) = (time, 1.0);
        self.standing.key_changed = true;
        if let Some(key) = self.keys.get(index) {
            self.templates.render(key, &SAME_VIEW, &self.working, &self.config);
        }
    }

    /// Looks whether an older key picture fits the present shape of the face better; the landmarks stay where they
    /// are, and what the old patches say otherwise is worked off slowly.
    fn return_to_old_key(&mut self, time: Timestamp) -> bool {
        let landmarks = self.landmarks();
        let inner = |i: usize| if self.points[i].lost { 0.0 } else { HEAD_WEIGHT[i] };
        let weight: PerLandmark<f32> = std::array::from_fn(inner);
        let misfit = |key: &Key| {
            let scale = 0.03 * key.iod_px();
            let fit = robust_similarity(&key.points, &landmarks, &weight, scale * 4.0)?;
            let (mut sum, mut total) = (0.0, 0.0);
            for i in 17..COUNT {
                sum += weight[i] * (fit.apply(key.points[i]).distance(landmarks[i]) / fit.scale()).powi(2);
                total += weight[i];
            }
            Some(((sum / f32::max(total, 1e-6)).sqrt() / key.iod_px(), fit))
        };
        let Some((now, _)) = self.keys.get(self.active).and_then(misfit) else { return false };
        let best = self
            .keys
            .iter()
            .enumerate()
            .filter(|&(i, _)| i != self.active)
            .filter_map(|(i, k)| misfit(k).map(|(r, fit)| (i, r, fit)))
            .filter(|(_, r, fit)| *r < 0.7 * now && (0.75..1.34).contains(&fit.scale()))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((index, _, fit)) = best else { return false };
        let Some(key) = self.keys.get(index) else { return false };
        let before = (self.head, self.motion, self.bend);
        let first = first_followed(&self.config);
        (self.head, self.motion, self.bend) = (fit, STILL, FLAT);
        self.templates.render(key, &self.view(key), &self.working, &self.config);
        let found = self.search_all();
        let good = |f: &Option<(Px, Found)>| {
            f.filter(|(_, f)| {
                f.agreement.correlation > self.config.min_correlation
                    && f.back_iod < self.config.max_forward_backward_iod
            })
        };
        let count = found[17..].iter().filter_map(good).count();
        let correlation = found[17..].iter().filter_map(good).map(|(_, f)| f.agreement.correlation).sum::<f32>()
            / count.max(1) as f32;
        let enough = count as f32 > 0.8 * self.standing.found * 51.0;
        if !enough || correlation < self.slow_correlation.max(self.config.reseed_correlation) + 0.03 {
            (self.head, self.motion, self.bend) = before;
            if let Some(key) = self.keys.get(self.active) {
                self.templates.render(key, &self.view(key), &self.working, &self.config);
            }
            return false;
        }
        let Some(back) = fit.inverse() else { return false };
        self.active = index;
        self.rest = [Iod::default(); COUNT];
        self.bend = FLAT;
        (self.key_since, self.slow_correlation) = (time, 1.0);
        self.standing.key_changed = true;
        let Some(key) = self.keys.get_mut(index) else { return false };
        for i in 0..COUNT {
            let was = landmarks[i];
            let place = good(&found[i]).map_or_else(|| fit.apply(key.points[i]), |(p, _)| p);
            self.at[i] = if i < first { fit.apply(key.points[i]) } else { place };
            self.points[i].orphan = false;
            key.offset[i] = key.to_face.apply_vector(back.apply_vector(was - self.at[i]));
        }
        true
    }
}

/// An angle brought to -pi..pi.
fn turn(angle: f32) -> f32 {
    (angle + std::f32::consts::PI).rem_euclid(std::f32::consts::TAU) - std::f32::consts::PI
}
