//! The wire format: what leaves mercam, as JSON lines, as checked text lines and as compact binary frames.
//!
//! `docs/reference/wire.md` is the description for whoever writes a receiver. Everything that decodes here
//! takes bytes from outside and answers with an error, never with a panic and never with a frame that was not
//! sent.

mod binary;
mod deframe;
mod finite;
pub mod json;
pub mod map;
mod message;
mod origin;
mod text;

pub use deframe::{Counts, Deframer};
pub use finite::check;
pub use message::{Ack, Message, Record, decode_body, encode_body, encode_record};
pub use origin::{BadName, DeviceName, Origin, RunId};

use crate::event::Event;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Version of the schema that is written; raised when a reader of the previous one would misunderstand.
pub const VERSION: u8 = 2;

/// The versions that are read.
pub const READS: std::ops::RangeInclusive<u8> = 1..=VERSION;

/// The longest frame in bytes, delimiters included. Encoding a longer one is an error, and a receiver needs
/// no more memory than a small multiple of this.
pub const MAX_FRAME: usize = 8192;

/// The check of both framed forms: the CRC-32 of Ethernet, zlib and PNG (ISO-HDLC).
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// An event on its way: with the schema's version, and a number that shows gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`]; what came from outside may be of an earlier one.
    pub v: u8,
    /// Name of the device; empty in version 1. With `run` and `seq` it names the event for ever.
    #[serde(default)]
    pub device: String,
    /// The run of the process; 0 in version 1.
    #[serde(default)]
    pub run: RunId,
    /// Number of the event within this run, from 0, without gaps when it leaves the pipeline.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Envelope {
    /// An event of this version, from no device in particular.
    pub const fn new(seq: u64, event: Event) -> Self {
        Self { v: VERSION, device: String::new(), run: RunId(0), seq, event }
    }

    /// An event of a run.
    pub fn from_origin(origin: &Origin, seq: u64, event: Event) -> Self {
        Self { device: origin.device.to_string(), run: origin.run, ..Self::new(seq, event) }
    }
}

/// How events are framed on a line that can lose or change bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON line for each event, with its CRC-32 behind it; a terminal shows it.
    #[default]
    Text,
    /// Postcard with a CRC-32 in COBS frames between zero bytes; about a third of the size.
    Binary,
}

impl Format {
    /// The byte that ends a frame and stands nowhere inside one.
    pub const fn delimiter(self) -> u8 {
        match self {
            Self::Text => b'\n',
            Self::Binary => 0,
        }
    }

    /// Appends the frame of `envelope` to `out`, which is left as it was when that fails.
    ///
    /// # Errors
    /// When a number is not finite or the frame is longer than [`MAX_FRAME`].
    pub fn encode(self, envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let done = match self {
            Self::Text => text::encode(envelope, out),
            Self::Binary => binary::encode(envelope, out),
        };
        let length = out.len() - start;
        let done = match done {
            Ok(()) if length > MAX_FRAME => Err(EncodeError::TooLong { length }),
            other => other,
        };
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// Decodes one frame that has been cut out of the stream already, without its delimiter.
    ///
    /// # Errors
    /// When the frame is damaged, of another version or not an event.
    pub fn decode(self, frame: &[u8]) -> Result<Envelope, DecodeError> {
        match self {
            Self::Text => text::decode(frame),
            Self::Binary => match binary::decode(frame)? {
                Message::Event(envelope) => Ok(envelope),
                Message::Record(record) => record.event,
                Message::Ack(_) | Message::Ready => Err(DecodeError::Content("an acknowledgement".into())),
            },
        }
    }

    /// Decodes one frame of any kind. Text has events only.
    ///
    /// # Errors
    /// When the frame is damaged, of another version or nothing known.
    pub fn message(self, frame: &[u8]) -> Result<Message, DecodeError> {
        match self {
            Self::Text => text::decode(frame).map(Message::Event),
            Self::Binary => binary::decode(frame),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Binary => "binary",
        })
    }
}

/// Why an event cannot be put on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// JSON has no NaN or infinity, and a receiver could do nothing with one.
    #[error("`{0}` is not a finite number")]
    NotFinite(&'static str),
    /// The frame would be longer than [`MAX_FRAME`].
    #[error("the frame has {length} bytes and may have {MAX_FRAME}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The serialiser refused it.
    #[error("{0}")]
    Serialise(String),
}

/// Why received bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame's marks are not where they belong.
    #[error("not a frame: {0}")]
    Frame(&'static str),
    /// The bytes were changed on the way.
    #[error("CRC-32 of the content is {computed:08X}, the frame says {stated:08X}")]
    Checksum {
        /// What the content gives.
        computed: u32,
        /// What the frame carries.
        stated: u32,
    },
    /// An undamaged frame of a version that this reader does not know.
    #[error("wire version {0}, this reader knows 1 to {VERSION}: update it")]
    Version(u8),
    /// Undamaged, but not an event.
    #[error("not an event: {0}")]
    Content(String),
    /// A number that no sender of this version sends.
    #[error("`{0}` is not a finite number")]
    NotFinite(&'static str),
}
