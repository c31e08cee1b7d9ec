//! When the light steps and when something goes before the face: made from a seed as far as it is asked for.

use super::{Disturbance, DisturbanceKind};
use crate::synth::random::Rng;
use crate::time::Timestamp;

/// A pause between events that come `per_minute` times, at least `least` ms, in ms.
fn pause(rng: &mut Rng, per_minute: f32, least: f32) -> f32 {
    let mean = 60_000.0 / per_minute;
    least.min(0.9 * mean) - (1.0 - rng.unit()).ln() * (mean - least.min(0.9 * mean))
}

/// Steps of the light.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    rng: Rng,
    per_minute: f32,
    size: f32,
    /// Time and gain from then on.
    made: Vec<(Timestamp, f32)>,
}

impl Steps {
    pub(super) fn new(seed: u64, per_minute: f32, size: f32) -> Self {
        Self { rng: Rng::new(seed, 1), per_minute, size, made: vec![(Timestamp::default(), 1.0)] }
    }

    fn extend(&mut self, end: Timestamp) {
        while self.per_minute > 0.0
            && let Some(&(last, gain)) = self.made.last()
            && last <= end
        {
            let next = last.plus_ms(pause(&mut self.rng, self.per_minute, 500.0).into());
            let sign = if self.rng.chance(0.5) { 1.0 } else { -1.0 };
            self.made.push((next, if gain == 1.0 { 1.0 + sign * self.size } else { 1.0 }));
        }
    }

    /// Factor on the light at `t`.
    pub(super) fn at(&mut self, t: Timestamp) -> f32 {
        self.extend(t);
        self.made.iter().rev().find(|(from, _)| *from <= t).map_or(1.0, |s| s.1)
    }

    /// Steps before `end`.
    pub(super) fn until(&mut self, end: Timestamp) -> Vec<Disturbance> {
        self.extend(end);
        let steps = self.made.iter().skip(1).map(|s| s.0).take_while(|t| *t < end);
        steps.map(|t| Disturbance { kind: DisturbanceKind::Light, onset: t, offset: t.plus_ms(50.0) }).collect()
    }
}

/// One passage of a hand.
#[derive(Debug, Clone, Copy)]
struct Passage {
    onset: Timestamp,
    offset: Timestamp,
    /// Side that it comes from (-1 or 1) and the place that it covers, in IOD from the middle of the eyes.
    target: [f32; 3],
}

/// Passages of a hand before the face.
#[derive(Debug, Clone)]
pub(super) struct Occlusions {
    rng: Rng,
    per_minute: f32,
    until: Timestamp,
    made: Vec<Passage>,
}

impl Occlusions {
    pub(super) fn new(seed: u64, per_minute: f32) -> Self {
        Self { rng: Rng::new(seed, 2), per_minute, until: Timestamp::default(), made: Vec::new() }
    }

    fn extend(&mut self, end: Timestamp) {
        while self.per_minute > 0.0 && self.until <= end {
            let onset = self.until.plus_ms(pause(&mut self.rng, self.per_minute, 2000.0).into());
            let offset = onset.plus_ms(self.rng.range(700.0, 1800.0).into());
            let side = if self.rng.chance(0.5) { 1.0 } else { -1.0 };
            let target = [side, side * self.rng.range(0.0, 0.5), self.rng.range(0.2, 1.3)];
            self.made.push(Passage { onset, offset, target });
            self.until = offset;
        }
    }

    /// How far the hand is in, 0 to 1, and its target, at `t`.
    pub(super) fn at(&mut self, t: Timestamp) -> Option<(f32, [f32; 3])> {
        self.extend(t);
        let p = self.made.iter().rev().find(|p| p.onset <= t && t < p.offset)?;
        let share = (t.ms_since(p.onset) / p.offset.ms_since(p.onset)) as f32;
        let smooth = |x: f32| x * x * x * (10.0 + x * (6.0 * x - 15.0));
        let way = 0.35;
        let along = (share / way).min((1.0 - share) / way).clamp(0.0, 1.0);
        Some((smooth(along), p.target))
    }

    /// Passages that begin before `end`.
    pub(super) fn until(&mut self, end: Timestamp) -> Vec<Disturbance> {
        self.extend(end);
        let of = |p: &Passage| Disturbance { kind: DisturbanceKind::Occlusion, onset: p.onset, offset: p.offset };
        self.made.iter().filter(|p| p.onset < end).map(of).collect()
    }
}
