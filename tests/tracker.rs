//! The tracker against generated faces with exact truth. `cargo test --test tracker -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod tracker_support;

use mercam::face::stage::{FaceConfig, FaceStage};
use mercam::frame::{Face, Luma};
use mercam::geometry::Px;
use mercam::landmarks::{COUNT, PerLandmark};
use mercam::time::Timestamp;
use tracker_support::*;

const SIZE: u32 = 300;
const NOISE: f32 = 2.0;

struct Rig {
    face: FacePicture,
    stage: FaceStage,
    world: Shared,
    random: Random,
    faces: Vec<Face>,
    time: Timestamp,
    size: (u32, u32),
}

impl Rig {
    fn new(config: &FaceConfig, jitter: f32, bias: f32) -> Self {
        let world = Shared::default();
        let net = FakeNet { world: world.clone(), jitter, bias, random: Random(99) };
        let stage = config.build(Box::new(FakeDetector(world.clone())), Box::new(net), false).unwrap();
        Self {
            face: FacePicture::new(3),
            stage,
            world,
            random: Random(0xACE1),
            faces: Vec::new(),
            time: Timestamp::default(),
            size: (SIZE, SIZE),
        }
    }

    /// One frame `ms` later; returns the first face.
    fn step(&mut self, poses: &[Pose], ms: f64) -> Option<Face> {
        self.time = self.time.plus_ms(ms);
        let picture = match poses {
            [one] => self.face.render(one, self.size.0, self.size.1, NOISE, &mut self.random),
            _ => panic!("use show() for several faces"),
        };
        self.show(&picture, poses.iter().filter(|p| p.present).map(Pose::truth).collect())
    }

    fn show(&mut self, picture: &Luma, truth: Vec<PerLandmark<Px>>) -> Option<Face> {
        self.world.lock().unwrap().truth = truth;
        self.stage.process(self.time, picture, &mut self.faces).unwrap();
        self.faces.first().cloned()
    }
}

/// The networks look at the start only.
fn lk_only() -> FaceConfig {
    FaceConfig { anchor_ms: 1e5, detect_ms: 1e5, max_faces: 1, ..FaceConfig::default() }
}

fn still() -> Pose {
    Pose::at(150.0, 100.0, 80.0)
}

fn rms(values: impl Iterator<Item = f32>) -> f32 {
    let (mut sum, mut n) = (0.0, 0);
    for v in values {
        sum += v * v;
        n += 1;
    }
    (sum / n.max(1) as f32).sqrt()
}

const REGIONS: [(&str, std::ops::Range<usize>); 6] = [
    ("brows", 17..27),
    ("nose", 27..36),
    ("eyes", 36..48),
    ("outer lip", 48..60),
    ("inner lip", 60..68),
    ("all", 17..68),
];

/// 2-D errors of landmarks `range` in RMS pixels.
fn error(face: &Face, truth: &PerLandmark<Px>, range: std::ops::Range<usize>) -> f32 {
    rms(range.map(|i| face.landmarks[i].distance(truth[i])))
}

/// Root mean square, over landmarks 17 to 67, of the distances between two frames' landmarks.
fn apart(a: &PerLandmark<Px>, b: &PerLandmark<Px>) -> f32 {
    rms((17..COUNT).map(|i| a[i].distance(b[i])))
}

