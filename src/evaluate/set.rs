//! A set of clips out of a recipe: the report of each take, and of all.

use super::curve::{Curve, curves};
use super::text::Table;
use super::{Clip, Report, Truth};
use crate::synth::Film;
use serde::Serialize;

/// The report of one take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TakeReport {
    /// Its name.
    pub name: String,
    /// Its films together.
    pub report: Report,
}

/// The report of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetReport {
    /// What the set is for.
    pub about: String,
    /// Take by take, in the order of the recipe.
    pub takes: Vec<TakeReport>,
    /// Everything together.
    pub all: Report,
    /// Recall by size of the movement, where that was asked for.
    pub curves: Option<Vec<Curve>>,
}

impl Clip {
    /// The clip that a film will be: its truth, without detections.
    pub fn of(film: &Film, take: &str, name: String) -> Self {
        let mut truth: Vec<Truth> = film.events().iter().filter_map(|e| Truth::of(e, Some(film.iod()))).collect();
        truth.extend(film.disturbances().iter().filter_map(Truth::of_disturbance));
        truth.sort_by_key(|t| (t.span.onset(), t.span.offset()));
        Self { name, take: take.into(), seconds: film.seconds(), fps: Some(film.fps()), truth, ..Self::default() }
    }
}

impl SetReport {
    /// Scores clips by take; `per_minute` asks for curves of detectability at so many false alarms per minute.
    pub fn new(about: &str, clips: &[Clip], iou: f64, per_minute: Option<f64>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for clip in clips {
            if !names.contains(&clip.take.as_str()) {
                names.push(&clip.take);
            }
        }
        let take = |name: &&str| {
            let of: Vec<Clip> = clips.iter().filter(|c| c.take == **name).cloned().collect();
            TakeReport { name: (*name).to_string(), report: Report::new(&of, iou) }
        };
        Self {
            about: about.into(),
            takes: names.iter().map(take).collect(),
            all: Report::new(clips, iou),
            curves: per_minute.map(|rate| curves(clips, iou, rate)),
        }
    }

    /// One row for each take.
    pub fn summary(&self) -> Table {
        let head = [
            "take",
            "min",
            "micros",
            "found",
            "right",
            "precision",
            "recall",
            "F1",
            ">= 1 px",
            "apex |ms|",
            "late ms",
            "alarms/min",
            "UF1",
            "STRS",
        ];
        let mut rows = vec![head.map(String::from).to_vec()];
        let all = std::iter::once(("all", &self.all));
        for (name, r) in self.takes.iter().map(|t| (t.name.as_str(), &t.report)).chain(all) {
            let number = |v: Option<f64>, digits: usize| v.map_or("-".into(), |v| format!("{v:.digits$}"));
            let named = (r.recognition.n > 0).then_some(());
            rows.push(vec![
                name.into(),
                format!("{:.1}", r.minutes),
                r.micro.truth.to_string(),
                r.micro.found.to_string(),
                r.micro.right.to_string(),
                number(r.micro.precision, 3),
                number(r.micro.recall, 3),
                number((r.micro.truth > 0).then_some(r.micro.f1), 3),
                number(r.from_1px.and_then(|s| s.recall), 3),
                number(r.timing.apex.map(|e| e.median_abs), 0),
                number(r.timing.latency.map(|e| e.median), 0),
                number(r.alarms.per_minute, 2),
                number(named.map(|()| r.recognition.uf1), 3),
                number(named.map(|()| r.strs), 3),
            ]);
        }
        (format!("By take, right at an intersection over union of {} or more", self.all.iou), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_are_reported_apart_and_together_in_their_order() {
        let clip = |take: &str, seconds| Clip { take: take.into(), seconds, ..Clip::default() };
        let set = SetReport::new("x", &[clip("b", 60.0), clip("a", 60.0), clip("b", 30.0)], 0.5, Some(1.0));
        assert_eq!(
            set.takes.iter().map(|t| (t.name.as_str(), t.report.minutes)).collect::<Vec<_>>(),
            [("b", 1.5), ("a", 1.0)]
        );
        assert_eq!((set.all.minutes, set.summary().1.len()), (2.5, 4));
        assert!(set.curves.is_some_and(|c| c.is_empty()), "no clip has a frame rate");
    }
}
