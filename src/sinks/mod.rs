//! Sinks: where events go. One trait, one file per kind; a configuration type is the factory of what it configures.

use crate::wire::Envelope;

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
}

/// Something that takes events. Each sink runs on a thread of its own behind its own bounded channel.
pub trait Sink: Send {
    /// For messages and counters.
    fn name(&self) -> &str;

    /// Takes one event. A sink whose peer is away opens it again by itself.
    ///
    /// # Errors
    /// When the event could not be delivered; it is then counted as lost by the caller.
    fn send(&mut self, event: &Envelope) -> Result<(), SinkError>;

    /// Writes out what is held back.
    ///
    /// # Errors
    /// When that fails.
    fn flush(&mut self) -> Result<(), SinkError>;
}
