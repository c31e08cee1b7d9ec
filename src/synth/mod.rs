//! Synthetic faces with exact truth: what they do is scripted, so every detection can be checked.
//!
//! A seed names a person, a script of labelled events ([`Script`]) and a head motion. The person is delivered as
//! landmarks, or as pictures of a face that is drawn by rule ([`Portrait::drawn`]) or taken from a photo
//! ([`Portrait::from_photo`]) and warped. Statistics follow real micro-expressions; nothing here is a measurement
//! of a real person, and figures obtained on it say nothing about real micro-expressions.

mod au;
mod class;
mod config;
mod field;
mod lids;
mod motion;
mod portrait;
mod random;
mod render;
mod script;
mod shape;
mod source;
mod texture;

pub use au::{Activation, Au, Side};
pub use class::Class;
pub use config::{OPTIONS, Pace, Render, SyntheticConfig};
pub use portrait::Portrait;
pub use script::{ActingUnit, Label, Script, ScriptConfig, TruthEvent};
pub use source::SyntheticSource;

use crate::capture::{CaptureError, Source};
use std::collections::BTreeMap;

/// Opens `synthetic:?key=value&...`; the options are those of [`SyntheticConfig::from_options`].
///
/// # Errors
/// An unknown option, named with the nearest known one; a value that cannot be read or is out of range.
pub fn source(options: &BTreeMap<String, String>) -> Result<Box<dyn Source>, CaptureError> {
    Ok(Box::new(SyntheticConfig::from_options(options)?.build()?))
}
