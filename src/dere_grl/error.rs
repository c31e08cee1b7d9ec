//! What can go wrong with the model or with the features given to it.

use super::Precision;
use crate::error::Error;
use std::path::PathBuf;

/// A failure of the recogniser.
#[derive(Debug, thiserror::Error)]
pub enum DereGrlError {
    /// A file that belongs to the model could not be read.
    #[error("cannot read {}: {source}; check `dere_grl.model` in the configuration", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest is not one.
    #[error("{manifest}: {reason}; `mercam-train parity` writes a new one")]
    Manifest {
        /// The manifest.
        manifest: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest does not list the file.
    #[error("{manifest} does not list {file}; `mercam-train parity` writes a manifest for the files of a folder")]
    NotListed {
        /// The manifest.
        manifest: String,
        /// The file.
        file: String,
    },
    /// The file is not the one that the manifest lists.
    #[error(
        "{file} is damaged or was changed: its SHA-256 is {found}, the manifest says {expected}; \
         put the original file back, or write a new manifest with `mercam-train parity`"
    )]
    Hash {
        /// The file.
        file: String,
        /// SHA-256 by the manifest.
        expected: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// The file is in another precision than asked for.
    #[error("{file} is an {found} model, but `dere_grl.precision` is {asked}; set it to {found}, or name another file")]
    Precision {
        /// The file.
        file: String,
        /// The configured one.
        asked: Precision,
        /// The file's own.
        found: String,
    },
    /// The model does not say what it has to say about itself, or says something mercam cannot work with.
    #[error("{file}: metadata `{key}` {reason}; export the model with `mercam-train` of this version")]
    Metadata {
        /// The file.
        file: String,
        /// The metadata key, or the input or output.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// tract cannot load the model.
    #[error("{file}: tract cannot load it: {reason}")]
    Load {
        /// The file.
        file: String,
        /// tract's own words.
        reason: String,
    },
    /// A landmark given to the recogniser is not usable.
    #[error("landmark {landmark}: {what} is ({x}, {y}), which is not within 10 inter-ocular distances")]
    Feature {
        /// Its number, from 0.
        landmark: usize,
        /// Place or movement.
        what: &'static str,
        /// The x coordinate.
        x: f32,
        /// The y coordinate.
        y: f32,
    },
    /// tract failed while running the model.
    #[error("the network failed: {0}")]
    Run(String),
}

impl From<DereGrlError> for Error {
    fn from(e: DereGrlError) -> Self {
        match e {
            DereGrlError::Read { .. } | DereGrlError::Hash { .. } | DereGrlError::Load { .. } => Self::unavailable(e),
            DereGrlError::Feature { .. } | DereGrlError::Run(_) => Self::failure(e),
            _ => Self::config(e),
        }
    }
}
