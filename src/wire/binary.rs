//! The binary form: `version ‖ postcard(seq, event) ‖ CRC-32`, in a COBS frame with a zero byte before and behind.
//!
//! Both delimiters are there so that a damaged one costs the frame it belongs to and not its neighbour.
//!
//! Postcard is positional, so this file has types of its own: the schema of a version changes only when somebody
//! changes it here, not when a field moves in [`crate::event`]. Enumerations are numbers from tables for the same
//! reason. Anything that changes these types needs a new [`VERSION`](super::VERSION).

use super::{CRC, DecodeError, EncodeError, Envelope, VERSION, finite};
use crate::event::{Detection, Event, ModelRef, Moment, Rejection, Relation, Status};
use crate::frame::FaceId;
use crate::geometry::Rect;
use crate::landmarks::Component;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Bytes of the check behind the content.
const CHECK: usize = 4;

/// A component's number is its place here.
const COMPONENTS: [Component; 6] = [
    Component::RightBrow,
    Component::LeftBrow,
    Component::Nose,
    Component::RightEye,
    Component::LeftEye,
    Component::Mouth,
];

/// A reason's number is its place here.
const REASONS: [Rejection; 11] = [
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
struct Body {
    seq: u64,
    event: WireEvent,
}

#[derive(Serialize, Deserialize)]
enum WireEvent {
    Provisional(WireDetection),
    Confirmed(WireDetection),
    Withdrawn(WireDetection),
    FaceAppeared { face: u32, at: WireMoment, bounds: [f32; 4] },
    FaceLeft { face: u32, at: WireMoment },
    Status(WireStatus),
}

#[derive(Serialize, Deserialize)]
struct WireMoment {
    us: i64,
    unix_us: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct WireDetection {
    id: u64,
    face: u32,
    onset: WireMoment,
    apex: WireMoment,
    offset: Option<WireMoment>,
    class: String,
    probabilities: Vec<(String, f32)>,
    actions: Vec<(u8, f32)>,
    relations: Vec<(u8, u8, f32)>,
    amplitude: f32,
    component: u8,
    score: f32,
    rate: f32,
    quality: f32,
    iod: f32,
    reason: Option<u8>,
    model_id: String,
    model_precision: String,
    model_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct WireStatus {
    frames: u64,
    lost: u64,
    rate: f32,
    faces: u32,
    rejected: Vec<(u8, u64)>,
    dropped: Vec<(String, u64)>,
}

pub(super) fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(name) = finite::first_not_finite(&envelope.event) {
        return Err(EncodeError::NotFinite(name));
    }
    let body = Body { seq: envelope.seq, event: to_wire(&envelope.event)? };
    let refused = |e: postcard::Error| EncodeError::Serialise(e.to_string());
    let mut raw = postcard::to_extend(&body, vec![VERSION]).map_err(refused)?;
    raw.extend_from_slice(&CRC.checksum(&raw).to_le_bytes());
    let start = out.len();
    out.resize(start + cobs::max_encoding_length(raw.len()) + 2, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let length = cobs::try_encode_including_sentinels(&raw, room).map_err(|e| EncodeError::Serialise(e.to_string()))?;
    out.truncate(start + length);
    Ok(())
}

pub(super) fn decode(frame: &[u8]) -> Result<Envelope, DecodeError> {
    if frame.contains(&0) {
        return Err(DecodeError::Frame("a zero byte inside"));
    }
    let mut raw = vec![0; frame.len()];
    let length =
        cobs::decode(frame, &mut raw).map_err(|_| DecodeError::Frame("broken byte stuffing (COBS)"))?.frame_size();
    raw.truncate(length);
    let (content, check) =
        length.checked_sub(CHECK).and_then(|n| raw.split_at_checked(n)).ok_or(DecodeError::Frame("too short"))?;
    let stated = <[u8; CHECK]>::try_from(check).map_or(0, u32::from_le_bytes);
    let computed = CRC.checksum(content);
    if computed != stated {
        return Err(DecodeError::Checksum { computed, stated });
    }
    let (version, body) = content.split_first().ok_or(DecodeError::Frame("empty"))?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let wrong = |e: postcard::Error| DecodeError::Content(e.to_string());
    let (body, rest) = postcard::take_from_bytes::<Body>(body).map_err(wrong)?;
    if !rest.is_empty() {
        return Err(DecodeError::Content(format!("{} bytes too many", rest.len())));
    }
    let event = from_wire(body.event)?;
    match finite::first_not_finite(&event) {
        Some(name) => Err(DecodeError::NotFinite(name)),
        None => Ok(Envelope { v: *version, seq: body.seq, event }),
    }
}

/// The number of a value in its table.
fn number<T: PartialEq>(table: &[T], value: &T) -> Result<u8, EncodeError> {
    let at = table.iter().position(|t| t == value).and_then(|i| u8::try_from(i).ok());
    at.ok_or_else(|| EncodeError::Serialise("a value without a number in this version".into()))
}

fn value<T: Copy>(table: &[T], number: u8, what: &str) -> Result<T, DecodeError> {
    let found = table.get(usize::from(number)).copied();
    found.ok_or_else(|| DecodeError::Content(format!("no {what} has the number {number}")))
}

fn to_wire(event: &Event) -> Result<WireEvent, EncodeError> {
    Ok(match event {
        Event::Provisional(d) => WireEvent::Provisional(detection_to_wire(d)?),
        Event::Confirmed(d) => WireEvent::Confirmed(detection_to_wire(d)?),
        Event::Withdrawn(d) => WireEvent::Withdrawn(detection_to_wire(d)?),
        Event::FaceAppeared { face, at, bounds: b } => {
            WireEvent::FaceAppeared { face: face.0, at: at.into(), bounds: [b.x, b.y, b.width, b.height] }
        }
        Event::FaceLeft { face, at } => WireEvent::FaceLeft { face: face.0, at: at.into() },
        Event::Status(s) => WireEvent::Status(WireStatus {
            frames: s.frames,
            lost: s.lost,
            rate: s.rate,
            faces: s.faces,
            rejected: s.rejected.iter().map(|(r, n)| Ok((number(&REASONS, r)?, *n))).collect::<Result<_, _>>()?,
            dropped: s.dropped.clone(),
        }),
    })
}

fn from_wire(event: WireEvent) -> Result<Event, DecodeError> {
    Ok(match event {
        WireEvent::Provisional(d) => Event::Provisional(detection_from_wire(d)?),
        WireEvent::Confirmed(d) => Event::Confirmed(detection_from_wire(d)?),
        WireEvent::Withdrawn(d) => Event::Withdrawn(detection_from_wire(d)?),
        WireEvent::FaceAppeared { face, at, bounds: [x, y, width, height] } => {
            Event::FaceAppeared { face: FaceId(face), at: at.into(), bounds: Rect { x, y, width, height } }
        }
        WireEvent::FaceLeft { face, at } => Event::FaceLeft { face: FaceId(face), at: at.into() },
        WireEvent::Status(s) => Event::Status(Status {
            frames: s.frames,
            lost: s.lost,
            rate: s.rate,
            faces: s.faces,
            rejected: s
                .rejected
                .into_iter()
                .map(|(r, n)| Ok((value(&REASONS, r, "reason")?, n)))
                .collect::<Result<_, _>>()?,
            dropped: s.dropped,
        }),
    })
}

fn detection_to_wire(d: &Detection) -> Result<WireDetection, EncodeError> {
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

fn detection_from_wire(d: WireDetection) -> Result<Detection, DecodeError> {
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
