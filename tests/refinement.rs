//! Networks anchor, Lucas-Kanade moves: a local movement of one pixel on a real face, through the real face stage,
//! and the same pictures through the landmark network alone.
//!
//! `cargo test --test refinement -- --nocapture` prints the table. The comparison of the landmark networks is long and
//! not part of the tests: `cargo test --test refinement -- --ignored --nocapture`. docs/reference/face-models.md has it.
//! What is not in the cache is fetched; with `MERCAM_OFFLINE=1` a test says so and ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "line/faces.rs"]
mod faces;
#[path = "common/fixtures.rs"]
mod fixtures;
#[path = "refinement/warp.rs"]
mod warp;

use faces::{landmarks, networks, photo};
use fixtures::Still;
use mercam::capture::{Source, Step, blank_frame};
use mercam::face::LandmarkNet;
use mercam::face::config::FaceConfig;
use mercam::face::mesh::MeshConfig;
use mercam::face::models::{NetId, Store};
use mercam::face::stage::{FaceStage, FaceWork};
use mercam::frame::{Content, Face, Luma};
use mercam::geometry::{Iod, Px, Rect, Roi, Similarity};
use mercam::landmarks::{COUNT, PerLandmark, RIGID, face_frame, iod};
use mercam::synth::{Pace, Portrait, Render, Script, ScriptConfig, SyntheticConfig};
use mercam::time::Timestamp;
use std::time::Duration;
use warp::{Bump, Scene};

/// The landmarks of each region that are warped, one after the other. The bridge of the nose (27 to 30) is bone: it
/// does not move by itself, and its windows are wide for that reason.
const REGIONS: [(&str, std::ops::Range<usize>); 4] =
    [("brows", 17..27), ("eyes", 36..48), ("nose", 31..36), ("mouth", 48..68)];

/// One method's movements of one region.
#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    gain: f32,
    square: f32,
    n: f32,
}

impl Measured {
    fn add(&mut self, moved: Px, truth: Px) {
        self.gain += (moved.x * truth.x + moved.y * truth.y) / (truth.x * truth.x + truth.y * truth.y);
        let error = moved - truth;
        self.square += error.x * error.x + error.y * error.y;
        self.n += 1.0;
    }

    fn gain(&self) -> f32 {
        self.gain / self.n
    }

    fn error(&self) -> f32 {
        (self.square / self.n).sqrt()
    }
}

/// The stage's answer to one picture, 1/60 s after the previous one.
fn step(stage: &mut FaceStage, frame: &mut u32, picture: &Luma) -> PerLandmark<Px> {
    let mut faces = Vec::<Face>::new();
    stage.process(Timestamp::from_secs(f64::from(*frame) / 60.0), picture, &mut faces).unwrap();
    *frame += 1;
    assert_eq!(faces.len(), 1);
    faces[0].landmarks
}

fn mean(of: &[PerLandmark<Px>]) -> PerLandmark<Px> {
    std::array::from_fn(|i| Px::mean(of.iter().map(|p| p[i])))
}

#[test]
fn a_local_movement_of_one_pixel_on_a_real_face_arrives() {
    let config = FaceConfig::default();
    let Some(photo) = networks(&config).then(|| photo(Still::Astronaut)).flatten() else { return };
    let scene = Scene::new(&photo, &landmarks(&photo, &config), 80.0, 300, 320);
    let mut random = warp::Random(7);
    eprintln!("movement of 1 px, IOD 80 px, noise of 2 grey levels; error = RMS of the 2-D error in px");
    eprintln!("field (IOD)  region  warps  gain line  gain network  error line  error network");
    let mut table = Vec::new();
    for sigma in [0.12, 0.2] {
        let store = Store::default();
        let (mut stage, mut frame) = (config.build(&store, false).unwrap(), 0);
        let mut net = config.landmarks.build(&store).unwrap();
        let calm: Vec<PerLandmark<Px>> =
            (0..20).map(|_| step(&mut stage, &mut frame, &scene.picture(None, 2.0, &mut random))).collect();
        let places = mean(&calm);
        assert!((iod(&places) - 80.0).abs() < 4.0);
        // The network's best case: it always looks at the same square.
        let roi = stage_roi(&places);
        let roi = net.landmarks(&scene.picture(None, 2.0, &mut random), &roi).unwrap().roi;
        let looks: Vec<PerLandmark<Px>> =
            (0..8).map(|_| net.landmarks(&scene.picture(None, 2.0, &mut random), &roi).unwrap().points).collect();
        let looked = mean(&looks);
        for (region, range) in REGIONS {
            let (mut line, mut network) = (Measured::default(), Measured::default());
            for i in range {
                for turn in 0..2 {
                    let angle = i as f32 * 2.4 + turn as f32 * std::f32::consts::FRAC_PI_2;
                    // The line moves slowly with the network's looks: its own place just before is what counts.
                    let before = step(&mut stage, &mut frame, &scene.picture(None, 2.0, &mut random));
                    let bump = Bump { at: before[i], sigma: sigma * 80.0, shift: Px::new(angle.cos(), angle.sin()) };
                    let picture = scene.picture(Some(&bump), 2.0, &mut random);
                    let after = step(&mut stage, &mut frame, &picture);
                    line.add(after[i] - before[i], bump.at(before[i]));
                    let seen = net.landmarks(&picture, &roi).unwrap().points;
                    network.add(seen[i] - looked[i], bump.at(looked[i]));
                }
            }
            eprintln!(
                "{sigma:11.2}  {region:6}  {:5}  {:9.2}  {:12.2}  {:10.3}  {:13.3}",
                line.n,
                line.gain(),
                network.gain(),
                line.error(),
                network.error()
            );
            table.push((sigma, region, line, network));
        }
    }
    check(&table);
}

