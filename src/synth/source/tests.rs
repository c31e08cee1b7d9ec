//! The source as a consumer sees it.
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

#[test]
fn settings_at_their_limits_still_give_frames() {
    let lively = ScriptConfig { gap_min_ms: 200.0, gap_max_ms: 200.0, lead_ms: 0.0, ..ScriptConfig::default() };
    for (width, height, iod, faces) in [(64, 64, 200.0, 1), (64, 300, 20.0, 3), (301, 64, 20.0, 1), (65, 67, 33.3, 2)] {
        for render in [Render::Landmarks, Render::Pixels] {
            let config = SyntheticConfig {
                width,
                height,
                iod,
                faces,
                render,
                motion: 3.0,
                drop: 0.9,
                fps: 11.0,
                duration: Some(3.0),
                camera_noise: 50.0,
                script: lively,
                ..fast()
            };
            for frame in collect(&config) {
                match frame.content {
                    Content::Picture(luma) => assert_eq!((luma.width(), luma.height()), (width, height)),
                    Content::Faces(found) => assert_eq!(found.len(), faces as usize),
                }
            }
        }
    }
}
