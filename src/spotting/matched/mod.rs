//! Finds the shape of a micro-expression in a face that does not keep still.
//!
//! Somebody who talks has no neutral face to return to, and moves by more than a micro-expression all the time. Two
//! things tell it apart all the same. Its course: up and down within half a second, on a line before and after, where
//! own movements go on and on. And its direction: where facial muscles pull, and the face has not gone by itself in the
//! last seconds. Both are matched filters, one in time ([`course`]), one over the landmarks ([`background`]); the score is
//! how far the movement stands out of the unrest around it, times the cosine between it and the direction, measured in
//! units of the face's own movement.

mod background;
mod course;
mod directions;

use super::SpottingConfig;
use super::history::{History, Sample};
use crate::event::Rejection;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, Component, PerLandmark};
use crate::time::Timestamp;
use background::Background;
use course::{Course, Weights};
use directions::{Directions, MOST_WAYS, Region, Vector, pick};
use std::collections::VecDeque;

/// Frames are averaged over at least this time: movements are not faster, and high rates cost no more.
const BIN_MS: f64 = 15.0;
/// Bins wider than this are too coarse for the onset to lie at a bin only; in ms.
const COARSE_MS: f64 = 25.0;
/// Lengths that are looked for, in ms. The longer ones are no micro-expressions, and there so that these are known.
const TOTALS: [f32; 8] = [170.0, 210.0, 260.0, 320.0, 400.0, 500.0, 640.0, 820.0];
/// Shares of them that rise.
const RISES: [f32; 3] = [0.36, 0.52, 0.68];
/// The course by which own movement is learned.
const REFERENCE: Course = Course { total_ms: 320.0, rise: 0.52 };
/// A candidate may begin this much before the end of the last one, in ms.
const OVERLAP_MS: f64 = 60.0;
const REGIONS: usize = Region::ALL.len();

/// Frames averaged.
#[derive(Debug, Clone, Copy)]
struct Bin {
    time: Timestamp,
    places: [Vector; REGIONS],
    /// The places along each direction, seen past the own movement.
    along: [[f32; MOST_WAYS]; REGIONS],
}

/// The bin that is being filled.
#[derive(Debug, Default)]
struct Filling {
    /// Time of the first frame in it, and the sums of the places.
    open: Option<(Timestamp, [Vector; REGIONS])>,
    /// Sum of the times since the first frame.
    sum_us: i64,
    count: u32,
    /// The frame before.
    last: Option<Timestamp>,
}

/// A movement that has the shape of a micro-expression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    region: Region,
    pub onset: Timestamp,
    pub apex: Timestamp,
    pub offset: Timestamp,
    /// Signal to noise, times cosine.
    pub score: f32,
    course: Course,
    /// What speaks against it.
    against: Option<Rejection>,
    seen: Timestamp,
}

impl Match {
    fn overlaps(&self, other: &Self) -> bool {
        self.onset < other.offset && other.onset < self.offset
    }

    /// One without objection before one with, then by score.
    fn rank(&self) -> (bool, f32) {
        (self.against.is_none(), self.score)
    }
}

/// What is asked of a score.
#[derive(Debug, Clone, Copy)]
struct Wish {
    least: f32,
    /// How well a landmark is measured, in IOD.
    error: f32,
    /// Largest difference between beginning and end, as a share of the height.
    tilt: f32,
}

/// Looks for matches in one face.
#[derive(Debug)]
pub(super) struct Matcher {
    bins: VecDeque<Bin>,
    filling: Filling,
    own: [Background; REGIONS],
    weights: Weights,
    pending: [Option<Match>; REGIONS],
    /// Nothing that begins before this is looked at any more.
    floor: Timestamp,
}

/// Room for the longest course with its shoulders.
const BINS: usize = 96;

impl Matcher {
    pub fn new(c: &SpottingConfig) -> Self {
        Self {
            bins: VecDeque::with_capacity(BINS),
            filling: Filling::default(),
            own: Region::ALL.map(|r| Background::new(2 * r.landmarks().len(), Directions::of(r), c.own_ms)),
            weights: Weights::new(),
            pending: [None; REGIONS],
            floor: Timestamp::from_micros(i64::MIN),
        }
    }

