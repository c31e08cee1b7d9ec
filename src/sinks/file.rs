//! `file`: one JSON line for each event, appended; the file is turned over when it has grown to its size.

use super::{Sink, SinkError};
use crate::wire::{Envelope, json};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

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
}

impl Default for FileConfig {
    fn default() -> Self {
        Self { path: PathBuf::new(), max_bytes: 64 << 20, keep: 3 }
    }
}

impl FileConfig {
    /// Checks the values alone, without touching the file.
    ///
    /// # Errors
    /// [`SinkError::Spec`] when the path is missing.
    pub fn validate(&self) -> Result<(), SinkError> {
        if self.path.as_os_str().is_empty() {
            return Err(SinkError::Spec(
                "sink `file`: no path; write `file:/var/log/mercam.jsonl`, or `path = ...` in a table".into(),
            ));
        }
        Ok(())
    }

    /// Opens the file and makes the sink.
    ///
    /// # Errors
    /// When the path is missing, or the file cannot be opened for appending.
    pub fn build(&self) -> Result<FileSink, SinkError> {
        self.validate()?;
        let mut sink = FileSink {
            name: format!("file:{}", self.path.display()),
            config: self.clone(),
            open: None,
            line: Vec::new(),
            trouble: None,
            rotation_failed: false,
        };
        sink.open = Some(Open::append(&self.path).map_err(|e| sink.unavailable(&e))?);
        Ok(sink)
    }
}

/// Appends JSON lines to a file.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    config: FileConfig,
    open: Option<Open>,
    line: Vec<u8>,
    trouble: Option<String>,
    /// Said once, not with every event.
    rotation_failed: bool,
}

/// A file being appended to.
#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode: the path may come to mean another file.
    id: (u64, u64),
    /// Not a device such as /dev/null: has a length, can be cut and renamed.
    regular: bool,
    /// Length in bytes, as far as we wrote it.
    length: u64,
    /// The last line has no end.
    torn: bool,
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        // Asked before it is opened, because opening a pipe waits until somebody reads it.
        if let Ok(m) = fs::metadata(path)
            && !(m.is_file() || m.file_type().is_char_device())
        {
            let what = if m.is_dir() { "a directory" } else { "neither a file nor a character device" };
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}: name a file")));
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let m = file.metadata()?;
        let torn = m.is_file() && m.len() > 0 && last_byte(path).is_ok_and(|b| b != b'\n');
        Ok(Self { file, id: (m.dev(), m.ino()), regular: m.is_file(), length: m.len(), torn })
    }

    /// Whether the path still means this file. Without this, lines would go to a file that was removed, unseen.
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == self.id)
    }

    /// Appends the whole line or, as far as that is possible, nothing.
    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut rest = line;
        let result = loop {
            match self.file.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
            if rest.is_empty() {
                break Ok(());
            }
        };
        let written = (line.len() - rest.len()) as u64;
        if result.is_ok() {
            self.length += written;
            self.torn = false;
        } else if written > 0 {
            // Take the half line back, unless somebody else has written behind it.
            let ours = self.regular && self.file.metadata().is_ok_and(|m| m.len() == self.length + written);
            if !ours || self.file.set_len(self.length).is_err() {
                self.length += written;
                self.torn = true;
            }
        }
        result
    }
}

/// The last byte of a file that was perhaps cut off when the power went.
fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

impl FileSink {
    fn unavailable(&self, e: &io::Error) -> SinkError {
        let mend = match e.kind() {
            ErrorKind::NotFound => ": make its directory",
            ErrorKind::PermissionDenied => ": let this user write there, or name another path",
            _ => return SinkError::from_io(&self.name, e),
        };
        SinkError::Unavailable { what: self.name.clone(), why: format!("{e}{mend}") }
    }

    fn append(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let path = &self.config.path;
        let open = match self.open.take().filter(|o| o.is_at(path)) {
            Some(open) => open,
            None => Open::append(path).map_err(|e| self.unavailable(&e))?,
        };
        let open = self.open.insert(open);
        self.line.clear();
        if open.torn {
            self.line.push(b'\n');
        }
        json::encode(event, &mut self.line).map_err(|why| SinkError::event(&self.name, event, why))?;
        self.line.push(b'\n');

        let limit = self.config.max_bytes;
        let full = open.regular && limit > 0 && open.length > 0 && open.length + self.line.len() as u64 > limit;
        if full {
            match turn_over(&self.config).and_then(|()| Open::append(&self.config.path)) {
                Ok(new) => {
                    self.line.drain(..usize::from(open.torn));
                    *open = new;
                    self.rotation_failed = false;
                }
                // An event in a file that is too long is better than a lost one.
                Err(e) => {
                    if !self.rotation_failed {
                        log::warn!("{}: cannot be turned over ({e}); it grows beyond {limit} bytes", self.name);
                    }
                    self.rotation_failed = true;
                }
            }
        }
        open.append_line(&self.line).map_err(|e| SinkError::from_io(&self.name, &e))
    }
}

/// Renames the full file to `PATH.1`, what was there before to `PATH.2`, and so on.
fn turn_over(config: &FileConfig) -> io::Result<()> {
    let numbered = |n: u32| {
        let mut name = OsString::from(&config.path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    if config.keep == 0 {
        return fs::remove_file(&config.path);
    }
    // Only as far as files are there without a gap: `keep` may be a large number.
    let there = (1..config.keep).take_while(|n| numbered(*n).exists()).last().unwrap_or(0);
    for n in (1..=there).rev() {
        fs::rename(numbered(n), numbered(n + 1))?;
    }
    fs::rename(&config.path, numbered(1))
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let result = self.append(event);
        match &result {
            Ok(()) => self.trouble = None,
            Err(SinkError::Event { .. }) => {}
            Err(e) => self.trouble = Some(e.to_string()),
        }
        result
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        match &self.open {
            Some(open) if open.regular => open.file.sync_data().map_err(|e| SinkError::from_io(&self.name, &e)),
            _ => Ok(()),
        }
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
