//! Sources: where frames come from. One trait, one file per kind, chosen by one URI-like string.

mod arrivals;
mod exposure;
mod guess;
mod images;
mod input;
mod lit;
mod live;
mod luma;
mod mjpeg;
mod modes;
mod options;
mod pgm;
mod rate;
mod raw;
mod replay;
mod spec;
#[cfg(test)]
mod testing;
mod timeline;
mod v4l2;
mod y4m;

pub use exposure::{Exposure, Gain, PowerLine};
pub use images::{ImagesSource, ImagesSpec};
pub use input::Origin;
pub use lit::Lit;
pub use live::{Buffer, Grabber, LiveCounts, LiveSource, Opened, Opener};
pub use luma::PixelFormat;
pub use modes::{CameraFormat, Choice, Mode, Wish, choose};
pub use rate::{MAX_SIDE, Rate, Size};
pub use raw::{RawSource, RawSpec};
pub use replay::{LandmarkWriter, ReplaySource, ReplaySpec};
pub use spec::{SourceSpec, SyntheticSpec};
pub use v4l2::{CameraName, Controls, DeviceInfo, UsbName, V4l2Source, V4l2Spec, list_devices};
pub use y4m::{Y4mSource, Y4mSpec};

use crate::frame::{Content, Frame, Luma};
use crate::time::Timestamp;
use std::time::Duration;

/// What asking a source for a frame brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The frame was filled.
    Frame,
    /// Nothing arrived in time; ask again.
    Timeout,
    /// There is nothing more.
    End,
}

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The source string cannot be understood.
    #[error("{0}")]
    Spec(String),
    /// The device or file is not there, or may not be opened.
    #[error("{what}: {why}")]
    Unavailable {
        /// What was to be opened.
        what: String,
        /// Why not, with the mend.
        why: String,
    },
    /// The content is not what it should be.
    #[error("{what}: {why}")]
    Malformed {
        /// Which source, with line or frame.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Reading failed; for a live source it is worth opening again.
    #[error("{what}: {why}")]
    Broken {
        /// Which source.
        what: String,
        /// The system's answer.
        why: String,
    },
}

/// A frame to be handed to [`Source::next`] for the first time.
pub fn blank_frame() -> Frame {
    Frame { time: Timestamp::default(), sequence: 0, lost_before: 0, content: Content::Picture(Luma::default()) }
}

/// Takes the picture's memory out of a frame, to be filled and put back.
fn take_luma(frame: &mut Frame) -> Luma {
    match &mut frame.content {
        Content::Picture(luma) => std::mem::take(luma),
        Content::Faces(_) => Luma::default(),
    }
}

/// Something that delivers frames.
pub trait Source: Send {
    /// For messages: kind and device or file.
    fn name(&self) -> String;

    /// Live sources may lose frames (the latest wins); files and pipes wait and lose none.
    fn is_live(&self) -> bool;

    /// For live sources: attempts to open a lost device again that have failed so far.
    fn attempts(&self) -> u64 {
        0
    }

    /// Fills `frame` (reusing its memory) with the next one, waiting at most about `timeout`.
    ///
    /// # Errors
    /// See [`CaptureError`]; after an error the source must not be used any more.
    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError>;
}
