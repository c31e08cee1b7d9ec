//! A bounded queue on disk: what a sink has taken waits here until its peer has acknowledged it.
//!
//! Append-only segments, a CRC-32 for each record. It survives a process killed at any point and a power cut in the
//! middle of a write: an unfinished record at the end is cut off, a damaged one in the middle costs itself alone, and
//! both are counted. What was appended and not acknowledged comes out again in its order.
//!
//! ```
//! # use mercam::spool::SpoolConfig;
//! # let dir = tempfile::tempdir()?;
//! let mut spool = SpoolConfig { dir: dir.path().join("tcp"), ..SpoolConfig::default() }.open()?;
//! let id = spool.append(b"an event")?;
//! let oldest = spool.peek()?.ok_or("empty")?;
//! assert_eq!((oldest.id, &oldest.payload[..]), (id, &b"an event"[..]));
//! spool.ack(oldest.id);
//! assert_eq!(spool.waiting(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod record;
mod segment;

pub use config::{Fsync, SpoolConfig};
pub use record::MAX_PAYLOAD;

use crate::clock::wall_unix_us;
use record::Kind;
use segment::{Segment, Writer};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Into how many segments the room is divided: so much of it goes at once when the oldest give way.
const SEGMENTS: u64 = 16;
const LARGEST_SEGMENT: u64 = 1 << 20;
/// 2020-01-01: a record from before was made by a board that did not know the time, so its age is unknown.
const CLOCK_IS_SET_MS: i64 = 1_577_836_800_000;

/// Number of a record: 1, 2, 3 ... A number is given once while the spool is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub u64);

/// A record that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub id: RecordId,
    /// The number of the record before it that waits as well; `None` for the oldest.
    pub previous: Option<RecordId>,
    /// When it was appended: milliseconds since 1970 by the wall clock.
    pub unix_ms: i64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// What a spool has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpoolCounts {
    /// Records appended.
    pub appended: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records that an earlier process had left.
    pub recovered: u64,
    /// Records that gave way because the spool was full.
    pub dropped_size: u64,
    /// Records that became too old.
    pub dropped_age: u64,
    /// Records lost because the disk had changed their bytes.
    pub corrupt: u64,
    /// Unfinished records at the end of a segment: their `append` had not come back when the power went.
    pub torn: u64,
}

impl SpoolCounts {
    /// Records that were taken and will never be delivered.
    pub const fn lost(&self) -> u64 {
        self.dropped_size + self.dropped_age + self.corrupt
    }
}

/// What went wrong with a spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A value makes no sense.
    #[error("spool: {0}")]
    Config(String),
    /// Two processes, or two sinks, with one directory.
    #[error("spool {}: in use by another sink or another mercam; give each its own directory", .0.display())]
    InUse(PathBuf),
    /// Longer than a record may be.
    #[error("spool: a record of {0} bytes is too long; {MAX_PAYLOAD} are allowed")]
    TooLong(usize),
    /// The disk refused.
    #[error("spool {}: cannot {action}: {source}", .path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_path_buf();
    move |source| SpoolError::Disk { action, path, source }
}

/// Where a waiting record is.
#[derive(Debug)]
struct Entry {
    id: u64,
    unix_ms: i64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Box<[u8]>),
    /// First id of the segment, place in it, length of the payload.
    Disk {
        segment: u64,
        at: u64,
        payload: usize,
    },
}

/// The files, when there are any.
#[derive(Debug)]
struct Disk {
    segments: VecDeque<Segment>,
    writer: Writer,
    /// Held open for its lock.
    _lock: File,
    reader: Option<(u64, File)>,
}

/// A bounded queue that survives the process. See the [module](self).
#[derive(Debug)]
pub struct Spool {
    config: SpoolConfig,
    waiting: VecDeque<Entry>,
    next: u64,
    stream: u64,
    /// Bytes that wait in memory.
    memory: u64,
    disk: Option<Disk>,
    counts: SpoolCounts,
    buffer: Vec<u8>,
}

