//! The last two seconds of one face, by time, in memory set aside once.

use super::patch::{MOST, Patch, Shape};
use crate::geometry::Iod;
use crate::landmarks::{COUNT, Component, PerLandmark};
use crate::movement::{Head, Movement};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// How much time is kept.
const KEPT_MS: f64 = 2000.0;

/// What one frame leaves behind.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub time: Timestamp,
    pub lost_before: u32,
    /// Registered landmarks: neutral face plus movement, so that the drift of the neutral face does not show.
    pub points: PerLandmark<Iod>,
    /// Mean confidence of each component's landmarks.
    pub confidence: [f32; 6],
    /// Confidence of each landmark.
    pub confidences: PerLandmark<f32>,
    pub head: Head,
    pub eye_opening: f32,
    /// The picture changed everywhere at once since the frame before.
    pub light_step: bool,
    /// The mouth is moving.
    pub mouth_moves: bool,
}

/// A ring of samples, newest last.
#[derive(Debug)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    capacity: usize,
}

impl Sample {
    pub fn new(m: &Movement) -> Self {
        let mut points = m.neutral;
        for (p, s) in points.iter_mut().zip(&m.shift) {
            *p += *s;
        }
        let confidence = Component::ALL.map(|c| {
            let of = m.confidence.get(c.landmarks()).unwrap_or(&[]);
            of.iter().sum::<f32>() / of.len().max(1) as f32
        });
        Self {
            time: m.time,
            lost_before: m.lost_before,
            points,
            confidence,
            confidences: m.confidence,
            head: m.head,
            eye_opening: m.eye_opening,
            light_step: false,
            mouth_moves: false,
        }
    }

    /// Mean confidence of a component.
    pub fn trust(&self, c: Component) -> f32 {
        self.confidence.get(c as usize).copied().unwrap_or(0.0)
    }
}

impl History {
    /// Room for two seconds at `max_rate` frames per second.
    pub fn new(max_rate: f32) -> Self {
        let capacity = (KEPT_MS / 1e3 * f64::from(max_rate)).ceil() as usize + 2;
        Self { samples: VecDeque::with_capacity(capacity), capacity }
    }

    pub fn clear(&mut self) {
        self.samples.clear();
    }

    pub fn push(&mut self, sample: Sample) {
        let old = |s: &Sample| sample.time.ms_since(s.time) > KEPT_MS;
        while self.samples.len() >= self.capacity || self.samples.front().is_some_and(old) {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    pub fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Samples from `from` to `to`, both included, newest first.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Sample> + Clone {
        self.samples.iter().rev().skip_while(move |s| s.time > to).take_while(move |s| s.time >= from)
    }

    /// Samples from `from` to the newest, newest first.
    pub fn since(&self, from: Timestamp) -> impl Iterator<Item = &Sample> + Clone {
        self.samples.iter().rev().take_while(move |s| s.time >= from)
    }

    /// Mean shape of a part over the samples from `from` to `to`, and how many there are.
    pub fn mean_shape(&self, patch: &Patch, from: Timestamp, to: Timestamp) -> (Shape, usize) {
        let (mut sum, mut n) = ([Iod::default(); MOST], 0usize);
        for s in self.between(from, to) {
            for (a, p) in sum.iter_mut().zip(patch.landmarks.iter().filter_map(|&i| s.points.get(i))) {
                *a += *p;
            }
            n += 1;
        }
        (sum.map(|p| p * (1.0 / n.max(1) as f32)), n)
    }

    /// Mean face over the samples from `from` to `to`; with none there, the face of the sample nearest to their middle.
    pub fn mean_face(&self, from: Timestamp, to: Timestamp) -> Option<PerLandmark<Iod>> {
        let (mut sum, mut n) = ([Iod::default(); COUNT], 0u32);
        for s in self.between(from, to) {
            for (a, p) in sum.iter_mut().zip(&s.points) {
                *a += *p;
            }
            n += 1;
        }
        if n > 0 {
            return Some(sum.map(|p| p * (1.0 / n as f32)));
        }
        let middle = from.plus_micros(to.micros_since(from) / 2);
        let distance = |s: &&Sample| s.time.micros_since(middle).unsigned_abs();
        self.samples.iter().min_by_key(distance).map(|s| s.points)
    }

    /// Frames per second over the last second: the samples there are over the time they take.
    pub fn rate(&self) -> f32 {
        let Some(last) = self.last() else { return 0.0 };
        let mut count = 0u32;
        let mut first = last.time;
        for s in self.since(last.time.plus_ms(-1000.0)) {
            first = s.time;
            count += 1;
        }
        let ms = last.time.ms_since(first);
        if count > 1 && ms > 0.0 { (f64::from(count - 1) / ms * 1e3) as f32 } else { 0.0 }
    }
}
