//! The face stage: detects, tracks and names the faces of a stream of pictures.

use super::track_config::{InvalidSetting, TrackerConfig, within};
use super::tracker::{Anchored, Tracker};
use super::{Anchor, DetectedFace, FaceDetector, FaceError, LandmarkNet};
use crate::frame::{Face, FaceId, Luma};
use crate::geometry::{Px, Rect};
use crate::landmarks::{PerLandmark, iod};
use crate::time::Timestamp;
use log::{debug, trace};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Settings of the face stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaceConfig {
    /// Most faces followed at a time, 1 to 16. Default 4.
    pub max_faces: usize,
    /// Smallest inter-ocular distance of a face that is followed, in pixels. Micro-expressions move landmarks by
    /// 0.02 of it. Default 24.
    pub min_iod_px: f32,
    /// Time between two runs of the detector while no face is followed, or one has just been lost, in ms. Default 100.
    pub search_ms: f32,
    /// Time between two runs of the detector while faces are followed and there is room for more, in ms. Default 1000.
    pub detect_ms: f32,
    /// Time between two looks of the landmark network at a followed face, in ms. Default 250.
    pub anchor_ms: f32,
    /// Score from which a detection counts, 0 to 1. Default 0.5.
    pub min_score: f32,
    /// Probability of the landmark network that there is a face, below which there is none, 0 to 1. Default 0.5.
    pub min_presence: f32,
    /// Share of the landmarks that must be found for a face to be followed without doubt, 0 to 1; below it the network
    /// looks at once. Default 0.5.
    pub min_found: f32,
    /// Time for which a face may stay in doubt before it is lost, in ms. Default 300.
    pub doubt_ms: f32,
    /// Time for which a lost face keeps its id, if it comes back near its last place, in ms. Default 1000.
    pub remember_ms: f32,
    /// How one face is followed.
    pub tracker: TrackerConfig,
}

impl Default for FaceConfig {
    fn default() -> Self {
        Self {
            max_faces: 4,
            min_iod_px: 24.0,
            search_ms: 100.0,
            detect_ms: 1000.0,
            anchor_ms: 250.0,
            min_score: 0.5,
            min_presence: 0.5,
            min_found: 0.5,
            doubt_ms: 300.0,
            remember_ms: 1000.0,
            tracker: TrackerConfig::default(),
        }
    }
}

impl FaceConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("max_faces", self.max_faces as f64, 1.0, 16.0)?;
        within("min_iod_px", f64::from(self.min_iod_px), 8.0, 2000.0)?;
        for (key, ms) in [
            ("search_ms", self.search_ms),
            ("detect_ms", self.detect_ms),
            ("anchor_ms", self.anchor_ms),
            ("doubt_ms", self.doubt_ms),
            ("remember_ms", self.remember_ms),
        ] {
            within(key, f64::from(ms), 0.0, 600_000.0)?;
        }
        for (key, share) in
            [("min_score", self.min_score), ("min_presence", self.min_presence), ("min_found", self.min_found)]
        {
            within(key, f64::from(share), 0.0, 1.0)?;
        }
        self.tracker.check()
    }

    /// The stage, with these networks.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn build(
        &self,
        detector: Box<dyn FaceDetector>,
        net: Box<dyn LandmarkNet>,
    ) -> Result<FaceStage, InvalidSetting> {
        self.check()?;
        Ok(FaceStage {
            config: self.clone(),
            detector,
            net,
            tracks: Vec::with_capacity(self.max_faces),
            remembered: Vec::with_capacity(REMEMBERED),
            detected: Vec::with_capacity(32),
            last: None,
            searched: None,
            next_id: 0,
            work: FaceWork::default(),
        })
    }
}

/// Most lost faces that are remembered.
const REMEMBERED: usize = 16;
/// Looks of the network without a face after which a face is lost although its patches are still found.
const MISSES: u32 = 2;

