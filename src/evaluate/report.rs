//! The scores of a set of clips.

use super::matching::pair;
use super::recognition::Recognition;
use super::stats::{harmonic, quantile, share, wilson};
use super::{Clip, Expression, Found, Span, Truth, TruthKind};
use crate::event::Rejection;
use serde::Serialize;
use std::collections::BTreeMap;

/// Spotting of one kind of expression, pooled: all clips count as one long video (MEGC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spotting {
    /// Events of the truth.
    pub truth: usize,
    /// Detections.
    pub found: usize,
    /// Detections that are an event.
    pub right: usize,
    /// Share of detections that are right; absent without detections.
    pub precision: Option<f64>,
    /// Share of events that were found; absent without events.
    pub recall: Option<f64>,
    /// 95 % interval of the recall (Wilson).
    pub recall_interval: Option<[f64; 2]>,
    /// Harmonic mean of precision and recall; 0 when nothing was right.
    pub f1: f64,
}

impl Spotting {
    /// From counts.
    pub fn new(truth: usize, found: usize, right: usize) -> Self {
        let (precision, recall) = (share(right, found), share(right, truth));
        Self {
            truth,
            found,
            right,
            precision,
            recall,
            recall_interval: wilson(right, truth),
            f1: harmonic(precision.unwrap_or(0.0), recall.unwrap_or(0.0)),
        }
    }

    fn plus(&self, o: &Self) -> Self {
        Self::new(self.truth + o.truth, self.found + o.found, self.right + o.right)
    }
}

/// Recall of a part of the events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seen {
    /// Events.
    pub truth: usize,
    /// Found ones.
    pub right: usize,
    /// Share; absent without events.
    pub recall: Option<f64>,
    /// 95 % interval of the share (Wilson).
    pub interval: Option<[f64; 2]>,
}

impl Seen {
    fn add(&mut self, found: bool) {
        self.truth += 1;
        self.right += usize::from(found);
        (self.recall, self.interval) = (share(self.right, self.truth), wilson(self.right, self.truth));
    }
}

/// Errors in milliseconds, detection minus truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// How many were compared.
    pub n: usize,
    /// Median; negative is early.
    pub median: f64,
    /// First quartile.
    pub q1: f64,
    /// Third quartile.
    pub q3: f64,
    /// Median of the absolute error.
    pub median_abs: f64,
    /// 95th percentile of the absolute error.
    pub p95_abs: f64,
}

impl Errors {
    fn new(values: &[f64]) -> Option<Self> {
        let absolute: Vec<f64> = values.iter().map(|v| v.abs()).collect();
        Some(Self {
            n: values.len(),
            median: quantile(values, 0.5)?,
            q1: quantile(values, 0.25)?,
            q3: quantile(values, 0.75)?,
            median_abs: quantile(&absolute, 0.5)?,
            p95_abs: quantile(&absolute, 0.95)?,
        })
    }
}

/// Errors in time of the micro-expressions that were found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timing {
    /// Of the onset.
    pub onset: Option<Errors>,
    /// Of the apex, where both sides give one.
    pub apex: Option<Errors>,
    /// Of the offset.
    pub offset: Option<Errors>,
    /// From the true offset to the frame with which the detection was confirmed, where the line was run here.
    pub latency: Option<Errors>,
}

/// Detections of micro-expressions that are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Alarms {
    /// Clips looked at.
    pub clips: usize,
    /// Their length.
    pub minutes: f64,
    /// False alarms.
    pub count: usize,
    /// ... per minute; absent without a length.
    pub per_minute: Option<f64>,
    /// What the truth has at the time of each: the kind of event that overlaps it most, or `nothing`. `micro` is a
    /// detection of something true whose span is too different, or a second one of it.
    pub beside: BTreeMap<String, usize>,
}

/// One clip in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipRow {
    /// Its name.
    pub name: String,
    /// Its length in seconds.
    pub seconds: f64,
    /// Nominal frames per second, where known.
    pub fps: Option<f64>,
    /// Micro-expressions in it.
    pub micros: usize,
    /// Micro-expressions found.
    pub right: usize,
    /// False alarms.
    pub alarms: usize,
}