#[test]
fn a_still_face_jitters_by_less_than_a_twentieth_of_a_pixel() {
    for iod in [50.0f32, 80.0, 104.0] {
        let mut rig = Rig::new(&lk_only(), 0.0, 0.0);
        let pose = Pose { iod, ..still() };
        let frames: Vec<Face> = (0..20).filter_map(|_| rig.step(std::slice::from_ref(&pose), 10.0)).skip(1).collect();
        let mean: PerLandmark<Px> = std::array::from_fn(|i| Px::mean(frames.iter().map(|f| f.landmarks[i])));
        for (name, range) in REGIONS {
            let each = |i: usize| rms(frames.iter().map(|f| f.landmarks[i].distance(mean[i])));
            let all = rms(range.clone().map(each)) / 2f32.sqrt();
            let mut sorted: Vec<f32> = range.clone().map(each).collect();
            sorted.sort_by(f32::total_cmp);
            let (median, p90) = (sorted[sorted.len() / 2], sorted[sorted.len() * 9 / 10]);
            let confidence = frames.iter().map(|f| f.confidence[range.clone()].iter().sum::<f32>()).sum::<f32>()
                / (frames.len() * range.len()) as f32;
            println!(
                "still face, IOD {iod:3}, {name:9} jitter per axis {all:.3} px RMS; 2-D median landmark {median:.3}, \
                 p90 {p90:.3}; confidence {confidence:.2}"
            );
            if name == "all" {
                assert!(all < 0.05 && median < 0.05, "IOD {iod}: {all} per axis, median landmark {median}");
            }
            assert!(confidence > 0.6, "IOD {iod}, {name}: {confidence}");
        }
    }
}

#[test]
fn a_local_movement_of_one_pixel_arrives() {
    for sigma in [0.12f32, 0.2] {
        let mut sum = [(0.0, 0usize); 6];
        for start in 0..3 {
            let mut rig = Rig::new(&lk_only(), 0.0, 0.0);
            let mut base = still();
            base.origin[0] += 0.37 * start as f32;
            let reference = rig.step(&[base.clone()], 10.0).unwrap();
            for i in (17 + 2 * start..COUNT).step_by(6) {
                // the bridge of the nose is bone: its landmarks have a wide window
                if (27..=30).contains(&i) {
                    continue;
                }
                let angle = i as f32 * 2.4;
                let shift = [angle.cos() / base.iod, angle.sin() / base.iod];
                let moved = Pose { local: vec![Local { at: shape()[i], sigma, shift }], ..base.clone() };
                let face = rig.step(&[moved], 10.0).unwrap();
                let d = face.landmarks[i] - reference.landmarks[i];
                let gain = (d.x * shift[0] + d.y * shift[1]) * base.iod;
                assert!(face.confidence[i] > 0.3, "landmark {i}: confidence {}", face.confidence[i]);
                for (k, (_, range)) in REGIONS.iter().enumerate() {
                    if range.contains(&i) {
                        sum[k] = (sum[k].0 + gain, sum[k].1 + 1);
                    }
                }
            }
        }
        for ((name, _), (gain, n)) in REGIONS.iter().zip(sum) {
            let gain = gain / n as f32;
            println!("local movement of 1 px, field of {sigma} IOD, {name:9} gain {gain:.3} ({n} landmarks)");
            assert!(gain > 0.75 && gain < 1.1, "{name}: {gain}");
        }
    }
}