    /// What is under way is forgotten; how the face moves by itself is kept.
    pub fn reset(&mut self) {
        self.bins.clear();
        self.filling = Filling::default();
        self.pending = [None; REGIONS];
        self.floor = Timestamp::from_micros(i64::MIN);
    }

    /// Another face.
    pub fn clear(&mut self) {
        self.reset();
        self.own.iter_mut().for_each(Background::clear);
    }

    /// Takes the newest sample of the history, and gives a movement that is over and was the best of its time.
    pub fn step(&mut self, history: &History, c: &SpottingConfig) -> Option<Match> {
        let sample = history.last()?;
        if let Some(bin) = self.fill(sample) {
            self.push(bin, c);
            for r in 0..REGIONS {
                if let Some(found) = self.best(r, history, c) {
                    self.consider(r, found);
                }
            }
            self.learn(c);
        }
        self.decide(sample.time, c)
    }

    /// Adds a sample to the bin; gives the bin when it is full.
    fn fill(&mut self, sample: &Sample) -> Option<Bin> {
        let f = &mut self.filling;
        let seen = Region::ALL.map(|r| pick(r, &sample.points));
        let step = f.last.replace(sample.time).map_or(0.0, |last| sample.time.ms_since(last));
        let (first, places) = f.open.get_or_insert((sample.time, [[0.0; directions::MOST]; REGIONS]));
        for (a, b) in places.iter_mut().flatten().zip(seen.iter().flatten()) {
            *a += b;
        }
        f.sum_us += sample.time.micros_since(*first);
        f.count += 1;
        if sample.time.ms_since(*first) + step < BIN_MS {
            return None;
        }
        let count = std::mem::take(&mut f.count);
        let time = first.plus_micros(std::mem::take(&mut f.sum_us) / i64::from(count));
        let places = f.open.take()?.1.map(|v| v.map(|x| x / count as f32));
        Some(Bin { time, places, along: [[0.0; MOST_WAYS]; REGIONS] })
    }

    fn push(&mut self, mut bin: Bin, c: &SpottingConfig) {
        if self.bins.len() == BINS {
            self.bins.pop_front();
        }
        for r in 0..REGIONS {
            let fresh = self.own[r].refresh(c.own_error);
            let filters = self.own[r].filters();
            let newest = std::iter::once(&mut bin);
            let all = self.bins.iter_mut().take(if fresh { BINS } else { 0 }).chain(newest);
            for b in all {
                for (y, filter) in b.along[r].iter_mut().zip(filters) {
                    *y = directions::dot(&filter.weights, &b.places[r]);
                }
            }
        }
        self.bins.push_back(bin);
    }

    /// Sets the weights for a course that begins at `onset`, over the bins from `before` ms ahead of it on; says where
    /// those begin.
    fn frame(&mut self, course: Course, onset: Timestamp, before_ms: f64) -> Option<usize> {
        let from = onset.plus_ms(-before_ms);
        let start = self.bins.partition_point(|b| b.time < from);
        let first = self.bins.get(start)?.time;
        // The line before the onset has to be there.
        if first.ms_since(from) > before_ms / 2.0 {
            return None;
        }
        let times = self.bins.range(start..).map(|b| b.time.ms_since(onset) as f32);
        self.weights.set(course, times).then_some(start)
    }

    /// The score of region `r` under the weights that are set, for the bins from `start` on.
    ///
    /// A movement that ends elsewhere than it began, by more than `tilt` of its height, is the beginning or the end of a
    /// longer one.
    fn score(&self, r: usize, start: usize, course: Course, wish: Wish) -> Option<f32> {
        let Wish { least, error, tilt } = wish;
        let gain = self.weights.gain();
        let mut found = [(0.0f32, 0.0f32); MOST_WAYS];
        let mut highest = 0.0f32;
        for (k, (slot, filter)) in found.iter_mut().zip(self.own[r].filters()).enumerate() {
            let fit = self.weights.fit(self.bins.range(start..).map(|b| b.along[r][k]));
            let noise = (fit.left + (error * filter.gain).powi(2)).sqrt().max(1e-9);
            let cosine = fit.amplitude / filter.variance.sqrt(); // still to be divided by the length of the whole
            let level = (fit.slope * course.total_ms).abs() <= tilt * fit.amplitude;
            *slot = (if level { fit.amplitude * gain / noise } else { 0.0 }, cosine);
            highest = highest.max(slot.0);
        }
        if highest < least {
            return None; // the cosine only makes it smaller
        }
        let moved = self.moved(r, start);
        let whole = self.own[r].unusual(&moved).max(1e-12).sqrt();
        let score = |&(snr, along): &(f32, f32)| snr * (along / whole).clamp(0.0, 1.0);
        let best = found.iter().map(score).fold(0.0, f32::max);
        (best >= least).then_some(best)
    }

