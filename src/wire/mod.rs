//! The wire format: what leaves mercam, as JSON lines and as compact binary frames.

use crate::event::Event;
use serde::{Deserialize, Serialize};

/// Version of the schema; raised when a reader of the previous one would misunderstand.
pub const VERSION: u8 = 1;

/// An event on its way: with the schema's version, and a number that shows gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub v: u8,
    /// Number of the event within this run, from 0, without gaps when it leaves the pipeline.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}
