//! The movement stage of one face track.

use super::depth::depth_of;
use super::neutral::{Neutral, eye_aspect};
use super::register::{CORNERS, Fit, Pose, Registration, register};
use super::response::Response;
use super::{Head, Movement, MovementConfig};
use crate::frame::{Face, FaceId};
use crate::geometry::{FaceFrame, Iod, Pixels, Px, Similarity};
use crate::landmarks::{COUNT, PerLandmark};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// Frames kept for the head's speed: enough for 500 ms at 250 frames per second.
const TRACE: usize = 128;
/// An eye flatter than this in the neutral face (height over width) is no reference for its opening.
const FLAT_EYE: f32 = 0.03;

/// Landmarks of the lids of the right and of the left eye.
const LIDS: [[usize; 4]; 2] = [[37, 38, 40, 41], [43, 44, 46, 47]];
/// Landmarks around the eyes that are found while the eyes are closed: brows and bridge of the nose.
const AROUND: [usize; 14] = [17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30];
/// Mean confidence of the eye corners from which they are seen, and up to which they are not.
const CORNERS_SEEN: f32 = 0.6;
const CORNERS_LOST: f32 = 0.2;
/// Longest time for which the brows stand in for the eye corners, in ms: longer than any blink, and then brows move.
const STAND_IN_MS: f32 = 1500.0;
/// Time over which eye corners that are found again after a blink come back into the registration, in ms: they come
/// back slightly off their place, and settle.
const CORNERS_BACK_MS: f32 = 300.0;
/// Mean confidence of an eye's lids below which they are not found.
const LID_LOST: f32 = 0.3;
/// Mean confidence of the landmarks around the eyes above which the face is found.
const FACE_FOUND: f32 = 0.6;

/// Confidence up to which a landmark is lost.
const LOST: f32 = 0.02;

/// Where the head was in one frame.
#[derive(Debug, Clone, Copy)]
struct HeadPlace {
    time: Timestamp,
    origin: Px,
    angle: f32,
    iod: f32,
}

/// Turns the landmarks of one face track, frame by frame, into movement against its running neutral face.
///
/// After the first frames it allocates nothing.
#[derive(Debug)]
pub struct MovementStage {
    config: MovementConfig,
    neutral: Option<Neutral>,
    depth: PerLandmark<f32>,
    response: Response,
    pose: Pose,
    /// Where the landmarks were last while the eye corners could be seen, in the neutral face's frame and pose.
    last_seen: Option<PerLandmark<Iod>>,
    /// How far the eye corners are trusted: less at once, more only slowly.
    corners: f32,
    /// Time since they were last seen, in ms.
    unseen_ms: f32,
    turned_ms: f32,
    head: VecDeque<HeadPlace>,
    last: Option<Timestamp>,
    /// Frames lost since the last movement that was put out.
    lost: u32,
    restarts: u64,
    out: Movement,
}

impl MovementStage {
    pub(crate) fn new(config: MovementConfig, face: FaceId) -> Self {
        Self {
            config,
            neutral: None,
            depth: [0.0; COUNT],
            response: Response::new(),
            pose: Pose::default(),
            last_seen: None,
            corners: 1.0,
            unseen_ms: 0.0,
            turned_ms: 0.0,
            head: VecDeque::with_capacity(TRACE),
            last: None,
            lost: 0,
            restarts: 0,
            out: Movement {
                face,
                time: Timestamp::default(),
                lost_before: 0,
                iod: 0.0,
                neutral: [Iod::default(); COUNT],
                shift: [Iod::default(); COUNT],
                confidence: [0.0; COUNT],
                head: Head::default(),
                eye_opening: 1.0,
            },
        }
    }

    /// Starts again for another face track, keeping the memory.
    pub fn restart(&mut self, face: FaceId) {
        self.forget();
        (self.out.face, self.last, self.lost, self.restarts) = (face, None, 0, 0);
    }

    /// How often the neutral face of this track was started, the first time included.
    pub fn starts(&self) -> u64 {
        self.restarts
    }

