//! mercam: a private micro-expression sensor.
//!
//! Frames come in from a [`capture`] source; the [`face`] stage follows 68 landmarks with sub-pixel precision;
//! [`movement`] removes the head; [`spotting`] finds onset, apex and offset of short local movements;
//! [`dere_grl`] recognises each with a quantised graph network; the [`pipeline`] sends the detections over
//! bounded channels to the [`sinks`]. No pixel leaves the process. `docs/ARCHITECTURE.md` has the map and the
//! invariants.

pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dere_grl;
pub mod error;
pub mod evaluate;
pub mod event;
pub mod face;
pub mod frame;
pub mod geometry;
pub mod health;
pub mod host;
pub mod image;
pub mod landmarks;
pub mod metrics;
pub mod movement;
#[cfg(feature = "mqtt")]
mod mqtt;
pub mod pipeline;
pub mod precision;
pub mod sinks;
pub mod spool;
pub mod spotting;
pub mod synth;
pub mod time;
pub mod wire;
