//! The log: to standard error, for a person or, under systemd, with the priority that journald reads.
//!
//! A fault that repeats is limited, place by place in the code: see [`super::repeats`].

use super::repeats::Repeats;
use crate::clock::monotonic_us;
use crate::sinks::EVENT_TARGET;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Something was lost or could not be done.
    Error,
    /// Something was done, but not as asked.
    Warn,
    /// Rare, and for the user.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Things that happen in every frame.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}

/// Writes to standard error. Under systemd (`JOURNAL_STREAM` is set) each line starts with its priority.
struct Stderr {
    journal: OnceLock<bool>,
    repeats: Mutex<Repeats>,
}

static STDERR: Stderr = Stderr { journal: OnceLock::new(), repeats: Mutex::new(Repeats::new()) };

impl Stderr {
    fn write(&self, level: Level, text: std::fmt::Arguments<'_>) {
        let mut err = std::io::stderr().lock();
        // A log that cannot be written has nobody left to tell.
        let _ = if *self.journal.get_or_init(|| std::env::var_os("JOURNAL_STREAM").is_some()) {
            writeln!(err, "<{}>{text}", priority(level))
        } else {
            writeln!(err, "{:5} {text}", level.as_str().to_lowercase())
        };
    }

    fn settle(&self, all: bool) {
        let mut held = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        for (level, text) in held.settle(monotonic_us(), all) {
            self.write(level, format_args!("{text}"));
        }
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries speak up only when something is wrong; tract tells of every node it touches.
        metadata.target().starts_with("mercam") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Detections are no faults, and debugging wants everything.
        if record.level() <= Level::Info && record.target() != EVENT_TARGET {
            let place = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
            let mut held = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            match held.saw(place, record.level(), record.args(), monotonic_us()) {
                None => return,
                Some(0) => {}
                Some(held_back) => {
                    return self
                        .write(record.level(), format_args!("{} ({held_back} more like this before)", record.args()));
                }
            }
        }
        self.write(record.level(), *record.args());
    }

    fn flush(&self) {
        let _ = std::io::stderr().flush();
    }
}

/// The syslog priority of a level (sd-daemon(3)).
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Tells how often faults repeated whose time has passed. To be called now and then.
pub fn settle_old() {
    STDERR.settle(false);
}

/// Tells how often every fault repeated that was held back. To be called at the end.
pub fn settle() {
    STDERR.settle(true);
}

/// Sends the log to standard error. Later calls only change the level.
pub fn start(level: LogLevel) {
    let _ = log::set_logger(&STDERR);
    log::set_max_level(level.into());
}