/// A window of standard deviation w follows the middle of a field of standard deviation f by f^2 / (f^2 + w^2): with
/// a window of 0.065 IOD by 0.77 for the narrow field here and by 0.90 for the wide one. The joint estimate gives a part of
/// that back and, where only one landmark moves, takes it for noise in part.
fn check(table: &[(f32, &str, Measured, Measured)]) {
    for (sigma, region, line, network) in table {
        let least = if *sigma < 0.15 { 0.68 } else { 0.82 };
        assert!((least..1.15).contains(&line.gain()), "{region}: {}", line.gain());
        // measured: 0.12 to 0.21 and 0.15 to 0.40
        assert!(network.gain() < line.gain() - 0.3, "{region}: the network alone would do");
        assert!(line.error() < 0.5 * network.error(), "{region}");
    }
    for field in [0.12, 0.2] {
        let of = || table.iter().filter(|row| row.0 == field);
        let gain = of().map(|row| row.2.gain).sum::<f32>() / of().map(|row| row.2.n).sum::<f32>();
        eprintln!("field of {field} IOD, all landmarks: gain of the line {gain:.3}");
        assert!(gain >= 0.75, "{field}: {gain}");
    }
}

/// A square around landmarks, to begin with.
fn stage_roi(points: &PerLandmark<Px>) -> Roi {
    let bounds = Rect::around(points.iter().copied());
    Roi { centre: bounds.centre(), side: bounds.width.max(bounds.height) * 1.5, angle: 0.0 }
}

const NETS: [NetId; 3] = [NetId::FaceMeshV1Of2019, NetId::FaceMeshV1, NetId::FaceMeshV2];

fn with(base: &FaceConfig, net: NetId) -> FaceConfig {
    FaceConfig { landmarks: MeshConfig { net, ..base.landmarks.clone() }, ..base.clone() }
}

/// Landmarks of one moment, measured and true.
type Pair = (Timestamp, PerLandmark<Px>, PerLandmark<Px>);

/// Movement from one moment to a later one in the face frame of the first, with the head's motion removed.
fn movement(from: &PerLandmark<Px>, to: &PerLandmark<Px>) -> PerLandmark<Iod> {
    let frame = face_frame(from).unwrap();
    let back = Similarity::fit(RIGID.iter().map(|&i| (to[i], frame.apply(from[i]), 1.0))).unwrap();
    std::array::from_fn(|i| back.apply(to[i]) - frame.apply(from[i]))
}

/// What one network made of several films.
#[derive(Debug, Default, Clone, Copy)]
struct Total {
    events: u32,
    dot: f32,
    square: f32,
    error: f32,
    n: f32,
    jitter: f32,
    jitter_n: f32,
    place: f32,
    places: f32,
    net_ns: u64,
    net_runs: u64,
    ns: u64,
    pictures: u64,
}

