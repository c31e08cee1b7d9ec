//! A film with exact truth: a built-in face, a photo that moves, or a real film with movements warped into it.

use super::au::Activation;
use super::camera::Disturbance;
use super::clip::ClipSource;
use super::config::SyntheticConfig;
use super::script::TruthEvent;
use super::source::SyntheticSource;
use crate::capture::{CaptureError, Source, Step};
use crate::frame::Frame;
use crate::geometry::{Iod, Px};
use crate::landmarks::PerLandmark;
use crate::time::Timestamp;
use std::time::Duration;

/// One film and what happens in it.
#[derive(Debug)]
pub struct Film {
    source: Kind,
    events: Vec<TruthEvent>,
    disturbances: Vec<Disturbance>,
    seconds: f64,
    fps: f64,
    iod: f32,
}

#[derive(Debug)]
enum Kind {
    Made(Box<SyntheticSource>),
    Clip(Box<ClipSource>),
}

impl Film {
    /// A film of made faces; `config` says how long it is.
    ///
    /// # Errors
    /// When it has no end.
    pub fn made(source: SyntheticSource, config: &SyntheticConfig) -> Result<Self, CaptureError> {
        let seconds = config.duration.ok_or_else(|| CaptureError::Spec("a film needs a `duration`".into()))?;
        let end = Timestamp::from_secs(seconds);
        let mut events = Vec::new();
        for face in 0..config.faces {
            let mut script = config.script(face);
            script.extend_to(end);
            events.extend(script.truth().iter().filter(|e| e.offset <= end).cloned());
        }
        events.sort_by_key(|e| (e.onset, e.offset));
        let disturbances = source.disturbances(end);
        let iod = config.placed_iod();
        Ok(Self { source: Kind::Made(Box::new(source)), events, disturbances, seconds, fps: config.fps, iod })
    }

    /// A real film with movements in it.
    pub fn clip(source: ClipSource) -> Self {
        let (seconds, fps, iod) = {
            let f = source.followed();
            (f.seconds(), f.fps(), f.iod())
        };
        let end = Timestamp::from_secs(seconds);
        let events = source.script().truth().iter().filter(|e| e.offset <= end).cloned().collect();
        let disturbances = source.disturbances(end);
        Self { source: Kind::Clip(Box::new(source)), events, disturbances, seconds, fps, iod }
    }

    /// What happens, in the order of time.
    pub fn events(&self) -> &[TruthEvent] {
        &self.events
    }

    /// What disturbs the picture, in the order of time.
    pub fn disturbances(&self) -> &[Disturbance] {
        &self.disturbances
    }

    /// Length in seconds.
    pub const fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Frames per second.
    pub const fn fps(&self) -> f64 {
        self.fps
    }

    /// Inter-ocular distance in pixels.
    pub const fn iod(&self) -> f32 {
        self.iod
    }

    /// Landmarks of each face in the frame delivered last; in a real film where the face stage and the warp put them.
    pub fn landmarks(&self) -> &[PerLandmark<Px>] {
        match &self.source {
            Kind::Made(s) => s.truth(),
            Kind::Clip(s) => s.truth(),
        }
    }

    /// The point of the first face that is seen at the pixel `q` of the frame delivered last, as it lies in the neutral face
    /// at rest. `None` in a real film, and where no pictures are delivered.
    pub fn skin(&self, q: Px) -> Option<Iod> {
        match &self.source {
            Kind::Made(s) => s.skin(0, q),
            Kind::Clip(_) => None,
        }
    }

    /// The pixel at which a point from [`Self::skin`] is seen in the frame delivered last.
    pub fn seen(&self, p: Iod) -> Option<Px> {
        match &self.source {
            Kind::Made(s) => s.seen(0, p),
            Kind::Clip(_) => None,
        }
    }

    /// What acts in the frame delivered last, on the first face.
    pub fn activation(&self) -> Option<&Activation> {
        match &self.source {
            Kind::Made(s) => s.activation(0),
            Kind::Clip(s) => Some(s.activation()),
        }
    }
}

impl Source for Film {
    fn name(&self) -> String {
        match &self.source {
            Kind::Made(s) => s.name(),
            Kind::Clip(s) => s.name(),
        }
    }

    fn is_live(&self) -> bool {
        false
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        match &mut self.source {
            Kind::Made(s) => s.next(frame, timeout),
            Kind::Clip(s) => s.next(frame, timeout),
        }
    }
}
