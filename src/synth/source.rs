//! The synthetic source: faces that play their scripts, as landmarks or as pictures.

use super::au::Activation;
use super::camera::{Camera, Disturbance};
use super::config::{Pace, Render, SyntheticConfig};
use super::lids::Eye;
use super::motion::{Motion, Pose, Projection};
use super::portrait::Portrait;
use super::random::{Rng, hash, unit};
use super::render::Renderer;
use super::script::Script;
use super::shape::{depth, identity};
use crate::capture::{CaptureError, Source, Step};
use crate::frame::{Content, Face, FaceId, Frame, Luma};
use crate::geometry::{Iod, Px, Rect};
use crate::landmarks::{COUNT, PerLandmark};
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// How much of the past an endless source remembers of its own truth, in ms.
const MEMORY_MS: f64 = 120_000.0;

/// One face on the stage.
#[derive(Debug, Clone)]
struct Actor {
    script: Script,
    motion: Motion,
    neutral: PerLandmark<Iod>,
    eyes: [Eye; 2],
    centre: Px,
    iod: f32,
}

/// What makes pictures of the faces.
#[derive(Debug)]
struct Studio {
    renderer: Renderer,
    camera: Camera,
}

/// Delivers labelled synthetic faces; see [`SyntheticConfig`].
#[derive(Debug)]
pub struct SyntheticSource {
    config: SyntheticConfig,
    actors: Vec<Actor>,
    /// Pose and activation of every actor in the frame being made.
    state: Vec<(Pose, Activation)>,
    studio: Option<Box<Studio>>,
    truth: Vec<PerLandmark<Px>>,
    next: u64,
    lost: u32,
    started: Option<Instant>,
}

impl SyntheticSource {
    pub(super) fn new(config: SyntheticConfig, portrait: Option<&Portrait>) -> Self {
        let iod = config.placed_iod();
        let (width, height) = (config.width as f32, config.height as f32);
        let mut actors = Vec::new();
        let mut placements = Vec::new();
        for k in 0..config.faces {
            let seed = config.face_seed(k);
            let centre = Px::new(width * (k as f32 + 0.5) / config.faces as f32, height * 0.42);
            let script = config.script(k);
            let neutral = if config.render == Render::Pixels {
                let portrait = portrait.cloned().unwrap_or_else(|| Portrait::drawn(seed));
                let neutral = *portrait.landmarks();
                placements.push((portrait, script.displacements().clone(), centre, iod));
                neutral
            } else {
                identity(seed)
            };
            actors.push(Actor {
                script,
                motion: Motion::new(seed, config.motion),
                eyes: Eye::both(&neutral),
                neutral,
                centre,
                iod,
            });
        }
        let studio = (config.render == Render::Pixels).then(|| {
            let (w, h) = (config.width as usize, config.height as usize);
            Box::new(Studio {
                renderer: Renderer::new(w, h, placements, config.motion, config.seed),
                camera: Camera::new(config.camera, config.camera_noise, config.seed, w),
            })
        });
        let state = actors.iter().map(|_| (Pose::default(), Activation::default())).collect();
        Self { config, actors, state, studio, truth: Vec::new(), next: 0, lost: 0, started: None }
    }

    /// The script of face number `face`, with the events up to the last frame and those of the last two minutes.
    pub fn script(&self, face: usize) -> Option<&Script> {
        self.actors.get(face).map(|a| &a.script)
    }

    /// How strongly each action unit of face number `face` acts in the frame delivered last.
    pub fn activation(&self, face: usize) -> Option<&Activation> {
        self.state.get(face).map(|s| &s.1)
    }

    /// Occlusions and steps of the light that begin before `end`; none where landmarks are delivered.
    pub fn disturbances(&self, end: Timestamp) -> Vec<Disturbance> {
        self.studio.as_ref().map_or_else(Vec::new, |s| s.camera.disturbances(end))
    }

    /// The exact landmarks of every face in the frame delivered last, without measurement noise.
    pub fn truth(&self) -> &[PerLandmark<Px>] {
        &self.truth
    }

    /// The point of face number `face` that is seen at the pixel `q` of the frame delivered last, as it lies in the neutral
    /// face at rest; closing lids do not count. `None` where no pictures are delivered.
    pub fn skin(&self, face: usize, q: Px) -> Option<Iod> {
        self.studio.as_ref()?.renderer.skin(face, q)
    }

    /// The pixel at which a point from [`Self::skin`] is seen in the frame delivered last.
    pub fn seen(&self, face: usize, p: Iod) -> Option<Px> {
        self.studio.as_ref()?.renderer.seen(face, p)
    }

    fn time(&self, frame: u64) -> Timestamp {
        Timestamp::from_secs(frame as f64 / self.config.fps)
    }

    fn is_over(&self) -> bool {
        self.config.duration.is_some_and(|d| self.time(self.next).as_secs() >= d)
    }

    fn is_dropped(&self, frame: u64) -> bool {
        self.config.drop > 0.0 && unit(hash(self.config.seed, 0xd309, frame)) < self.config.drop
    }

