//! The binary form: `content | CRC-32`, in a COBS frame with a zero byte before and behind.
//!
//! Both delimiters are there so that a damaged one costs the frame it belongs to and not its neighbour. The content
//! of version 1 is an event; from version 2 on it is a [`Message`], of which an event is one kind.

mod parts;
mod v1;
mod v2;

use super::{Ack, CRC, DecodeError, EncodeError, Envelope, Message, Record, VERSION, finite, map};
use crate::event::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of the check behind the content.
const CHECK: usize = 4;

/// What a frame of version 2 is; the byte behind the version.
const EVENT: u8 = 0;
const RECORD: u8 = 1;
const ACK: u8 = 2;
const READY: u8 = 3;

#[derive(Serialize, Deserialize)]
struct WireRecord {
    stream: [u8; 8],
    id: u64,
    previous: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct WireAck {
    stream: [u8; 8],
    next: u64,
    have: [u8; 8],
}

/// The postcard of a value, behind what is in `out` already.
fn postcard_of<T: Serialize>(value: &T, out: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    postcard::to_extend(value, out).map_err(|e| EncodeError::Serialise(e.to_string()))
}

/// Reads all of `bytes`, and nothing but one value.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = part(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Content(format!("{} bytes too many", rest.len()))) }
}

fn part<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|e| DecodeError::Content(e.to_string()))
}

/// Appends an event without any framing, as it is kept in spools: its version, and the postcard of that version.
pub(super) fn encode_body(envelope: &Envelope, mut out: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    if let Some(name) = finite::first_not_finite(&envelope.event) {
        return Err(EncodeError::NotFinite(name));
    }
    out.push(VERSION);
    v2::write(envelope, out)
}

/// Reads what [`encode_body`] wrote, now or in an earlier version.
pub(super) fn decode_body(body: &[u8]) -> Result<Envelope, DecodeError> {
    let (version, rest) = body.split_first().ok_or(DecodeError::Frame("empty"))?;
    let envelope = match version {
        1 => v1::read(rest)?,
        2 => v2::read(rest)?,
        other => return Err(DecodeError::Version(*other)),
    };
    sound(envelope)
}

/// An event that could be sent on in any form: what postcard can say and JSON cannot is refused.
fn sound(envelope: Envelope) -> Result<Envelope, DecodeError> {
    if let Some(name) = finite::first_not_finite(&envelope.event) {
        return Err(DecodeError::NotFinite(name));
    }
    let once = match &envelope.event {
        Event::Provisional(d) | Event::Confirmed(d) | Event::Withdrawn(d) => {
            map::each_once(&d.probabilities) && map::each_once(&d.actions)
        }
        Event::Status(s) => map::each_once(&s.rejected) && map::each_once(&s.dropped) && map::each_once(&s.waiting),
        Event::FaceAppeared { .. } | Event::FaceLeft { .. } => true,
    };
    if once { Ok(envelope) } else { Err(DecodeError::Content("a name comes twice".into())) }
}

pub(super) fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(name) = finite::first_not_finite(&envelope.event) {
        return Err(EncodeError::NotFinite(name));
    }
    seal(v2::write(envelope, vec![VERSION, EVENT])?, out)
}

/// Appends the frame of a record whose event is a body already.
pub(super) fn encode_record(
    stream: u64,
    id: u64,
    previous: Option<u64>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let head = WireRecord { stream: stream.to_le_bytes(), id, previous };
    let mut raw = postcard_of(&head, vec![VERSION, RECORD])?;
    raw.extend_from_slice(body);
    seal(raw, out)
}

pub(super) fn encode_ack(ack: &Ack, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let ack = WireAck { stream: ack.stream.to_le_bytes(), next: ack.next, have: ack.have.to_le_bytes() };
    seal(postcard_of(&ack, vec![VERSION, ACK])?, out)
}

pub(super) fn encode_ready(out: &mut Vec<u8>) -> Result<(), EncodeError> {
    seal(vec![VERSION, READY], out)
}

/// Adds check, stuffing and delimiters.
fn seal(mut raw: Vec<u8>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    raw.extend_from_slice(&CRC.checksum(&raw).to_le_bytes());
    let start = out.len();
    out.resize(start + cobs::max_encoding_length(raw.len()) + 2, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let length = cobs::try_encode_including_sentinels(&raw, room).map_err(|e| EncodeError::Serialise(e.to_string()))?;
    out.truncate(start + length);
    Ok(())
}

/// Takes stuffing and check away. Gives version and content.
fn open(frame: &[u8]) -> Result<Vec<u8>, DecodeError> {
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
    raw.truncate(length - CHECK);
    Ok(raw)
}

pub(super) fn decode(frame: &[u8]) -> Result<Message, DecodeError> {
    let content = open(frame)?;
    let (kind, rest) = match content.split_first().ok_or(DecodeError::Frame("empty"))? {
        (1, _) => return Ok(Message::Event(decode_body(&content)?)),
        (2, rest) => rest.split_first().ok_or(DecodeError::Frame("no kind"))?,
        (other, _) => return Err(DecodeError::Version(*other)),
    };
    Ok(match *kind {
        EVENT => Message::Event(sound(v2::read(rest)?)?),
        RECORD => {
            let (head, body): (WireRecord, _) = part(rest)?;
            let stream = u64::from_le_bytes(head.stream);
            Message::Record(Record { stream, id: head.id, previous: head.previous, event: decode_body(body) })
        }
        ACK => {
            let ack: WireAck = whole(rest)?;
            let (stream, have) = (u64::from_le_bytes(ack.stream), u64::from_le_bytes(ack.have));
            Message::Ack(Ack { stream, next: ack.next, have })
        }
        READY if rest.is_empty() => Message::Ready,
        other => return Err(DecodeError::Content(format!("no kind of frame has the number {other}"))),
    })
}
