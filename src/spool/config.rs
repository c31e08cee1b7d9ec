//! Settings of a spool.

use super::{Spool, SpoolError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// When a spool waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// Never: what was appended survives a killed process; a power cut costs what the system had not written yet
    /// (up to about 30 s). Kind to memory cards.
    #[default]
    Never,
    /// After every record: a power cut costs nothing that was taken.
    Always,
}

/// Where undelivered records wait, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// Directory of its own for each spool; made when missing. Empty (default): records wait in memory only.
    pub dir: PathBuf,
    /// Most bytes that may wait; the oldest records give way and are counted. Default 16777216.
    pub max_bytes: u64,
    /// Oldest record that is still worth delivering, in seconds; 0: any. Default 604800 (a week).
    pub max_age_s: u64,
    /// When to wait for the disk: `never` (default) or `always`, after every record.
    pub fsync: Fsync,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { dir: PathBuf::new(), max_bytes: 16 << 20, max_age_s: 7 * 24 * 3600, fsync: Fsync::Never }
    }
}

impl SpoolConfig {
    /// Checks the values alone.
    ///
    /// # Errors
    /// [`SpoolError::Config`] naming the value.
    pub fn validate(&self) -> Result<(), SpoolError> {
        if !(Self::LEAST_BYTES..=1 << 40).contains(&self.max_bytes) {
            let least = Self::LEAST_BYTES;
            return Err(SpoolError::Config(format!("`max_bytes` is {}, but may be {least} to 2^40", self.max_bytes)));
        }
        Ok(())
    }

    /// Room for a few records of any length.
    const LEAST_BYTES: u64 = 1 << 18;

    /// Opens the spool and finds what an earlier process left in it.
    ///
    /// # Errors
    /// When a value makes no sense, the directory cannot be used, or another process uses it.
    pub fn open(&self) -> Result<Spool, SpoolError> {
        self.validate()?;
        Spool::open(self.clone())
    }
}