    /// Waits for the time of the next frame; in real pace skips the frames whose time has passed.
    fn keep_pace(&mut self, timeout: Duration) -> Option<Step> {
        let now = Instant::now();
        let started = *self.started.get_or_insert(now);
        let due = self.time(self.next).as_secs();
        let elapsed = now.duration_since(started).as_secs_f64();
        if elapsed < due {
            let wait = Duration::from_secs_f64(due - elapsed);
            if wait > timeout {
                std::thread::sleep(timeout);
                return Some(Step::Timeout);
            }
            std::thread::sleep(wait);
        } else if self.config.pace == Pace::Real {
            let late = ((elapsed - due) * self.config.fps) as u64;
            self.next += late;
            self.lost = self.lost.saturating_add(u32::try_from(late).unwrap_or(u32::MAX));
        }
        None
    }

    fn prepare(&mut self, time: Timestamp) {
        for (actor, (pose, activation)) in self.actors.iter_mut().zip(&mut self.state) {
            actor.script.extend_to(time);
            actor.script.activation(time, activation);
            *pose = actor.motion.at(time);
            if actor.script.truth().len() > 256 {
                actor.script.forget_before(time.plus_ms(-MEMORY_MS));
            }
        }
    }

    /// Draws the scene, several times where the exposure has a length, and takes its picture.
    fn take_picture(&mut self, studio: &mut Studio, number: u64, time: Timestamp, luma: &mut Luma) {
        let times: Vec<Timestamp> = studio.camera.exposure(time).collect();
        let mut middle = Vec::new();
        for (k, &t) in times.iter().enumerate() {
            self.prepare(t);
            studio.renderer.draw(&self.state, &mut self.truth);
            if k == times.len() / 2 {
                std::mem::swap(&mut middle, &mut self.truth);
            }
            if times.len() > 1 {
                studio.renderer.add_to_exposure(k, times.len());
            }
        }
        if times.len() > 1 {
            self.prepare(time);
            studio.renderer.pose(&self.state);
        }
        self.truth = middle;
        let scene = if times.len() > 1 { studio.renderer.exposure() } else { studio.renderer.scene() };
        let place = self.actors.first().map(|a| (a.centre, a.iod));
        studio.camera.expose(number, time, scene, place, luma);
    }

    fn fill_faces(&mut self, frame: u64, faces: &mut Vec<Face>) {
        faces.truncate(self.actors.len());
        self.truth.clear();
        for (k, (actor, (pose, activation))) in self.actors.iter().zip(&self.state).enumerate() {
            let mut points = actor.neutral;
            actor.eyes.iter().for_each(|e| e.close(activation.lids, &mut points));
            let heights = actor.neutral.map(depth);
            actor.script.displacements().add(activation, &mut points);
            let projection = Projection::new(pose, actor.centre, actor.iod);
            let truth: PerLandmark<Px> = std::array::from_fn(|i| projection.apply(points[i], heights[i]));
            let mut rng = Rng::new(hash(self.config.seed, 0x40153, frame), k as u64);
            let sigma = self.config.noise;
            let landmarks = truth.map(|p| p + Px::new(sigma * rng.normal(), sigma * rng.normal()));
            let face =
                Face { id: FaceId(k as u32 + 1), bounds: Rect::around(landmarks), landmarks, confidence: [1.0; COUNT] };
            match faces.get_mut(k) {
                Some(slot) => *slot = face,
                None => faces.push(face),
            }
            self.truth.push(truth);
        }
    }
}

impl Source for SyntheticSource {
    fn name(&self) -> String {
        let kind = match self.config.render {
            Render::Landmarks => "landmarks",
            Render::Pixels => "pixels",
        };
        format!("synthetic: {kind}, seed {}, {} fps", self.config.seed, self.config.fps)
    }

    fn is_live(&self) -> bool {
        self.config.pace == Pace::Real
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        loop {
            if self.is_over() {
                return Ok(Step::End);
            }
            if self.config.pace != Pace::Fast
                && let Some(step) = self.keep_pace(timeout)
            {
                return Ok(step);
            }
            if self.is_over() {
                return Ok(Step::End);
            }
            if !self.is_dropped(self.next) {
                break;
            }
            self.next += 1;
            self.lost = self.lost.saturating_add(1);
        }
        let number = self.next;
        frame.time = self.time(number);
        frame.sequence = number;
        frame.lost_before = std::mem::take(&mut self.lost);
        self.next += 1;
        self.prepare(frame.time);
        if let Some(mut studio) = self.studio.take() {
            if !matches!(frame.content, Content::Picture(_)) {
                frame.content = Content::Picture(Luma::default());
            }
            if let Content::Picture(luma) = &mut frame.content {
                self.take_picture(&mut studio, number, frame.time, luma);
            }
            self.studio = Some(studio);
        } else {
            let mut faces = match std::mem::replace(&mut frame.content, Content::Faces(Vec::new())) {
                Content::Faces(faces) => faces,
                Content::Picture(_) => Vec::new(),
            };
            self.fill_faces(number, &mut faces);
            frame.content = Content::Faces(faces);
        }
        Ok(Step::Frame)
    }
}

#[cfg(test)]
mod tests;
