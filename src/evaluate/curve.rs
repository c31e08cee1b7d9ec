//! Detectability: the recall against the size of the movement in pixels, at a fixed rate of false alarms.

use super::Clip;
use super::report::judge;
use super::stats::{share, wilson};
use serde::Serialize;

/// Edges of the classes of size, in pixels; the last one is open.
const EDGES: [f32; 11] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0];

/// The micro-expressions of one class of size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// Smallest peak in pixels.
    pub from_px: f32,
    /// Largest peak in pixels; absent for the last class.
    pub to_px: Option<f32>,
    /// How many there are.
    pub truth: usize,
    /// How many were found.
    pub right: usize,
    /// Share; absent where there are none.
    pub recall: Option<f64>,
    /// 95 % interval of the share (Wilson).
    pub interval: Option<[f64; 2]>,
}

/// The curve of one frame rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Frames per second.
    pub fps: f64,
    /// Length of the clips in minutes.
    pub minutes: f64,
    /// Detections with a score up to this are left out, so that there are few enough false alarms.
    pub least_score: f32,
    /// False alarms per minute that are left.
    pub per_minute: f64,
    /// Recall by size.
    pub bins: Vec<Bin>,
}

/// One curve for each frame rate, at no more than `per_minute` false alarms per minute. Detections with low scores are
/// left out until that holds; a spotter that gives fewer false alarms by itself is left as it is.
pub fn curves(clips: &[Clip], iou: f64, per_minute: f64) -> Vec<Curve> {
    let mut rates: Vec<i64> = clips.iter().filter_map(|c| c.fps).map(|f| f.round() as i64).collect();
    rates.sort_unstable();
    rates.dedup();
    let of_rate = |rate: i64| -> Vec<&Clip> {
        clips.iter().filter(|c| c.fps.is_some_and(|f| f.round() as i64 == rate)).collect()
    };
    rates.into_iter().rev().map(|rate| curve(rate as f64, &of_rate(rate), iou, per_minute)).collect()
}

fn curve(fps: f64, clips: &[&Clip], iou: f64, per_minute: f64) -> Curve {
    let judged: Vec<_> = clips.iter().map(|c| judge(c, iou)).collect();
    let minutes = clips.iter().map(|c| c.seconds).sum::<f64>() / 60.0;
    let mut alarms: Vec<f32> = judged.iter().flat_map(|j| j.alarms.iter().map(|a| a.score)).collect();
    alarms.sort_by(|a, b| b.total_cmp(a));
    let allowed = (per_minute * minutes).floor().max(0.0) as usize;
    let least_score = alarms.get(allowed).copied().unwrap_or(0.0);
    let left = alarms.iter().filter(|s| **s > least_score).count();
    let mut bins: Vec<Bin> = EDGES
        .iter()
        .enumerate()
        .map(|(k, &from_px)| Bin {
            from_px,
            to_px: EDGES.get(k + 1).copied(),
            truth: 0,
            right: 0,
            recall: None,
            interval: None,
        })
        .collect();
    for (t, f) in judged.iter().flat_map(|j| &j.micros) {
        let Some(px) = t.peak_px else { continue };
        if let Some(bin) = bins.iter_mut().rev().find(|b| px >= b.from_px) {
            bin.truth += 1;
            bin.right += usize::from(f.is_some_and(|f| f.score > least_score));
        }
    }
    for bin in &mut bins {
        (bin.recall, bin.interval) = (share(bin.right, bin.truth), wilson(bin.right, bin.truth));
    }
    Curve { fps, minutes, least_score, per_minute: left as f64 / minutes.max(1e-9), bins }
}

/// The curves as one table: a row for each class of size, a column for each frame rate.
pub fn table(curves: &[Curve]) -> Vec<Vec<String>> {
    let head = curves.iter().map(|c| format!("{:.0} fps", c.fps));
    let mut rows = vec![std::iter::once("pixels".to_string()).chain(head).collect::<Vec<_>>()];
    for (k, from) in EDGES.iter().enumerate() {
        let name = EDGES.get(k + 1).map_or(format!("{from} and more"), |to| format!("{from} to {to}"));
        let cells = curves
            .iter()
            .filter_map(|c| c.bins.get(k))
            .map(|b| b.recall.map_or("-".to_string(), |r| format!("{r:.2} ({} of {})", b.right, b.truth)));
        rows.push(std::iter::once(name).chain(cells).collect());
    }
    let alarms = curves.iter().map(|c| format!("{:.2}", c.per_minute));
    rows.push(std::iter::once("false alarms per minute".to_string()).chain(alarms).collect());
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::evaluate::{Expression, Found, Span, Truth, TruthKind};
    use crate::time::Timestamp;

    fn span(a: f64) -> Span {
        Span::new(Timestamp::from_secs(a), Timestamp::from_secs(a + 0.3)).unwrap()
    }

    fn clip(fps: f64, micros: &[(f64, f32)], found: &[(f64, f32)]) -> Clip {
        let truth = |&(at, px): &(f64, f32)| Truth {
            kind: TruthKind::Micro,
            span: span(at),
            apex: None,
            class: None,
            peak_px: Some(px),
        };
        let one = |&(at, score): &(f64, f32)| Found {
            expression: Expression::Micro,
            span: span(at),
            apex: None,
            class: String::new(),
            score,
            component: None,
            told: None,
        };
        let (truth, found) = (micros.iter().map(truth).collect(), found.iter().map(one).collect());
        Clip { fps: Some(fps), seconds: 60.0, truth, found, ..Clip::default() }
    }

    #[test]
    fn weak_detections_go_until_there_are_few_enough_false_alarms() {
        // In a minute: found at 0.6 px (score 4) and 1.1 px (score 9), missed at 0.6 px; false alarms with 3, 5 and 8.
        let micros = [(1.0, 0.6), (3.0, 1.1), (5.0, 0.6)];
        let found = [(1.0, 4.0), (3.0, 9.0), (10.0, 3.0), (12.0, 5.0), (14.0, 8.0)];
        let clips = [clip(100.0, &micros, &found), clip(30.0, &[(1.0, 5.0)], &[])];
        let c = curves(&clips, 0.5, 1.0);
        assert_eq!(c.iter().map(|c| c.fps).collect::<Vec<_>>(), [100.0, 30.0]);
        // One is allowed: scores up to 5 go, and with them the weak right one.
        assert_eq!((c[0].least_score, c[0].per_minute), (5.0, 1.0));
        let at = |c: &Curve, px: f32| c.bins.iter().find(|b| b.from_px == px).map(|b| (b.right, b.truth)).unwrap();
        assert_eq!((at(&c[0], 0.5), at(&c[0], 1.0)), ((0, 2), (1, 1)));
        // Three are allowed: nothing goes.
        let all = curves(&clips, 0.5, 3.0);
        assert_eq!((all[0].least_score, at(&all[0], 0.5)), (0.0, (1, 2)));
        assert_eq!(at(&c[1], 4.0), (0, 1));
        let rows = table(&c);
        assert_eq!(rows[0], ["pixels", "100 fps", "30 fps"]);
        assert!(rows.iter().any(|r| r == &["1 to 1.25", "1.00 (1 of 1)", "-"]), "{rows:?}");
    }
}
