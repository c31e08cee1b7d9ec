//! A file that is appended to line by line, and turned over when it has grown to its size.

use crate::sinks::SinkError;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// When a file is turned over, and how much of what was is kept.
#[derive(Debug, Clone)]
pub(in crate::sinks) struct Rotation {
    /// The file.
    pub path: PathBuf,
    /// Size in bytes that it does not grow beyond; 0: no limit.
    pub max_bytes: u64,
    /// How many full files are kept.
    pub keep: u32,
    /// Bytes that the file and the kept ones may take together; 0: no limit.
    pub max_total_bytes: u64,
}

impl Rotation {
    /// Checks the values alone, without touching the file. `kind` and `example` are for the message.
    pub fn validate(&self, kind: &str, example: &str) -> Result<(), SinkError> {
        if self.path.as_os_str().is_empty() {
            return Err(SinkError::Spec(format!(
                "sink `{kind}`: no path; write `{kind}:{example}`, or `path = ...` in a table"
            )));
        }
        if self.max_total_bytes > 0 && !(1..=self.max_total_bytes).contains(&self.max_bytes) {
            return Err(SinkError::Spec(format!(
                "sink `{kind}`: `max_total_bytes` is {}, but one file (`max_bytes` = {}) must fit in it",
                self.max_total_bytes, self.max_bytes
            )));
        }
        Ok(())
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }

    /// Renames the full file to `PATH.1`, what was there before to `PATH.2`, and so on.
    fn turn_over(&self) -> io::Result<()> {
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            // Only as far as files are there without a gap: `keep` may be a large number.
            let there = (1..self.keep).take_while(|n| self.numbered(*n).exists()).last().unwrap_or(0);
            for n in (1..=there).rev() {
                fs::rename(self.numbered(n), self.numbered(n + 1))?;
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        self.prune()
    }

    /// Removes the oldest files, as far as they are too many or take too much room: `keep` may have been larger
    /// in an earlier run.
    fn prune(&self) -> io::Result<()> {
        let mut sizes = Vec::new();
        while let Ok(m) = fs::metadata(self.numbered(sizes.len() as u32 + 1)) {
            sizes.push(m.len());
        }
        let room = self.max_total_bytes.saturating_sub(self.max_bytes);
        let within = |n: usize| {
            let total = sizes.iter().take(n).fold(0, |a: u64, b| a.saturating_add(*b));
            n <= self.keep as usize && (self.max_total_bytes == 0 || total <= room)
        };
        for n in (1..=sizes.len()).rev().take_while(|n| !within(*n)) {
            fs::remove_file(self.numbered(n as u32))?;
        }
        Ok(())
    }
}

/// A file that lines are appended to. It is opened again when the path comes to mean another file.
#[derive(Debug)]
pub(in crate::sinks) struct RotatingFile {
    name: String,
    rotation: Rotation,
    /// First line of each file, with its end; may be empty.
    header: &'static str,
    open: Option<Open>,
    buffer: Vec<u8>,
    /// Said once, not with every line.
    rotation_failed: bool,
}

impl RotatingFile {
    /// Opens the file. `name` is for messages.
    pub fn open(name: &str, rotation: Rotation, header: &'static str) -> Result<Self, SinkError> {
        let mut file =
            Self { name: name.into(), rotation, header, open: None, buffer: Vec::new(), rotation_failed: false };
        file.open = Some(Open::append(&file.rotation.path, header).map_err(|e| file.unavailable(&e))?);
        if let Err(e) = file.rotation.prune() {
            log::warn!("{name}: a file that is too old cannot be removed: {e}");
        }
        Ok(file)
    }

    fn unavailable(&self, e: &io::Error) -> SinkError {
        let mend = match e.kind() {
            ErrorKind::NotFound => ": make its directory",
            ErrorKind::PermissionDenied => ": let this user write there, or name another path",
            _ => return SinkError::from_io(&self.name, e),
        };
        SinkError::Unavailable { what: self.name.clone(), why: format!("{e}{mend}") }
    }

    /// Appends a line, which ends with a line end: the whole line or, as far as that is possible, nothing.
    pub fn append(&mut self, line: &[u8]) -> Result<(), SinkError> {
        let path = &self.rotation.path;
        let open = match self.open.take().filter(|o| o.is_at(path)) {
            Some(open) => open,
            None => Open::append(path, self.header).map_err(|e| self.unavailable(&e))?,
        };
        let mut open = self.open.insert(open);
        let limit = self.rotation.max_bytes;
        let beyond = open.length.saturating_add(line.len() as u64) > limit;
        if open.regular && limit > 0 && open.length > self.header.len() as u64 && beyond {
            match self.rotation.turn_over().and_then(|()| Open::append(&self.rotation.path, self.header)) {
                Ok(new) => {
                    open = self.open.insert(new);
                    self.rotation_failed = false;
                }
                // A line in a file that is too long is better than a lost one.
                Err(e) => {
                    if !self.rotation_failed {
                        log::warn!("{}: cannot be turned over ({e}); it grows beyond {limit} bytes", self.name);
                    }
                    self.rotation_failed = true;
                }
            }
        }
        self.buffer.clear();
        if open.torn {
            self.buffer.push(b'\n');
        }
        if open.length == 0 {
            self.buffer.extend_from_slice(self.header.as_bytes());
        }
        self.buffer.extend_from_slice(line);
        open.write(&self.buffer).map_err(|e| SinkError::from_io(&self.name, &e))
    }

    /// Waits until the disk has all.
    pub fn sync(&self) -> Result<(), SinkError> {
        match &self.open {
            Some(open) if open.regular => open.file.sync_data().map_err(|e| SinkError::from_io(&self.name, &e)),
            _ => Ok(()),
        }
    }
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
    fn append(path: &Path, header: &str) -> io::Result<Self> {
        // Asked before it is opened, because opening a pipe waits until somebody reads it.
        if let Ok(m) = fs::metadata(path)
            && !(m.is_file() || m.file_type().is_char_device())
        {
            let what = if m.is_dir() { "a directory" } else { "neither a file nor a character device" };
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}: name a file")));
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let m = file.metadata()?;
        let mut open = Self { file, id: (m.dev(), m.ino()), regular: m.is_file(), length: m.len(), torn: false };
        if open.regular && open.length > 0 {
            open.continue_behind(path, header)?;
        }
        Ok(open)
    }

    /// Looks at what is there already: its first line must be ours, and its last one was perhaps cut off when the
    /// power went.
    fn continue_behind(&mut self, path: &Path, header: &str) -> io::Result<()> {
        let Ok(mut there) = File::open(path) else { return Ok(()) }; // may be written, may not be read
        let mut head = Vec::new();
        (&mut there).take(header.len() as u64).read_to_end(&mut head)?;
        if head != header.as_bytes() {
            if !header.as_bytes().starts_with(&head) {
                let why = "it begins with other columns: name another file, or move this one away";
                return Err(io::Error::new(ErrorKind::InvalidInput, why));
            }
            self.file.set_len(0)?; // only a part of the header was written
            self.length = 0;
            return Ok(());
        }
        there.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        there.read_exact(&mut byte)?;
        self.torn = byte != [b'\n'];
        Ok(())
    }

    /// Whether the path still means this file. Without this, lines would go to a file that was removed, unseen.
    fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == self.id)
    }

    /// Writes all or, as far as that is possible, nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
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
        let written = (bytes.len() - rest.len()) as u64;
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
