//! Detections held against truth, as the field does it (MEGC): spotting, timing, recognition, false alarms.
//!
//! Truth comes from `mercam synth` or from the annotation sheets of the long-video datasets ([`truth`], [`megc`]),
//! detections from what `mercam run --sink file:` wrote ([`detections`]) or from the line itself ([`play`]).
//! [`Report::new`] pools any number of clips; [`text`] and [`plot`] show it.

pub mod curve;
pub mod detections;
pub mod load;
pub mod matching;
pub mod megc;
pub mod play;
pub mod plot;
pub mod recognition;
mod report;
pub mod set;
mod span;
pub mod stats;
pub mod text;
pub mod truth;

pub use report::{Alarms, ClipRow, Errors, Report, Seen, Spotting, Timing};
pub use span::Span;

use crate::event::Rejection;
use crate::landmarks::Component;
use crate::time::Timestamp;
use play::{Played, Traces};

/// What is spotted; the MEGC scores the two apart and together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expression {
    /// A micro-expression.
    Micro,
    /// A longer expression.
    Macro,
}

/// What an event of the truth is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TruthKind {
    /// A micro-expression: to be found.
    Micro,
    /// A longer expression: to be found by whoever reports such, and a distractor for micro-expressions.
    Macro,
    /// A blink: a distractor.
    Blink,
    /// Talking: a distractor.
    Talking,
    /// Something before the face: a distractor.
    Occlusion,
    /// A step of the light: a distractor.
    Light,
}

impl TruthKind {
    /// The name in truth files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Micro => "micro",
            Self::Macro => "macro",
            Self::Blink => "blink",
            Self::Talking => "talking",
            Self::Occlusion => "occlusion",
            Self::Light => "light",
        }
    }

    /// What a spotter should report for it; nothing for a distractor.
    pub const fn expression(self) -> Option<Expression> {
        match self {
            Self::Micro => Some(Expression::Micro),
            Self::Macro => Some(Expression::Macro),
            _ => None,
        }
    }
}

/// One event of the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// What it is.
    pub kind: TruthKind,
    /// Onset to offset.
    pub span: Span,
    /// Apex, where it is known.
    pub apex: Option<Timestamp>,
    /// `negative`, `positive` or `surprise`, where it is known.
    pub class: Option<String>,
    /// Largest landmark movement at the apex in pixels, where it is known.
    pub peak_px: Option<f32>,
}

/// One detection.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it was taken for.
    pub expression: Expression,
    /// Onset to offset.
    pub span: Span,
    /// Apex, where it was given.
    pub apex: Option<Timestamp>,
    /// The class it was given; empty where none was.
    pub class: String,
    /// The spotter's score; 0 where none was given.
    pub score: f32,
    /// The component that moved most, where it was given.
    pub component: Option<Component>,
    /// Time of the frame with which it was confirmed, where the line was run here.
    pub told: Option<Timestamp>,
}

/// One clip: what was in it and what was found.
#[derive(Debug, Clone, Default)]
pub struct Clip {
    /// Its name.
    pub name: String,
    /// The take of a recipe that it belongs to; empty for single clips.
    pub take: String,
    /// Length in seconds.
    pub seconds: f64,
    /// Nominal frames per second, where known.
    pub fps: Option<f64>,
    /// The truth, in the order of time.
    pub truth: Vec<Truth>,
    /// The detections, in the order of time.
    pub found: Vec<Found>,
    /// Movements that the line looked at and did not report, by reason.
    pub rejected: Vec<(Rejection, u64)>,
    /// Movement of each component over time, where the line was run here and the traces were asked for.
    pub traces: Option<Traces>,
}

impl Clip {
    /// Whether the truth has a micro-expression.
    pub fn has_micro(&self) -> bool {
        self.truth.iter().any(|t| t.kind == TruthKind::Micro)
    }

    /// Takes over what the line made of the clip.
    pub fn take(&mut self, played: Played) {
        self.seconds = self.seconds.max(played.seconds);
        (self.found, self.rejected, self.traces) = (played.found, played.rejected, played.traces);
    }

    /// The last moment that truth or detections speak of, in seconds: the least that the clip can last.
    pub fn last_seconds(&self) -> f64 {
        let ends = self.truth.iter().map(|t| t.span.offset()).chain(self.found.iter().map(|f| f.span.offset()));
        ends.map(Timestamp::as_secs).fold(0.0, f64::max)
    }
}
