//! `log`: one readable line for each event, through the process's own log.

use super::{Sink, SinkError, describe};
use crate::event::Event;
use crate::wire::Envelope;
use serde::{Deserialize, Serialize};

/// A level at which detections can be logged; they are no warnings, so those levels are not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Seen without asking for it.
    #[default]
    Info,
    /// Seen with `debug` logging.
    Debug,
    /// Seen with `trace` logging.
    Trace,
}

impl From<LogLevel> for ::log::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
            LogLevel::Trace => Self::Trace,
        }
    }
}

/// Target of the lines that are events.
pub const TARGET: &str = "mercam::event";

/// The `log` sink.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Level of confirmed detections: `info`, `debug` or `trace`. All other events are logged at `debug`, or
    /// at `trace` when this is `trace`. Default `info`.
    pub level: LogLevel,
}

impl LogConfig {
    /// The sink.
    pub fn build(&self) -> LogSink {
        LogSink { level: self.level.into() }
    }
}

/// Writes a line for each event to the process's log, with the target `mercam::event`.
#[derive(Debug)]
pub struct LogSink {
    level: ::log::Level,
}

impl Sink for LogSink {
    fn name(&self) -> &str {
        "log"
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let level = match event.event {
            Event::Confirmed(_) => self.level,
            _ => self.level.max(::log::Level::Debug),
        };
        if ::log::log_enabled!(target: TARGET, level) {
            ::log::log!(target: TARGET, level, "{}", describe::one_line(&event.event));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        ::log::logger().flush();
        Ok(())
    }
}
