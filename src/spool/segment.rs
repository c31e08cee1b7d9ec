//! Segments: files that are only appended to, named after the first id that they may hold.

use super::record::{self, Found};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "spool";
/// What a segment begins with; the digit is the version of its form.
const MAGIC: &[u8; 8] = b"mSPOOL1\n";

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    pub first: u64,
    pub path: PathBuf,
    pub bytes: u64,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    /// A write failed in a way that could not be undone: nothing more may be appended.
    torn: bool,
}

/// What a look through a file found.
pub(super) struct Scan {
    /// Where the last undamaged record ends.
    pub end: u64,
    /// Bytes that belong to no undamaged record stand before it.
    pub damaged: bool,
}

impl Segment {
    /// The segments of a directory, oldest first.
    pub fn list(dir: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|e| e == EXTENSION)
                && let Ok(first) = u64::from_str_radix(stem, 16)
            {
                found.push(Self { first, path, bytes: entry.metadata()?.len() });
            }
        }
        found.sort_by_key(|s| s.first);
        Ok(found)
    }

    /// Begins a new file.
    pub fn create(dir: &Path, first: u64) -> io::Result<(Self, Writer)> {
        let path = dir.join(format!("{first:016x}.{EXTENSION}"));
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.set_len(0)?; // only what a power cut tore can be there already
        file.write_all(MAGIC)?;
        Ok((Self { first, path, bytes: MAGIC.len() as u64 }, Writer { file, torn: false }))
    }

    /// Goes on with a file, behind its last undamaged record.
    pub fn resume(&mut self, end: u64) -> io::Result<Writer> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        file.set_len(end)?;
        self.bytes = end;
        Ok(Writer { file, torn: false })
    }

    /// Calls `found` for every undamaged record with its place. `largest` bounds what is read.
    pub fn scan(&self, largest: u64, mut found: impl FnMut(u64, Found<'_>)) -> io::Result<Scan> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(largest).read_to_end(&mut bytes)?;
        let start = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
        let (mut at, mut end, mut damaged) = (start, start, false);
        while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
            if let Some(record) = record::read(rest) {
                damaged |= at != end;
                found(at as u64, record);
                at += record.length;
                end = at;
            } else if let Some(skip) = record::next(rest) {
                at += skip;
            } else {
                break;
            }
        }
        Ok(Scan { end: end as u64, damaged })
    }
}

impl Writer {
    /// Whether it can be appended to.
    pub const fn sound(&self) -> bool {
        !self.torn
    }

    /// Appends all of `bytes`, or leaves the file as it was.
    pub fn append(&mut self, segment: &mut Segment, bytes: &[u8]) -> io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            self.torn = self.file.set_len(segment.bytes).is_err();
            return Err(e);
        }
        segment.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Waits until the disk has it.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reads the bytes at a place of a file.
pub(super) fn read_at(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}
