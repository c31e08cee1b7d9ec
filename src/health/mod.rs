//! What the process says about itself: its board, its processor, its log and its memory.
//! What the process says about itself: its log, its memory, its pulse and the state of its board.

pub mod board;
pub mod cpu;
pub mod logger;
pub mod memory;
pub mod vitals;
