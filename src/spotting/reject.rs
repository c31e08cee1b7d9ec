//! Why a movement is not a micro-expression: the named reasons, checked over its time, and their counts.

use super::SpottingConfig;
use super::history::History;
use super::scene::Scene;
use crate::event::Rejection;
use crate::landmarks::Component;
use crate::time::Timestamp;

/// How many movements were rejected, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejections([u64; Rejection::ALL.len()]);

impl Rejections {
    /// Counts one more.
    pub fn add(&mut self, reason: Rejection) {
        if let Some(n) = self.0.get_mut(reason as usize) {
            *n += 1;
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
    }

    /// How many for one reason.
    pub fn of(&self, reason: Rejection) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// All reasons with their counts, in the order of [`Rejection`].
    pub fn iter(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        Rejection::ALL.into_iter().map(|r| (r, self.of(r)))
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A movement as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub component: Component,
    pub onset: Timestamp,
    pub apex: Timestamp,
    pub offset: Option<Timestamp>,
    /// RMS movement of the part that moves most, in IOD.
    pub size: f32,
    pub now: Timestamp,
}

/// Means and extremes over the time of a candidate.
#[derive(Debug, Default)]
struct Over {
    frames: f32,
    lost: f32,
    hole_ms: f64,
    /// Mean confidence up to the apex, and after it: a movement whose return is not seen has only been lost.
    rise: Mean,
    fall: Mean,
    speed: f32,
    roll: f32,
    residual: f32,
    opening: f32,
    light: bool,
}

/// A mean over some frames.
#[derive(Debug, Default)]
struct Mean {
    sum: f32,
    count: f32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += value;
        self.count += 1.0;
    }

    /// The mean; 1 over no frames at all.
    fn or_one(&self) -> f32 {
        if self.count > 0.0 { self.sum / self.count } else { 1.0 }
    }
}

fn over(history: &History, x: &Candidate) -> Over {
    let mut o = Over { opening: f32::MAX, ..Over::default() };
    let mut later: Option<(Timestamp, u32)> = None;
    let calm = history.between(x.onset.plus_ms(-60.0), x.onset).map(|s| s.head.residual).fold(f32::MAX, f32::min);
    for s in history.between(x.onset.plus_ms(-20.0), x.offset.unwrap_or(x.now)) {
        if let Some((time, lost)) = later.filter(|l| l.1 > 0) {
            o.hole_ms = o.hole_ms.max(time.ms_since(s.time));
            o.lost += lost as f32;
        }
        later = Some((s.time, s.lost_before));
        o.frames += if s.time >= x.onset { 1.0 } else { 0.0 };
        let part = if s.time <= x.apex { &mut o.rise } else { &mut o.fall };
        part.add(s.trust(x.component));
        o.speed += s.head.speed;
        o.roll += s.head.roll_rate.abs();
        if calm < f32::MAX {
            o.residual = o.residual.max((s.head.residual - calm).abs());
        }
        o.opening = o.opening.min(s.eye_opening);
        o.light |= s.light_step;
    }
    o
}

/// The first reason against a candidate, if there is one. Duration counts only once the offset is known.
pub(super) fn reason(history: &History, scene: &Scene, c: &SpottingConfig, x: &Candidate) -> Option<Rejection> {
    if history.rate() < c.min_rate {
        return Some(Rejection::RateTooLow);
    }
    let n = history.between(x.onset.plus_ms(-20.0), x.offset.unwrap_or(x.now)).count().max(1) as f32;
    let o = over(history, x);
    if o.hole_ms > f64::from(c.max_hole_ms) || o.lost / (o.lost + n) > c.max_lost {
        return Some(Rejection::Gap);
    }
    if o.rise.or_one().min(o.fall.or_one()) < c.min_confidence {
        return Some(Rejection::Occlusion);
    }
    if o.speed / n > c.max_head_speed || o.roll / n > c.max_roll_rate || x.size < c.head_ratio * o.residual {
        return Some(Rejection::HeadMotion);
    }
    if o.light {
        return Some(Rejection::Lighting);
    }
    match x.component {
        Component::RightEye | Component::LeftEye if o.opening < c.eye_opening => return Some(Rejection::Blink),
        Component::Mouth if scene.talk() > c.talk_activity => return Some(Rejection::Talking),
        Component::Mouth if talks_on(history, x) => return Some(Rejection::Talking),
        _ => {}
    }
    let duration = x.offset?.ms_since(x.onset);
    if duration > f64::from(c.longest_ms()) {
        Some(Rejection::Macro)
    } else if duration < f64::from(c.min_ms) {
        Some(Rejection::TooShort)
    } else if o.frames < c.min_frames {
        Some(Rejection::RateTooLow)
    } else {
        None
    }
}

/// The mouth moves on after the movement was over.
fn talks_on(history: &History, x: &Candidate) -> bool {
    let Some(offset) = x.offset else { return false };
    history.since(offset.plus_ms(55.0)).filter(|s| s.mouth_moves).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_kept_by_reason() {
        let mut r = Rejections::default();
        for reason in Rejection::ALL {
            r.add(reason);
        }
        r.add(Rejection::Gap);
        let mut twice = r;
        twice.merge(&r);
        assert_eq!(twice.of(Rejection::Gap), 4);
        assert_eq!(twice.total(), 24);
        assert!(r.iter().zip(Rejection::ALL).all(|((a, n), b)| a == b && n >= 1));
    }
}