/// Everything that is told of a set of clips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of mercam that made it.
    pub mercam: &'static str,
    /// Least intersection over union of a right detection.
    pub iou: f64,
    /// Length of all clips in minutes.
    pub minutes: f64,
    /// Micro-expressions.
    pub micro: Spotting,
    /// Longer expressions.
    #[serde(rename = "macro")]
    pub long: Spotting,
    /// Both together.
    pub overall: Spotting,
    /// Recall of the micro-expressions that move a landmark by at least 1 px, where the movement is known.
    pub from_1px: Option<Seen>,
    /// Errors in time.
    pub timing: Timing,
    /// Recognition on what was found.
    pub recognition: Recognition,
    /// Spot then recognise: F1 of micro spotting times F1 of recognition (MEAN, 2023).
    pub strs: f64,
    /// False alarms over all clips.
    pub alarms: Alarms,
    /// False alarms on the clips without a micro-expression.
    pub alarms_without_micro: Alarms,
    /// Movements that were looked at and not reported, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Clip by clip.
    pub clips: Vec<ClipRow>,
}

/// The micro-expressions of a clip with the detection that is each, and the detections that are none.
pub(super) struct Judged<'a> {
    pub micros: Vec<(&'a Truth, Option<&'a Found>)>,
    pub alarms: Vec<&'a Found>,
}

/// Pairs the events of one kind with the detections of that kind.
fn pairs(clip: &Clip, kind: Expression, iou: f64) -> (Vec<(&Truth, Option<&Found>)>, Vec<&Found>) {
    let truth: Vec<&Truth> = clip.truth.iter().filter(|t| t.kind.expression() == Some(kind)).collect();
    let found: Vec<&Found> = clip.found.iter().filter(|f| f.expression == kind).collect();
    let spans = |t: &[&Truth]| t.iter().map(|t| t.span).collect::<Vec<Span>>();
    let paired = pair(&spans(&truth), &found.iter().map(|f| f.span).collect::<Vec<_>>(), iou);
    let free = (0..found.len()).filter(|i| !paired.contains(&Some(*i)));
    let free = free.filter_map(|i| found.get(i).copied()).collect();
    let of = |i: &Option<usize>| i.and_then(|i| found.get(i).copied());
    (truth.into_iter().zip(paired.iter().map(of)).collect(), free)
}

pub(super) fn judge(clip: &Clip, iou: f64) -> Judged<'_> {
    let (micros, alarms) = pairs(clip, Expression::Micro, iou);
    Judged { micros, alarms }
}

impl Alarms {
    fn add(&mut self, clip: &Clip, alarms: &[&Found]) {
        self.clips += 1;
        self.minutes += clip.seconds / 60.0;
        self.count += alarms.len();
        self.per_minute = (self.minutes > 0.0).then(|| self.count as f64 / self.minutes);
        for alarm in alarms {
            let overlap = |t: &&Truth| t.span.overlap_ms(&alarm.span);
            let near = clip.truth.iter().filter(|t| overlap(t) > 0.0).max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
            *self.beside.entry(near.map_or("nothing", |t| t.kind.name()).to_string()).or_default() += 1;
        }
    }
}

