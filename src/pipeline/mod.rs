//! Capture, analysis and sink threads, and the channels between them.

pub mod channel;
pub mod delivery;
pub mod presence;
pub mod rate;
pub mod shutdown;
pub mod timings;
