//! Truth files: what `mercam synth` writes beside a video.
//!
//! One JSON object: `{"mercam":"truth","version":1,"name":...,"seconds":...,"fps":...,"iod":...,"events":[...],
//! "frames":[...]}`. Events are those of [`TruthEvent`]; the frames, with landmarks and action units, are for whoever
//! measures the tracker and are passed over here.

use super::{Clip, Span, Truth, TruthKind};
use crate::synth::truth_file::{FORMAT, VERSION};
use crate::synth::{Disturbance, DisturbanceKind, Label, TruthEvent};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The parts of a truth file that an evaluation needs.
#[derive(Debug, Deserialize)]
struct File {
    mercam: String,
    version: u32,
    #[serde(default)]
    name: String,
    seconds: f64,
    #[serde(default)]
    fps: Option<f64>,
    /// Inter-ocular distance in pixels, to tell how large a movement was in the picture.
    #[serde(default)]
    iod: Option<f32>,
    events: Vec<TruthEvent>,
    #[serde(default)]
    disturbances: Vec<Disturbance>,
    #[serde(default)]
    #[serde(rename = "frames")]
    _frames: Option<IgnoredAny>,
}

/// Why a truth file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// Not JSON, or not this JSON.
    #[error("{0}; expected is the truth file that `mercam synth` writes, or an annotation sheet as .csv")]
    Json(#[from] serde_json::Error),
    /// Some other file of mercam, or of a later version.
    #[error("this is `{0}` version {1}, and not `{FORMAT}` version {VERSION}")]
    Version(String, u32),
    /// An event out of order.
    #[error("event {0}: onset, apex and offset are out of order")]
    Order(usize),
    /// The length makes no sense.
    #[error("`seconds` is {0}; it must be a positive number")]
    Seconds(f64),
}

impl Truth {
    /// The event of a script, on a face with `iod` pixels between the eyes. `None` when its times are out of order.
    pub fn of(event: &TruthEvent, iod: Option<f32>) -> Option<Self> {
        let kind = match event.label {
            Label::Micro { .. } => TruthKind::Micro,
            Label::Macro => TruthKind::Macro,
            Label::Blink => TruthKind::Blink,
            Label::Talking => TruthKind::Talking,
        };
        let span = Span::new(event.onset, event.offset)?;
        Some(Self {
            kind,
            span,
            apex: Some(event.apex).filter(|a| (span.onset()..=span.offset()).contains(a)),
            class: event.class().map(|c| c.name().to_string()),
            peak_px: iod.map(|iod| iod * event.peak),
        })
    }
}

impl Truth {
    /// A disturbance as a distractor. `None` when its times are out of order.
    pub fn of_disturbance(d: &Disturbance) -> Option<Self> {
        let kind = match d.kind {
            DisturbanceKind::Occlusion => TruthKind::Occlusion,
            DisturbanceKind::Light => TruthKind::Light,
        };
        Some(Self { kind, span: Span::new(d.onset, d.offset)?, apex: None, class: None, peak_px: None })
    }
}

/// Reads a truth file as a clip without detections.
///
/// # Errors
/// When it is no truth file, or its events are out of order.
pub fn parse(text: &str) -> Result<Clip, TruthError> {
    let file: File = serde_json::from_str(text)?;
    if file.mercam != FORMAT || file.version != VERSION {
        return Err(TruthError::Version(file.mercam, file.version));
    }
    if !(file.seconds > 0.0 && file.seconds < 1e9) {
        return Err(TruthError::Seconds(file.seconds));
    }
    let event = |(k, e): (usize, &TruthEvent)| Truth::of(e, file.iod).ok_or(TruthError::Order(k));
    let mut truth = file.events.iter().enumerate().map(event).collect::<Result<Vec<Truth>, _>>()?;
    truth.extend(file.disturbances.iter().filter_map(Truth::of_disturbance));
    truth.sort_by_key(|t| (t.span.onset(), t.span.offset()));
    Ok(Clip { name: file.name, seconds: file.seconds, fps: file.fps, truth, ..Clip::default() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = r#"{"mercam":"truth","version":1,"name":"a","seconds":10,"fps":100,"iod":80,
        "events":[{"kind":"micro","class":"positive","units":[{"au":12,"right":0.2,"left":0.2}],"onset":1000000,
        "apex":1200000,"release":1200000,"offset":1400000,"peak":0.025},
        {"kind":"blink","units":[],"onset":3000000,"apex":3100000,"release":3150000,"offset":3400000,"peak":0}],
        "disturbances":[{"kind":"occlusion","onset":2000000,"offset":2500000}],
        "frames":[{"us":0,"landmarks":[[1,2]]}],"later":true}"#;

    #[test]
    fn events_are_read_and_frames_passed_over() {
        let clip = parse(FILE).unwrap();
        assert_eq!((clip.name.as_str(), clip.seconds, clip.fps, clip.truth.len()), ("a", 10.0, Some(100.0), 3));
        let t = &clip.truth[0];
        assert_eq!((t.kind, t.class.as_deref(), t.peak_px), (TruthKind::Micro, Some("positive"), Some(2.0)));
        assert_eq!((clip.truth[1].kind, clip.truth[2].kind), (TruthKind::Occlusion, TruthKind::Blink));
        assert_eq!(clip.last_seconds(), 3.4);
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let e = parse(&FILE.replace("truth\"", "landmarks\"")).unwrap_err().to_string();
        assert!(e.contains("landmarks"), "{e}");
        assert!(parse("{}").unwrap_err().to_string().contains("mercam synth"));
        assert!(matches!(parse(&FILE.replace("1400000", "900000")), Err(TruthError::Order(0))));
        assert!(matches!(parse(&FILE.replace(r#""seconds":10"#, r#""seconds":0"#)), Err(TruthError::Seconds(_))));
    }
}
