//! Synthetic faces with exact truth: what they do is scripted, so every detection can be checked.
//!
//! A seed names a person, a script of labelled events ([`Script`]) and a head motion. The person is delivered as
//! landmarks, or as pictures of a face that is drawn by rule ([`Portrait::drawn`]), taken from a photo
//! ([`Portrait::from_photo`]) and warped, or filmed ([`ClipSource`]). [`recipe`] makes whole sets of such films,
//! [`truth_file`] writes their truth. Statistics follow real micro-expressions; nothing here is a measurement of a real
//! person, and figures obtained on it say nothing about real micro-expressions.

mod au;
mod camera;
mod cast;
mod class;
mod clip;
mod config;
mod field;
mod film;
mod lids;
mod light;
mod motion;
mod portrait;
mod random;
pub mod recipe;
mod render;
mod script;
mod shape;
mod source;
mod texture;
pub mod truth_file;

pub use au::{Activation, Au, Side};
pub use camera::{CameraConfig, Disturbance, DisturbanceKind};
pub use cast::Actor;
pub use class::Class;
pub use clip::{ClipSource, FollowError, Followed};
pub use config::{OPTIONS, Pace, Render, SyntheticConfig};
pub use film::Film;
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