impl Spool {
    fn open(config: SpoolConfig) -> Result<Self, SpoolError> {
        let mut spool = Self {
            waiting: VecDeque::new(),
            next: 1,
            stream: crate::clock::unique(),
            memory: 0,
            disk: None,
            counts: SpoolCounts::default(),
            buffer: Vec::new(),
            config,
        };
        if !spool.config.dir.as_os_str().is_empty() {
            spool.recover()?;
        }
        Ok(spool)
    }

    /// Finds what an earlier process left.
    fn recover(&mut self) -> Result<(), SpoolError> {
        let dir = self.config.dir.clone();
        fs::create_dir_all(&dir).map_err(disk("make the directory", &dir))?;
        let lock = File::create(dir.join("lock")).map_err(disk("write in", &dir))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SpoolError::InUse(dir)),
            Err(fs::TryLockError::Error(e)) => return Err(disk("lock", &dir)(e)),
        }
        let mut segments: VecDeque<_> = Segment::list(&dir).map_err(disk("list", &dir))?.into();
        let largest = 2 * (LARGEST_SEGMENT + record::length(MAX_PAYLOAD) as u64);
        let (mut done, mut last_end) = (0, 0);
        let mut seen = 0; // the highest id met so far
        let mut missing = Vec::new();
        for segment in &segments {
            let (waiting, first) = (&mut self.waiting, segment.first);
            let scan = segment.scan(largest, |at, r| {
                if r.kind == Kind::Done {
                    done = done.max(r.id);
                } else if r.id > seen {
                    if seen > 0 {
                        missing.push(seen + 1..r.id);
                    }
                    seen = r.id;
                    let place = Place::Disk { segment: first, at, payload: r.payload.len() };
                    waiting.push_back(Entry { id: r.id, unix_ms: r.unix_ms, place });
                }
            });
            let scan = scan.map_err(disk("read", &segment.path))?;
            self.counts.torn += u64::from(scan.end < segment.bytes && scan.end > 0);
            if scan.damaged {
                log::warn!("spool: damaged records are passed over: {}", segment.path.display());
            }
            last_end = scan.end;
        }
        self.waiting.retain(|e| e.id > done);
        self.counts.corrupt = missing.into_iter().map(|ids| ids.end.saturating_sub(ids.start.max(done + 1))).sum();
        self.counts.recovered = self.waiting.len() as u64;
        let named = segments.back().map_or(1, |s| s.first);
        self.next = named.max(seen.max(done).saturating_add(1));
        let resumed = segments.back_mut().filter(|s| last_end > 0 && s.bytes <= LARGEST_SEGMENT);
        let writer = match resumed.map(|s| s.resume(last_end)) {
            Some(Ok(writer)) => writer,
            Some(Err(_)) | None => {
                let (segment, writer) = Segment::create(&dir, self.next).map_err(disk("write in", &dir))?;
                segments.retain(|s| s.first != segment.first);
                segments.push_back(segment);
                writer
            }
        };
        self.disk = Some(Disk { segments, writer, _lock: lock, reader: None });
        self.tidy();
        Ok(())
    }

    /// A random number of this opening: receivers tell record numbers of one opening from those of another by it,
    /// because a power cut can make a number be given twice.
    pub const fn stream(&self) -> u64 {
        self.stream
    }

    /// Takes a record over. When this returns, a killed process loses it no more.
    ///
    /// # Errors
    /// When it is too long, or the disk takes nothing; the spool is then as it was.
    pub fn append(&mut self, payload: &[u8]) -> Result<RecordId, SpoolError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(SpoolError::TooLong(payload.len()));
        }
        let (id, unix_ms) = (self.next, wall_unix_us() / 1000);
        let place = if self.disk.is_some() {
            self.buffer.clear();
            record::write(&mut self.buffer, Kind::Data, id, unix_ms, payload);
            let (segment, at) = self.write_out(self.config.fsync == Fsync::Always)?;
            Place::Disk { segment, at, payload: payload.len() }
        } else {
            self.memory += payload.len() as u64;
            Place::Memory(payload.into())
        };
        self.next += 1;
        self.counts.appended += 1;
        self.waiting.push_back(Entry { id, unix_ms, place });
        self.make_room();
        Ok(RecordId(id))
    }

    /// Appends `buffer` to the newest segment. Returns where it is.
    fn write_out(&mut self, sync: bool) -> Result<(u64, u64), SpoolError> {
        let Some(d) = &mut self.disk else { return Ok((0, 0)) };
        let size = (self.config.max_bytes / SEGMENTS).min(LARGEST_SEGMENT);
        let full = d.segments.back().is_none_or(|s| s.bytes + self.buffer.len() as u64 > size);
        if full || !d.writer.sound() {
            let dir = &self.config.dir;
            let (segment, writer) = Segment::create(dir, self.next).map_err(disk("write in", dir))?;
            d.segments.retain(|s| s.first != segment.first); // one with nothing but marks in it
            d.segments.push_back(segment);
            d.writer = writer;
            d.reader = None;
        }
        let Some(segment) = d.segments.back_mut() else { return Ok((0, 0)) };
        let at = segment.bytes;
        let path = segment.path.clone();
        d.writer.append(segment, &self.buffer).map_err(disk("append to", &path))?;
        if sync {
            d.writer.sync().map_err(disk("sync", &path))?;
            if full {
                // A new file is only there when its name is on disk too.
                let dir = &self.config.dir;
                File::open(dir).and_then(|d| d.sync_all()).map_err(disk("sync", dir))?;
            }
        }
        Ok((segment.first, at))
    }

    /// The oldest record.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn peek(&mut self) -> Result<Option<Record>, SpoolError> {
        self.get(0)
    }

    /// The record at a place of the queue: 0 is the oldest. A record whose bytes the disk has changed is dropped,
    /// counted as corrupt, and the next one is given.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn get(&mut self, index: usize) -> Result<Option<Record>, SpoolError> {
        loop {
            let Some(entry) = self.waiting.get(index) else { return Ok(None) };
            let previous = index.checked_sub(1).and_then(|i| self.waiting.get(i)).map(|e| RecordId(e.id));
            let (id, unix_ms) = (entry.id, entry.unix_ms);
            let payload = match &entry.place {
                Place::Memory(bytes) => Some(bytes.to_vec()),
                Place::Disk { segment, at, payload } => {
                    let (segment, at, length) = (*segment, *at, record::length(*payload));
                    self.read_back(id, segment, at, length)?
                }
            };
            if let Some(payload) = payload {
                return Ok(Some(Record { id: RecordId(id), previous, unix_ms, payload }));
            }
            self.waiting.remove(index);
            self.counts.corrupt += 1;
        }
    }

    /// The payload of a record on disk; `None` when it is damaged.
    fn read_back(&mut self, id: u64, segment: u64, at: u64, length: usize) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some(d) = &mut self.disk else { return Ok(None) };
        let Some(path) = d.segments.iter().find(|s| s.first == segment).map(|s| s.path.clone()) else {
            return Ok(None);
        };
        if d.reader.as_ref().is_none_or(|(first, _)| *first != segment) {
            match File::open(&path) {
                Ok(file) => d.reader = Some((segment, file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None), // somebody has removed it
                Err(e) => return Err(disk("open", &path)(e)),
            }
        }
        let Some((_, file)) = &d.reader else { return Ok(None) };
        let bytes = match segment::read_at(file, at, length) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(disk("read", &path)(e)),
        };
        let found = record::read(&bytes).filter(|r| r.kind == Kind::Data && r.id == id);
        Ok(found.map(|r| r.payload.to_vec()))
    }

    /// The number of the oldest record.
    pub fn oldest(&self) -> Option<RecordId> {
        self.waiting.front().map(|e| RecordId(e.id))
    }

    /// The place in the queue of a record, or of the first behind it.
    pub fn index_of(&self, id: RecordId) -> usize {
        self.waiting.partition_point(|e| e.id < id.0)
    }

    /// Everything up to and including this record has arrived. Returns how many records that were.
    ///
    /// That this is noted on disk is not certain (the disk may be full): records may come again after a restart,
    /// and receivers know them by their event id.
    pub fn ack(&mut self, up_to: RecordId) -> u64 {
        let n = self.index_of(RecordId(up_to.0.saturating_add(1)));
        self.counts.acked += n as u64;
        self.discard(n);
        n as u64
    }

    /// Drops records that have become too old. `append` does so too.
    pub fn expire(&mut self) -> u64 {
        let now = wall_unix_us() / 1000;
        let limit = i64::try_from(self.config.max_age_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        let old = |e: &&Entry| e.unix_ms >= CLOCK_IS_SET_MS && now.saturating_sub(e.unix_ms) > limit;
        let n = if limit == 0 { 0 } else { self.waiting.iter().take_while(old).count() };
        self.counts.dropped_age += n as u64;
        self.discard(n);
        n as u64
    }

    /// Forgets the `n` oldest records.
    fn discard(&mut self, n: usize) {
        let mut last = None;
        for entry in self.waiting.drain(..n.min(self.waiting.len())) {
            if let Place::Memory(bytes) = &entry.place {
                self.memory -= bytes.len() as u64;
            }
            last = Some(entry.id);
        }
        if let (Some(id), true) = (last, self.disk.is_some()) {
            self.buffer.clear();
            record::write(&mut self.buffer, Kind::Done, id, 0, &[]);
            if let Err(e) = self.write_out(false) {
                log::debug!("not noted as delivered: {e}");
            }
            self.tidy();
        }
    }

    fn make_room(&mut self) {
        self.expire();
        if self.disk.is_none() {
            while self.memory > self.config.max_bytes && !self.waiting.is_empty() {
                self.counts.dropped_size += 1;
                self.discard(1);
            }
        }
        while self.bytes() > self.config.max_bytes {
            // The oldest segment goes, with all in it; the newest is being written.
            let Some(second) = self.disk.as_ref().and_then(|d| d.segments.get(1)).map(|s| s.first) else { break };
            let n = self.index_of(RecordId(second));
            self.counts.dropped_size += n as u64;
            self.waiting.drain(..n);
            self.tidy();
        }
    }

    /// Removes segments in which nothing waits any more.
    fn tidy(&mut self) {
        let Some(d) = &mut self.disk else { return };
        let oldest = self.waiting.front().map_or(u64::MAX, |e| e.id);
        while d.segments.get(1).is_some_and(|second| second.first <= oldest) {
            let Some(segment) = d.segments.pop_front() else { return };
            if let Err(e) = fs::remove_file(&segment.path) {
                log::warn!("spool: a delivered segment cannot be removed ({e}): {}", segment.path.display());
            }
        }
    }

    /// Records that wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Bytes that it takes on disk, or in memory when it has no directory.
    pub fn bytes(&self) -> u64 {
        self.disk.as_ref().map_or(self.memory, |d| d.segments.iter().map(|s| s.bytes).sum())
    }

    /// Whether what waits will still be there when the process has ended.
    pub const fn survives(&self) -> bool {
        self.disk.is_some()
    }

    /// What it has done since it was opened.
    pub const fn counts(&self) -> SpoolCounts {
        self.counts
    }

    /// Waits until the disk has all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), SpoolError> {
        match &self.disk {
            Some(d) => d.writer.sync().map_err(disk("sync", &self.config.dir)),
            None => Ok(()),
        }
    }
}
