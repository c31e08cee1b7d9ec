//! A pseudo-terminal: what a serial line is plugged into when there is none.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Far beyond what anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Pty {
    path: PathBuf,
    master: Option<OwnedFd>,
    /// To say something to the sink.
    writer: File,
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Stop when the sink has closed the line; until then it may open it again.
    ending: Arc<AtomicBool>,
    /// Stop at once.
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Pty {
    /// A line that nobody reads until `read` is called.
    pub fn open_unread() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        Self {
            path,
            writer: File::from(master.try_clone().unwrap()),
            master: Some(master),
            bytes: Arc::default(),
            ending: Arc::default(),
            stop: Arc::default(),
            reader: None,
        }
    }

    /// A line whose other end is read all the time.
    pub fn open() -> Self {
        let mut pty = Self::open_unread();
        pty.read();
        pty
    }

    /// The device that the sink opens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to read.
    pub fn read(&mut self) {
        let mut master = File::from(self.master.take().unwrap());
        let (bytes, ending, stop) = (Arc::clone(&self.bytes), Arc::clone(&self.ending), Arc::clone(&self.stop));
        self.reader = Some(std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let wait = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            while !stop.load(Ordering::Relaxed) {
                if poll(&mut [PollFd::new(&master, PollFlags::IN)], Some(&wait)).unwrap() == 0 {
                    continue;
                }
                let last = ending.load(Ordering::Relaxed);
                match master.read(&mut buffer) {
                    Ok(n) if n > 0 => bytes.lock().unwrap().extend(&buffer[..n]),
                    // EIO: the sink has closed the line, and all that it wrote has been read.
                    _ if last => return,
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        }));
    }

    /// Says something to the sink.
    pub fn say(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
    }

    /// What has come, as soon as that is enough.
    pub fn until(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let began = Instant::now();
        loop {
            let now = self.bytes.lock().unwrap().clone();
            if enough(&now) {
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "only {} bytes came", now.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All that came until the sink closed the line.
    pub fn until_hang_up(mut self) -> Vec<u8> {
        self.ending.store(true, Ordering::Relaxed);
        let (reader, began) = (self.reader.take().unwrap(), Instant::now());
        while !reader.is_finished() {
            assert!(began.elapsed() < PATIENCE, "the line is still open");
            std::thread::sleep(Duration::from_millis(2));
        }
        reader.join().unwrap();
        self.bytes.lock().unwrap().clone()
    }

    /// Pulls the line out.
    pub fn close(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
