//! Version 1, which is still read: `1 | postcard(seq, event)`. Its events did not say which device they are from.

use super::parts::{REASONS, WireDetection, WireMoment, detection_from_wire, value};
use crate::event::{Event, Status};
use crate::frame::FaceId;
use crate::geometry::Rect;
use crate::wire::{DecodeError, Envelope};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    seq: u64,
    event: WireEvent,
}

#[derive(Deserialize)]
enum WireEvent {
    Provisional(WireDetection),
    Confirmed(WireDetection),
    Withdrawn(WireDetection),
    FaceAppeared { face: u32, at: WireMoment, bounds: [f32; 4] },
    FaceLeft { face: u32, at: WireMoment },
    Status(WireStatus),
}

#[derive(Deserialize)]
struct WireStatus {
    frames: u64,
    lost: u64,
    rate: f32,
    faces: u32,
    rejected: Vec<(u8, u64)>,
    dropped: Vec<(String, u64)>,
}

pub fn read(body: &[u8]) -> Result<Envelope, DecodeError> {
    let body: Body = super::whole(body)?;
    let event = match body.event {
        WireEvent::Provisional(d) => Event::Provisional(detection_from_wire(d)?),
        WireEvent::Confirmed(d) => Event::Confirmed(detection_from_wire(d)?),
        WireEvent::Withdrawn(d) => Event::Withdrawn(detection_from_wire(d)?),
        WireEvent::FaceAppeared { face, at, bounds: [x, y, width, height] } => Event::FaceAppeared {
            face: FaceId(face),
            at: at.into(),
            bounds: Rect { x, y, width, height },
            relative: None,
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
            ..Status::default()
        }),
    };
    Ok(Envelope { v: 1, ..Envelope::new(body.seq, event) })
}