impl Report {
    /// Scores clips; a detection is right when its intersection over union with an event is at least `iou`
    /// ([`super::matching::MEGC_IOU`] for the MEGC rule).
    pub fn new(clips: &[Clip], iou: f64) -> Self {
        let (mut micro, mut long) = (Spotting::default(), Spotting::default());
        let (mut alarms, mut without) = (Alarms::default(), Alarms::default());
        let [mut onset, mut apex, mut offset, mut latency] = [const { Vec::new() }; 4];
        let mut classes: Vec<(&str, &str)> = Vec::new();
        let mut rejected = BTreeMap::new();
        let mut from_1px: Option<Seen> = None;
        let mut rows = Vec::with_capacity(clips.len());
        for clip in clips {
            let judged = judge(clip, iou);
            let right = judged.micros.iter().filter(|(_, f)| f.is_some()).count();
            micro = micro.plus(&Spotting::new(judged.micros.len(), right + judged.alarms.len(), right));
            let (truths, free) = pairs(clip, Expression::Macro, iou);
            let hits = truths.iter().filter(|(_, f)| f.is_some()).count();
            long = long.plus(&Spotting::new(truths.len(), hits + free.len(), hits));
            alarms.add(clip, &judged.alarms);
            if !clip.has_micro() {
                without.add(clip, &judged.alarms);
            }
            for (_, f) in judged.micros.iter().filter(|(t, _)| t.peak_px.is_some_and(|px| px >= 1.0)) {
                from_1px.get_or_insert_default().add(f.is_some());
            }
            for (t, f) in judged.micros.iter().filter_map(|(t, f)| f.map(|f| (t, f))) {
                onset.push(f.span.onset().ms_since(t.span.onset()));
                offset.push(f.span.offset().ms_since(t.span.offset()));
                if let (Some(a), Some(b)) = (f.apex, t.apex) {
                    apex.push(a.ms_since(b));
                }
                if let Some(told) = f.told {
                    latency.push(told.ms_since(t.span.offset()));
                }
                if let Some(class) = &t.class {
                    classes.push((class, &f.class));
                }
            }
            for &(reason, n) in clip.rejected.iter().filter(|r| r.1 > 0) {
                *rejected.entry(reason_name(reason)).or_default() += n;
            }
            rows.push(ClipRow {
                name: clip.name.clone(),
                seconds: clip.seconds,
                fps: clip.fps,
                micros: judged.micros.len(),
                right,
                alarms: judged.alarms.len(),
            });
        }
        let recognition = Recognition::new(classes);
        Self {
            mercam: env!("CARGO_PKG_VERSION"),
            iou,
            minutes: alarms.minutes,
            micro,
            long,
            overall: micro.plus(&long),
            from_1px,
            timing: Timing {
                onset: Errors::new(&onset),
                apex: Errors::new(&apex),
                offset: Errors::new(&offset),
                latency: Errors::new(&latency),
            },
            strs: micro.f1 * recognition.f1,
            recognition,
            alarms,
            alarms_without_micro: without,
            rejected,
            clips: rows,
        }
    }
}

