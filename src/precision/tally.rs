//! Errors of movement, summed by region.

use super::course::{Course, Pair, Sample, Spans, calm, rigid};
use crate::geometry::Px;
use crate::landmarks::{COUNT, PerLandmark};
use crate::time::Timestamp;
use serde::Serialize;

/// From this true movement on, in px, a landmark counts as one that moves.
const MOVES_PX: f32 = 0.5;

/// Sums over landmarks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    /// Of the landmarks that move: squared error, true times seen movement, true movement squared, number.
    moving: [f64; 4],
    /// Of all landmarks during movements: squared error, number.
    all: [f64; 2],
    /// Before the movements: squared deviation, number.
    calm: [f64; 2],
}

impl Sums {
    fn movement(&mut self, seen: Px, truth: Px) {
        let square = |p: Px| f64::from(p.x).powi(2) + f64::from(p.y).powi(2);
        let error = square(seen - truth);
        self.all[0] += error;
        self.all[1] += 1.0;
        if truth.norm() >= MOVES_PX {
            let along = f64::from(seen.x * truth.x + seen.y * truth.y);
            for (sum, v) in self.moving.iter_mut().zip([error, along, square(truth), 1.0]) {
                *sum += v;
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.moving.iter_mut().zip(other.moving).for_each(|(a, b)| *a += b);
        self.all.iter_mut().zip(other.all).for_each(|(a, b)| *a += b);
        self.calm.iter_mut().zip(other.calm).for_each(|(a, b)| *a += b);
    }

    fn scores(&self) -> Scores {
        let root = |sum: f64, n: f64| (n > 0.0).then(|| (sum / n).sqrt());
        Scores {
            moving: self.moving[3] as u64,
            error: root(self.moving[0], self.moving[3]),
            gain: (self.moving[2] > 0.0).then(|| self.moving[1] / self.moving[2]),
            error_all: root(self.all[0], self.all[1]),
            jitter: root(self.calm[0], self.calm[1]),
        }
    }
}

/// How precisely landmarks follow; lengths in pixels, root mean square of the error in two dimensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Readings of landmarks that truly moved by half a pixel or more.
    pub moving: u64,
    /// Error of their movement.
    pub error: Option<f64>,
    /// Seen over true movement of those, by least squares.
    pub gain: Option<f64>,
    /// Error of all landmarks during movements, of those too that should stand still.
    pub error_all: Option<f64>,
    /// Deviation from the skin before the first movement, against its mean.
    pub jitter: Option<f64>,
}

/// The films of one take.
#[derive(Debug, Clone)]
pub struct Take {
    /// Its name.
    pub name: String,
    /// Number of films.
    pub films: usize,
    /// Micro-expressions that were read.
    pub events: usize,
    /// Frames.
    pub frames: usize,
    /// Frames in which the face was not followed, or under another id.
    pub lost: usize,
    line: PerLandmark<Sums>,
    network: PerLandmark<Sums>,
}

impl Take {
    /// A take without films.
    pub fn new(name: &str) -> Self {
        let (line, network) = ([Sums::default(); COUNT], [Sums::default(); COUNT]);
        Self { name: name.into(), films: 0, events: 0, frames: 0, lost: 0, line, network }
    }

    /// Adds a film.
    pub fn add(&mut self, course: &Course) {
        self.films += 1;
        self.frames += course.samples.len();
        self.lost += course.lost;
        let end = course.samples.last().map_or(Timestamp::default(), |s| s.time);
        let events = || course.events.iter().filter(|e| e.class().is_some() && Spans::of(e).apex.end() <= &end);
        self.events += events().count();
        let calm = calm(&course.events, end);
        let line: fn(&Sample) -> Option<Pair> = |s| s.line;
        for (sums, of) in [(&mut self.line, line), (&mut self.network, |s| s.network)] {
            for e in events() {
                let spans = Spans::of(e);
                let within = |s: &&Sample| spans.neutral.contains(&s.time);
                let Some(rest) = Rest::of(course.samples.iter().filter(within).filter_map(of)) else { continue };
                for pair in course.samples.iter().filter(|s| spans.apex.contains(&s.time)).filter_map(of) {
                    let Some(moved) = rest.movement(&pair) else { continue };
                    for i in 0..COUNT {
                        sums[i].movement(moved.seen[i], moved.truth[i]);
                    }
                }
            }
            let still: Vec<Pair> = course.samples.iter().filter(|s| calm.contains(&s.time)).filter_map(of).collect();
            for i in 0..COUNT {
                let apart = |p: &Pair| p.seen[i] - p.truth[i];
                let mean = Px::mean(still.iter().map(apart));
                sums[i].calm[0] += still.iter().map(|p| f64::from((apart(p) - mean).norm()).powi(2)).sum::<f64>();
                sums[i].calm[1] += still.len() as f64;
            }
        }
    }

    /// The scores of the face stage and of the network alone, over the landmarks that `counts` names.
    pub fn scores(&self, counts: impl Fn(usize) -> bool) -> [Scores; 2] {
        [&self.line, &self.network].map(|sums| {
            let mut sum = Sums::default();
            (0..COUNT).filter(|&i| counts(i)).for_each(|i| sum.add(&sums[i]));
            sum.scores()
        })
    }
}

/// The face just before a movement, averaged.
struct Rest {
    seen: PerLandmark<Px>,
    truth: PerLandmark<Px>,
}

impl Rest {
    /// The mean of some frames, each laid onto the last one by the head's true motion.
    fn of(pairs: impl Iterator<Item = Pair>) -> Option<Self> {
        let pairs: Vec<Pair> = pairs.collect();
        let last = pairs.last()?.truth;
        let laid: Vec<Pair> = pairs.iter().filter_map(|p| onto(&last, p)).collect();
        let mean = |of: fn(&Pair) -> &PerLandmark<Px>| std::array::from_fn(|i| Px::mean(laid.iter().map(|p| of(p)[i])));
        Some(Self { seen: mean(|p| &p.seen), truth: mean(|p| &p.truth) })
    }

    /// How far the landmarks have moved since, the head's true motion taken away: how well that is found is not the
    /// question here.
    fn movement(&self, now: &Pair) -> Option<Pair> {
        let laid = onto(&self.truth, now)?;
        let moved = |rest: &PerLandmark<Px>, laid: &PerLandmark<Px>| std::array::from_fn(|i| laid[i] - rest[i]);
        Some(Pair { seen: moved(&self.seen, &laid.seen), truth: moved(&self.truth, &laid.truth) })
    }
}

/// Both laid onto `rest` by the true motion of the rigid landmarks.
fn onto(rest: &PerLandmark<Px>, pair: &Pair) -> Option<Pair> {
    let s = rigid(&pair.truth, rest)?;
    Some(Pair { seen: pair.seen.map(|p| s.apply(p)), truth: pair.truth.map(|p| s.apply(p)) })
}
