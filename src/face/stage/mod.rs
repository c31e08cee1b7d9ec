//! The face stage: detects, tracks and names the faces of a stream of pictures.

mod beside;
mod config;
mod eyes;

use super::tracker::{Anchored, Tracker};
use super::{Anchor, FaceError};
use crate::frame::{Face, FaceId, Luma};
use crate::geometry::{Px, Rect};
use crate::landmarks::{PerLandmark, iod};
use crate::time::Timestamp;
use beside::{Beside, Errand, Task};
pub use config::{FaceConfig, NetworkPlace};
use eyes::{Eyes, Followed, Runs, nanoseconds};
use log::{debug, trace};
use std::time::Instant;

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

impl FaceWork {
    fn add(&mut self, runs: Runs) {
        self.detector_runs += runs.detector;
        self.detector_ns += runs.detector_ns;
        self.net_runs += runs.net;
        self.net_ns += runs.net_ns;
    }
}

/// A picture of the stream.
#[derive(Debug, Clone, Copy)]
struct Shot<'a> {
    time: Timestamp,
    picture: &'a Luma,
}

/// Where the networks run.
enum Networks {
    /// In the frame loop.
    Inline(Eyes),
    /// On a thread of their own.
    Beside(Beside),
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
    networks: Networks,
    tracks: Vec<Track>,
    remembered: Vec<Remembered>,
    /// Memory of a search in the frame loop: the faces to pass over, and those found.
    followed: Vec<Followed>,
    found: Vec<Anchor>,
    /// Time of the last picture.
    last: Option<Timestamp>,
    /// Time of the last run of the detector.
    searched: Option<Timestamp>,
    /// Counts the resets.
    era: u32,
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
    /// loss and at intervals, in here or beside ([`FaceConfig::networks`]); nothing else allocates.
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
        let now = Shot { time, picture };
        self.follow(now);
        if let Networks::Beside(beside) = &mut self.networks {
            if let Some(errand) = beside.answered()? {
                self.welcome(now, errand)?;
            }
            self.drop_lost(now);
            self.send_out(now)?;
        } else {
            self.anchor(now)?;
            self.drop_lost(now);
            self.search(now)?;
        }
        faces.extend(self.tracks.iter().map(|t| t.tracker.face(t.id)));
        Ok(())
    }

    /// Forgets all faces (a new source). Ids go on.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.remembered.clear();
        (self.last, self.searched) = (None, None);
        self.era = self.era.wrapping_add(1);
    }

    /// What has been done since the start.
    pub const fn work(&self) -> FaceWork {
        self.work
    }

    fn follow(&mut self, Shot { time, picture }: Shot<'_>) {
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

    /// In the frame loop: lets the network look at the track that has waited longest, and at all that are in doubt.
    fn anchor(&mut self, now: Shot<'_>) -> Result<(), FaceError> {
        let wait = |t: &Track| now.time.ms_since(t.tracker.anchored()) as f32;
        let routine = self
            .tracks
            .iter()
            .enumerate()
            .filter(|(_, t)| wait(t) >= self.config.anchor_ms)
            .max_by(|(_, a), (_, b)| wait(a).total_cmp(&wait(b)))
            .map(|(i, _)| i);
        for i in 0..self.tracks.len() {
            let Some(t) = self.tracks.get(i) else { continue };
            let urgent = t.doubt.is_some() && wait(t) >= self.config.search_ms;
            let Networks::Inline(eyes) = &mut self.networks else { break };
            if urgent || routine == Some(i) {
                let mut runs = Runs::default();
                let looked = eyes.look(now.picture, &t.tracker.roi(), &mut runs);
                self.work.add(runs);
                let seen = looked?;
                self.looked(i, now, now, &seen, &seen);
            }
        }
        Ok(())
    }

    /// Takes in what the network saw of a track in the picture `then`, which is `carried` to the picture `now`.
    fn looked(&mut self, i: usize, now: Shot<'_>, then: Shot<'_>, seen: &Anchor, carried: &Anchor) {
        let Some(t) = self.tracks.get_mut(i) else { return };
        let sees = seen.presence >= self.config.min_presence;
        let mut begin_anew = |tracker: &mut Tracker| {
            let done = tracker.restart(then.time, then.picture, seen, false);
            if done {
                catch_up(tracker, then, now);
                self.work.restarts += 1;
            }
            done
        };
        match if sees { t.tracker.anchor(now.time, carried) } else { t.tracker.skip_anchor(now.time) } {
            Anchored::Pulled => t.misses = 0,
            Anchored::Astray if begin_anew(&mut t.tracker) => {
                debug!("face {}: the landmarks had left the face; started anew", t.id.0);
                (t.misses, t.doubt) = (0, None);
            }
            Anchored::Astray | Anchored::Refused => t.misses += 1,
        }
        // in doubt and not found by Lucas-Kanade, but the network sees a face there: begin from what it sees
        if sees && t.doubt.is_some_and(|d| now.time.ms_since(d) as f32 >= self.config.doubt_ms) {
            begin_anew(&mut t.tracker);
            t.doubt = None;
        }
    }

    /// Beside the frame loop: takes in an answer of the networks, given to a picture of some frames ago.
    fn welcome(&mut self, now: Shot<'_>, mut errand: Box<Errand>) -> Result<(), FaceError> {
        self.work.add(errand.runs);
        let outcome = std::mem::replace(&mut errand.outcome, Ok(()));
        if outcome.is_ok() && errand.era == self.era {
            let then = Shot { time: errand.time, picture: &errand.picture };
            match errand.task {
                Task::Look { face, .. } => {
                    let place = self.tracks.iter().position(|t| t.id == face); // it may have been lost meanwhile
                    if let (Some(i), Some(seen)) = (place, errand.found.first())
                        && let Some(carried) = self.tracks[i].tracker.carry(&errand.stance, seen)
                    {
                        self.looked(i, now, then, seen, &carried);
                    }
                }
                Task::Search { .. } => errand.found.iter().for_each(|seen| self.begin(now, then, seen)),
            }
        }
        if let Networks::Beside(beside) = &mut self.networks {
            beside.keep(errand);
        }
        outcome
    }

    /// Beside the frame loop: sends the networks out for what has waited longest, measured by how long it may wait.
    fn send_out(&mut self, now: Shot<'_>) -> Result<(), FaceError> {
        let overdue = |since: Timestamp, interval: f32| now.time.ms_since(since) as f32 / interval.max(1.0);
        let look = |t: &Track| {
            let interval = if t.doubt.is_some() { self.config.search_ms } else { self.config.anchor_ms };
            (overdue(t.tracker.anchored(), interval), Task::Look { face: t.id, roi: t.tracker.roi() })
        };
        let room = self.config.max_faces.saturating_sub(self.tracks.len());
        let search = self.searched.map_or(f32::INFINITY, |s| overdue(s, self.search_interval()));
        let search = (room > 0).then_some((search, Task::Search { room }));
        let due = self.tracks.iter().map(look).chain(search).filter(|(overdue, _)| *overdue >= 1.0);
        let Some((_, task)) = due.max_by(|a, b| a.0.total_cmp(&b.0)) else { return Ok(()) };
        let Networks::Beside(beside) = &mut self.networks else { return Ok(()) };
        let Some(mut errand) = beside.at_home() else { return Ok(()) };
        (errand.task, errand.time, errand.era) = (task, now.time, self.era);
        errand.picture.copy_from(now.picture);
        errand.followed.clear();
        match task {
            Task::Look { face, .. } => {
                errand.stance =
                    self.tracks.iter().find(|t| t.id == face).map(|t| t.tracker.stance()).unwrap_or_default();
            }
            Task::Search { .. } => {
                self.searched = Some(now.time);
                errand.followed.extend(self.tracks.iter().map(|t| Followed::of(&t.tracker.landmarks())));
            }
        }
        beside.send(errand)
    }

    /// Moves the tracks that are lost to the remembered ones, and forgets those that have been lost for long.
    fn drop_lost(&mut self, Shot { time, picture }: Shot<'_>) {
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

    fn search_interval(&self) -> f32 {
        let searching = self.tracks.is_empty() || !self.remembered.is_empty();
        if searching { self.config.search_ms } else { self.config.detect_ms }
    }

    /// In the frame loop: runs the detector where it is due, and begins tracks.
    fn search(&mut self, now: Shot<'_>) -> Result<(), FaceError> {
        let room = self.config.max_faces.saturating_sub(self.tracks.len());
        let due = self.searched.is_none_or(|s| now.time.ms_since(s) as f32 >= self.search_interval());
        let Networks::Inline(eyes) = &mut self.networks else { return Ok(()) };
        if room == 0 || !due {
            return Ok(());
        }
        self.searched = Some(now.time);
        self.followed.clear();
        self.followed.extend(self.tracks.iter().map(|t| Followed::of(&t.tracker.landmarks())));
        let mut runs = Runs::default();
        let mut found = std::mem::take(&mut self.found);
        let result = eyes.search(now.picture, &mut self.followed, room, &mut found, &mut runs);
        self.work.add(runs);
        found.iter().for_each(|seen| self.begin(now, now, seen));
        self.found = found;
        result
    }

    /// Begins a track at a face that was seen in the picture `then`, and brings it to the picture `now`.
    fn begin(&mut self, now: Shot<'_>, then: Shot<'_>, seen: &Anchor) {
        let size = iod(&seen.points);
        if !(size >= self.config.min_iod_px) {
            trace!("a face with an inter-ocular distance of {size:.0} px is too small");
            return;
        }
        if self.tracks.iter().any(|t| same_face(&t.tracker.landmarks(), &seen.points)) {
            return;
        }
        if let Some(mut track) = self.recall(then.time, seen) {
            if track.tracker.restart(then.time, then.picture, seen, false) {
                debug!("face {}: found again", track.id.0);
                catch_up(&mut track.tracker, then, now);
                (track.doubt, track.misses) = (None, 0);
                self.tracks.push(track);
                self.work.begun += 1;
            }
            return;
        }
        if let Some(mut tracker) = Tracker::start(&self.config.tracker, then.time, then.picture, seen, true) {
            let id = FaceId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            debug!("face {}: found, inter-ocular distance {size:.0} px", id.0);
            catch_up(&mut tracker, then, now);
            self.tracks.push(Track { id, tracker, doubt: None, misses: 0 });
            self.work.begun += 1;
        }
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

/// Follows a track that began at an earlier picture into the present one.
fn catch_up(tracker: &mut Tracker, then: Shot<'_>, now: Shot<'_>) {
    if then.time < now.time {
        tracker.follow(now.time, now.picture);
    }
}
