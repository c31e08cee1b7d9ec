//! What leaves mercam: detections with their reasons, faces that come and go, and the pipeline's own state.
//! No pixel and no landmark is in here.

use crate::frame::FaceId;
use crate::geometry::Rect;
use crate::landmarks::Component;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment: on the source's monotonic clock, and on the wall clock where the source is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Monotonic microseconds of the source.
    pub us: Timestamp,
    /// Microseconds since 1970 (UTC), mapped from the monotonic time when the event left; absent for files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix_us: Option<i64>,
}

/// Onset, apex and offset of a movement, in that order: the order is checked when it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    onset: Timestamp,
    apex: Timestamp,
    offset: Option<Timestamp>,
}

impl Interval {
    /// `None` unless onset <= apex <= offset. An offset that has not been seen yet is `None`.
    pub fn new(onset: Timestamp, apex: Timestamp, offset: Option<Timestamp>) -> Option<Self> {
        (onset <= apex && offset.is_none_or(|o| apex <= o)).then_some(Self { onset, apex, offset })
    }

    /// First moment of the movement.
    pub const fn onset(&self) -> Timestamp {
        self.onset
    }

    /// Moment of the largest movement so far.
    pub const fn apex(&self) -> Timestamp {
        self.apex
    }

    /// Moment at which the movement was over; `None` while it lasts.
    pub const fn offset(&self) -> Option<Timestamp> {
        self.offset
    }

    /// Onset to offset in milliseconds, once the offset is known.
    pub fn duration_ms(&self) -> Option<f64> {
        self.offset.map(|o| o.ms_since(self.onset))
    }
}

/// How sure a detection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The apex has passed; the offset has not been seen.
    Provisional,
    /// The offset has been seen and everything agrees.
    Confirmed,
    /// A provisional detection that turned out not to be one.
    Withdrawn,
}

/// Why a movement was not reported as a micro-expression, or a provisional one was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Both eyes closed and opened.
    Blink,
    /// The movement lasted longer than a micro-expression.
    Macro,
    /// Shorter than anything a face does: noise.
    TooShort,
    /// The mouth moves again and again.
    Talking,
    /// The head moved or turned too fast for the registration to be exact.
    HeadMotion,
    /// The picture changed everywhere at once.
    Lighting,
    /// Landmarks of the component were hidden or could not be followed.
    Occlusion,
    /// The face was lost during the movement.
    LostTrack,
    /// Too few frames per second to decide.
    RateTooLow,
    /// Frames were lost inside the movement.
    Gap,
    /// It does not look like a micro-expression: to DeRe-GRL, or by its course and direction to the spotter.
    Model,
}

impl Rejection {
    /// The name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blink => "blink",
            Self::Macro => "macro",
            Self::TooShort => "too_short",
            Self::Talking => "talking",
            Self::HeadMotion => "head_motion",
            Self::Lighting => "lighting",
            Self::Occlusion => "occlusion",
            Self::LostTrack => "lost_track",
            Self::RateTooLow => "rate_too_low",
            Self::Gap => "gap",
            Self::Model => "model",
        }
    }

    /// All reasons, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::Blink,
        Self::Macro,
        Self::TooShort,
        Self::Talking,
        Self::HeadMotion,
        Self::Lighting,
        Self::Occlusion,
        Self::LostTrack,
        Self::RateTooLow,
        Self::Gap,
        Self::Model,
    ];
}

/// One relation weight: how much action `to` drew on action `from` when the class was inferred.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// The component whose action is weighted.
    pub from: Component,
    /// The component whose action it is related to.
    pub to: Component,
    /// Weight, 0 to 1; the weights into one component sum to 1 over all components.
    pub weight: f32,
}

/// The model that classified a detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// Its id, from its own metadata.
    pub id: String,
    /// `int8` or `fp32`.
    pub precision: String,
    /// First 16 hexadecimal digits of the file's SHA-256.
    pub sha256: String,
}

