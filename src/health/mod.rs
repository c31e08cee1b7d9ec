//! What the process says about itself: its board, its processor, its log and its memory.

pub mod board;
pub mod cpu;
pub mod logger;
pub mod memory;
