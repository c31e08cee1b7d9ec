//! One tracked face: 68 landmarks that the network places once and Lucas-Kanade follows.
//!
//! Every landmark is searched from its patch in a key picture, never from frame to frame, so errors do not add up. The
//! head's motion comes first, from the coarsest pyramid level and all landmarks together; it seeds each landmark's own
//! search. Landmarks that look different than in their key picture get patches from another one, or from the present
//! picture at the *tracked* places, so they do not step. The network's later looks pull slowly, and only by what an
//! affine deformation of the whole face explains; a landmark that is lost begins again at the network's place, without
//! trust until it has been followed for a while.
//!
//! What leaves is not what single windows read but the joint estimate over each part of the face
//! ([`super::track_joint`]). Searches and patches go on from the readings, so that the estimate feeds nothing back.

mod anchor;
mod patches;
mod search;
mod settle;

use super::Anchor;
use super::lk::Scratch;
use super::track_config::TrackerConfig;
use super::track_fit::product;
use super::track_joint::{Joint, Look};
use super::track_picture::{Picture, Templates, View, Working, view_scale};
use super::track_point::PointState;
use crate::frame::{Face, FaceId, Luma};
use crate::geometry::{FaceFrame, Iod, Pixels, Px, Rect, Roi, Similarity};
use crate::image::{Normaliser, Pyramid, Region};
use crate::landmarks::{COUNT, PerLandmark, face_frame};
use crate::time::Timestamp;

type Motion = Similarity<Pixels, Pixels>;
const STILL: Motion = Similarity::new(1.0, 0.0, 0.0, 0.0);
/// Variance of the difference of a patch from the picture, in units of the local contrast, to begin with.
const START_NOISE: f32 = 0.05;
/// Variance of the filter that pictures are softened with, in squared pixels: a window looks that much wider.
const SOFTENED: f32 = 0.5;

/// How well a face is being followed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Share of the landmarks of brows, nose, eyes and mouth that were found, 0 to 1.
    pub found: f32,
    /// Mean correlation of those with their key patches, 0 to 1.
    pub correlation: f32,
    /// Mean confidence of the landmarks of brows, nose, eyes and mouth, 0 to 1.
    pub confidence: f32,
    /// Landmarks have got patches from another key picture in this frame.
    pub key_changed: bool,
}

/// What a look of the landmark network did to a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchored {
    /// It agrees; the landmarks are pulled a little.
    Pulled,
    /// It does not: the track has to be started anew at the network's landmarks.
    Astray,
    /// Its landmarks are no face.
    Refused,
}

/// How a face stood in one picture.
#[derive(Debug, Clone, Copy)]
pub struct Stance {
    /// From the face frame to that picture; `None` when nothing has been noted.
    head: Option<Similarity<FaceFrame, Pixels>>,
    landmarks: PerLandmark<Px>,
}

impl Default for Stance {
    fn default() -> Self {
        Self { head: None, landmarks: [Px::default(); COUNT] }
    }
}

/// Where the landmark network looks, in the face frame.
#[derive(Debug, Clone, Copy)]
struct FaceRoi {
    centre: Iod,
    side_iod: f32,
    angle: f32,
}