/// What the face stage has done since its start, for the benchmark and the health report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaceWork {
    /// Pictures processed.
    pub pictures: u64,
    /// Runs of the detector.
    pub detector_runs: u64,
    /// Time in them, in ns.
    pub detector_ns: u64,
    /// Runs of the landmark network.
    pub net_runs: u64,
    /// Time in them, in ns.
    pub net_ns: u64,
    /// Faces followed by Lucas-Kanade, one per face and picture.
    pub lk_runs: u64,
    /// Time in them, in ns.
    pub lk_ns: u64,
    /// Tracks begun, with a new id or a remembered one.
    pub begun: u64,
    /// Tracks lost.
    pub lost: u64,
    /// Tracks that the network put to another place.
    pub restarts: u64,
    /// Key pictures changed because pose or appearance had.
    pub key_changes: u64,
}

#[derive(Debug)]
struct Track {
    id: FaceId,
    tracker: Tracker,
    /// Since when it has been in doubt.
    doubt: Option<Timestamp>,
    /// Looks of the network, one after the other, that saw no face.
    misses: u32,
}

#[derive(Debug)]
struct Remembered {
    track: Track,
    lost: Timestamp,
    centre: Px,
    iod: f32,
}

/// Finds and follows the faces of a stream. Built by [`FaceConfig::build`].
pub struct FaceStage {
    config: FaceConfig,
    detector: Box<dyn FaceDetector>,
    net: Box<dyn LandmarkNet>,
    tracks: Vec<Track>,
    remembered: Vec<Remembered>,
    detected: Vec<DetectedFace>,
    /// Time of the last picture.
    last: Option<Timestamp>,
    /// Time of the last run of the detector.
    searched: Option<Timestamp>,
    next_id: u32,
    work: FaceWork,
}

impl std::fmt::Debug for FaceStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaceStage").field("config", &self.config).field("work", &self.work).finish_non_exhaustive()
    }
}

impl FaceStage {
    /// Replaces `faces` by the faces of this picture, oldest track first.
    ///
    /// Ids are stable: a face keeps its id as long as it is followed, and gets it back when it returns near its last
    /// place within [`FaceConfig::remember_ms`]. Ids are never used twice. The networks run only at the start, after a
    /// loss and at intervals; in between nothing is allocated.
    ///
    /// # Errors
    /// When a network cannot be run. The tracks stay; the next picture may be tried.
    pub fn process(&mut self, time: Timestamp, picture: &Luma, faces: &mut Vec<Face>) -> Result<(), FaceError> {
        faces.clear();
        self.work.pictures += 1;
        if self.last.is_some_and(|last| time < last) {
            debug!("face stage: time went back to {} us; searching for faces anew", time.as_micros());
            self.reset();
        }
        self.last = Some(time);
        if picture.width() == 0 || picture.height() == 0 {
            return Ok(());
        }
        self.follow(time, picture);
        self.anchor(time, picture)?;
        self.drop_lost(time, picture);
        self.search(time, picture)?;
        faces.extend(self.tracks.iter().map(|t| t.tracker.face(t.id)));
        Ok(())
    }

