//! Sinks: where events go. One trait, one folder per kind; a configuration type is the factory of what it configures.
//!
//! What every sink promises, and `tests/compliance.rs` asks of each: events leave in the order in which they came; an
//! event that `send` took without an error has left the process, or waits where the sink answers for it ([`Backlog`]);
//! one that could not leave gives an error, so that the caller counts it; a peer that goes away and comes back is found
//! again without help; `send` comes back within a bounded time wherever the operating system lets it (a pipe that nobody
//! reads does not).

mod backoff;
mod budget;
mod csv;
mod describe;
mod file;
mod human;
mod link;
mod log;
#[cfg(feature = "mqtt")]
mod mqtt;
mod serial;
mod spec;
mod stdout;
mod stream;
mod udp;

pub use backoff::Backoff;
pub use csv::{CsvConfig, CsvSink};
pub use file::{FileConfig, FileSink};
pub use human::{Colour, Human, HumanConfig, Truth};
pub use log::{LogConfig, LogLevel, LogSink, TARGET as EVENT_TARGET};
#[cfg(feature = "mqtt")]
pub use mqtt::{MqttConfig, MqttSink};
pub use serial::{FlowControl, Line, SerialConfig, SerialSink};
pub use spec::SinkSpec;
pub use stdout::{StdoutConfig, StdoutSink};
pub use stream::{Kind as StreamKind, PORT, StreamConfig};
pub use udp::{UdpConfig, UdpFormat, UdpSink};

pub(crate) use describe::{one_line, printable};
#[cfg(feature = "mqtt")]
pub(crate) use mqtt::parts as mqtt_topic_parts;

use crate::wire::{EncodeError, Envelope, Origin};
use std::io;
use std::time::Duration;

/// What went wrong with a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The sink string or table cannot be understood.
    #[error("{0}")]
    Spec(String),
    /// The device, file or peer is not there.
    #[error("{what}: {why}")]
    Unavailable {
        /// What was to be opened.
        what: String,
        /// Why not, with the mend.
        why: String,
    },
    /// The peer has gone for good and quietly (a closed pipe): stop without an error.
    #[error("{0}: the reader has gone")]
    Closed(String),
    /// More events than the sink may send; this one is left out.
    #[error("{sink}: more than `max_per_s` = {per_s} events per second, some are left out")]
    Budget {
        /// The sink's name.
        sink: String,
        /// The limit.
        per_s: u32,
    },
    /// This one event cannot be put on the wire; the sink itself is well.
    #[error("{sink}: event {seq} cannot be sent: {why}")]
    Event {
        /// The sink's name.
        sink: String,
        /// Number of the event.
        seq: u64,
        /// Why not.
        why: EncodeError,
    },
}

impl SinkError {
    /// What a failed write to `what` means: a broken pipe is a reader that has gone.
    fn from_io(what: &str, e: &io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed(what.into()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Unavailable { what: what.into(), why: format!("the disk is full ({e}): make room") }
            }
            _ => Self::Unavailable { what: what.into(), why: e.to_string() },
        }
    }

    fn event(sink: &str, envelope: &Envelope, why: EncodeError) -> Self {
        Self::Event { sink: sink.into(), seq: envelope.seq, why }
    }
}

/// What a sink that answers for delivery has taken and its peer has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Events that wait for the peer.
    pub waiting: u64,
    /// Events that were taken and given up since the start: the spool was full, they became too old, or its disk
    /// damaged them.
    pub given_up: u64,
    /// What waits is still there when the process has ended.
    pub survives: bool,
}

/// Something that takes events. Each sink runs on a thread of its own behind its own bounded channel.
pub trait Sink: Send {
    /// For messages and counters.
    fn name(&self) -> &str;

    /// Says which device and run the events will be of, before the first one comes.
    fn introduce(&mut self, _origin: &Origin) {}

    /// Takes one event. A sink whose peer is away opens it again by itself.
    ///
    /// # Errors
    /// When the event could not be delivered; it is then counted as lost by the caller.
    fn send(&mut self, event: &Envelope) -> Result<(), SinkError>;

    /// Does the work that is due without a new event: acknowledgements, repeats, opening again. Never waits. Gives the
    /// time after which it wants to be called again; `None`: only after the next event.
    fn pump(&mut self) -> Option<Duration> {
        None
    }

    /// What it has taken and not delivered yet, or given up.
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }

    /// Writes out what is held back, within a few seconds.
    ///
    /// # Errors
    /// When that fails.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Why the last event could not be delivered; `None` while all is well. For health reports.
    fn trouble(&self) -> Option<&str> {
        None
    }
}
