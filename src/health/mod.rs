//! What the process says about itself: its board, its processor, its log, its memory and its pulse; and who watches over it.

pub mod board;
pub mod cpu;
pub mod governor;
pub mod indicator;
pub mod logger;
pub mod memory;
pub mod notify;
mod repeats;
pub mod supervisor;
pub mod vitals;
