//! Helpers of the sources' unit tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{CaptureError, Source, Step};
use crate::frame::Frame;
use std::io::Write as _;
use std::time::Duration;

/// A temporary file with this content.
pub fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Everything a source delivers, and how it ended.
pub fn collect(source: &mut dyn Source) -> (Vec<Frame>, Result<(), CaptureError>) {
    let mut frames = Vec::new();
    let mut frame = super::blank_frame();
    for _ in 0..100_000 {
        match source.next(&mut frame, Duration::from_secs(2)) {
            Ok(Step::Frame) => frames.push(frame.clone()),
            Ok(Step::Timeout) => panic!("a file does not time out"),
            Ok(Step::End) => return (frames, Ok(())),
            Err(e) => return (frames, Err(e)),
        }
    }
    panic!("the source does not end")
}
