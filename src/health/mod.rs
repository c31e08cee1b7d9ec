//! What the process says about itself: its processor, its log and its memory.

pub mod cpu;
pub mod logger;
pub mod memory;
