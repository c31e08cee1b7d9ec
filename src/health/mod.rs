//! What the process says about itself: its board, its processor, its log, its memory and its pulse.

pub mod board;
pub mod cpu;
pub mod logger;
pub mod memory;
pub mod vitals;