/// A facial movement that mercam takes for a micro-expression, with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Number of the detection within this run; its provisional, confirmed and withdrawn forms share it.
    pub id: u64,
    /// The face track it was seen on.
    pub face: FaceId,
    /// First moment of the movement.
    pub onset: Moment,
    /// Moment of the largest movement.
    pub apex: Moment,
    /// Moment at which it was over; absent while provisional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Moment>,
    /// The most probable class.
    pub class: String,
    /// Calibrated probability of each class, in the model's order. In JSON an object, class to probability.
    #[serde(with = "crate::wire::map")]
    pub probabilities: Vec<(String, f32)>,
    /// Strength of each component's action in the model, in component order. In JSON an object.
    #[serde(with = "crate::wire::map")]
    pub actions: Vec<(Component, f32)>,
    /// The strongest relation weights between the components' actions, largest first.
    pub relations: Vec<Relation>,
    /// Largest landmark movement from onset to apex, in inter-ocular distances.
    pub amplitude: f32,
    /// The component that moved most.
    pub component: Component,
    /// Score of the spotter: amplitude over the component's own noise.
    pub score: f32,
    /// Frames per second actually seen around the movement.
    pub rate: f32,
    /// 0 to 1: how far the measurement can be trusted (landmark confidence, head motion, face size).
    pub quality: f32,
    /// Inter-ocular distance in pixels.
    pub iod: f32,
    /// Why it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Rejection>,
    /// The model that classified it.
    pub model: ModelRef,
}

/// The pipeline's own state, sent now and then and at the end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Frames analysed so far.
    pub frames: u64,
    /// Frames that the source lost or that arrived while an earlier one was still being analysed.
    pub lost: u64,
    /// Frames per second, measured over the last seconds of source time.
    pub rate: f32,
    /// Faces followed now.
    pub faces: u32,
    /// Movements rejected so far, by reason, in the order of the reasons. In JSON an object.
    #[serde(with = "crate::wire::map")]
    pub rejected: Vec<(Rejection, u64)>,
    /// Events that did not get through so far, by sink and reason with a space between. In JSON an object.
    #[serde(with = "crate::wire::map")]
    pub dropped: Vec<(String, u64)>,
    /// Events that wait now, by channel name: in the channel of a sink, and in its spool. In JSON an object.
    #[serde(default, with = "crate::wire::map")]
    pub waiting: Vec<(String, u64)>,
    /// Temperature of the hottest part of the board, in degrees Celsius, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f32>,
    /// Whether the board lowers its clock now because of heat or power, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<bool>,
    /// Whether the board's supply is too weak now, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_voltage: Option<bool>,
    /// The model that classifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
}

/// Everything that can be sent to a sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A detection whose offset is still to come.
    Provisional(Detection),
    /// A detection that stands.
    Confirmed(Detection),
    /// A provisional detection that does not stand.
    Withdrawn(Detection),
    /// A face track began.
    FaceAppeared {
        /// The new track.
        face: FaceId,
        /// When.
        at: Moment,
        /// Where, in pixels.
        bounds: Rect,
        /// Where, in shares of the picture's width and height (0 to 1 inside it); absent when no picture's size is
        /// known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relative: Option<Rect>,
    },
    /// A face track ended.
    FaceLeft {
        /// The ended track.
        face: FaceId,
        /// When it was last seen.
        at: Moment,
    },
    /// State of the pipeline.
    Status(Status),
}

impl Event {
    /// A detection in the given stage.
    pub fn detection(stage: Stage, d: Detection) -> Self {
        match stage {
            Stage::Provisional => Self::Provisional(d),
            Stage::Confirmed => Self::Confirmed(d),
            Stage::Withdrawn => Self::Withdrawn(d),
        }
    }

    /// The detection and its stage, when this is one.
    pub fn as_detection(&self) -> Option<(Stage, &Detection)> {
        match self {
            Self::Provisional(d) => Some((Stage::Provisional, d)),
            Self::Confirmed(d) => Some((Stage::Confirmed, d)),
            Self::Withdrawn(d) => Some((Stage::Withdrawn, d)),
            _ => None,
        }
    }

    /// The name used on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Provisional(_) => "provisional",
            Self::Confirmed(_) => "confirmed",
            Self::Withdrawn(_) => "withdrawn",
            Self::FaceAppeared { .. } => "face_appeared",
            Self::FaceLeft { .. } => "face_left",
            Self::Status(_) => "status",
        }
    }
}
