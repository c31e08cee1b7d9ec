//! What travels on an acknowledged line beside events: records with numbers, and acknowledgements on the way back.

use super::{DecodeError, EncodeError, Envelope, MAX_FRAME, binary};

/// A frame of the binary form.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// An event that nobody acknowledges.
    Event(Envelope),
    /// Device to host: an event that is sent again until it is acknowledged.
    Record(Record),
    /// Host to device: what has arrived.
    Ack(Ack),
    /// Host to device: somebody listens from now on; whatever waits may be sent at once.
    Ready,
}

/// An event with its place in the sender's queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// A random number of the sender's queue since it was opened; numbers of records mean something within it only.
    pub stream: u64,
    /// Number of the record; they grow, and gaps are records that the sender no longer has.
    pub id: u64,
    /// Number of the record before it that the sender still has; `None` when there is none, because all before were
    /// acknowledged or given up.
    pub previous: Option<u64>,
    /// The event, or why this reader does not understand it although it is undamaged.
    pub event: Result<Envelope, DecodeError>,
}

/// What a host has of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ack {
    /// The stream.
    pub stream: u64,
    /// Everything before this number has been stored or is known to be lost.
    pub next: u64,
    /// Bit `k`: record `next + 1 + k` has been stored too.
    pub have: u64,
}

impl Ack {
    /// Whether it says that a record has been stored.
    pub fn covers(&self, id: u64) -> bool {
        id < self.next || id.checked_sub(self.next + 1).is_some_and(|k| k < 64 && self.have >> k & 1 == 1)
    }

    /// Appends its frame.
    ///
    /// # Errors
    /// Never in practice; the serialiser's type says so.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        binary::encode_ack(self, out)
    }
}

impl Message {
    /// Appends the frame of [`Message::Ready`].
    ///
    /// # Errors
    /// Never in practice; the serialiser's type says so.
    pub fn encode_ready(out: &mut Vec<u8>) -> Result<(), EncodeError> {
        binary::encode_ready(out)
    }

    /// The event in it, if there is one that can be read.
    pub fn into_event(self) -> Option<Envelope> {
        match self {
            Self::Event(envelope) => Some(envelope),
            Self::Record(record) => record.event.ok(),
            Self::Ack(_) | Self::Ready => None,
        }
    }
}

/// An event as it is kept in a spool: without framing, in the version that wrote it.
///
/// # Errors
/// When a number is not finite, or the record's frame would be longer than [`MAX_FRAME`].
pub fn encode_body(envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let body = binary::encode_body(envelope, Vec::new())?;
    // Stream, number, check, stuffing and delimiters come to this at most.
    let length = body.len() + body.len() / 254 + 48;
    if length > MAX_FRAME { Err(EncodeError::TooLong { length }) } else { Ok(body) }
}

/// Reads what [`encode_body`] wrote, now or in an earlier version.
///
/// # Errors
/// When it is of another version, or no event.
pub fn decode_body(body: &[u8]) -> Result<Envelope, DecodeError> {
    binary::decode_body(body)
}

/// Appends the frame of a record.
///
/// # Errors
/// Never in practice; the serialiser's type says so.
pub fn encode_record(
    stream: u64,
    id: u64,
    previous: Option<u64>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    binary::encode_record(stream, id, previous, body, out)
}
