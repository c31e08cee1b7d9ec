//! A still face as a film, with movements warped into it.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::follow::Look;
use super::*;
use crate::capture::blank_frame;
use crate::frame::FaceId;
use crate::landmarks;
use crate::synth::light::light_of;
use crate::synth::script::ScriptConfig;
use crate::synth::shape::mean_face;

const IOD: f32 = 50.0;
const CENTRE: Px = Px::new(100.0, 70.0);
const FPS: f64 = 25.0;

/// A film of one picture.
#[derive(Debug)]
struct Still {
    picture: Luma,
    frames: u64,
    next: u64,
}

impl Source for Still {
    fn name(&self) -> String {
        "still".into()
    }
    fn is_live(&self) -> bool {
        false
    }
    fn next(&mut self, frame: &mut Frame, _: Duration) -> Result<Step, CaptureError> {
        if self.next == self.frames {
            return Ok(Step::End);
        }
        frame.content = Content::Picture(self.picture.clone());
        (frame.time, frame.sequence, frame.lost_before) = (Timestamp::from_secs(self.next as f64 / FPS), self.next, 0);
        self.next += 1;
        Ok(Step::Frame)
    }
}

/// Skin-like waves, with a dark mark at each of some landmarks.
fn picture(marks: &[usize], at: &PerLandmark<Px>) -> Luma {
    let mut luma = Luma::new(200, 200);
    for (k, v) in luma.pixels_mut().iter_mut().enumerate() {
        let (x, y) = ((k % 200) as f32, (k / 200) as f32);
        let mut value = 140.0 + 12.0 * (x * 0.9).sin() * (y * 0.8).cos() + 9.0 * (x * 0.23 + y * 0.31).sin();
        for &i in marks {
            let d = (x - at[i].x).hypot(y - at[i].y) / 1.6;
            value -= 70.0 * (-0.5 * d * d).exp();
        }
        *v = value as u8;
    }
    luma
}

fn face() -> PerLandmark<Px> {
    mean_face().map(|p| Px::new(CENTRE.x + IOD * p.x, CENTRE.y + IOD * p.y))
}

/// `wobble` is the jitter of the tracker, in pixels to each side.
fn followed(frames: u64, lost: std::ops::Range<u64>, wobble: f32) -> Followed {
    let look = |k: u64| {
        let wobble = Px::new(if k.is_multiple_of(2) { wobble } else { -wobble }, 0.0);
        let faces = if lost.contains(&k) { vec![] } else { vec![(FaceId(3), face().map(|p| p + wobble))] };
        Look { time: Timestamp::from_secs(k as f64 / FPS), faces }
    };
    Followed::from_looks(&(0..frames).map(look).collect::<Vec<_>>()).unwrap()
}

fn config() -> SyntheticConfig {
    let script = ScriptConfig { macros: 0.0, min_peak: 0.03, lead_ms: 500.0, ..ScriptConfig::default() };
    SyntheticConfig { camera_noise: 0.0, script, seed: 4, ..SyntheticConfig::default() }
}

fn source(picture: Luma, frames: u64, lost: std::ops::Range<u64>) -> ClipSource {
    let film = Box::new(Still { picture, frames, next: 0 });
    ClipSource::new(film, Arc::new(followed(frames, lost, 0.0)), &config()).unwrap()
}

/// Middle of the dark mark near `at`.
fn mark(luma: &Luma, plain: &Luma, at: Px) -> Px {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for j in at.y as i32 - 6..=at.y as i32 + 7 {
        for i in at.x as i32 - 6..=at.x as i32 + 7 {
            let value = |l: &Luma| light_of(l.row(j as u32)[i as usize]);
            let d = (value(plain) - value(luma)).max(0.0);
            (sum, x, y) = (sum + d, x + d * i as f32, y + d * j as f32);
        }
    }
    Px::new(x / sum, y / sum)
}

