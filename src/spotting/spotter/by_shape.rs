//! What the spotter makes of movements that were found by their shape.

use super::super::Spotted;
use super::super::describe::Known;
use super::super::matched::Match;
use super::Spotter;
use crate::event::{Interval, Stage};
use crate::time::Timestamp;

/// The face before the onset is averaged over this time, in ms.
const BEFORE_MS: f64 = 25.0;

impl Spotter {
    /// How much the movement of part `i` is like a micro-expression in course and direction.
    pub(super) fn likeness(&mut self, i: usize) -> f32 {
        let Some(x) = self.trackers.get(i).and_then(|t| t.excursion.as_ref()) else { return 0.0 };
        self.matcher.judge(x.onset, x.apex, x.offset.unwrap_or(x.apex), &self.config)
    }

    /// A movement was found by its shape: confirmed, unless it has been already. It takes the place of an open one; where
    /// there is none, it is told provisionally and confirmed at the same time, because its shape is known only now.
    pub(super) fn matched(&mut self, found: &Match, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        if self.last_confirmed.is_some_and(|(onset, offset)| found.onset < offset && onset < found.offset) {
            return;
        }
        let Some(shape) = self.history.mean_face(found.onset.plus_ms(-BEFORE_MS), found.onset) else { return };
        let Some(interval) = Interval::new(found.onset, found.apex, Some(found.offset)) else { return };
        let (displacement, component) = self.matcher.movement(found, &self.history, &self.config);
        let lengths = component.landmarks().filter_map(|i| displacement.get(i)).map(|d| d.norm());
        let amplitude = lengths.fold(0.0, f32::max);
        if amplitude < self.config.min_amplitude {
            return;
        }
        let open = self.group.take().map(|g| g.key);
        let key = open.unwrap_or(self.next);
        let known = Known { history: &self.history, trackers: &self.trackers, config: &self.config };
        let confirmed = Spotted {
            stage: Stage::Confirmed,
            key: known.key(self.face, key),
            face: self.face,
            interval,
            component,
            amplitude,
            score: found.score,
            rate: self.history.rate(),
            quality: known.quality(component, found.onset, iod),
            iod,
            reason: None,
            shape,
            displacement,
        };
        if open.is_none() {
            self.next += 1;
            let interval = Interval::new(found.onset, found.apex, None).unwrap_or(interval);
            out.push(Spotted { stage: Stage::Provisional, interval, ..confirmed.clone() });
        }
        out.push(confirmed);
        self.last_confirmed = Some((found.onset, found.offset));
        for t in &mut self.trackers {
            if t.excursion.as_ref().is_some_and(|x| x.live() && x.onset < found.offset) {
                t.dismiss(now);
            }
        }
    }
}