    /// How far each number of region `r` moved in the course that is set.
    fn moved(&self, r: usize, start: usize) -> Vector {
        let mut moved = [0.0; directions::MOST];
        let size = 2 * Region::ALL[r].landmarks().len();
        for (i, m) in moved.iter_mut().enumerate().take(size) {
            let origin = self.bins.get(start).map_or(0.0, |b| b.places[r][i]);
            *m = self.weights.amplitude(self.bins.range(start..).map(|b| b.places[r][i] - origin));
        }
        moved
    }

    /// The best course of region `r` that ends now.
    fn best(&mut self, r: usize, history: &History, c: &SpottingConfig) -> Option<Match> {
        let (now, before) = (self.bins.back()?.time, self.bins.iter().rev().nth(1)?.time);
        let step = now.ms_since(before);
        let phases: &[f64] = if step > COARSE_MS { &[0.0, 0.5] } else { &[0.0] };
        let mut best: Option<Match> = None;
        for total_ms in TOTALS {
            for &phase in phases {
                let offset = now.plus_ms(-f64::from(c.after_ms) - phase * step);
                let onset = offset.plus_ms(-f64::from(total_ms));
                if onset < self.floor.plus_ms(-OVERLAP_MS) {
                    continue;
                }
                for rise in RISES {
                    let course = Course { total_ms, rise };
                    let Some(start) = self.frame(course, onset, f64::from(c.before_ms)) else { continue };
                    let least = best.map_or(c.match_score, |b| b.score);
                    let wish = Wish { least, error: c.match_error, tilt: c.match_tilt };
                    let Some(score) = self.score(r, start, course, wish) else { continue };
                    let apex = onset.plus_ms(f64::from(total_ms * rise));
                    let region = Region::ALL[r];
                    best = Some(Match { region, onset, apex, offset, score, course, against: None, seen: now });
                }
            }
        }
        let mut best = best?;
        best.against = best.objection(history, c);
        Some(best)
    }

    fn consider(&mut self, r: usize, found: Match) {
        let slot = &mut self.pending[r];
        if slot.is_none_or(|p| found.rank() > p.rank()) {
            *slot = Some(found);
        }
    }

    /// A match that nothing better has followed for a while, and that is better than those of other regions.
    fn decide(&mut self, now: Timestamp, c: &SpottingConfig) -> Option<Match> {
        for r in 0..REGIONS {
            let Some(found) = self.pending[r].filter(|p| now.ms_since(p.seen) >= f64::from(c.match_wait_ms)) else {
                continue;
            };
            let better = |o: &Match| o.overlaps(&found) && o.rank() > found.rank();
            self.pending[r] = None;
            if self.pending.iter().flatten().any(better) {
                continue;
            }
            for other in &mut self.pending {
                *other = other.filter(|o| !o.overlaps(&found));
            }
            self.floor = found.offset;
            match found.against {
                None => return Some(found),
                Some(why) => log::debug!(
                    "{:?} moved from {:.3} s on like a micro-expression, score {:.1}: {why:?}",
                    found.region,
                    found.onset.as_secs(),
                    found.score
                ),
            }
        }
        None
    }

    /// The source has ended: the best match that nothing speaks against, whatever might have followed.
    pub fn finish(&mut self) -> Option<Match> {
        let clean = self.pending.iter().flatten().filter(|p| p.against.is_none());
        let best = clean.max_by(|a, b| a.score.total_cmp(&b.score)).copied();
        self.pending = [None; REGIONS];
        best
    }