fn all(mut source: ClipSource) -> Vec<(Timestamp, Luma, Option<PerLandmark<Px>>, bool)> {
    let (mut frame, mut out) = (blank_frame(), Vec::new());
    while source.next(&mut frame, Duration::ZERO).unwrap() == Step::Frame {
        let Content::Picture(p) = &frame.content else { panic!() };
        let acts = !source.activation().units.is_empty();
        out.push((frame.time, p.clone(), source.truth().first().copied(), acts));
    }
    out
}

#[test]
fn what_is_at_a_landmark_moves_as_the_truth_says_and_nothing_moves_in_between() {
    let at = face();
    let marks = [19, 24, 48, 54, 57, 37];
    let with = all(source(picture(&marks, &at), 300, 0..0));
    let without = all(source(picture(&[], &at), 300, 0..0));
    let rest = with[0].2.unwrap();
    let (mut moved, mut largest) = (0, 0.0f32);
    for (a, b) in with.iter().zip(&without) {
        let truth = a.2.unwrap();
        if !a.3 {
            assert_eq!(a.1, with[0].1, "a frame without a movement is as every other one");
            continue;
        }
        moved += 1;
        for i in marks {
            let (seen, said) = (mark(&a.1, &b.1, truth[i]), truth[i]);
            let before = mark(&with[0].1, &without[0].1, rest[i]);
            let error = ((seen - before) - (said - rest[i])).norm();
            largest = largest.max((said - rest[i]).norm());
            // The mark is wide and is stretched a little; measured: up to 0.13 px.
            assert!(error < 0.1 + 0.1 * (said - rest[i]).norm(), "landmark {i} at {:?}: {error}", a.0);
        }
    }
    assert!(moved > 20 && largest > 1.0, "{moved} frames, {largest} px");
}

#[test]
fn an_apex_is_as_sharp_as_a_neutral_frame() {
    let frames = all(source(picture(&[], &face()), 300, 0..0));
    let sharpness = |l: &Luma| {
        let mut sum = 0.0;
        for y in 50..150u32 {
            for w in l.row(y)[60..140].windows(3) {
                sum += (f32::from(w[0]) - 2.0 * f32::from(w[1]) + f32::from(w[2])).powi(2);
            }
        }
        sum
    };
    let neutral = sharpness(&frames[0].1);
    let acting: Vec<f32> = frames.iter().filter(|f| f.3).map(|f| sharpness(&f.1) / neutral).collect();
    let mean = acting.iter().sum::<f32>() / acting.len() as f32;
    assert!((mean - 1.0).abs() < 0.04, "{mean}");
}

#[test]
fn nothing_is_warped_where_the_face_was_not_followed() {
    let whole = source(picture(&[], &face()), 500, 0..0);
    let gappy = source(picture(&[], &face()), 500, 100..300);
    let (from, to) = (Timestamp::from_secs(4.0), Timestamp::from_secs(12.0));
    let inside = |s: &ClipSource| s.script().truth().iter().filter(|e| e.onset < to && e.offset > from).count();
    assert!(inside(&whole) >= 2 && inside(&gappy) == 0);
    assert!(gappy.script().truth().len() < whole.script().truth().len());
    let frames = all(gappy);
    assert!(frames[150].2.is_none() && frames[50].2.is_some());
}

#[test]
fn jitter_of_the_tracker_does_not_shake_the_warp() {
    let f = followed(100, 0..0, 0.25);
    let place = |k: u64| f.at(Timestamp::from_secs(k as f64 / FPS)).unwrap().place;
    let shift = |k: u64| (place(k + 1).tx - place(k).tx).abs();
    assert!((20..80).map(shift).fold(0.0, f32::max) < 0.15, "of 0.5 px");
    assert!((f.iod() - IOD).abs() < 1.0 && (f.seconds() - 4.0).abs() < 0.01 && (f.fps() - FPS).abs() < 0.01);
    assert!(landmarks::iod(&face()) > 40.0);
    assert!(matches!(Followed::from_looks(&[]), Err(FollowError::NoFace(0))));
}
