//! The parts of mercam that read what comes from outside, alone: so that the fuzzer need not build the inference library.
//! They are the project's own files.
#![allow(dead_code)]

#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/event.rs"]
pub mod event;
#[path = "../../src/frame.rs"]
pub mod frame;
#[path = "../../src/geometry.rs"]
pub mod geometry;
#[path = "../../src/landmarks.rs"]
pub mod landmarks;
#[path = "../../src/mqtt/packet.rs"]
pub mod packet;
#[path = "../../src/time.rs"]
pub mod time;
#[path = "../../src/wire/mod.rs"]
pub mod wire;
