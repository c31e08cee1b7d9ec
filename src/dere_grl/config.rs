//! Which model, in which precision.

use super::{DereGrlError, Recogniser};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// How the recogniser is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DereGrlConfig {
    /// A model of your own: an ONNX file, or a folder that holds `dere_grl.int8.onnx` and `dere_grl.fp32.onnx`.
    /// `manifest.toml` with the SHA-256 of the file must lie beside it (`mercam-train` writes both).
    /// Not set: the model that is built into mercam.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// `int8` (default; a third of the size) or `fp32` (its twin; at this size it is the faster one).
    pub precision: Precision,
    /// A movement whose probability of being none of the classes (`none`) is above this is no micro-expression, 0 to 1
    /// (default 0.95; 1: the model has no say in that).
    pub reject_none_above: f32,
}

impl Default for DereGrlConfig {
    fn default() -> Self {
        Self { model: None, precision: Precision::default(), reject_none_above: 0.95 }
    }
}

impl DereGrlConfig {
    /// Loads the model. See [`Recogniser::load`].
    pub fn build(&self) -> Result<Recogniser, DereGrlError> {
        Recogniser::load(self)
    }
}

/// Number format of the network's weights and products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 8-bit integers.
    #[default]
    Int8,
    /// 32-bit floating point.
    Fp32,
}

impl Precision {
    /// The name used in the configuration and in the model's metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Fp32 => "fp32",
        }
    }

    /// The file name of the model in this precision.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Int8 => "dere_grl.int8.onnx",
            Self::Fp32 => "dere_grl.fp32.onnx",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