/// The name of a reason as it is on the wire.
pub(super) fn reason_name(reason: Rejection) -> String {
    serde_json::to_value(reason).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

impl TruthKind {
    /// The kind with this name in a truth file.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Micro, Self::Macro, Self::Blink, Self::Talking, Self::Occlusion, Self::Light];
        all.into_iter().find(|k| k.name() == name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::Timestamp;

    fn at(ms: f64) -> Timestamp {
        Timestamp::from_secs(ms / 1e3)
    }

    fn truth(kind: TruthKind, on: f64, apex: f64, off: f64, class: &str) -> Truth {
        Truth {
            kind,
            span: Span::new(at(on), at(off)).unwrap(),
            apex: Some(at(apex)),
            class: (!class.is_empty()).then(|| class.into()),
            peak_px: None,
        }
    }

    fn found(on: f64, apex: f64, off: f64, class: &str) -> Found {
        Found {
            expression: Expression::Micro,
            span: Span::new(at(on), at(off)).unwrap(),
            apex: Some(at(apex)),
            class: class.into(),
            score: 5.0,
            component: None,
            told: Some(at(off + 100.0)),
        }
    }

    /// Two minutes: three micro-expressions of which two are found, two false alarms (one at a blink), one
    /// macro-expression that nobody reports; and a clip of a minute without any, with one false alarm.
    fn clips() -> Vec<Clip> {
        let full = Clip {
            name: "a".into(),
            seconds: 120.0,
            fps: Some(100.0),
            truth: vec![
                truth(TruthKind::Micro, 1000.0, 1200.0, 1400.0, "negative"),
                truth(TruthKind::Micro, 5000.0, 5200.0, 5400.0, "positive"),
                truth(TruthKind::Blink, 7000.0, 7100.0, 7400.0, ""),
                truth(TruthKind::Macro, 8000.0, 9000.0, 11_000.0, ""),
                truth(TruthKind::Micro, 20_000.0, 20_200.0, 20_400.0, "surprise"),
            ],
            found: vec![
                found(1010.0, 1210.0, 1390.0, "negative"),
                found(5040.0, 5170.0, 5420.0, "negative"),
                found(7050.0, 7100.0, 7300.0, "surprise"),
                found(30_000.0, 30_100.0, 30_200.0, "surprise"),
            ],
            rejected: vec![(Rejection::Blink, 3), (Rejection::Macro, 0)],
            ..Clip::default()
        };
        let empty = Clip {
            name: "b".into(),
            seconds: 60.0,
            found: vec![found(1.0, 2.0, 300.0, "negative")],
            ..Clip::default()
        };
        vec![full, empty]
    }

    #[test]
    fn a_set_by_hand() {
        let r = Report::new(&clips(), 0.5);
        assert_eq!((r.micro.truth, r.micro.found, r.micro.right), (3, 5, 2));
        assert!((r.micro.precision.unwrap() - 0.4).abs() < 1e-12 && (r.micro.f1 - 0.5).abs() < 1e-12);
        assert_eq!((r.long.truth, r.long.found, r.long.precision, r.long.recall), (1, 0, None, Some(0.0)));
        assert_eq!((r.overall.truth, r.overall.found, r.overall.right), (4, 5, 2));
        let apex = r.timing.apex.unwrap();
        assert!((apex.median - -10.0).abs() < 1e-9 && (apex.q1 - -20.0).abs() < 1e-9 && (apex.q3 - 0.0).abs() < 1e-9);
        assert!((apex.median_abs - 20.0).abs() < 1e-9);
        assert!((r.timing.onset.unwrap().median - 25.0).abs() < 1e-9);
        assert!((r.timing.latency.unwrap().median - (90.0 + 120.0) / 2.0).abs() < 1e-9);
        assert_eq!((r.recognition.n, r.recognition.right), (2, 1));
        // Precision of negative 1/2, recall 1; the others 0: means 1/6 and 1/3.
        assert!((r.recognition.f1 - harmonic(1.0 / 6.0, 1.0 / 3.0)).abs() < 1e-12);
        assert!((r.strs - 0.5 * r.recognition.f1).abs() < 1e-12);
        assert_eq!((r.alarms.count, r.alarms.per_minute), (3, Some(1.0)));
        assert_eq!(r.alarms.beside, BTreeMap::from([("blink".into(), 1), ("nothing".into(), 2)]));
        assert_eq!((r.alarms_without_micro.clips, r.alarms_without_micro.per_minute), (1, Some(1.0)));
        assert_eq!(r.rejected, BTreeMap::from([("blink".to_string(), 3)]));
        assert_eq!(
            r.clips[0],
            ClipRow { name: "a".into(), seconds: 120.0, fps: Some(100.0), micros: 3, right: 2, alarms: 2 }
        );
    }

    #[test]
    fn clips_are_pooled_and_not_averaged() {
        // One clip with 1 of 1, one with 0 of 3: pooled recall 0.25, mean of recalls 0.5.
        let mut clips = clips();
        clips[0].found.truncate(1);
        clips[0].truth.truncate(1);
        clips[1].truth = (1..4)
            .map(|k| truth(TruthKind::Micro, k as f64 * 1e3, k as f64 * 1e3, k as f64 * 1e3 + 300.0, ""))
            .collect();
        clips[1].found.clear();
        assert_eq!(Report::new(&clips, 0.5).micro.recall, Some(0.25));
    }

    #[test]
    fn nothing_at_all_has_no_scores_and_is_json() {
        let r = Report::new(&[], 0.5);
        assert_eq!((r.micro.f1, r.micro.recall, r.strs, r.alarms.per_minute), (0.0, None, 0.0, None));
        let json = serde_json::to_value(&r).unwrap();
        assert!(json["micro"]["recall"].is_null() && json["macro"]["f1"] == 0.0);
    }
}