impl Total {
    /// Compares what was measured in a film with what was true.
    fn add(&mut self, pairs: &[Pair], script: &Script) {
        let distance = |p: &Pair, t: Timestamp| p.0.ms_since(t).abs();
        let nearest = |t| pairs.iter().min_by(|a, b| distance(a, t).total_cmp(&distance(b, t))).unwrap();
        let end = pairs.last().unwrap().0;
        for e in script.truth().iter().filter(|e| e.class().is_some() && e.offset <= end) {
            let (a, b) = (nearest(e.onset), nearest(e.apex));
            let (measured, truth) = (movement(&a.1, &b.1), movement(&a.2, &b.2));
            self.events += 1;
            for (m, t) in measured[17..].iter().zip(&truth[17..]) {
                self.dot += m.x * t.x + m.y * t.y;
                self.square += t.x * t.x + t.y * t.y;
                self.error += (*m - *t).norm().powi(2);
                self.n += 1.0;
            }
        }
        // Before the first event: movement within 100 ms that is not there.
        let calm: Vec<&Pair> = pairs.iter().filter(|p| (0.2..LEAD_MS / 1e3).contains(&p.0.as_secs())).collect();
        for w in calm.windows(7) {
            let (measured, truth) = (movement(&w[0].1, &w[6].1), movement(&w[0].2, &w[6].2));
            self.jitter += (17..COUNT).map(|i| (measured[i] - truth[i]).norm().powi(2)).sum::<f32>();
            self.jitter_n += (COUNT - 17) as f32;
        }
        for p in pairs {
            self.place += (17..COUNT).map(|i| p.1[i].distance(p.2[i])).sum::<f32>() / iod(&p.2);
            self.places += (COUNT - 17) as f32;
        }
    }

    fn add_work(&mut self, w: FaceWork) {
        self.net_ns += w.net_ns;
        self.net_runs += w.net_runs;
        self.ns += w.net_ns + w.detector_ns + w.lk_ns;
        self.pictures += w.pictures;
    }

    fn row(&self) -> String {
        let ms = |ns: u64, per: u64| ns as f64 / 1e6 / per.max(1) as f64;
        format!(
            "{:6} | {:.3} | {:.2} | {:.2} | {:.3} | {:.1} | {:.2}",
            self.events,
            self.dot / self.square,
            1e3 * (self.error / self.n).sqrt(),
            1e3 * (self.jitter / self.jitter_n).sqrt(),
            self.place / self.places,
            ms(self.net_ns, self.net_runs),
            ms(self.ns, self.pictures)
        )
    }
}

/// Neutral time at the beginning of a film, in ms.
const LEAD_MS: f64 = 1200.0;

/// Ten seconds at 60 frames/s with micro-expressions of the usual strength, blinks and head motion.
fn film(seed: u64) -> SyntheticConfig {
    let script = ScriptConfig {
        lead_ms: LEAD_MS as f32,
        gap_min_ms: 500.0,
        gap_max_ms: 800.0,
        talking: 0.0,
        macros: 0.0,
        ..ScriptConfig::default()
    };
    SyntheticConfig {
        seed,
        fps: 60.0,
        duration: Some(10.0),
        render: Render::Pixels,
        pace: Pace::Fast,
        width: 400,
        height: 420,
        iod: 80.0,
        script,
        ..SyntheticConfig::default()
    }
}

#[test]
#[ignore = "a measurement of minutes, not a test"]
fn the_landmark_networks_compared_by_refined_movement() {
    let base = FaceConfig::default();
    if !NETS.iter().all(|&net| networks(&with(&base, net))) {
        return;
    }
    eprintln!("face | network | events | gain | error | jitter (both 1/1000 IOD) | place (IOD) | ms/run | ms/picture");
    for still in [None, Some(Still::Astronaut), Some(Still::Obama)] {
        let portrait = still.map(|s| {
            let photo = photo(s).expect("the photo");
            // None of the networks is favoured: the portrait has the mean of their landmarks.
            let seen = NETS.map(|net| landmarks(&photo, &with(&base, net)));
            Portrait::from_photo(&photo, &mean(&seen)).unwrap()
        });
        let mut totals = [Total::default(); NETS.len()];
        for seed in 5..8 {
            let mut source = match &portrait {
                Some(p) => film(seed).build_with(p).unwrap(),
                None => film(seed).build().unwrap(),
            };
            // All networks see each picture before the next one comes, so that a busy machine hinders all alike.
            let mut stages = NETS.map(|net| with(&base, net).build(&Store::default(), false).unwrap());
            let mut pairs = NETS.map(|_| Vec::<Pair>::new());
            let (mut frame, mut faces) = (blank_frame(), Vec::new());
            while source.next(&mut frame, Duration::from_secs(1)).unwrap() == Step::Frame {
                let Content::Picture(picture) = &frame.content else { panic!("no picture") };
                for (stage, pairs) in stages.iter_mut().zip(&mut pairs) {
                    stage.process(frame.time, picture, &mut faces).unwrap();
                    if let Some(face) = faces.first() {
                        pairs.push((frame.time, face.landmarks, source.truth()[0]));
                    }
                }
            }
            let script = source.script(0).unwrap();
            for ((total, stage), pairs) in totals.iter_mut().zip(&stages).zip(&pairs) {
                total.add(pairs, script);
                total.add_work(stage.work());
            }
        }
        let name = still.map_or("drawn".to_string(), |s| format!("{s:?}"));
        for (net, total) in NETS.iter().zip(&totals) {
            eprintln!("{name} | {net} | {}", total.row());
        }
    }
}
