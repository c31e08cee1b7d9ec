//! Where the host keeps what has arrived: JSON lines that are only appended to and turned over when they are full.

use crate::sinks::{FileConfig, FileSink, Sink, SinkError};
use crate::wire::{Envelope, RunId};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Name of the newest file; older ones have `.1`, `.2` ... behind it.
pub const FILE: &str = "events.jsonl";
/// The longest line that is looked at; a stored event is much shorter.
const LONGEST_LINE: u64 = 1 << 20;

/// What the host has to know of a stored event.
#[derive(Debug, Deserialize)]
pub struct Stored {
    /// The device.
    #[serde(default)]
    pub device: String,
    /// Its run.
    #[serde(default)]
    pub run: RunId,
    /// Number within the run.
    pub seq: u64,
    /// Kind of the event.
    pub kind: String,
}

/// The files of a host.
pub struct Store {
    dir: PathBuf,
    file: FileSink,
    fsync: bool,
    unsettled: bool,
    /// Held open for its lock.
    _lock: File,
}

impl Store {
    /// Opens the directory, and makes it if need be.
    ///
    /// # Errors
    /// When it cannot be used, or another host uses it.
    pub fn open(dir: &Path, max_bytes: u64, keep: u32, fsync: bool) -> Result<Self, SinkError> {
        let broken = |what: &str, e: &dyn std::fmt::Display| SinkError::Unavailable {
            what: dir.display().to_string(),
            why: format!("{what}: {e}"),
        };
        fs::create_dir_all(dir).map_err(|e| broken("the directory cannot be made", &e))?;
        let lock = File::create(dir.join("lock")).map_err(|e| broken("nothing can be written there", &e))?;
        lock.try_lock().map_err(|e| broken("is another `mercam host` using it?", &e))?;
        let config = FileConfig { path: dir.join(FILE), max_bytes, keep, ..FileConfig::default() };
        Ok(Self { dir: dir.to_path_buf(), file: config.build()?, fsync, unsettled: false, _lock: lock })
    }

    /// Whether older events may have been thrown away.
    pub fn turned_over(&self) -> bool {
        files(&self.dir).len() > 1
    }

    /// Calls `found` for every stored event, oldest first. Lines that are none are passed over.
    pub fn replay(&self, mut found: impl FnMut(Stored)) {
        for path in files(&self.dir) {
            let done = lines(&path, |line| {
                if let Ok(stored) = serde_json::from_slice(line) {
                    found(stored);
                }
                true
            });
            if let Err(e) = done {
                log::error!("what arrived earlier cannot be read ({e}), it may be stored again: {}", path.display());
            }
        }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, envelope: &Envelope) -> Result<(), SinkError> {
        self.unsettled = true;
        self.file.send(envelope)
    }

    /// Makes what was written last through a power cut, where that was asked for.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn settle(&mut self) -> Result<(), SinkError> {
        if std::mem::take(&mut self.unsettled) && self.fsync {
            let path = self.dir.join(FILE);
            File::open(&path).and_then(|f| f.sync_data()).map_err(|e| SinkError::Unavailable {
                what: path.display().to_string(),
                why: format!("cannot be synced: {e}"),
            })?;
        }
        Ok(())
    }
}

/// The files of a host's directory, oldest first.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut numbered = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.strip_prefix(FILE) {
            Some("") => numbered.push((0, entry.path())),
            Some(rest) => {
                if let Some(n) = rest.strip_prefix('.').and_then(|n| n.parse::<u32>().ok()) {
                    numbered.push((n, entry.path()));
                }
            }
            None => {}
        }
    }
    numbered.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    numbered.into_iter().map(|(_, path)| path).collect()
}

/// Calls `found` for every line of a file, until it says no. The parts of a line that is too long are lines.
///
/// # Errors
/// When the file cannot be read.
pub fn lines(path: &Path, mut found: impl FnMut(&[u8]) -> bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = std::io::Read::take(&mut reader, LONGEST_LINE);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if !line.is_empty() && !found(&line) {
            return Ok(());
        }
    }
}
