//! What the process says about itself: its log and its memory.

pub mod board;
pub mod logger;
pub mod memory;
