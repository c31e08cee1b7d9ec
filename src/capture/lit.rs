//! A camera with a light that tells that it is in use.

use super::{CaptureError, Source, Step};
use crate::frame::Frame;
use crate::health::indicator::Light;
use std::time::Duration;

/// A source whose light is on from before it is opened until after it is closed.
pub struct Lit {
    // The order matters: fields are dropped from the first to the last.
    source: Box<dyn Source>,
    _light: Light,
}

impl Lit {
    /// A source that was opened while `light` was on.
    pub fn new(source: Box<dyn Source>, light: Light) -> Self {
        Self { source, _light: light }
    }
}

impl Source for Lit {
    fn name(&self) -> String {
        self.source.name()
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn attempts(&self) -> u64 {
        self.source.attempts()
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        self.source.next(frame, timeout)
    }
}
