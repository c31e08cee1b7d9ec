//! The real films and pictures come out of their packages as the other tests expect them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{Clip, Still};
use mercam::capture::{SourceSpec, Step, blank_frame};
use mercam::frame::Content;
use std::path::Path;
use std::time::Duration;

/// Number of frames, size, time of the last frame in microseconds, mean of the last picture.
fn read(source: &str) -> (usize, u32, u32, i64, f64) {
    let mut source = source.parse::<SourceSpec>().unwrap().build().unwrap();
    let mut frame = blank_frame();
    let mut frames = 0;
    while source.next(&mut frame, Duration::from_secs(5)).unwrap() == Step::Frame {
        frames += 1;
    }
    let Content::Picture(p) = &frame.content else { panic!("no picture") };
    let mean = p.pixels().iter().map(|&v| f64::from(v)).sum::<f64>() / p.pixels().len() as f64;
    (frames, p.width(), p.height(), frame.time.as_micros(), mean)
}

fn y4m(path: &Path) -> (usize, u32, u32, i64, f64) {
    read(&format!("y4m:{}", path.display()))
}

#[test]
fn films_have_the_frames_that_their_length_promises() {
    // The two with a variable rate may come out one frame longer or shorter, as ffmpeg's versions differ.
    for (clip, start, seconds, frames, slack, width, height, interval_us) in [
        (Clip::Franck, 10.0, 2.0, 48, 0, 360, 288, 1e6 / 24.0),
        (Clip::Cap12, 0.0, 1.0, 25, 0, 400, 300, 1e6 / 25.0),
        (Clip::Cap13, 0.0, 1.0, 25, 0, 400, 300, 1e6 / 25.0),
        (Clip::SingleFace, 0.0, 60.0, 72, 0, 640, 360, 1e6 / 30.0),
        (Clip::FaceLeaves, 0.0, 1.0, 30, 1, 960, 540, 1e6 / 30.0),
        (Clip::FaceComes, 0.0, 1.0, 30, 1, 960, 540, 1e6 / 30.0),
        (Clip::NoFace, 0.0, 1.0, 24, 0, 960, 540, 1e6 / 24.0),
        (Clip::Langer, 0.0, 1.0, 24, 0, 640, 360, 1001e6 / 24000.0),
    ] {
        let Some(path) = clip.y4m(start, seconds) else { return };
        let (n, w, h, last, mean) = y4m(&path);
        assert!(n.abs_diff(frames) <= slack, "{clip:?}: {n} frames");
        assert_eq!((w, h), (width, height), "{clip:?}");
        assert_eq!(last, ((n - 1) as f64 * interval_us).round() as i64, "{clip:?}");
        assert!((16.0..236.0).contains(&mean), "{clip:?}: mean {mean}");
    }
}

#[test]
fn stills_are_readable_pictures() {
    for (still, width, height) in [
        (Still::Astronaut, 512, 512),
        (Still::Obama, 910, 1137),
        (Still::Biden, 970, 2204),
        (Still::Solvay, 1666, 1136),
        (Still::MultiFace, 1000, 667),
    ] {
        let Some(path) = still.path() else { return };
        let alone = tempfile::tempdir().unwrap();
        std::fs::copy(&path, alone.path().join(path.file_name().unwrap())).unwrap();
        let (n, w, h, _, _) = read(&format!("images:{}?fps=1", alone.path().display()));
        assert_eq!((n, w, h), (1, width, height), "{still:?}");
    }
}
