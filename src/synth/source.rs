//! The synthetic source: faces that play their scripts, as landmarks or as pictures.

use super::au::{Activation, Displacements};
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

/// Delivers labelled synthetic faces; see [`SyntheticConfig`].
#[derive(Debug)]
pub struct SyntheticSource {
    config: SyntheticConfig,
    actors: Vec<Actor>,
    /// Pose and activation of every actor in the frame being made.
    state: Vec<(Pose, Activation)>,
    table: Displacements,
    renderer: Option<Box<Renderer>>,
    truth: Vec<PerLandmark<Px>>,
    next: u64,
    lost: u32,
    started: Option<Instant>,
}

impl SyntheticSource {
    pub(super) fn new(config: SyntheticConfig, portrait: Option<Portrait>) -> Self {
        let iod = config.placed_iod();
        let (width, height) = (config.width as f32, config.height as f32);
        let mut actors = Vec::new();
        let mut placements = Vec::new();
        for k in 0..config.faces {
            let seed = config.face_seed(k);
            let centre = Px::new(width * (k as f32 + 0.5) / config.faces as f32, height * 0.42);
            let neutral = if config.render == Render::Pixels {
                let portrait = portrait.clone().unwrap_or_else(|| Portrait::drawn(seed));
                let neutral = *portrait.landmarks();
                placements.push((portrait, centre, iod));
                neutral
            } else {
                identity(seed)
            };
            actors.push(Actor {
                script: config.script(k),
                motion: Motion::new(seed, config.motion),
                eyes: Eye::both(&neutral),
                neutral,
                centre,
                iod,
            });
        }
        let renderer = (config.render == Render::Pixels).then(|| {
            let (w, h) = (config.width as usize, config.height as usize);
            Box::new(Renderer::new(w, h, placements, config.motion, config.camera_noise, config.seed))
        });
        let state = actors.iter().map(|_| (Pose::default(), Activation::default())).collect();
        Self {
            config,
            actors,
            state,
            table: Displacements::new(),
            renderer,
            truth: Vec::new(),
            next: 0,
            lost: 0,
            started: None,
        }
    }

    /// The script of face number `face`, with the events up to the last frame and those of the last two minutes.
    pub fn script(&self, face: usize) -> Option<&Script> {
        self.actors.get(face).map(|a| &a.script)
    }

