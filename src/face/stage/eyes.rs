//! The two networks, and the two things that they are asked: to look at a face, and to search a picture for more.

use crate::face::{Anchor, DetectedFace, FaceDetector, FaceError, LandmarkNet};
use crate::frame::Luma;
use crate::geometry::{Px, Rect, Roi};
use crate::landmarks::{PerLandmark, iod};
use std::time::Instant;

/// Runs of the networks and the time in them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Runs {
    pub detector: u64,
    pub detector_ns: u64,
    pub net: u64,
    pub net_ns: u64,
}

/// A face that is followed already, so that a search passes it over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed {
    bounds: Rect,
    iod: f32,
}

impl Followed {
    pub fn of(points: &PerLandmark<Px>) -> Self {
        Self { bounds: Rect::around(points.iter().copied()), iod: iod(points) }
    }

    /// Whether a detection is this face. Detectors box a face differently than its landmarks do: the middle decides as
    /// well.
    fn is(&self, bounds: &Rect) -> bool {
        self.bounds.iou(bounds) > 0.3 || self.bounds.centre().distance(bounds.centre()) < 0.7 * self.iod
    }
}

/// Detector and landmark network, wherever they run.
pub(super) struct Eyes {
    pub detector: Box<dyn FaceDetector>,
    pub net: Box<dyn LandmarkNet>,
    /// Score from which a detection counts.
    pub min_score: f32,
    /// Presence below which the landmark network sees no face.
    pub min_presence: f32,
    pub detected: Vec<DetectedFace>,
}

impl Eyes {
    /// What the landmark network sees at `roi`, be it a face or not.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn look(&mut self, picture: &Luma, roi: &Roi, runs: &mut Runs) -> Result<Anchor, FaceError> {
        let begin = Instant::now();
        let looked = self.net.landmarks(picture, roi);
        runs.net += 1;
        runs.net_ns += nanoseconds(begin);
        looked
    }

    /// Replaces `found` by at most `room` faces of the picture that are not `followed` yet, which grows by them.
    ///
    /// # Errors
    /// When a network cannot be run; what was found before stays in `found`.
    pub fn search(
        &mut self,
        picture: &Luma,
        followed: &mut Vec<Followed>,
        room: usize,
        found: &mut Vec<Anchor>,
        runs: &mut Runs,
    ) -> Result<(), FaceError> {
        found.clear();
        let begin = Instant::now();
        let mut detected = std::mem::take(&mut self.detected);
        let mut result = self.detector.detect(picture, &mut detected);
        runs.detector += 1;
        runs.detector_ns += nanoseconds(begin);
        for d in &detected {
            if result.is_err() || found.len() >= room {
                break;
            }
            if d.score < self.min_score || followed.iter().any(|f| f.is(&d.bounds)) {
                continue;
            }
            match self.settle(picture, &d.roi, runs) {
                Ok(Some(anchor)) => {
                    followed.push(Followed::of(&anchor.points));
                    found.push(anchor);
                }
                Ok(None) => {}
                Err(e) => result = Err(e),
            }
        }
        self.detected = detected;
        result
    }

    /// Two looks, the second from where all later ones will be; `None` when the network sees no face.
    fn settle(&mut self, picture: &Luma, roi: &Roi, runs: &mut Runs) -> Result<Option<Anchor>, FaceError> {
        let first = self.look(picture, roi, runs)?;
        if !(first.presence >= self.min_presence) {
            return Ok(None);
        }
        let second = self.look(picture, &first.roi, runs)?;
        Ok((second.presence >= self.min_presence).then_some(Anchor { roi: first.roi, ..second }))
    }
}

pub(super) fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
