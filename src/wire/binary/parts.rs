//! What the binary versions share: the types of a detection, and the numbers of components and reasons.
//!
//! These are frozen: a change here is a change of every version that uses them. A version that needs another
//! detection gets types of its own.

use crate::event::{Detection, ModelRef, Moment, Rejection, Relation};
use crate::frame::FaceId;
use crate::landmarks::Component;
use crate::time::Timestamp;
use crate::wire::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};

/// A component's number is its place here.
pub const COMPONENTS: [Component; 6] = [
    Component::RightBrow,
    Component::LeftBrow,
    Component::Nose,
    Component::RightEye,
    Component::LeftEye,
    Component::Mouth,
];

/// A reason's number is its place here.
pub const REASONS: [Rejection; 11] = [
    Rejection::Blink,
    Rejection::Macro,
    Rejection::TooShort,
    Rejection::Talking,
    Rejection::HeadMotion,
    Rejection::Lighting,
    Rejection::Occlusion,
    Rejection::LostTrack,
    Rejection::RateTooLow,
    Rejection::Gap,
    Rejection::Model,
];

#[derive(Serialize, Deserialize)]
pub struct WireMoment {
    pub us: i64,
    pub unix_us: Option<i64>,
}

#[derive(Serialize, Deserialize)]
pub struct WireDetection {
    pub id: u64,
    pub face: u32,
    pub onset: WireMoment,
    pub apex: WireMoment,
    pub offset: Option<WireMoment>,
    pub class: String,
    pub probabilities: Vec<(String, f32)>,
    pub actions: Vec<(u8, f32)>,
    pub relations: Vec<(u8, u8, f32)>,
    pub amplitude: f32,
    pub component: u8,
    pub score: f32,
    pub rate: f32,
    pub quality: f32,
    pub iod: f32,
    pub reason: Option<u8>,
    pub model_id: String,
    pub model_precision: String,
    pub model_sha256: String,
}

/// The number of a value in its table.
pub fn number<T: PartialEq>(table: &[T], value: &T) -> Result<u8, EncodeError> {
    let at = table.iter().position(|t| t == value).and_then(|i| u8::try_from(i).ok());
    at.ok_or_else(|| EncodeError::Serialise("a value without a number in this version".into()))
}

pub fn value<T: Copy>(table: &[T], number: u8, what: &str) -> Result<T, DecodeError> {
    let found = table.get(usize::from(number)).copied();
    found.ok_or_else(|| DecodeError::Content(format!("no {what} has the number {number}")))
}

pub fn detection_to_wire(d: &Detection) -> Result<WireDetection, EncodeError> {
    let component = |c: Component| number(&COMPONENTS, &c);
    Ok(WireDetection {
        id: d.id,
        face: d.face.0,
        onset: (&d.onset).into(),
        apex: (&d.apex).into(),
        offset: d.offset.as_ref().map(Into::into),
        class: d.class.clone(),
        probabilities: d.probabilities.clone(),
        actions: d.actions.iter().map(|(c, s)| Ok((component(*c)?, *s))).collect::<Result<_, _>>()?,
        relations: d
            .relations
            .iter()
            .map(|r| Ok((component(r.from)?, component(r.to)?, r.weight)))
            .collect::<Result<_, _>>()?,
        amplitude: d.amplitude,
        component: component(d.component)?,
        score: d.score,
        rate: d.rate,
        quality: d.quality,
        iod: d.iod,
        reason: d.reason.as_ref().map(|r| number(&REASONS, r)).transpose()?,
        model_id: d.model.id.clone(),
        model_precision: d.model.precision.clone(),
        model_sha256: d.model.sha256.clone(),
    })
}

pub fn detection_from_wire(d: WireDetection) -> Result<Detection, DecodeError> {
    let component = |number: u8| value(&COMPONENTS, number, "component");
    Ok(Detection {
        id: d.id,
        face: FaceId(d.face),
        onset: d.onset.into(),
        apex: d.apex.into(),
        offset: d.offset.map(Into::into),
        class: d.class,
        probabilities: d.probabilities,
        actions: d.actions.into_iter().map(|(c, s)| Ok((component(c)?, s))).collect::<Result<_, _>>()?,
        relations: d
            .relations
            .into_iter()
            .map(|(from, to, weight)| Ok(Relation { from: component(from)?, to: component(to)?, weight }))
            .collect::<Result<_, _>>()?,
        amplitude: d.amplitude,
        component: component(d.component)?,
        score: d.score,
        rate: d.rate,
        quality: d.quality,
        iod: d.iod,
        reason: d.reason.map(|r| value(&REASONS, r, "reason")).transpose()?,
        model: ModelRef { id: d.model_id, precision: d.model_precision, sha256: d.model_sha256 },
    })
}

impl From<&Moment> for WireMoment {
    fn from(m: &Moment) -> Self {
        Self { us: m.us.as_micros(), unix_us: m.unix_us }
    }
}

impl From<WireMoment> for Moment {
    fn from(m: WireMoment) -> Self {
        Self { us: Timestamp::from_micros(m.us), unix_us: m.unix_us }
    }
}