    /// The movement of `face` in the frame at `time`, `lost_before` frames after the one before.
    ///
    /// `None` when the face cannot be registered (fewer than six usable rigid landmarks, no usable landmark to
    /// start from) or the time is not later than the last one; such a frame counts as lost.
    /// A landmark that is not finite is put out as not moved, with confidence 0.
    pub fn push(&mut self, time: Timestamp, lost_before: u32, face: &Face) -> Option<&Movement> {
        self.lost = self.lost.saturating_add(lost_before);
        let dt_ms = self.last.map_or(0.0, |last| time.ms_since(last) as f32);
        if self.last.is_some_and(|last| time <= last) {
            if dt_ms < -self.config.gap_ms {
                self.forget(); // the source's clock started again
                self.last = None;
            }
            self.lost = self.lost.saturating_add(1);
            return None;
        }
        if dt_ms > self.config.gap_ms {
            self.forget();
        }
        if !self.step(time, dt_ms, face) {
            self.lost = self.lost.saturating_add(1);
            return None;
        }
        self.out.time = time;
        self.out.lost_before = std::mem::take(&mut self.lost);
        self.last = Some(time);
        Some(&self.out)
    }

    fn forget(&mut self) {
        self.neutral = None;
        self.head.clear();
        self.turned_ms = 0.0;
    }

    fn step(&mut self, time: Timestamp, dt_ms: f32, face: &Face) -> bool {
        let trust = |(p, c): (&Px, &f32)| if p.is_finite() && c.is_finite() { c.clamp(0.0, 1.0) } else { 0.0 };
        for (out, seen) in self.out.confidence.iter_mut().zip(face.landmarks.iter().zip(&face.confidence)) {
            *out = trust(seen);
        }
        if self.neutral.is_none() && !self.start(face) {
            return false;
        }
        self.watch_corners(dt_ms);
        let Some(found) = self.register(face) else { return false };
        let Some(neutral) = self.neutral.as_mut() else { return false };
        self.pose = found.pose;

        let mut seen = [Iod::default(); COUNT];
        for (i, seen) in seen.iter_mut().enumerate() {
            let usual = neutral.face[i];
            let place = found.pose.place(usual, self.depth[i]) + self.response.predict(i, found.pose);
            let shift = found.to_face.apply(face.landmarks[i]) - place;
            // A lost landmark stays where it was seen last: any other place would be a movement.
            self.out.shift[i] = match (shift.is_finite(), self.out.confidence[i] > LOST) {
                (true, true) => shift,
                (true, false) => self.out.shift[i],
                (false, _) => Iod::default(),
            };
            *seen = usual + self.out.shift[i];
        }
        if self.corners >= 1.0 {
            (self.last_seen, self.unseen_ms) = (Some(seen), 0.0);
        }
        self.out.neutral = neutral.face;
        self.out.iod = 1.0 / found.to_face.scale();
        self.out.eye_opening = match (eye_aspect(&seen), eye_aspect(&neutral.face)) {
            _ if lids_gone(&self.out.confidence) => 0.0,
            (Some(now), Some(usual)) if usual > FLAT_EYE => now / usual,
            _ => 1.0,
        };
        neutral.follow(&self.out.shift, &self.out.confidence, dt_ms, &self.config);
        let mut left = self.out.shift;
        for (e, c) in left.iter_mut().zip(&self.out.confidence) {
            *e = *e * (c * (self.config.pull / e.norm().max(1e-9)).min(1.0));
        }
        self.response.learn(&left, found.pose, (dt_ms / 1e3).min(0.1));

        self.out.head = self.head_motion(time, &found.to_face, found.residual);
        self.turned_ms = if found.pose.degrees() > self.config.pose_limit_deg { self.turned_ms + dt_ms } else { 0.0 };
        if self.turned_ms > self.config.pose_hold_ms {
            log::debug!("face {}: turned for good, neutral face started again", self.out.face.0);
            self.neutral = None; // the next frame starts it
            self.turned_ms = 0.0;
        }
        true
    }

