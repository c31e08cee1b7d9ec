//! What else goes on in the face and the picture: blinks, talking, steps of the light.

use super::SpottingConfig;
use super::history::{History, Sample};
use crate::landmarks::{COUNT, Component};
use crate::time::Timestamp;

/// How far back the mouth is compared to see whether it moves, in ms.
const MOUTH_LAG_MS: f64 = 40.0;
/// Movement of the mouth that is movement, as a multiple of its quietest.
const MOUTH_FACTOR: f32 = 3.0;
/// Time constant of the share of time in which the mouth moves, in ms.
const TALK_MS: f32 = 1500.0;
/// Time constant of the usual frame-to-frame movement and of the usual confidence, in ms.
const USUAL_MS: f32 = 1000.0;
/// Frames further apart than this say nothing about steps, in ms.
const STEP_MS: f32 = 100.0;
/// Components that may keep still in a step of the light or of the tracker.
const STILL_COMPONENTS: usize = 1;
/// A step is this many times the usual frame-to-frame movement.
const STEP_FACTOR: f32 = 6.0;

/// Running state of one face.
#[derive(Debug, Default)]
pub(super) struct Scene {
    usual_jump: Option<f32>,
    usual_trust: Option<f32>,
    mouth_quiet: Option<f32>,
    talk: f32,
    blink: Option<(Timestamp, Timestamp)>,
}

impl Scene {
    /// Looks at a new sample before it goes into the history, and marks it.
    pub fn observe(&mut self, sample: &mut Sample, history: &History, dt_ms: f32, c: &SpottingConfig) {
        sample.light_step = self.light(sample, history, dt_ms, c);
        sample.mouth_moves = self.mouth(sample, history, dt_ms, c);
        let gain = (dt_ms / TALK_MS).min(1.0);
        self.talk += gain * (if sample.mouth_moves { 1.0 } else { 0.0 } - self.talk);
        if sample.eye_opening < c.blink_opening {
            let begin = self.blink.filter(|b| sample.time.ms_since(b.1) < 100.0).map_or(sample.time, |b| b.0);
            self.blink = Some((begin, sample.time));
        }
    }

    /// Share of the last 1.5 s in which the mouth moved.
    pub fn talk(&self) -> f32 {
        self.talk
    }

    /// The last blink is not of this clock, or long ago.
    pub fn forget_blink(&mut self) {
        self.blink = None;
    }

    /// The last blink: when the eyes were first and last seen closed.
    pub fn blink(&self) -> Option<(Timestamp, Timestamp)> {
        self.blink
    }

    fn light(&mut self, sample: &Sample, history: &History, dt_ms: f32, c: &SpottingConfig) -> bool {
        // The lower median of the components: closing eyes or a hand before the mouth are not the light.
        let mut trusts = sample.confidence;
        let middle = (trusts.len() - 1) / 2;
        let trust = *trusts.select_nth_unstable_by(middle, f32::total_cmp).1;
        let gain = (dt_ms / USUAL_MS).min(1.0);
        let usual_trust = *self.usual_trust.get_or_insert(trust);
        self.usual_trust = Some(usual_trust + gain * (trust - usual_trust));
        let Some(before) = history.last().filter(|_| dt_ms <= STEP_MS) else { return false };
        // Everywhere: a strong expression moves most of the face, but never all its components.
        let mut jumps = Component::ALL.map(|part| jump(sample, before, part));
        let jump = *jumps.select_nth_unstable_by(STILL_COMPONENTS, f32::total_cmp).1;
        let usual = *self.usual_jump.get_or_insert(jump);
        self.usual_jump = Some(usual + gain * (jump.min(3.0 * usual + 1e-4) - usual));
        jump > c.light_step.max(STEP_FACTOR * usual) || trust < c.light_confidence * usual_trust
    }

    fn mouth(&mut self, sample: &Sample, history: &History, dt_ms: f32, c: &SpottingConfig) -> bool {
        let back = history.since(sample.time.plus_ms(-3.0 * MOUTH_LAG_MS));
        let then = back.clone().find(|s| sample.time.ms_since(s.time) >= MOUTH_LAG_MS);
        let Some(then) = then.or_else(|| back.last()) else { return false };
        let mouth = Component::Mouth.landmarks();
        let (Some(a), Some(b)) = (sample.points.get(mouth.clone()), then.points.get(mouth.clone())) else {
            return false;
        };
        let square: f32 = a.iter().zip(b).map(|(p, q)| p.distance(*q).powi(2)).sum();
        let moved = (square / mouth.len() as f32).sqrt();
        // The quietest the mouth has been, rising slowly so that it follows worse light.
        let quiet = self
            .mouth_quiet
            .map_or(moved, |q| q + (moved - q) * (dt_ms / if moved < q { 200.0 } else { 10_000.0 }).min(1.0));
        self.mouth_quiet = Some(quiet);
        moved > c.mouth_moves.max(MOUTH_FACTOR * quiet)
    }
}

/// How far the middle one of a component's landmarks went from one sample to the next, in IOD.
fn jump(now: &Sample, before: &Sample, part: Component) -> f32 {
    let mut lengths = [0f32; COUNT];
    let pairs = part.landmarks().filter_map(|i| now.points.get(i).zip(before.points.get(i)));
    let mut n = 0;
    for (l, (p, q)) in lengths.iter_mut().zip(pairs) {
        *l = p.distance(*q);
        n += 1;
    }
    match lengths.get_mut(..n) {
        Some(l) if n > 0 => *l.select_nth_unstable_by(n / 2, f32::total_cmp).1,
        _ => 0.0,
    }
}
