//! The host's counters, as they are written beside the events and shown.

use super::ledger::MAX_DEVICES;
use crate::event::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Most lines that have counters of their own; the connections of one listener share one line.
const MAX_LINES: usize = 1024;
/// Name of the file beside the events.
pub const FILE: &str = "stats.json";

/// Everything that is counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostStats {
    /// By name of the device.
    pub devices: BTreeMap<String, DeviceStats>,
    /// By name of the line, since the host was started.
    pub lines: BTreeMap<String, LineStats>,
    /// Events of devices beyond the most that are remembered.
    pub refused: u64,
}

/// One device. Events, runs and missing cover all that the store holds; the rest is since the host was started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceStats {
    /// Different events stored.
    pub events: u64,
    /// Of these, confirmed detections.
    pub confirmed: u64,
    /// Of these, withdrawn detections.
    pub withdrawn: u64,
    /// Events that came again and were dropped.
    pub duplicates: u64,
    /// Runs of its process.
    pub runs: u64,
    /// Events that never came although later ones of their run did.
    pub missing: u64,
    /// When the last event came: microseconds since 1970.
    pub last_unix_us: i64,
    /// The line it came on.
    pub line: String,
    /// Whether its broker says that it is there; nothing on lines that have no broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// What the device last said of itself.
    pub status: Option<Status>,
}

/// One serial line, or all connections of one listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LineStats {
    /// Lines or connections open now.
    pub open: u64,
    /// Times opened.
    pub opened: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Undamaged frames.
    pub good: u64,
    /// Damaged frames and noise.
    pub bad: u64,
    /// Frames and records of a version that this host does not know.
    pub foreign: u64,
    /// Records of acknowledged lines.
    pub records: u64,
    /// Of these, those that had been here before.
    pub repeated: u64,
    /// Records that their sender gave up: its spool was full, they were too old, or its disk damaged them.
    pub given_up: u64,
    /// Undamaged records that held no event.
    pub unreadable: u64,
    /// Times that an event could not be stored; on acknowledged lines it comes again.
    pub not_stored: u64,
    /// Acknowledgements sent.
    pub acks: u64,
}

impl HostStats {
    pub(super) fn knows(&self, device: &str) -> bool {
        self.devices.contains_key(device)
    }

    pub(super) fn is_full(&self) -> bool {
        self.devices.len() >= MAX_DEVICES
    }

    pub(super) fn device(&mut self, name: &str) -> &mut DeviceStats {
        self.devices.entry(name.to_owned()).or_default()
    }

    pub(super) fn line(&mut self, name: &str) -> &mut LineStats {
        let name = if self.lines.len() < MAX_LINES || self.lines.contains_key(name) { name } else { "others" };
        self.lines.entry(name.to_owned()).or_default()
    }

    /// Reads them from a host's directory.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub fn load(dir: &Path) -> io::Result<Self> {
        serde_json::from_slice(&fs::read(dir.join(FILE))?).map_err(io::Error::other)
    }

    /// Writes them into a host's directory, whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join(format!("{FILE}.new"));
        fs::write(&new, serde_json::to_vec_pretty(self).map_err(io::Error::other)?)?;
        fs::rename(new, dir.join(FILE))
    }
}
