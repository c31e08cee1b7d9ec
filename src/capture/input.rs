//! Bytes from a file, a named pipe or standard input, with a time limit on every wait.
//!
//! A blocking read on a pipe cannot be interrupted when the program shall stop, so every read is preceded
//! by a poll. Nothing is lost when the time is up: what has arrived stays in the buffer.

use super::CaptureError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes asked of the system at once, at least.
const CHUNK: usize = 64 * 1024;

/// Where a byte stream comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Standard input, written `-`.
    Stdin,
    /// A file or named pipe.
    File(PathBuf),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether the bytes asked for are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// They are.
    Ready,
    /// They did not come in time; what came is kept.
    Timeout,
    /// The stream ended before them.
    End,
}

/// A buffered byte stream.
#[derive(Debug)]
pub struct Input {
    file: File,
    name: String,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl Input {
    /// Opens a byte stream; `scheme` is only for messages.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when it cannot be opened.
    pub fn open(scheme: &str, origin: &Origin) -> Result<Self, CaptureError> {
        let name = format!("{scheme}:{origin}");
        let opened = match origin {
            Origin::Stdin => rustix::stdio::stdin().try_clone_to_owned().map(File::from),
            Origin::File(path) => open_file(path),
        };
        match opened {
            Ok(file) => Ok(Self { file, name, buffer: Vec::new(), start: 0, end: 0, ended: false }),
            Err(e) => Err(CaptureError::Unavailable { why: why_not(&e, origin), what: name }),
        }
    }

    /// Scheme and file, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that have arrived and were not consumed.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    /// Forgets the first `n` bytes.
    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Waits until at least `n` bytes are in [`Self::bytes`].
    ///
    /// # Errors
    /// [`CaptureError::Broken`] when reading fails.
    pub fn fill(&mut self, n: usize, deadline: Instant) -> Result<Fill, CaptureError> {
        while self.end - self.start < n {
            match self.read_more(n, deadline)? {
                Fill::Ready => {}
                other => return Ok(other),
            }
        }
        Ok(Fill::Ready)
    }

    /// Waits for a whole line of at most `max` bytes; on [`Fill::Ready`] the second value is its length
    /// without the line feed. At the end of the stream a last line without line feed counts as a line.
    ///
    /// # Errors
    /// [`CaptureError::Malformed`] when there is no line feed within `max` bytes, [`CaptureError::Broken`]
    /// when reading fails.
    pub fn line(&mut self, max: usize, deadline: Instant) -> Result<(Fill, usize), CaptureError> {
        let mut seen = 0;
        loop {
            let new = self.bytes().get(seen..).unwrap_or(&[]);
            if let Some(at) = new.iter().position(|&b| b == b'\n') {
                return Ok((Fill::Ready, seen + at));
            }
            seen = self.end - self.start;
            if seen > max {
                return Err(self.malformed(&format!("no line feed within {max} bytes")));
            }
            match self.read_more(seen + 1, deadline)? {
                Fill::Ready => {}
                Fill::End if seen > 0 => return Ok((Fill::Ready, seen)),
                other => return Ok((other, 0)),
            }
        }
    }

    /// An error about the content of this stream.
    pub fn malformed(&self, why: &str) -> CaptureError {
        CaptureError::Malformed { what: self.name.clone(), why: why.to_owned() }
    }

    /// One poll and one read. `want` bytes are to fit behind `start`; the buffer grows with what really
    /// arrives, so a header that promises gigabytes does not get them.
    fn read_more(&mut self, want: usize, deadline: Instant) -> Result<Fill, CaptureError> {
        if self.ended {
            return Ok(Fill::End);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match self.wait(left) {
            Ok(true) => {}
            Ok(false) => return Ok(Fill::Timeout),
            Err(why) => return Err(CaptureError::Broken { what: self.name.clone(), why }),
        }
        if self.start > 0 && self.buffer.len() - self.start < want.max(CHUNK) {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            let grown = (self.buffer.len() * 2).min(want.max(CHUNK)).max(self.buffer.len() + CHUNK);
            self.buffer.resize(grown, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
        match self.file.read(room) {
            Ok(0) => {
                self.ended = true;
                Ok(Fill::End)
            }
            Ok(n) => {
                self.end += n;
                Ok(Fill::Ready)
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock) => {
                // A signal, or somebody else was faster on a shared pipe: the caller's loop polls again.
                if deadline <= Instant::now() { Ok(Fill::Timeout) } else { Ok(Fill::Ready) }
            }
            Err(e) => Err(CaptureError::Broken { what: self.name.clone(), why: e.to_string() }),
        }
    }

    /// Waits until a read would not block; `false` when the time is up or a signal came.
    fn wait(&self, left: Duration) -> Result<bool, String> {
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(e) => Err(e.to_string()),
        }
    }
}

fn open_file(path: &Path) -> std::io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    // Opening a named pipe would wait for its writer, and nothing could interrupt that; without blocking it
    // opens at once, and the polls wait for the writer.
    let flags = if kind.is_fifo() { rustix::fs::OFlags::NONBLOCK.bits() } else { 0 };
    std::fs::OpenOptions::new().read(true).custom_flags(flags as i32).open(path)
}

fn why_not(e: &std::io::Error, origin: &Origin) -> String {
    use std::io::ErrorKind as K;
    match (e.kind(), origin) {
        (_, Origin::Stdin) => format!("standard input is closed ({e})"),
        (K::NotFound, Origin::File(p)) => {
            let here = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
            if p.is_absolute() {
                "there is no such file".to_owned()
            } else {
                format!("there is no such file, seen from {here}")
            }
        }
        (K::PermissionDenied, _) => "you may not read this file: check its permissions (ls -l)".to_owned(),
        (K::IsADirectory, _) => "this is a directory; pictures in a directory are read with images:DIR".to_owned(),
        _ => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::io::Write as _;

    /// A pipe as a source of bytes, and its other end.
    fn pipe() -> (Input, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        (Input { file, name: "test:-".into(), buffer: Vec::new(), start: 0, end: 0, ended: false }, writer)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(5)
    }

    #[test]
    fn a_silent_pipe_times_out_and_loses_nothing() {
        let (mut input, mut writer) = pipe();
        assert_eq!(input.fill(1, soon()).unwrap(), Fill::Timeout);
        writer.write_all(b"abc").unwrap();
        assert_eq!(input.fill(5, soon()).unwrap(), Fill::Timeout);
        writer.write_all(b"de").unwrap();
        assert_eq!(input.fill(5, soon()).unwrap(), Fill::Ready);
        assert_eq!(input.bytes(), b"abcde");
        input.consume(4);
        drop(writer);
        assert_eq!(input.fill(2, soon()).unwrap(), Fill::End);
        assert_eq!(input.bytes(), b"e");
    }

    #[test]
    fn a_deadline_in_the_past_still_takes_what_is_there() {
        let (mut input, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        assert_eq!(input.fill(1, Instant::now() - Duration::from_secs(1)).unwrap(), Fill::Ready);
    }

    #[test]
    fn lines_are_found_across_reads_and_bounded() {
        let (mut input, mut writer) = pipe();
        writer.write_all(b"fir").unwrap();
        assert_eq!(input.line(10, soon()).unwrap(), (Fill::Timeout, 0));
        writer.write_all(b"st\nlast").unwrap();
        assert_eq!(input.line(10, soon()).unwrap(), (Fill::Ready, 5));
        input.consume(6);
        drop(writer);
        assert_eq!(input.line(10, soon()).unwrap(), (Fill::Ready, 4));
        input.consume(4);
        assert_eq!(input.line(10, soon()).unwrap(), (Fill::End, 0));

        let (mut input, mut writer) = pipe();
        writer.write_all(&[b'a'; 100]).unwrap();
        let e = input.line(10, soon()).unwrap_err().to_string();
        assert!(e.contains("no line feed within 10 bytes"), "{e}");
    }

    #[test]
    fn the_buffer_stops_growing_once_it_holds_a_frame() {
        let (mut input, mut writer) = pipe();
        let frame = vec![7u8; 100_000];
        let feeder = std::thread::spawn(move || {
            for _ in 0..20 {
                writer.write_all(&frame).unwrap();
            }
        });
        let mut sizes = Vec::new();
        for _ in 0..20 {
            assert_eq!(input.fill(100_000, Instant::now() + Duration::from_secs(5)).unwrap(), Fill::Ready);
            input.consume(100_000);
            sizes.push(input.buffer.len());
        }
        feeder.join().unwrap();
        assert_eq!(sizes.get(5), sizes.last());
        assert!(sizes.iter().all(|&s| s <= 100_000 + 2 * CHUNK), "{sizes:?}");
    }

    #[test]
    fn a_named_pipe_is_opened_before_its_writer_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut input = Input::open("y4m", &Origin::File(path.clone())).unwrap();
        assert_eq!(input.fill(1, soon()).unwrap(), Fill::Timeout);
        std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all(b"ab").unwrap();
        assert_eq!(input.fill(2, soon()).unwrap(), Fill::Ready);
        assert_eq!(input.fill(3, soon()).unwrap(), Fill::End);
    }

    #[test]
    fn what_cannot_be_opened_is_explained() {
        let open = |p: &Path| Input::open("y4m", &Origin::File(p.to_owned())).unwrap_err().to_string();
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).contains("images:DIR"));
        assert!(open(&dir.path().join("none.y4m")).contains("no such file"));
    }
}
