//! `file`: one JSON line for each event, appended; the file is turned over when it has grown to its size.

mod rotate;

pub(super) use rotate::{RotatingFile, Rotation};

use super::{Sink, SinkError};
use crate::wire::{Envelope, json};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The `file` sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileConfig {
    /// The file, made when it is not there. Its directory must be there. No default.
    pub path: PathBuf,
    /// Size in bytes that the file does not grow beyond: the full one is renamed to `PATH.1`, the one before to
    /// `PATH.2`, and so on. 0: no limit. Default 67108864 (64 MiB).
    pub max_bytes: u64,
    /// How many full files are kept; the oldest is removed. Default 3.
    pub keep: u32,
    /// Bytes that the file and the kept ones may take together; the oldest are removed. 0 (default): as many as
    /// `max_bytes` and `keep` allow.
    pub max_total_bytes: u64,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self { path: PathBuf::new(), max_bytes: 64 << 20, keep: 3, max_total_bytes: 0 }
    }
}

impl FileConfig {
    fn rotation(&self) -> Rotation {
        let Self { path, max_bytes, keep, max_total_bytes } = self.clone();
        Rotation { path, max_bytes, keep, max_total_bytes }
    }

    /// Checks the values alone, without touching the file.
    ///
    /// # Errors
    /// [`SinkError::Spec`] when the path is missing or the sizes contradict each other.
    pub fn validate(&self) -> Result<(), SinkError> {
        self.rotation().validate("file", "/var/log/mercam.jsonl")
    }

    /// Opens the file and makes the sink.
    ///
    /// # Errors
    /// When the path is missing, or the file cannot be opened for appending.
    pub fn build(&self) -> Result<FileSink, SinkError> {
        self.validate()?;
        let name = format!("file:{}", self.path.display());
        let file = RotatingFile::open(&name, self.rotation(), "")?;
        Ok(FileSink { name, file, line: Vec::new(), trouble: None })
    }
}

/// Appends JSON lines to a file.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    file: RotatingFile,
    line: Vec<u8>,
    trouble: Option<String>,
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        self.line.clear();
        json::encode(event, &mut self.line).map_err(|why| SinkError::event(&self.name, event, why))?;
        self.line.push(b'\n');
        let result = self.file.append(&self.line);
        self.trouble = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.file.sync()
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
