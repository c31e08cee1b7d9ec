//! Micro-expressions in a real film: the person moves, talks and blinks as filmed, and scripted action units are warped
//! into the moving face.
//!
//! Each frame of the film goes through the same steps, with or without a movement: into light, softened a little so that
//! sampling between pixels changes the sharpness no further, warped, back to grey. The warp is built on the landmarks
//! of that very frame (followed by mercam's own face stage, averaged over time), so it stays with the face.

mod follow;

pub use follow::{FollowError, Followed};

use super::au::Activation;
use super::camera::{Camera, Disturbance};
use super::config::SyntheticConfig;
use super::field::Field;
use super::random::{hash, unit};
use super::script::{Script, ScriptConfig};
use super::texture::{Plane, Weights};
use crate::capture::{CaptureError, Source, Step};
use crate::frame::{Content, Frame, Luma};
use crate::geometry::{Px, Rect};
use crate::landmarks::PerLandmark;
use crate::time::Timestamp;
use follow::Placed;
use std::sync::Arc;
use std::time::Duration;

/// Standard deviation of the softening in pixels.
const SOFTEN: f32 = 0.5;
/// The face has to be followed this long before and after an event, in ms.
const MARGIN_MS: f64 = 100.0;
/// Steps of the fixed-point inversion; each leaves less than a quarter of the error.
const STEPS: usize = 4;

/// Plays a film with micro-expressions in it. Built by [`ClipSource::new`].
pub struct ClipSource {
    film: Box<dyn Source>,
    followed: Arc<Followed>,
    script: Script,
    camera: Camera,
    config: SyntheticConfig,
    activation: Activation,
    truth: Vec<PerLandmark<Px>>,
    scene: Plane,
    warped: Plane,
    weights: Weights,
    lost: u32,
}

impl std::fmt::Debug for ClipSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClipSource").field("film", &self.film.name()).finish_non_exhaustive()
    }
}

impl ClipSource {
    /// `film` from its beginning, with the face that was `followed` in it. Of `config` the seed, the script, the camera,
    /// its noise and the share of lost frames count; blinks and talking are the film's own.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(film: Box<dyn Source>, followed: Arc<Followed>, config: &SyntheticConfig) -> Result<Self, CaptureError> {
        config.check()?;
        let script = ScriptConfig { blinks: false, talking: 0.0, ..config.script };
        let mut script = Script::new(config.seed, &script);
        script.extend_to(Timestamp::from_secs(followed.seconds()));
        script.keep(|e| followed.throughout(e.onset.plus_ms(-MARGIN_MS), e.offset.plus_ms(MARGIN_MS)));
        Ok(Self {
            film,
            script,
            camera: Camera::new(config.camera, config.camera_noise, config.seed, crate::capture::MAX_SIDE as usize),
            config: config.clone(),
            activation: Activation::default(),
            truth: Vec::with_capacity(1),
            scene: Plane::default(),
            warped: Plane::default(),
            weights: Weights::new(),
            lost: 0,
            followed,
        })
    }

    /// What is warped into the film.
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// The face that it is warped into.
    pub fn followed(&self) -> &Followed {
        &self.followed
    }

    /// The landmarks in the frame delivered last: where the face stage and the warp put them. Empty where the face was
    /// not followed.
    pub fn truth(&self) -> &[PerLandmark<Px>] {
        &self.truth
    }

    /// What acts in the frame delivered last.
    pub const fn activation(&self) -> &Activation {
        &self.activation
    }

    /// Occlusions and steps of the light that begin before `end`.
    pub fn disturbances(&self, end: Timestamp) -> Vec<Disturbance> {
        self.camera.disturbances(end)
    }

    fn take_picture(&mut self, number: u64, time: Timestamp, picture: &mut Luma) {
        self.scene.fill(picture);
        self.scene.blur(SOFTEN);
        self.script.activation(time, &mut self.activation);
        self.truth.clear();
        let followed = Arc::clone(&self.followed);
        let placed = followed.at(time);
        let mut warped = false;
        if let Some(placed) = placed {
            let mut moved = placed.shape;
            self.script.displacements().add(&self.activation, &mut moved);
            if self.activation.units.is_empty() {
                self.truth.push(placed.shape.map(|p| placed.place.apply(p)));
            } else {
                let field = Field::between(&placed.shape, &moved);
                self.truth.push(placed.shape.map(|p| placed.place.apply(field.carry(p))));
                self.warp(placed, &field);
                warped = true;
            }
        }
        let face = placed.map(|p| (p.place.apply(crate::geometry::Iod::default()), p.place.scale()));
        let scene = if warped { &self.warped } else { &self.scene };
        self.camera.expose(number, time, scene, face, picture);
    }

    /// Draws the scene with the face displaced.
    fn warp(&mut self, placed: &Placed, field: &Field) {
        self.warped.clone_from(&self.scene);
        let Some(back) = placed.place.inverse() else { return };
        let reach = Field::reach().map(|p| placed.place.apply(p));
        let Rect { x, y, width, height } = Rect::around(reach);
        let clip = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        let columns = clip(x, self.scene.width)..clip(x + width + 1.0, self.scene.width);
        for j in clip(y, self.scene.height)..clip(y + height + 1.0, self.scene.height) {
            // Beside a solved pixel the displacement is nearly the same.
            let mut shift = Px::default();
            for i in columns.clone() {
                let q = Px::new(i as f32, j as f32);
                for _ in 0..STEPS {
                    shift = placed.place.apply_vector(field.at(back.apply(q - shift)));
                }
                let from = q - shift;
                if let Some(v) = self.warped.data.get_mut(j * self.scene.width + i) {
                    *v = self.scene.sample(&self.weights, from.x, from.y);
                }
            }
        }
    }
}

impl Source for ClipSource {
    fn name(&self) -> String {
        format!("{} with seed {}", self.film.name(), self.config.seed)
    }

    fn is_live(&self) -> bool {
        self.film.is_live()
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        loop {
            match self.film.next(frame, timeout)? {
                Step::Frame => {}
                other => return Ok(other),
            }
            let drop = self.config.drop;
            if drop > 0.0 && unit(hash(self.config.seed, 0xd309, frame.sequence)) < drop {
                self.lost = self.lost.saturating_add(1).saturating_add(frame.lost_before);
                continue;
            }
            frame.lost_before = frame.lost_before.saturating_add(std::mem::take(&mut self.lost));
            let Content::Picture(picture) = &mut frame.content else {
                return Err(CaptureError::Malformed { what: self.film.name(), why: "it holds no pictures".into() });
            };
            let mut picture = std::mem::take(picture);
            self.take_picture(frame.sequence, frame.time, &mut picture);
            frame.content = Content::Picture(picture);
            return Ok(Step::Frame);
        }
    }
}

#[cfg(test)]
mod tests;