    fn start(&mut self, face: &Face) -> bool {
        let Some(neutral) = Neutral::start(&face.landmarks) else { return false };
        self.depth = depth_of(&neutral.face, &self.out.confidence);
        self.neutral = Some(neutral);
        (self.last_seen, self.corners, self.unseen_ms) = (None, 1.0, 0.0);
        self.response.reset();
        self.pose = Pose::default();
        self.turned_ms = 0.0;
        self.restarts += 1;
        true
    }

    /// How far the eye corners are trusted now, and whether the brows may still stand in for them.
    fn watch_corners(&mut self, dt_ms: f32) {
        let mean = |landmarks: &[usize]| mean_of(&self.out.confidence, landmarks);
        // Lids that are not found, or only just again, pull the corners with them.
        let seen = mean(&CORNERS).min(0.5 * (mean(&LIDS[0]) + mean(&LIDS[1])));
        let trust = ((seen - CORNERS_LOST) / (CORNERS_SEEN - CORNERS_LOST)).clamp(0.0, 1.0);
        self.corners = trust.min(self.corners + dt_ms / CORNERS_BACK_MS);
        self.unseen_ms += dt_ms;
        if self.unseen_ms > STAND_IN_MS {
            self.last_seen = None;
        }
    }

    fn register(&self, face: &Face) -> Option<Registration> {
        let neutral = self.neutral.as_ref()?;
        let fit = Fit {
            reference: &neutral.face,
            brows: self.last_seen.as_ref().map(|face| (face, self.corners)),
            depth: &self.depth,
            noise: self.config.landmark_noise,
            pose_spread: self.config.pose_prior_deg.to_radians(),
        };
        register(&face.landmarks, &self.out.confidence, &fit, self.pose)
            .or_else(|| register(&face.landmarks, &self.out.confidence, &fit, Pose::default()))
    }

    fn head_motion(&mut self, time: Timestamp, to_face: &Similarity<Pixels, FaceFrame>, residual: f32) -> Head {
        let still = Head { residual, ..Head::default() };
        let Some(to_picture) = to_face.inverse() else { return still };
        let origin = to_picture.apply(Iod::new(0.0, 0.0));
        let now = HeadPlace { time, origin, angle: to_picture.angle(), iod: to_picture.scale() };
        // The youngest place that is at least `speed_ms` back, or the oldest there is.
        let back = |p: &&HeadPlace| time.ms_since(p.time) >= f64::from(self.config.speed_ms);
        let then = self.head.iter().rev().find(back).or(self.head.front()).copied();
        while self.head.len() >= TRACE
            || self.head.get(1).is_some_and(|p| time.ms_since(p.time) >= f64::from(self.config.speed_ms))
        {
            self.head.pop_front();
        }
        self.head.push_back(now);
        let Some(then) = then else { return still };
        let seconds = (time.ms_since(then.time) / 1e3) as f32;
        if !(seconds > 0.0 && now.iod > 0.0) {
            return still;
        }
        let turn = (now.angle - then.angle).sin().atan2((now.angle - then.angle).cos());
        Head {
            speed: now.origin.distance(then.origin) / (0.5 * (now.iod + then.iod)) / seconds,
            roll_rate: turn.to_degrees() / seconds,
            residual,
        }
    }
}

/// Are the lids of both eyes lost, but not the rest of the face? A closed lid shows skin where the landmarks' patches
/// show an open eye, so that is how a blink looks to a tracker.
fn lids_gone(confidence: &PerLandmark<f32>) -> bool {
    let mean = |landmarks: &[usize]| mean_of(confidence, landmarks);
    LIDS.iter().all(|lids| mean(lids) < LID_LOST) && mean(&AROUND) > FACE_FOUND
}

fn mean_of(confidence: &PerLandmark<f32>, landmarks: &[usize]) -> f32 {
    let sum: f32 = landmarks.iter().filter_map(|&i| confidence.get(i)).sum();
    sum / landmarks.len().max(1) as f32
}