/// Follows the landmarks of one face. See the module's text.
#[derive(Debug)]
pub struct Tracker {
    config: TrackerConfig,
    working: Working,
    time: Timestamp,
    /// Where the patches are now, in picture pixels.
    at: PerLandmark<Px>,
    /// What has to be added to have the landmark, in the face frame.
    offset: PerLandmark<Iod>,
    /// Where the offset is going, slowly.
    target: PerLandmark<Iod>,
    points: PerLandmark<PointState>,
    joint: Joint,
    /// How far the reading of each landmark counts in the joint estimate, 0 to 1; changes slowly.
    trust: PerLandmark<f32>,
    /// The landmarks, estimated together.
    joined: PerLandmark<Px>,
    /// The face at the start, in the face frame.
    shape: PerLandmark<Iod>,
    /// Slow mean of the place of each patch against where head and bend carry its shape.
    rest: PerLandmark<Iod>,
    /// Mean variance of the difference of each patch from the picture.
    noise: PerLandmark<f32>,
    /// From the face frame to now.
    head: Similarity<FaceFrame, Pixels>,
    /// What the head's turning out of the picture plane adds to that: stretch along x less along y, and along the
    /// diagonal.
    bend: [f32; 2],
    /// The head's motion in the last frame.
    motion: Motion,
    /// The key pictures; the first is the one of the start.
    pictures: Vec<Picture>,
    /// In which of them each landmark has its patch.
    source: PerLandmark<usize>,
    roi: FaceRoi,
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
    /// When other patches were last tried.
    tried: Timestamp,
    /// Which of the followed landmarks is the next to try.
    next_try: usize,
    /// When the last key picture was taken.
    taken: Timestamp,
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
        let zero = [Iod::default(); COUNT];
        let mut tracker = Self {
            config: config.clone(),
            working: Working::of(&anchor.points, config)?,
            time,
            at: anchor.points,
            offset: zero,
            target: zero,
            points: [PointState::default(); COUNT],
            joint: Joint::default(),
            trust: [1.0; COUNT],
            joined: anchor.points,
            shape: zero,
            rest: zero,
            noise: [START_NOISE; COUNT],
            head: face_frame(&anchor.points)?.inverse()?,
            bend: [0.0; 2],
            motion: STILL,
            pictures: Vec::with_capacity(config.keys),
            source: [0; COUNT],
            roi: FaceRoi { centre: Iod::default(), side_iod: 1.0, angle: 0.0 },
            current: Pyramid::default(),
            region: None,
            normaliser: Normaliser::default(),
            templates: Templates::default(),
            scratch: Scratch::default(),
            pull: zero,
            pull_ms: 250.0,
            anchored: time,
            standing: Standing::default(),
            tried: time,
            next_try: 0,
            taken: time,
        };
        tracker.restart(time, picture, anchor, trusted).then_some(tracker)
    }

    /// Starts anew, see [`Self::start`], keeping the memory. `false`, and nothing done, when the landmarks do not make
    /// a face.
    pub fn restart(&mut self, time: Timestamp, picture: &Luma, anchor: &Anchor, trusted: bool) -> bool {
        let Some(working) = Working::of(&anchor.points, &self.config) else { return false };
        let Some(to_face) = face_frame(&anchor.points) else { return false };
        let Some(head) = to_face.inverse() else { return false };
        let zero = [Iod::default(); COUNT];
        (self.working, self.head, self.bend, self.motion) = (working, head, [0.0; 2], STILL);
        (self.time, self.anchored, self.tried, self.taken) = (time, time, time, time);
        self.at = anchor.points;
        self.shape = anchor.points.map(|p| to_face.apply(p));
        (self.offset, self.target, self.rest, self.pull) = (zero, zero, zero, zero);
        self.points = [PointState::begin(trusted, &self.config); COUNT];
        (self.trust, self.joined) = ([1.0; COUNT], anchor.points);
        self.noise = [START_NOISE; COUNT];
        self.set_roi(&anchor.roi, 1.0);
        self.region = None;
        self.look(picture);
        // old key pictures show other places of the landmarks
        let spare = self.pictures.pop().map(|p| p.pyramid).unwrap_or_default();
        self.pictures.clear();
        self.take_picture(spare, anchor.points.map(Some));
        self.source = [0; COUNT];
        self.render();
        self.measure_standing();
        true
    }

    /// Follows the face into the next picture.
    pub fn follow(&mut self, time: Timestamp, picture: &Luma) -> Standing {
        let dt = (time.ms_since(self.time) as f32).clamp(0.0, 1000.0);
        self.time = time;
        self.look(picture);
        if self.templates.stale(&self.view(), &self.config) {
            self.render();
        }
        self.motion = self.head_motion();
        let found = self.search_all(dt);
        self.settle(&found, dt);
        self.apply_pull(dt);
        self.join(&found, dt);
        self.measure_standing();
        self.choose_patches();
        self.standing
    }

    /// The landmarks as they are now, in picture pixels.
    pub const fn landmarks(&self) -> PerLandmark<Px> {
        self.joined
    }

    /// The landmarks as each of them is read by itself, in picture pixels. Patches are taken here, so that another patch
    /// changes no reading.
    fn readings(&self) -> PerLandmark<Px> {
        std::array::from_fn(|i| self.at[i] + self.head.apply_vector(self.offset[i]))
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
    pub fn roi(&self) -> Roi {
        Roi {
            centre: self.head.apply(self.roi.centre),
            side: self.roi.side_iod * self.head.scale(),
            angle: self.roi.angle + self.head.angle(),
        }
    }

    /// Moves the region of the next look by the share `k` to where the network would have it.
    fn set_roi(&mut self, wanted: &Roi, k: f32) {
        let Some(back) = self.head.inverse() else { return };
        self.roi.centre = self.roi.centre + (back.apply(wanted.centre) - self.roi.centre) * k;
        self.roi.side_iod += (wanted.side * back.scale() - self.roi.side_iod) * k;
        let turn = wanted.angle + back.angle() - self.roi.angle + std::f32::consts::PI;
        self.roi.angle += (turn.rem_euclid(std::f32::consts::TAU) - std::f32::consts::PI) * k;
    }

    /// How the face is seen now.
    fn view(&self) -> View {
        let (h, [p, q]) = (&self.head, self.bend);
        product(&[[h.a, -h.b], [h.b, h.a]], &[[1.0 + p, q], [q, 1.0 - p]])
    }

    /// Draws all templates as the face is seen now.
    fn render(&mut self) {
        let view = self.view();
        self.templates.render(&self.pictures, &self.source, &view, &self.working, &self.config);
        self.aim();
    }

    /// Tells the joint estimate where the templates look.
    fn aim(&mut self) {
        let Some(back) = self.head.inverse() else { return };
        let (pixel, iod) = (self.working.factor as f32, self.working.iod);
        let looks = std::array::from_fn(|i| Look {
            cells: self.templates.fine(i).cells(i).map(|c| {
                let from = back.apply_vector(Px::new(c.at[0], c.at[1]) * pixel);
                (self.shape[i] + from, c.hessian)
            }),
            softened: SOFTENED / (iod * iod),
        });
        self.joint.prepare(&self.shape, &looks, iod, &self.config);
    }

    /// A place of the face at rest, bent as the face is seen now.
    fn bent(&self, p: Iod) -> Iod {
        let [a, b] = self.bend;
        Iod::new(p.x * (1.0 + a) + p.y * b, p.x * b + p.y * (1.0 - a))
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
        // the statistics grow with the face
        let zoom = self.zoom().clamp(0.5, 2.0);
        let scale = self.working.normalise.zoomed(zoom);
        self.current.build(picture, region, self.working.levels, &mut self.normaliser, &scale);
    }

    /// Size of the face against the size that the working scale was chosen for.
    fn zoom(&self) -> f32 {
        view_scale(&self.view()) / (self.working.iod * self.working.factor as f32)
    }
}