    /// The exact landmarks of every face in the frame delivered last, without measurement noise.
    pub fn truth(&self) -> &[PerLandmark<Px>] {
        &self.truth
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

    /// In real pace: waits for the time of the next frame, or skips the frames whose time has passed.
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
        } else {
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

    fn fill_faces(&mut self, frame: u64, faces: &mut Vec<Face>) {
        faces.truncate(self.actors.len());
        self.truth.clear();
        for (k, (actor, (pose, activation))) in self.actors.iter().zip(&self.state).enumerate() {
            let mut points = actor.neutral;
            actor.eyes.iter().for_each(|e| e.close(activation.lids, &mut points));
            let heights = actor.neutral.map(depth);
            self.table.add(activation, &mut points);
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
            if self.config.pace == Pace::Real
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
        if let Some(renderer) = &mut self.renderer {
            if !matches!(frame.content, Content::Picture(_)) {
                frame.content = Content::Picture(Luma::default());
            }
            if let Content::Picture(luma) = &mut frame.content {
                renderer.render(number, &self.state, luma, &mut self.truth);
            }
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::landmarks;
    use crate::synth::script::{Label, ScriptConfig};

    fn fast() -> SyntheticConfig {
        SyntheticConfig { pace: Pace::Fast, ..SyntheticConfig::default() }
    }

    fn small() -> SyntheticConfig {
        SyntheticConfig { render: Render::Pixels, width: 200, height: 200, iod: 45.0, camera_noise: 0.0, ..fast() }
    }

    fn empty() -> Frame {
        Frame { time: Timestamp::default(), sequence: 0, lost_before: 0, content: Content::Faces(Vec::new()) }
    }

    fn collect(config: &SyntheticConfig) -> Vec<Frame> {
        let mut source = config.build().unwrap();
        let mut frame = empty();
        let mut all = Vec::new();
        while source.next(&mut frame, Duration::from_secs(1)).unwrap() == Step::Frame {
            all.push(frame.clone());
        }
        all
    }

    #[test]
    fn one_seed_gives_one_stream_of_landmarks() {
        let config = SyntheticConfig { duration: Some(5.0), ..fast() };
        let (a, b) = (collect(&config), collect(&config));
        assert_eq!(a, b);
        assert_eq!(a.len(), 500);
        assert_eq!(a[123].time, Timestamp::from_micros(1_230_000));
        assert_ne!(a, collect(&SyntheticConfig { seed: 2, ..config }));
    }

    #[test]
    fn one_seed_gives_one_stream_of_pictures() {
        let config = SyntheticConfig { duration: Some(0.05), camera_noise: 1.5, ..small() };
        assert_eq!(collect(&config), collect(&config));
    }

    #[test]
    fn lost_frames_are_counted_and_time_goes_on() {
        let frames = collect(&SyntheticConfig { duration: Some(20.0), drop: 0.2, ..fast() });
        let lost: u32 = frames.iter().map(|f| f.lost_before).sum();
        assert!((300..500).contains(&lost), "{lost}");
        let mut expected = 0;
        for f in &frames {
            expected += u64::from(f.lost_before);
            assert_eq!((f.sequence, f.time), (expected, Timestamp::from_micros(10_000 * expected as i64)));
            expected += 1;
        }
    }

    #[test]
    fn measurement_noise_has_its_size_and_truth_has_none() {
        let config = SyntheticConfig { noise: 0.5, duration: Some(3.0), ..fast() };
        let mut source = config.build().unwrap();
        let mut frame = empty();
        let (mut sum, mut n) = (0.0, 0);
        while source.next(&mut frame, Duration::ZERO).unwrap() == Step::Frame {
            let Content::Faces(faces) = &frame.content else { panic!() };
            for (p, q) in faces[0].landmarks.iter().zip(&source.truth()[0]) {
                sum += (p.x - q.x).powi(2) + (p.y - q.y).powi(2);
                n += 2;
            }
        }
        let sigma = (sum / n as f32).sqrt();
        assert!((sigma - 0.5).abs() < 0.02, "{sigma}");
    }

    #[test]
    fn at_the_apex_the_landmarks_have_moved_by_the_peak_of_the_truth() {
        let config = SyntheticConfig { motion: 0.0, noise: 0.0, fps: 1000.0, ..fast() };
        let mut script = config.script(0);
        script.extend_to(Timestamp::from_secs(20.0));
        let event = script.truth().iter().find(|e| e.class().is_some()).unwrap();
        let mut source = config.build().unwrap();
        let mut frame = empty();
        source.next(&mut frame, Duration::ZERO).unwrap();
        let neutral = source.truth()[0];
        while frame.time < event.apex {
            source.next(&mut frame, Duration::ZERO).unwrap();
        }
        let moved = neutral.iter().zip(&source.truth()[0]).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
        assert!((moved / 90.0 - event.peak).abs() < 0.02 * event.peak, "{} {}", moved / 90.0, event.peak);
        assert_eq!(source.script(0).unwrap().truth_at(event.onset, event.offset), Some(event));
    }

    #[test]
    fn a_blink_closes_the_eyes_in_landmarks_and_in_pictures() {
        let mut script = small().script(0);
        script.extend_to(Timestamp::from_secs(20.0));
        let blink = script.truth().iter().find(|e| e.label == Label::Blink).unwrap().clone();
        let opening = |p: &PerLandmark<Px>| (p[41].y - p[37].y + p[46].y - p[44].y) / landmarks::iod(p);
        for config in [fast(), small()] {
            // One frame before the blink and one in it: a frame rate that hits both.
            let mut source = config.build().unwrap();
            let (open_at, shut_at) = (blink.onset.plus_ms(-20.0), blink.apex.plus_ms(10.0));
            let mut seen = Vec::new();
            for time in [open_at, shut_at] {
                source.next = (time.as_secs() * 100.0).ceil() as u64;
                let mut frame = empty();
                source.next(&mut frame, Duration::ZERO).unwrap();
                let p = source.truth()[0];
                let pupil = match &frame.content {
                    Content::Picture(luma) => {
                        let c = landmarks::right_eye(&source.truth()[0]);
                        f32::from(luma.row(c.y as u32)[c.x as usize])
                    }
                    Content::Faces(_) => 0.0,
                };
                seen.push((opening(&p), pupil));
            }
            assert!(seen[1].0 < 0.15 * seen[0].0, "{seen:?}");
            assert!(config.render == Render::Landmarks || seen[1].1 > seen[0].1 + 30.0, "lid over the iris: {seen:?}");
        }
    }

    #[test]
    fn several_faces_stand_side_by_side_with_their_own_scripts() {
        let frames = collect(&SyntheticConfig { faces: 3, duration: Some(0.02), ..fast() });
        let Content::Faces(faces) = &frames[1].content else { panic!() };
        assert_eq!(faces.len(), 3);
        for pair in faces.windows(2) {
            assert!(pair[0].id != pair[1].id && pair[0].bounds.iou(&pair[1].bounds) == 0.0);
        }
        assert!(fast().script(0).truth().is_empty());
        let truth = |k| {
            let mut s = fast().script(k);
            s.extend_to(Timestamp::from_secs(20.0));
            s.truth().to_vec()
        };
        assert_ne!(truth(0), truth(1));
    }

    #[test]
    fn in_real_pace_frames_come_at_their_time_and_late_ones_are_lost() {
        let config = SyntheticConfig { fps: 200.0, duration: Some(0.3), pace: Pace::Real, ..fast() };
        let mut source = config.build().unwrap();
        assert!(source.is_live() && !fast().build().unwrap().is_live());
        let mut frame = empty();
        let start = Instant::now();
        assert_eq!(source.next(&mut frame, Duration::from_secs(1)).unwrap(), Step::Frame);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(source.next(&mut frame, Duration::from_secs(1)).unwrap(), Step::Frame);
        assert!(frame.lost_before >= 9, "{}", frame.lost_before);
        while source.next(&mut frame, Duration::from_secs(1)).unwrap() == Step::Frame {}
        assert!(start.elapsed() >= Duration::from_millis(280));
        let mut slow = SyntheticConfig { fps: 1.0, duration: None, ..config }.build().unwrap();
        slow.next(&mut frame, Duration::ZERO).unwrap();
        assert_eq!(slow.next(&mut frame, Duration::from_millis(1)).unwrap(), Step::Timeout);
    }

    #[test]
    fn an_endless_source_forgets_old_truth() {
        let quick = ScriptConfig { gap_min_ms: 200.0, gap_max_ms: 200.0, ..ScriptConfig::default() };
        let mut source = SyntheticConfig { fps: 1.0, script: quick, ..fast() }.build().unwrap();
        let mut frame = empty();
        for _ in 0..3600 {
            source.next(&mut frame, Duration::ZERO).unwrap();
        }
        assert!(source.script(0).unwrap().truth().len() < 400);
    }
}
