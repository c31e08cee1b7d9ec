//! Counters and gauges for Prometheus: on a local port or socket, and as a file for the node exporter's textfile
//! collector. Off by default.
//!
//! The frame loop only hands over a [`Snapshot`] once a second; a thread of its own renders and serves it, so nobody who
//! asks slowly holds anything up. `docs/reference/metrics.md` lists what is told.

mod exposition;
mod histogram;
mod server;

pub use exposition::{Sample, Snapshot};
pub use histogram::{BOUNDS_US, StageHistogram};

use crate::clock::Stopwatch;
use crate::event::Event;
use crate::health::board::Board;
use serde::{Deserialize, Serialize};
use server::Listener;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the frame loop hands over a snapshot.
const EVERY: Duration = Duration::from_secs(1);
/// How soon the thread sees that the run has ended.
const TICK: Duration = Duration::from_millis(100);

/// Where the metrics can be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Where Prometheus may ask: a port (`9464`, for this machine only), `HOST:PORT` or `unix:PATH`. Empty (default):
    /// nowhere.
    pub listen: String,
    /// File that is replaced at each interval, for the textfile collector; its name must end in `.prom` there. Empty
    /// (default): none.
    pub file: PathBuf,
    /// Seconds between two writings of the file. Default 15.
    pub interval_s: f64,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: String::new(), file: PathBuf::new(), interval_s: 15.0 }
    }
}

/// Why metrics cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A value makes no sense.
    #[error("metrics: {0}")]
    Config(String),
    /// The port, socket or file cannot be had.
    #[error("metrics: {what}: {why}")]
    Unavailable {
        /// What was to be opened.
        what: String,
        /// Why not, with the mend.
        why: String,
    },
}

impl MetricsConfig {
    /// Opens what is configured; `None` when nothing is.
    ///
    /// # Errors
    /// When a value makes no sense, or the port, socket or file cannot be had.
    pub fn build(&self) -> Result<Option<Metrics>, MetricsError> {
        if !(1.0..=3600.0).contains(&self.interval_s) {
            return Err(MetricsError::Config(format!("`interval_s` is {}, but may be 1 to 3600", self.interval_s)));
        }
        let listener = if self.listen.is_empty() { None } else { Some(Listener::open(&self.listen)?) };
        let file = Some(self.file.clone()).filter(|p| !p.as_os_str().is_empty());
        if listener.is_none() && file.is_none() {
            return Ok(None);
        }
        let shared = Arc::new(Mutex::new(Shared::default()));
        if let Some(path) = &file {
            write(path, &Snapshot::default().render(&Board::default().read(), None)).map_err(|e| {
                let why = format!("{e}: its directory must be there and writable for this user");
                MetricsError::Unavailable { what: path.display().to_string(), why }
            })?;
        }
        let place = listener.as_ref().map(Listener::place);
        let teller = Teller { shared: Arc::clone(&shared), listener, file, interval: self.interval_s };
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || teller.run())
            .map_err(|e| MetricsError::Unavailable { what: "thread".into(), why: e.to_string() })?;
        Ok(Some(Metrics { shared, place, thread: Some(thread), since: None, emitted: [0; KINDS.len()] }))
    }
}

/// The kinds of events, as on the wire.
const KINDS: [&str; 6] = ["provisional", "confirmed", "withdrawn", "face_appeared", "face_left", "status"];

/// What the frame loop and the thread share.
#[derive(Debug, Default)]
struct Shared {
    snapshot: Snapshot,
    /// When the last new frame was told.
    frame: Option<Stopwatch>,
    stop: bool,
}

/// The frame loop's end.
#[derive(Debug)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
    place: Option<String>,
    thread: Option<JoinHandle<()>>,
    since: Option<Stopwatch>,
    emitted: [u64; KINDS.len()],
}

impl Metrics {
    /// Where they can be asked for, when they can: `http://127.0.0.1:9464/metrics`.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Counts an event that goes to the sinks.
    pub fn saw(&mut self, event: &Event) {
        let kind = event.kind();
        if let Some(i) = KINDS.iter().position(|k| *k == kind) {
            self.emitted[i] += 1;
        }
    }

    /// Whether a new snapshot is due.
    pub fn due(&self) -> bool {
        self.since.is_none_or(|s| s.elapsed() >= EVERY)
    }

    /// Hands over the state of the line.
    pub fn publish(&mut self, mut now: Snapshot) {
        self.since = Some(Stopwatch::start());
        now.emitted = KINDS.into_iter().zip(self.emitted).collect();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if now.status.frames != shared.snapshot.status.frames {
            shared.frame = Some(Stopwatch::start());
        }
        shared.snapshot = now;
    }
}

impl Drop for Metrics {
    /// The last snapshot is still written to the file.
    fn drop(&mut self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has been told by the panic hook
        }
    }
}

/// The thread that tells.
struct Teller {
    shared: Arc<Mutex<Shared>>,
    listener: Option<Listener>,
    file: Option<PathBuf>,
    interval: f64,
}

impl Teller {
    fn run(self) {
        let board = Board::default();
        let mut written = Stopwatch::start();
        let mut failing = false;
        loop {
            let stop = self.lock().stop;
            if let Some(path) = &self.file
                && (stop || written.elapsed().as_secs_f64() >= self.interval)
            {
                written.lap();
                match write(path, &self.render(&board)) {
                    Ok(()) => failing = false,
                    Err(e) if !failing => {
                        failing = true;
                        log::warn!("metrics: not written ({e}), tried again: {}", path.display());
                    }
                    Err(_) => {}
                }
            }
            if stop {
                return;
            }
            match &self.listener {
                Some(listener) => listener.answer_for(TICK, || self.render(&board)),
                None => std::thread::sleep(TICK),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn render(&self, board: &Board) -> String {
        let board = board.read();
        let (snapshot, age) = {
            let shared = self.lock();
            (shared.snapshot.clone(), shared.frame.map(|f| f.elapsed()))
        };
        snapshot.render(&board, age)
    }
}

/// Replaces the file in one step: the collector never reads half of it.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path))
}
