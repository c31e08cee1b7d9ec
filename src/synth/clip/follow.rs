//! Where the face of a clip is in every frame: what the warp is fastened to.

use crate::capture::{CaptureError, Source, Step, blank_frame};
use crate::face::{FaceError, stage::FaceStage};
use crate::frame::{Content, FaceId};
use crate::geometry::{FaceFrame, Iod, Pixels, Px, Similarity};
use crate::landmarks::{COUNT, PerLandmark, RIGID, face_frame};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Places and shapes are averaged over time with this standard deviation, so that the tracker's jitter does not shake
/// the warp. Neither a head nor a mouth turns back within it.
const SMOOTH_MS: f64 = 50.0;
/// Frames further apart are not averaged: the face was lost in between.
const GAP_MS: f64 = 150.0;
/// A face that was followed in fewer frames is none to work with.
const LEAST: usize = 10;

/// One frame of a clip as the face stage saw it.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) time: Timestamp,
    pub(crate) faces: Vec<(FaceId, PerLandmark<Px>)>,
}

/// The face in one frame.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) time: Timestamp,
    /// From the face frame to the picture.
    pub(crate) place: Similarity<FaceFrame, Pixels>,
    /// The landmarks in the face frame.
    pub(crate) shape: PerLandmark<Iod>,
}

/// One face of a clip, followed from frame to frame.
#[derive(Debug, Clone)]
pub struct Followed {
    placed: Vec<Placed>,
    iod: f32,
    seconds: f64,
    fps: f64,
}

/// Why a clip cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The clip cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The face stage failed.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// There is no face in it.
    #[error("no face could be followed for {LEAST} frames; a clip of one person, {0} frames were looked at")]
    NoFace(usize),
    /// It holds no pictures.
    #[error("the clip holds landmarks; pictures are needed")]
    NoPictures,
}

impl Followed {
    /// Follows the face that is seen longest, with the face stage of the line; `tick` is called after each frame.
    ///
    /// # Errors
    /// When the clip cannot be read or no face can be followed.
    pub fn new(
        source: &mut dyn Source,
        stage: &mut FaceStage,
        tick: &mut dyn FnMut(Timestamp),
    ) -> Result<Self, FollowError> {
        let (mut frame, mut faces, mut looks) = (blank_frame(), Vec::new(), Vec::new());
        loop {
            match source.next(&mut frame, Duration::from_secs(1))? {
                Step::Frame => {}
                Step::Timeout => continue,
                Step::End => break,
            }
            let Content::Picture(picture) = &frame.content else { return Err(FollowError::NoPictures) };
            stage.process(frame.time, picture, &mut faces)?;
            let faces = faces.iter().map(|f| (f.id, f.landmarks)).collect();
            looks.push(Look { time: frame.time, faces });
            tick(frame.time);
        }
        Self::from_looks(&looks)
    }

    /// The longest followed face.
    pub(crate) fn from_looks(looks: &[Look]) -> Result<Self, FollowError> {
        let none = || FollowError::NoFace(looks.len());
        let mut seen: BTreeMap<FaceId, usize> = BTreeMap::new();
        looks.iter().flat_map(|l| &l.faces).for_each(|(id, _)| *seen.entry(*id).or_default() += 1);
        let (&face, _) = seen.iter().max_by_key(|(id, n)| (**n, u32::MAX - id.0)).ok_or_else(none)?;
        let points = |l: &Look| {
            let found = l.faces.iter().find(|(id, p)| *id == face && p.iter().all(|p| p.is_finite()));
            found.map(|(_, p)| (l.time, *p))
        };
        let tracked: Vec<(Timestamp, PerLandmark<Px>)> = looks.iter().filter_map(points).collect();
        if tracked.len() < LEAST {
            return Err(none());
        }
        let neutral = neutral(&tracked).ok_or_else(none)?;
        let rough: Vec<Placed> = tracked.iter().filter_map(|(t, p)| place(*t, p, &neutral)).collect();
        let placed: Vec<Placed> = (0..rough.len()).map(|k| smooth(&rough, k)).collect();
        let mut scales: Vec<f32> = placed.iter().map(|p| p.place.scale()).collect();
        scales.sort_by(f32::total_cmp);
        let iod = *scales.get(scales.len() / 2).ok_or_else(none)?;
        let (first, last) = (looks.first().map_or(Timestamp::default(), |l| l.time), looks.last().map(|l| l.time));
        let span = last.map_or(0.0, |l| l.ms_since(first) / 1e3);
        let fps = (looks.len() - 1) as f64 / span.max(1e-6);
        Ok(Self { placed, iod, seconds: span + 1.0 / fps, fps })
    }