    /// Forgets all faces (a new source). Ids go on.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.remembered.clear();
        (self.last, self.searched) = (None, None);
    }

    /// What has been done since the start.
    pub const fn work(&self) -> FaceWork {
        self.work
    }

    fn follow(&mut self, time: Timestamp, picture: &Luma) {
        let begin = Instant::now();
        for t in &mut self.tracks {
            let standing = t.tracker.follow(time, picture);
            trace!(
                "face {}: {:.2} found, correlation {:.3}, confidence {:.2}",
                t.id.0, standing.found, standing.correlation, standing.confidence
            );
            self.work.key_changes += u64::from(standing.key_changed);
            let doubtful = standing.found < self.config.min_found;
            t.doubt = if doubtful { t.doubt.or(Some(time)) } else { None };
        }
        self.work.lk_runs += self.tracks.len() as u64;
        self.work.lk_ns += nanoseconds(begin);
    }

    /// Lets the network look at the track that has waited longest, and at all that are in doubt.
    fn anchor(&mut self, time: Timestamp, picture: &Luma) -> Result<(), FaceError> {
        let wait = |t: &Track| time.ms_since(t.tracker.anchored()) as f32;
        let routine = self
            .tracks
            .iter()
            .enumerate()
            .filter(|(_, t)| wait(t) >= self.config.anchor_ms)
            .max_by(|(_, a), (_, b)| wait(a).total_cmp(&wait(b)))
            .map(|(i, _)| i);
        for i in 0..self.tracks.len() {
            let Some(t) = self.tracks.get_mut(i) else { continue };
            let urgent = t.doubt.is_some() && wait(t) >= self.config.search_ms;
            if !(urgent || routine == Some(i)) {
                continue;
            }
            let roi = t.tracker.roi();
            let begin = Instant::now();
            let looked = self.net.landmarks(picture, &roi);
            self.work.net_runs += 1;
            self.work.net_ns += nanoseconds(begin);
            let anchor = looked?;
            let sees = anchor.presence >= self.config.min_presence;
            match if sees { t.tracker.anchor(time, picture, &anchor) } else { t.tracker.skip_anchor(time) } {
                Anchored::Pulled => t.misses = 0,
                Anchored::Restarted => {
                    debug!("face {}: the landmarks had left the face; started anew", t.id.0);
                    (t.misses, t.doubt) = (0, None);
                    self.work.restarts += 1;
                }
                Anchored::Refused => t.misses += 1,
            }
            // in doubt and not found by Lucas-Kanade, but the network sees a face there: begin from what it sees
            if sees && t.doubt.is_some_and(|d| time.ms_since(d) as f32 >= self.config.doubt_ms) {
                t.tracker.restart(time, picture, &anchor, false);
                self.work.restarts += 1;
                t.doubt = None;
            }
        }
        Ok(())
    }

    /// Moves the tracks that are lost to the remembered ones, and forgets those that have been lost for long.
    fn drop_lost(&mut self, time: Timestamp, picture: &Luma) {
        let remember = self.config.remember_ms;
        self.remembered.retain(|r| (time.ms_since(r.lost) as f32) <= remember);
        let mut i = 0;
        while i < self.tracks.len() {
            let why = self.why_lost(i, time, picture);
            let Some(why) = why else {
                i += 1;
                continue;
            };
            let track = self.tracks.remove(i);
            debug!("face {}: lost ({why})", track.id.0);
            self.work.lost += 1;
            let points = track.tracker.landmarks();
            if self.remembered.len() < REMEMBERED {
                let centre = Rect::around(points.iter().copied()).centre();
                self.remembered.push(Remembered { centre, iod: iod(&points), track, lost: time });
            }
        }
    }

    fn why_lost(&self, i: usize, time: Timestamp, picture: &Luma) -> Option<&'static str> {
        let t = self.tracks.get(i)?;
        let points = t.tracker.landmarks();
        let centre = Px::mean(points[17..].iter().copied());
        let inside =
            (0.0..picture.width() as f32).contains(&centre.x) && (0.0..picture.height() as f32).contains(&centre.y);
        let doubt = t.doubt.map_or(0.0, |d| time.ms_since(d) as f32);
        if !inside {
            return Some("left the picture");
        }
        // the network's look should have decided before
        if doubt > self.config.doubt_ms + 3.0 * self.config.search_ms {
            return Some("its landmarks are no longer found");
        }
        if t.misses > 0 && (t.misses >= MISSES || t.doubt.is_some()) {
            return Some("the network sees no face there");
        }
        if iod(&points) < self.config.min_iod_px * 0.8 {
            return Some("became too small");
        }
        self.tracks[..i].iter().any(|o| same_face(&o.tracker.landmarks(), &points)).then_some("runs into another")
    }

    /// Runs the detector where it is due, and begins tracks.
    fn search(&mut self, time: Timestamp, picture: &Luma) -> Result<(), FaceError> {
        let interval = if self.tracks.is_empty() || !self.remembered.is_empty() {
            self.config.search_ms
        } else {
            self.config.detect_ms
        };
        let due = self.searched.is_none_or(|s| time.ms_since(s) as f32 >= interval);
        if self.tracks.len() >= self.config.max_faces || !due {
            return Ok(());
        }
        self.searched = Some(time);
        let begin = Instant::now();
        let mut detected = std::mem::take(&mut self.detected);
        let done = self.detector.detect(picture, &mut detected);
        self.work.detector_runs += 1;
        self.work.detector_ns += nanoseconds(begin);
        let mut result = done;
        for found in &detected {
            if result.is_err() || self.tracks.len() >= self.config.max_faces {
                break;
            }
            if found.score >= self.config.min_score && !self.is_followed(&found.bounds) {
                result = self.begin(time, picture, found);
            }
        }
        self.detected = detected;
        result
    }

    fn is_followed(&self, bounds: &Rect) -> bool {
        self.tracks.iter().any(|t| {
            let points = t.tracker.landmarks();
            let own = Rect::around(points.iter().copied());
            // detectors box the face differently than its landmarks do: the middle decides as well
            own.iou(bounds) > 0.3 || own.centre().distance(bounds.centre()) < 0.7 * iod(&points)
        })
    }

    fn begin(&mut self, time: Timestamp, picture: &Luma, found: &DetectedFace) -> Result<(), FaceError> {
        let Some(first) = self.look(picture, found)? else { return Ok(()) };
        // the second look is from where all later ones will be
        let closer = DetectedFace { roi: first.roi, ..*found };
        let Some(anchor) = self.look(picture, &closer)? else { return Ok(()) };
        let size = iod(&anchor.points);
        if !(size >= self.config.min_iod_px) {
            trace!("a face with an inter-ocular distance of {size:.0} px is too small");
            return Ok(());
        }
        if self.tracks.iter().any(|t| same_face(&t.tracker.landmarks(), &anchor.points)) {
            return Ok(());
        }
        let anchor = Anchor { roi: first.roi, ..anchor };
        if let Some(mut track) = self.recall(time, &anchor) {
            if track.tracker.restart(time, picture, &anchor, false) {
                debug!("face {}: found again", track.id.0);
                (track.doubt, track.misses) = (None, 0);
                self.tracks.push(track);
                self.work.begun += 1;
            }
            return Ok(());
        }
        if let Some(tracker) = Tracker::start(&self.config.tracker, time, picture, &anchor, true) {
            let id = FaceId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            debug!("face {}: found, inter-ocular distance {size:.0} px", id.0);
            self.tracks.push(Track { id, tracker, doubt: None, misses: 0 });
            self.work.begun += 1;
        }
        Ok(())
    }

    /// One look of the network; `None` when it sees no face.
    fn look(&mut self, picture: &Luma, at: &DetectedFace) -> Result<Option<Anchor>, FaceError> {
        let begin = Instant::now();
        let looked = self.net.landmarks(picture, &at.roi);
        self.work.net_runs += 1;
        self.work.net_ns += nanoseconds(begin);
        let anchor = looked?;
        Ok((anchor.presence >= self.config.min_presence).then_some(anchor))
    }

    /// The remembered face that this one most probably is.
    fn recall(&mut self, time: Timestamp, anchor: &Anchor) -> Option<Track> {
        let (centre, size) = (Rect::around(anchor.points.iter().copied()).centre(), iod(&anchor.points));
        let fits = |r: &Remembered| {
            // it may have gone on moving while it was away
            let away = time.ms_since(r.lost) as f32 / 1000.0;
            let distance = r.centre.distance(centre) / r.iod.max(1.0);
            (distance < 1.2 + 1.5 * away && (0.6..1.67).contains(&(size / r.iod.max(1.0)))).then_some(distance)
        };
        let (i, _) = self
            .remembered
            .iter()
            .enumerate()
            .filter_map(|(i, r)| fits(r).map(|d| (i, d)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(self.remembered.swap_remove(i).track)
    }
}

/// Whether two sets of landmarks lie on the same face: their median distance is below a third of the IOD.
fn same_face(a: &PerLandmark<Px>, b: &PerLandmark<Px>) -> bool {
    let mut d: PerLandmark<f32> = std::array::from_fn(|i| a[i].distance(b[i]));
    d.sort_unstable_by(f32::total_cmp);
    d[d.len() / 2] < 0.33 * iod(a).min(iod(b))
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