    fn learn(&mut self, c: &SpottingConfig) {
        let (Some(now), Some(before)) = (self.bins.back(), self.bins.iter().rev().nth(1)) else { return };
        let (now, step) = (now.time, now.time.ms_since(before.time) as f32);
        let onset = now.plus_ms(-f64::from(c.after_ms + REFERENCE.total_ms));
        let Some(start) = self.frame(REFERENCE, onset, f64::from(c.before_ms)) else { return };
        for r in 0..REGIONS {
            let moved = self.moved(r, start);
            self.own[r].learn(&moved, step, c.own_ms);
        }
    }

    /// How much a movement that was found otherwise looks like a micro-expression, as far as it can be seen.
    pub fn judge(&mut self, onset: Timestamp, apex: Timestamp, offset: Timestamp, c: &SpottingConfig) -> f32 {
        let total_ms = (offset.ms_since(onset) as f32).max(80.0);
        let rise = (apex.ms_since(onset) as f32 / total_ms).clamp(0.2, 0.8);
        let mut best = 0.0f32;
        let (course, wish) = (Course { total_ms, rise }, Wish { least: 0.0, error: c.match_error, tilt: f32::MAX });
        if let Some(start) = self.frame(course, onset, f64::from(c.before_ms)) {
            for r in 0..REGIONS {
                best = best.max(self.score(r, start, course, wish).unwrap_or(0.0));
            }
        }
        best
    }

    /// The movement of all landmarks in the course of a match, the line taken out, and the component that moved most.
    pub fn movement(&mut self, found: &Match, history: &History, c: &SpottingConfig) -> (PerLandmark<Iod>, Component) {
        let from = found.onset.plus_ms(-f64::from(c.before_ms));
        let to = found.offset.plus_ms(f64::from(c.after_ms));
        let samples = || history.between(from, to);
        let mut moved = [Iod::default(); COUNT];
        if self.weights.set(found.course, samples().map(|s| s.time.ms_since(found.onset) as f32))
            && let Some(first) = samples().next()
        {
            for ((m, i), o) in moved.iter_mut().zip(0..).zip(&first.points) {
                let along = |value: fn(&Iod) -> f32| {
                    self.weights.amplitude(samples().map(|s| s.points.get(i).map_or(0.0, |p| value(p) - value(o))))
                };
                *m = Iod::new(along(|p| p.x), along(|p| p.y));
            }
        }
        (moved, found.region.component(&moved))
    }
}

impl Match {
    /// What speaks against it: its length, or how well the face could be seen.
    fn objection(&self, history: &History, c: &SpottingConfig) -> Option<Rejection> {
        if history.rate() < c.min_rate {
            return Some(Rejection::RateTooLow);
        }
        let (mut speed, mut n, mut low, mut high) = (0.0f32, 0.0f32, f32::MAX, 0.0f32);
        let (mut opening, mut light, mut trust) = (f32::MAX, false, [1.0f32; COUNT]);
        let mut later: Option<(Timestamp, u32)> = None;
        for s in history.between(self.onset.plus_ms(-OVERLAP_MS), self.offset.plus_ms(OVERLAP_MS)) {
            if later.is_some_and(|(time, lost)| lost > 0 && time.ms_since(s.time) > f64::from(c.max_hole_ms)) {
                return Some(Rejection::Gap);
            }
            later = Some((s.time, s.lost_before));
            speed += s.head.speed;
            n += 1.0;
            (low, high) = (low.min(s.head.residual), high.max(s.head.residual));
            opening = opening.min(s.eye_opening);
            light |= s.light_step;
            for (t, c) in trust.iter_mut().zip(&s.confidences) {
                *t = t.min(*c);
            }
        }
        let landmarks = self.region.landmarks();
        let trust = landmarks.iter().filter_map(|&i| trust.get(i)).sum::<f32>() / landmarks.len() as f32;
        if self.course.total_ms > c.longest_ms() {
            Some(Rejection::Macro)
        } else if trust < c.match_confidence {
            Some(Rejection::Occlusion)
        } else if speed / n.max(1.0) > c.match_speed || high - low > c.match_turn {
            Some(Rejection::HeadMotion)
        } else if light {
            Some(Rejection::Lighting)
        } else if self.region == Region::Lids && opening < c.eye_opening {
            Some(Rejection::Blink)
        } else {
            None
        }
    }
}