    /// The face at `t`, when it was followed in that frame.
    pub(crate) fn at(&self, t: Timestamp) -> Option<&Placed> {
        self.placed.binary_search_by_key(&t, |p| p.time).ok().and_then(|k| self.placed.get(k))
    }

    /// Whether the face was followed without a gap from `from` to `to`.
    pub(crate) fn throughout(&self, from: Timestamp, to: Timestamp) -> bool {
        let start = self.placed.partition_point(|p| p.time < from);
        let end = self.placed.partition_point(|p| p.time <= to);
        let inside = self.placed.get(start..end).unwrap_or(&[]);
        let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return false };
        first.time.ms_since(from) < GAP_MS
            && to.ms_since(last.time) < GAP_MS
            && inside.windows(2).all(|w| w[1].time.ms_since(w[0].time) < GAP_MS)
    }

    /// Median inter-ocular distance in pixels.
    pub const fn iod(&self) -> f32 {
        self.iod
    }

    /// Length of the clip in seconds.
    pub const fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Mean frames per second.
    pub const fn fps(&self) -> f64 {
        self.fps
    }
}

/// The median of each landmark in the face frame: the person's usual face.
fn neutral(tracked: &[(Timestamp, PerLandmark<Px>)]) -> Option<PerLandmark<Iod>> {
    let faces: Vec<PerLandmark<Iod>> =
        tracked.iter().filter_map(|(_, p)| face_frame(p).map(|f| p.map(|p| f.apply(p)))).collect();
    let median = |value: &dyn Fn(&PerLandmark<Iod>) -> f32| {
        let mut all: Vec<f32> = faces.iter().map(value).collect();
        all.sort_by(f32::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let mut out = [Iod::default(); COUNT];
    for (i, p) in out.iter_mut().enumerate() {
        *p = Iod::new(median(&|f| f[i].x)?, median(&|f| f[i].y)?);
    }
    Some(out)
}

/// The face by its rigid landmarks, so that a blink or a smile does not move the frame of reference.
fn place(time: Timestamp, points: &PerLandmark<Px>, neutral: &PerLandmark<Iod>) -> Option<Placed> {
    let place = Similarity::fit(RIGID.iter().map(|&i| (neutral[i], points[i], 1.0)))?;
    let back = place.inverse()?;
    Some(Placed { time, place, shape: points.map(|p| back.apply(p)) })
}

/// The face in frame `k`, averaged with its neighbours in time.
fn smooth(all: &[Placed], k: usize) -> Placed {
    let middle = &all[k];
    let near = |step: &dyn Fn(usize) -> Option<usize>| {
        let (mut indices, mut i) = (Vec::new(), k);
        while let Some(next) = step(i).filter(|n| *n < all.len()) {
            let gap = all[next].time.ms_since(all[i].time).abs();
            if gap > GAP_MS || all[next].time.ms_since(middle.time).abs() > 3.0 * SMOOTH_MS {
                break;
            }
            indices.push(next);
            i = next;
        }
        indices
    };
    // As many before as behind, so that a steady movement is not held back at the ends.
    let (before, behind) = (near(&|i| i.checked_sub(1)), near(&|i| i.checked_add(1)));
    let both = before.into_iter().zip(behind).flat_map(|(a, b)| [a, b]);
    let (mut total, mut sums, mut shape) = (0.0f32, [0.0f32; 4], [Iod::default(); COUNT]);
    for i in std::iter::once(k).chain(both) {
        let (p, d) = (&all[i], all[i].time.ms_since(middle.time) / SMOOTH_MS);
        let w = (-0.5 * d * d).exp() as f32;
        total += w;
        let of = [p.place.a, p.place.b, p.place.tx, p.place.ty];
        sums.iter_mut().zip(of).for_each(|(s, v)| *s += w * v);
        shape.iter_mut().zip(&p.shape).for_each(|(s, v)| *s += *v * w);
    }
    let [a, b, tx, ty] = sums.map(|s| s / total);
    Placed { time: middle.time, place: Similarity::new(a, b, tx, ty), shape: shape.map(|s| s * (1.0 / total)) }
}
