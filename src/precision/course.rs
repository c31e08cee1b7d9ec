//! The course of one film: where landmarks were seen, and where the skin under them was.

use crate::capture::{CaptureError, Source, Step, blank_frame};
use crate::face::stage::FaceStage;
use crate::face::{FaceError, LandmarkNet};
use crate::frame::{Content, FaceId, Luma};
use crate::geometry::{Iod, Pixels, Px, Rect, Roi, Similarity};
use crate::landmarks::{PerLandmark, RIGID};
use crate::synth::{Film, TruthEvent};
use crate::time::Timestamp;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Time before an onset over which the neutral face is averaged, in ms.
const NEUTRAL_MS: f64 = 120.0;
/// Time around an apex in which the movement is read, in ms: there it is above 95 % of its peak.
const APEX_MS: f64 = 20.0;
/// Time at the beginning of a film that the jitter is not measured in, in ms.
const SETTLE_MS: f64 = 200.0;

/// Why a film cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The film.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A network.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// There is no exact truth.
    #[error("only made faces (drawn, photo:FILE) know where each point of the skin is; this film does not")]
    NoTruth,
    /// The stop was asked for.
    #[error("stopped")]
    Stopped,
}

/// Landmarks as seen, and the points of the skin on which they lay at first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) seen: PerLandmark<Px>,
    pub(super) truth: PerLandmark<Px>,
}

/// One frame.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) time: Timestamp,
    /// What the face stage made of it.
    pub(super) line: Option<Pair>,
    /// What the network alone made of it; only where it is asked.
    pub(super) network: Option<Pair>,
}

/// The course of a film.
#[derive(Debug, Clone, Default)]
pub struct Course {
    pub(super) samples: Vec<Sample>,
    pub(super) events: Vec<TruthEvent>,
    /// Frames in which the face was not followed, or under another id.
    pub(super) lost: usize,
}

/// Spans of time that are evaluated.
pub(super) struct Spans {
    pub(super) neutral: RangeInclusive<Timestamp>,
    pub(super) apex: RangeInclusive<Timestamp>,
}

impl Spans {
    pub(super) fn of(e: &TruthEvent) -> Self {
        Self {
            neutral: e.onset.plus_ms(-NEUTRAL_MS)..=e.onset,
            apex: e.apex.plus_ms(-APEX_MS)..=e.release.plus_ms(APEX_MS),
        }
    }
}

/// The time before the first event, in which nothing moves by itself.
pub(super) fn calm(events: &[TruthEvent], end: Timestamp) -> RangeInclusive<Timestamp> {
    let first = events.iter().map(|e| e.onset).min().unwrap_or(end);
    Timestamp::default().plus_ms(SETTLE_MS)..=first
}

/// The similarity that carries the rigid landmarks of `from` onto those of `to`.
pub(super) fn rigid(from: &PerLandmark<Px>, to: &PerLandmark<Px>) -> Option<Similarity<Pixels, Pixels>> {
    Similarity::fit(RIGID.iter().map(|&i| (from[i], to[i], 1.0)))
}

/// Landmarks tied to the skin.
struct Tied(PerLandmark<Iod>);

impl Tied {
    fn to(film: &Film, seen: &PerLandmark<Px>) -> Option<Self> {
        film.skin(seen[0])?;
        Some(Self(seen.map(|p| film.skin(p).unwrap_or_default())))
    }

    fn pair(&self, film: &Film, seen: PerLandmark<Px>) -> Pair {
        Pair { seen, truth: self.0.map(|p| film.seen(p).unwrap_or_default()) }
    }
}

/// The network without a tracker, in its best case: it always looks at the same square of the true head.
struct Alone {
    roi: Roi,
    head: PerLandmark<Px>,
    tied: Option<Tied>,
}

impl Alone {
    fn look(&mut self, film: &Film, net: &mut dyn LandmarkNet, picture: &Luma) -> Result<Option<Pair>, MeasureError> {
        let Some(now) = film.landmarks().first() else { return Ok(None) };
        let Some(s) = rigid(&self.head, now) else { return Ok(None) };
        let roi = Roi {
            centre: s.apply(self.roi.centre),
            side: self.roi.side * s.scale(),
            angle: self.roi.angle + s.angle(),
        };
        let seen = net.landmarks(picture, &roi)?;
        if self.tied.is_none() {
            self.tied = Tied::to(film, &seen.points);
        }
        Ok(self.tied.as_ref().map(|t| t.pair(film, seen.points)))
    }

    /// The square that the network itself would have, after two looks.
    fn begin(film: &Film, net: &mut dyn LandmarkNet, picture: &Luma) -> Result<Option<Self>, MeasureError> {
        let Some(head) = film.landmarks().first().copied() else { return Ok(None) };
        let bounds = Rect::around(head.iter().copied());
        let first = Roi { centre: bounds.centre(), side: bounds.width.max(bounds.height) * 1.5, angle: 0.0 };
        let roi = net.landmarks(picture, &first)?.roi;
        let roi = net.landmarks(picture, &roi)?.roi;
        Ok(Some(Self { roi, head, tied: None }))
    }
}

/// Plays a film of one made face through the face stage, and shows the frames that are evaluated to the network alone.
/// `tick` is called after each frame with its time; `false` stops.
///
/// # Errors
/// When the film has no exact truth, the film or a network fails, or `tick` says stop.
pub fn measure(
    film: &mut Film,
    stage: &mut FaceStage,
    net: &mut dyn LandmarkNet,
    tick: &mut dyn FnMut(Timestamp) -> bool,
) -> Result<Course, MeasureError> {
    let mut course = Course { events: film.events().to_vec(), ..Course::default() };
    let end = Timestamp::from_secs(film.seconds());
    let mut asked: Vec<_> = vec![calm(&course.events, end)];
    asked.extend(course.events.iter().map(Spans::of).flat_map(|s| [s.neutral, s.apex]));
    let (mut frame, mut faces) = (blank_frame(), Vec::new());
    let mut followed: Option<(FaceId, Tied)> = None;
    let mut alone: Option<Alone> = None;
    loop {
        match film.next(&mut frame, Duration::from_secs(1))? {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => return Ok(course),
        }
        let Content::Picture(picture) = &frame.content else { return Err(MeasureError::NoTruth) };
        if film.skin(Px::default()).is_none() {
            return Err(MeasureError::NoTruth);
        }
        stage.process(frame.time, picture, &mut faces)?;
        if let (None, Some(face)) = (&followed, faces.first()) {
            followed = Tied::to(film, &face.landmarks).map(|t| (face.id, t));
        }
        let own = followed.as_ref().and_then(|(id, tied)| Some((faces.iter().find(|f| f.id == *id)?, tied)));
        let line = own.map(|(face, tied)| tied.pair(film, face.landmarks));
        course.lost += usize::from(line.is_none());
        let mut network = None;
        if asked.iter().any(|span| span.contains(&frame.time)) {
            if alone.is_none() {
                alone = Alone::begin(film, net, picture)?;
            }
            if let Some(alone) = &mut alone {
                network = alone.look(film, net, picture)?;
            }
        }
        course.samples.push(Sample { time: frame.time, line, network });
        if !tick(frame.time) {
            return Err(MeasureError::Stopped);
        }
    }
}
