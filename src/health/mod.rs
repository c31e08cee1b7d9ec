//! What the process says about itself: its log, its memory, its pulse and the state of its board.

pub mod board;
pub mod governor;
pub mod logger;
pub mod memory;
pub mod notify;
mod repeats;
pub mod supervisor;
pub mod vitals;