/// Plain Lucas-Kanade on raw luma, for contrast: forward additive, flat window, no brightness model.
fn raw_lk(key: &Luma, now: &Luma, at: Px, half: i32) -> Option<Px> {
    let value = |p: &Luma, x: f32, y: f32| {
        let (xf, yf) = (x.floor(), y.floor());
        let at = |x: i32, y: i32| f32::from(p.row(y as u32)[x as usize]);
        let (i, j, u, v) = (xf as i32, yf as i32, x - xf, y - yf);
        (at(i, j) * (1.0 - u) + at(i + 1, j) * u) * (1.0 - v) + (at(i, j + 1) * (1.0 - u) + at(i + 1, j + 1) * u) * v
    };
    let mut p = at;
    for _ in 0..20 {
        let (mut xx, mut xy, mut yy, mut bx, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for dy in -half..=half {
            for dx in -half..=half {
                let (x, y) = (p.x + dx as f32, p.y + dy as f32);
                let gx = (value(now, x + 1.0, y) - value(now, x - 1.0, y)) / 2.0;
                let gy = (value(now, x, y + 1.0) - value(now, x, y - 1.0)) / 2.0;
                let e = value(key, at.x + dx as f32, at.y + dy as f32) - value(now, x, y);
                (xx, xy, yy) = (xx + gx * gx, xy + gx * gy, yy + gy * gy);
                (bx, by) = (bx + gx * e, by + gy * e);
            }
        }
        let d = xx * yy - xy * xy;
        if d < 1.0 {
            return None;
        }
        p += Px::new((yy * bx - xy * by) / d, (xx * by - xy * bx) / d);
        if p.distance(at) > 8.0 {
            return Some(at + (p - at) * (8.0 / p.distance(at)));
        }
    }
    Some(p)
}

#[test]
fn a_brightness_step_moves_nothing() {
    let mut rig = Rig::new(&lk_only(), 0.0, 0.0);
    let base = still();
    let key = rig.face.render(&base, SIZE, SIZE, NOISE, &mut rig.random);
    let reference = {
        rig.time = rig.time.plus_ms(10.0);
        rig.show(&key, vec![base.truth()]).unwrap()
    };
    let mut plain = f32::NAN;
    for (gain, offset) in [(1.0, 0.0), (1.02, 0.0), (1.05, 0.0), (1.15, 0.0), (1.0, 10.0), (0.85, 0.0)] {
        let pose = Pose { gain, offset, ..base.clone() };
        let mut moved = Vec::new();
        let mut raw = Vec::new();
        for _ in 0..3 {
            let picture = rig.face.render(&pose, SIZE, SIZE, NOISE, &mut rig.random);
            rig.time = rig.time.plus_ms(10.0);
            let face = rig.show(&picture, vec![base.truth()]).unwrap();
            moved.push(apart(&face.landmarks, &reference.landmarks));
            raw.push(rms((17..COUNT).filter_map(|i| {
                raw_lk(&key, &picture, reference.landmarks[i], 9).map(|p| p.distance(reference.landmarks[i]))
            })));
        }
        let (moved, raw) = (rms(moved.into_iter()), rms(raw.into_iter()));
        println!("light x {gain} + {offset}: landmarks move {moved:.3} px RMS (2-D); raw-luma LK {raw:.3}");
        if plain.is_nan() {
            plain = moved;
        }
        // in less light the same noise is more against what is seen
        assert!(moved < plain / gain.min(1.0) + 0.02, "{moved} instead of {plain}");
        if gain == 1.05 {
            assert!(raw > 5.0 * moved, "raw luma: {raw}");
        }
    }
}

#[test]
fn a_jittering_network_makes_no_step() {
    // the same pictures, with and without looks of the network: what differs is what the network did
    let config = FaceConfig { max_faces: 1, anchor_ms: 100.0, ..FaceConfig::default() };
    let (mut with, mut without) = (Rig::new(&config, 0.5, 1.0), Rig::new(&lk_only(), 0.0, 1.0));
    let mut before: Option<PerLandmark<Px>> = None;
    let (mut worst, mut last) = (0.0f32, 0.0);
    for k in 0..60 {
        let mut pose = still();
        pose.origin[0] += (k as f32 * 0.1).sin() * 3.0;
        let picture = with.face.render(&pose, SIZE, SIZE, NOISE, &mut with.random);
        (with.time, without.time) = (with.time.plus_ms(33.3), without.time.plus_ms(33.3));
        let a = with.show(&picture, vec![pose.truth()]).unwrap();
        let b = without.show(&picture, vec![pose.truth()]).unwrap();
        let difference: PerLandmark<Px> = std::array::from_fn(|i| a.landmarks[i] - b.landmarks[i]);
        if let Some(before) = before {
            worst = (17..COUNT).map(|i| difference[i].distance(before[i])).fold(worst, f32::max);
        }
        last = (17..COUNT).map(|i| difference[i].norm()).fold(0.0, f32::max);
        before = Some(difference);
    }
    let looks = with.world.lock().unwrap().looks;
    println!(
        "{looks} looks with 0.5 px jitter in 2 s: largest step {worst:.4} px, largest difference at the end {last:.3}"
    );
    assert!(looks >= 15 && worst < 0.05 && last < 1.0);
    assert!(worst > 0.0, "the looks did nothing at all");
}

#[test]
fn the_network_pulls_back_a_drifted_face() {
    // the network sees the face 2 px further right than the tracker was started: slowly, the landmarks go there
    let config = FaceConfig { max_faces: 1, anchor_ms: 100.0, ..FaceConfig::default() };
    let mut rig = Rig::new(&config, 0.0, 0.0);
    let pose = still();
    let picture = rig.face.render(&pose, SIZE, SIZE, NOISE, &mut rig.random);
    let truth = pose.truth();
    let face = rig.show(&picture, vec![truth]).unwrap();
    let start = apart(&face.landmarks, &truth);
    let wanted = truth.map(|p| p + Px::new(2.0, 0.0));
    let mut before = face.landmarks;
    for _ in 0..240 {
        rig.time = rig.time.plus_ms(33.3);
        let face = rig.show(&picture, vec![wanted]).unwrap();
        assert!(apart(&face.landmarks, &before) < 0.05);
        before = face.landmarks;
    }
    let end = apart(&before, &wanted);
    println!("2 px drift: {start:.2} px before, {end:.2} px from the network's face after 8 s");
    assert!(start < 0.01 && end < 0.7);
}

struct Course {
    /// RMS step of the errors in frames in which the key picture changed, and in the others.
    steps_at_changes: f32,
    steps_else: f32,
    error: f32,
    worst_step: f32,
    found: f32,
    keys: u64,
}

/// Follows a course of poses; error and step of the error of the landmarks that are trusted.
fn follow(name: &str, frames: usize, ms: f64, pose: impl Fn(f32) -> Pose) -> Course {
    let mut rig = Rig::new(&lk_only(), 0.0, 0.0);
    let (mut errors, mut steps, mut found) = (Vec::new(), Vec::new(), 0.0);
    let mut before: Option<(Face, PerLandmark<Px>)> = None;
    let (mut at_changes, mut elsewhere): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
    let (mut changes, mut changed) = (0, false);
    for k in 0..frames {
        let p = pose(k as f32 * ms as f32 / 1000.0);
        let truth = p.truth();
        let Some(face) = rig.step(&[p], ms) else { continue };
        errors.push(error(&face, &truth, 17..COUNT));
        found += face.confidence[17..].iter().filter(|&&c| c > 0.3).count() as f32 / 51.0;
        if let Some((old, was)) = &before {
            // a new key picture is taken at the end of a frame: its effect shows in the next one
            let (now, begin) = (rig.stage.work().key_changes, steps.len());
            for i in (17..COUNT).filter(|&i| face.confidence[i] > 0.3 && old.confidence[i] > 0.3) {
                // the change of the error
                steps.push(((face.landmarks[i] - truth[i]) - (old.landmarks[i] - was[i])).norm());
            }
            if changed {
                at_changes.extend(&steps[begin..])
            } else {
                elsewhere.extend(&steps[begin..])
            }
            changed = now > changes;
            changes = now;
        }
        before = Some((face, truth));
    }
    let work = rig.stage.work();
    steps.sort_by(f32::total_cmp);
    let course = Course {
        steps_at_changes: rms(at_changes.into_iter()),
        steps_else: rms(elsewhere.into_iter()),
        error: rms(errors.iter().copied()),
        worst_step: steps.get(steps.len() * 99 / 100).copied().unwrap_or(f32::NAN),
        found: found / frames as f32,
        keys: work.key_changes,
    };
    println!(
        "{name:32} error {:.3} px RMS (2-D), at the end {:.3}; step of the error p50 {:.3} p99 {:.3} max {:.3}; \
         trusted {:.2}, key changes {}",
        course.error,
        errors.last().unwrap(),
        steps[steps.len() / 2],
        course.worst_step,
        steps.last().unwrap(),
        course.found,
        course.keys
    );
    course
}

#[test]
fn head_motion_is_followed() {
    for speed in [1.0f32, 3.0, 6.0] {
        let c = follow(&format!("shift of {speed} px/frame"), 14, 33.3, |t| {
            let mut p = still();
            p.origin[0] += -30.0 + speed * (t * 30.0);
            p.origin[1] += 0.4 * speed * (t * 30.0);
            p
        });
        assert!(c.error < 0.12 && c.found > 0.95, "{speed}");
    }
    let c = follow("roll of 4 degrees/s", 60, 50.0, |t| Pose { roll_deg: 4.0 * t - 6.0, ..still() });
    assert!(c.error < 0.12 && c.found > 0.95);
    let c = follow("roll of 20 degrees/s", 24, 33.3, |t| Pose { roll_deg: 20.0 * t - 8.0, ..still() });
    assert!(c.error < 0.15 && c.found > 0.95);
    let c = follow("nearer by 15 %/s", 40, 50.0, |t| Pose { iod: 70.0 * (1.0 + 0.15 * t), ..still() });
    assert!(c.error < 0.15 && c.found > 0.95);
    let c = follow("turn to cos 0.85 and back", 60, 50.0, |t| Pose {
        squeeze: 1.0 - 0.15 * (t * std::f32::consts::PI / 3.0).sin().powi(2),
        ..still()
    });
    assert!(c.error < 0.25 && c.found > 0.9);
}

#[test]
fn a_change_of_key_pictures_makes_no_step() {
    // near enough for new key pictures on the way, and back to where the first one serves again
    let c = follow("nearer by half and back", 80, 40.0, |t| Pose {
        iod: 60.0 * (1.0 + 0.5 * (t * std::f32::consts::PI / 3.2).sin().powi(2)),
        ..still()
    });
    assert!(c.keys >= 2, "{} key changes", c.keys);
    assert!(c.error < 0.3 && c.found > 0.95);
    println!("step of the error at a change of key {:.3} px RMS (2-D), else {:.3}", c.steps_at_changes, c.steps_else);
    assert!(c.steps_at_changes > 0.0 && c.steps_at_changes < c.steps_else + 0.05);
    let c = follow("turn to cos 0.6 and back", 80, 40.0, |t| Pose {
        squeeze: 1.0 - 0.4 * (t * std::f32::consts::PI / 3.2).sin().powi(2),
        ..still()
    });
    assert!(c.error < 0.6 && c.found > 0.85);
}

#[test]
fn a_hidden_mouth_is_not_trusted_and_comes_back_without_a_false_movement() {
    let mut rig = Rig::new(&lk_only(), 0.0, 0.0);
    let (mut hidden, mut after, mut others) = (Vec::new(), Vec::new(), 0.0f32);
    let mut previous: Option<Face> = None;
    for k in 0..45 {
        let mut pose = still();
        pose.origin[0] += k as f32 * 0.3;
        let covers = (8..23).contains(&k);
        if covers {
            pose.hidden = Some([90.0, 175.0, 230.0, 260.0]);
        }
        let truth = pose.truth();
        let face = rig.step(&[pose], 33.3).unwrap();
        let mouth = face.confidence[48..].iter().sum::<f32>() / 20.0;
        if covers && k > 8 {
            hidden.push(mouth);
            others = others.max(error(&face, &truth, 17..48));
        } else if k > 35 {
            after.push(mouth);
        }
        for i in 17..COUNT {
            if face.confidence[i] > 0.2 {
                assert!(face.landmarks[i].distance(truth[i]) < 1.2, "frame {k} landmark {i} is off and trusted");
            }
            assert!(face.landmarks[i].distance(truth[i]) < 8.0, "frame {k} landmark {i} has run away");
        }
        previous = Some(face);
    }
    assert_eq!(previous.unwrap().id.0, 0);
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    println!(
        "hidden mouth: its mean confidence {:.3} while hidden, {:.2} afterwards; error of the others {others:.3} px",
        mean(&hidden),
        mean(&after)
    );
    assert!(mean(&hidden) < 0.05 && mean(&after) > 0.7 && others < 0.3);
}

#[test]
fn a_face_that_leaves_and_returns_keeps_its_id_for_a_second() {
    let config = FaceConfig { max_faces: 2, ..FaceConfig::default() };
    for (away_ms, same) in [(600.0, true), (2000.0, false)] {
        let mut rig = Rig::new(&config, 0.3, 0.0);
        let pose = still();
        let gone = Pose { present: false, ..still() };
        let mut id = None;
        for _ in 0..10 {
            id = rig.step(std::slice::from_ref(&pose), 40.0).map(|f| f.id);
        }
        let id = id.expect("found");
        let mut seen_while_gone = 0;
        for k in 0..(away_ms / 40.0) as usize {
            let there = rig.step(std::slice::from_ref(&gone), 40.0).is_some();
            seen_while_gone += usize::from(there && k > 3);
        }
        assert_eq!(seen_while_gone, 0, "a face that is not there");
        let mut back = Vec::new();
        for _ in 0..15 {
            back.extend(rig.step(std::slice::from_ref(&pose), 40.0));
        }
        assert!(back.len() >= 10, "found again in {} of 15 frames", back.len());
        assert!(back.iter().all(|f| (f.id == id) == same), "away {away_ms} ms: {:?} then {:?}", id, back[0].id);
        if same {
            let first = &back[0];
            assert!(first.confidence[17..].iter().all(|&c| c == 0.0), "the jump back counts as movement");
        }
        let last = back.last().unwrap();
        assert!(last.confidence[17..].iter().sum::<f32>() > 40.0);
    }
}

#[test]
fn several_faces_have_their_own_ids_and_the_networks_run_rarely() {
    let config = FaceConfig::default();
    let mut rig = Rig::new(&config, 0.2, 0.0);
    let (w, h) = (420, 210);
    let mut seen = Vec::new();
    for k in 0..30 {
        let shift = k as f32 * 0.8;
        let (left, right) = (Pose::at(90.0 + shift, 70.0, 54.0), Pose::at(310.0 - shift, 70.0, 60.0));
        let a = rig.face.render(&left, w, h, NOISE, &mut rig.random);
        let b = rig.face.render(&right, w, h, NOISE, &mut rig.random);
        let mut picture = Luma::new(w, h);
        for y in 0..h {
            for x in 0..w {
                let from = if x < w / 2 { &a } else { &b };
                picture.pixels_mut()[(y * w + x) as usize] = from.row(y)[x as usize];
            }
        }
        rig.time = rig.time.plus_ms(33.3);
        let truth = vec![left.truth(), right.truth()];
        rig.show(&picture, truth.clone());
        assert_eq!(rig.faces.len(), 2, "frame {k}");
        for face in &rig.faces {
            let nearest = truth.iter().map(|t| error(face, t, 17..COUNT)).fold(f32::MAX, f32::min);
            assert!(nearest < 0.5, "frame {k}: {nearest}");
        }
        seen.push([rig.faces[0].id, rig.faces[1].id]);
    }
    assert!(seen.iter().all(|ids| *ids == seen[0]) && seen[0][0] != seen[0][1]);
    let work = rig.stage.work();
    println!("1 s of two faces: {work:?}");
    // two looks each at the start, then each face every 250 ms
    assert!(work.detector_runs <= 2 && work.net_runs <= 4 + 8 && work.lk_runs == 58 && work.lost == 0);
}

#[test]
fn two_faces_that_cross_keep_their_ids() {
    let mut rig = Rig::new(&FaceConfig::default(), 0.2, 0.0);
    let (other, (w, h), iod) = (FacePicture::new(11), (440, 180), 42.0f32);
    let (mut ids, mut lost) = (Vec::new(), 0);
    for k in 0..100 {
        // one walks to the right before the other, who walks to the left and is hidden for a while
        let way = 2.5 * k as f32;
        let (front, behind) = (Pose::at(95.0 + way, 68.0, iod), Pose::at(345.0 - way, 64.0, iod));
        let a = rig.face.render(&front, w, h, NOISE, &mut rig.random);
        let mut picture = other.render(&behind, w, h, NOISE, &mut rig.random);
        for y in 0..h {
            for x in 0..w {
                let (u, v) = ((x as f32 - front.origin[0]) / iod, (y as f32 - front.origin[1]) / iod - 0.35);
                if (u / 1.25).hypot(v / 1.55) < 1.0 {
                    picture.pixels_mut()[(y * w + x) as usize] = a.row(y)[x as usize];
                }
            }
        }
        let apart = (front.origin[0] - behind.origin[0]).abs() / iod;
        let seen = if apart < 1.3 { vec![front.truth()] } else { vec![front.truth(), behind.truth()] };
        rig.time = rig.time.plus_ms(33.3);
        rig.show(&picture, seen);
        let id_at = |truth: &PerLandmark<Px>| rig.faces.iter().find(|f| error(f, truth, 17..COUNT) < 4.0).map(|f| f.id);
        let (a, b) = (id_at(&front.truth()), id_at(&behind.truth()));
        lost += usize::from(a.is_none());
        if apart > 3.2 {
            ids.push((k < 50, a, b));
        }
    }
    let before: Vec<_> = ids.iter().filter(|i| i.0 && i.1.is_some() && i.2.is_some()).collect();
    let after: Vec<_> = ids.iter().filter(|i| !i.0 && i.1.is_some() && i.2.is_some()).collect();
    println!("crossing: seen apart in {} and {} frames, the one in front lost in {lost}", before.len(), after.len());
    assert!(before.len() >= 10 && after.len() >= 10 && lost <= 2);
    assert!(before[0].1 != before[0].2);
    assert!(ids.iter().all(|i| i.1.is_none_or(|a| Some(a) == before[0].1)), "the one in front");
    assert!(ids.iter().all(|i| i.2.is_none_or(|b| Some(b) == before[0].2)), "the one behind");
}

#[test]
fn absurd_input_is_survived() {
    let config = FaceConfig::default();
    let mut rig = Rig::new(&config, 0.0, 0.0);
    let pose = still();
    for _ in 0..3 {
        rig.step(std::slice::from_ref(&pose), 33.0);
    }
    assert_eq!(rig.faces.len(), 1);
    // an empty picture, another size, time that goes back, time that leaps, a black picture
    rig.show(&Luma::default(), vec![]);
    assert!(rig.faces.is_empty());
    rig.time = rig.time.plus_ms(33.0);
    rig.show(&Luma::new(37, 19), vec![pose.truth()]);
    rig.time = Timestamp::from_micros(-5);
    rig.show(&Luma::new(300, 300), vec![]);
    rig.time = Timestamp::from_micros(i64::MAX);
    rig.show(&Luma::new(300, 300), vec![pose.truth().map(|_| Px::new(f32::NAN, 0.0))]);
    rig.time = Timestamp::from_micros(i64::MIN);
    rig.show(&Luma::new(1, 1), vec![pose.truth().map(|p| Px::new(p.x * 1e30, p.y))]);
    let mut ids = Vec::new();
    rig.time = Timestamp::default();
    for _ in 0..3 {
        ids.extend(rig.step(std::slice::from_ref(&pose), 33.0).map(|f| f.id));
    }
    assert!(!ids.is_empty(), "a face is found again afterwards");
}
