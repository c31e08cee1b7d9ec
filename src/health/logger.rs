//! The log: to standard error, for a person or, under systemd, with the priority that journald reads.

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::OnceLock;

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
}

static STDERR: Stderr = Stderr { journal: OnceLock::new() };

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries speak up only when something is wrong; tract tells of every node it touches.
        metadata.target().starts_with("mercam") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut err = std::io::stderr().lock();
        // A log that cannot be written has nobody left to tell.
        let _ = if *self.journal.get_or_init(|| std::env::var_os("JOURNAL_STREAM").is_some()) {
            writeln!(err, "<{}>{}", priority(record.level()), record.args())
        } else {
            writeln!(err, "{:5} {}", record.level().as_str().to_lowercase(), record.args())
        };
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

/// Sends the log to standard error. Later calls only change the level.
pub fn start(level: LogLevel) {
    let _ = log::set_logger(&STDERR);
    log::set_max_level(level.into());
}
