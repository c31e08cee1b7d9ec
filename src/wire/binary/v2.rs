//! Version 2, which is written: `2 | postcard(device, run, seq, event)`.
//!
//! Postcard is positional, so this file has types of its own: the schema of a version changes only when somebody
//! changes it here, not when a field moves in [`crate::event`]. Enumerations are numbers from tables for the same
//! reason. Anything that changes these types needs a new [`VERSION`](crate::wire::VERSION).

use super::parts::{REASONS, WireDetection, WireMoment, detection_from_wire, detection_to_wire, number, value};
use crate::event::{Event, ModelRef, Status};
use crate::frame::FaceId;
use crate::geometry::Rect;
use crate::wire::{DecodeError, EncodeError, Envelope, RunId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Body {
    device: String,
    run: [u8; 8],
    seq: u64,
    event: WireEvent,
}

#[derive(Serialize, Deserialize)]
enum WireEvent {
    Provisional(WireDetection),
    Confirmed(WireDetection),
    Withdrawn(WireDetection),
    FaceAppeared { face: u32, at: WireMoment, bounds: [f32; 4], relative: Option<[f32; 4]> },
    FaceLeft { face: u32, at: WireMoment },
    Status(WireStatus),
}

#[derive(Serialize, Deserialize)]
struct WireStatus {
    frames: u64,
    lost: u64,
    rate: f32,
    faces: u32,
    rejected: Vec<(u8, u64)>,
    dropped: Vec<(String, u64)>,
    waiting: Vec<(String, u64)>,
    temperature_c: Option<f32>,
    throttled: Option<bool>,
    under_voltage: Option<bool>,
    model: Option<(String, String, String)>,
}

const fn numbers(r: &Rect) -> [f32; 4] {
    [r.x, r.y, r.width, r.height]
}

const fn rect([x, y, width, height]: [f32; 4]) -> Rect {
    Rect { x, y, width, height }
}

pub fn write(envelope: &Envelope, out: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    let event = match &envelope.event {
        Event::Provisional(d) => WireEvent::Provisional(detection_to_wire(d)?),
        Event::Confirmed(d) => WireEvent::Confirmed(detection_to_wire(d)?),
        Event::Withdrawn(d) => WireEvent::Withdrawn(detection_to_wire(d)?),
        Event::FaceAppeared { face, at, bounds, relative } => WireEvent::FaceAppeared {
            face: face.0,
            at: at.into(),
            bounds: numbers(bounds),
            relative: relative.as_ref().map(numbers),
        },
        Event::FaceLeft { face, at } => WireEvent::FaceLeft { face: face.0, at: at.into() },
        Event::Status(s) => WireEvent::Status(WireStatus {
            frames: s.frames,
            lost: s.lost,
            rate: s.rate,
            faces: s.faces,
            rejected: s.rejected.iter().map(|(r, n)| Ok((number(&REASONS, r)?, *n))).collect::<Result<_, _>>()?,
            dropped: s.dropped.clone(),
            waiting: s.waiting.clone(),
            temperature_c: s.temperature_c,
            throttled: s.throttled,
            under_voltage: s.under_voltage,
            model: s.model.clone().map(|m| (m.id, m.precision, m.sha256)),
        }),
    };
    let body = Body { device: envelope.device.clone(), run: envelope.run.0.to_le_bytes(), seq: envelope.seq, event };
    postcard::to_extend(&body, out).map_err(|e| EncodeError::Serialise(e.to_string()))
}

pub fn read(body: &[u8]) -> Result<Envelope, DecodeError> {
    let body: Body = super::whole(body)?;
    let event = match body.event {
        WireEvent::Provisional(d) => Event::Provisional(detection_from_wire(d)?),
        WireEvent::Confirmed(d) => Event::Confirmed(detection_from_wire(d)?),
        WireEvent::Withdrawn(d) => Event::Withdrawn(detection_from_wire(d)?),
        WireEvent::FaceAppeared { face, at, bounds, relative } => Event::FaceAppeared {
            face: FaceId(face),
            at: at.into(),
            bounds: rect(bounds),
            relative: relative.map(rect),
        },
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
            waiting: s.waiting,
            temperature_c: s.temperature_c,
            throttled: s.throttled,
            under_voltage: s.under_voltage,
            model: s.model.map(|(id, precision, sha256)| ModelRef { id, precision, sha256 }),
        }),
    };
    let run = RunId(u64::from_le_bytes(body.run));
    Ok(Envelope { device: body.device, run, ..Envelope::new(body.seq, event) })
}
