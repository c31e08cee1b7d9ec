//! `stdout`: one JSON line for each event, written at once.

use super::{Sink, SinkError};
use crate::wire::{Envelope, json};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;

/// The `stdout` sink. It has no options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutConfig {}

impl StdoutConfig {
    /// The sink on the process's standard output.
    ///
    /// # Errors
    /// When there is no standard output.
    pub fn build(&self) -> Result<StdoutSink, SinkError> {
        Ok(StdoutSink::to(standard_output()?))
    }
}

/// Standard output without the standard library's buffer: a line leaves in one write, and a line that could not
/// leave is not kept to surprise a later one.
pub(super) fn standard_output() -> Result<File, SinkError> {
    let unavailable = |e: rustix::io::Errno| SinkError::Unavailable { what: "stdout".into(), why: e.to_string() };
    Ok(File::from(rustix::io::dup(rustix::stdio::stdout()).map_err(unavailable)?))
}

/// Writes JSON lines to standard output, or to whatever stands for it.
pub struct StdoutSink {
    out: Box<dyn Write + Send>,
    line: Vec<u8>,
    trouble: Option<String>,
    /// The last write stopped in the middle of a line.
    torn: bool,
}

impl StdoutSink {
    /// A sink that writes JSON lines to `out`, which should not hold back what it is given.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), line: Vec::new(), trouble: None, torn: false }
    }
}

impl Sink for StdoutSink {
    fn name(&self) -> &str {
        "stdout"
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        self.line.clear();
        if self.torn {
            self.line.push(b'\n');
        }
        json::encode(event, &mut self.line).map_err(|why| SinkError::event("stdout", event, why))?;
        self.line.push(b'\n');
        match self.out.write_all(&self.line).and_then(|()| self.out.flush()) {
            Ok(()) => {
                (self.torn, self.trouble) = (false, None);
                Ok(())
            }
            Err(e) => {
                (self.torn, self.trouble) = (true, Some(e.to_string()));
                Err(SinkError::from_io("stdout", &e))
            }
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush().map_err(|e| SinkError::from_io("stdout", &e))
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
