//! Every source keeps the same promises: times rise, numbers and losses agree, the end stays the end, the
//! picture keeps its size, nothing is lost from files and pipes however slowly they come.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mercam::capture::{CaptureError, LandmarkWriter, Source, SourceSpec, Step, blank_frame};
use mercam::frame::{Content, Face, FaceId, Frame};
use mercam::geometry::{Px, Rect};
use mercam::time::Timestamp;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const WIDTH: u32 = 48;
const HEIGHT: u32 = 36;
const FRAMES: usize = 25;

/// Luma of pixel `i` of frame `k`.
fn value(k: usize, i: usize) -> u8 {
    (i * 7 + k * 31) as u8
}

fn luma(k: usize) -> Vec<u8> {
    (0..(WIDTH * HEIGHT) as usize).map(|i| value(k, i)).collect()
}

/// Luma followed by the chroma of 4:2:0.
fn yuv420(k: usize) -> Vec<u8> {
    let mut bytes = luma(k);
    bytes.resize(bytes.len() * 3 / 2, 128);
    bytes
}

fn y4m() -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F100:1 Ip A1:1 C420jpeg\n").into_bytes();
    for k in 0..FRAMES {
        bytes.extend(b"FRAME\n");
        bytes.extend(yuv420(k));
    }
    bytes
}

fn face(k: usize) -> Face {
    let landmarks = std::array::from_fn(|i| Px::new(i as f32 * 1.37, k as f32 * 0.11));
    Face { id: FaceId(1), bounds: Rect::around(landmarks), landmarks, confidence: [0.5; 68] }
}

fn recording() -> Vec<u8> {
    let mut writer = LandmarkWriter::new(Vec::new(), "test").unwrap();
    let mut sequence = 0;
    for k in 0..FRAMES {
        let lost = if k == 7 { 3 } else { 0 };
        sequence += u64::from(lost);
        writer.write(Timestamp::from_micros(k as i64 * 10_000), sequence, lost, &[face(k)]).unwrap();
        sequence += 1;
    }
    writer.flush().unwrap();
    writer.into_inner()
}

/// All file-like sources with the same twenty-five frames.
fn sources(dir: &Path) -> Vec<String> {
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.join(name), bytes).unwrap();
        dir.join(name).display().to_string()
    };
    let raw: Vec<u8> = (0..FRAMES).flat_map(yuv420).collect();
    let padded: Vec<u8> = (0..FRAMES)
        .flat_map(|k| luma(k).chunks(WIDTH as usize).flat_map(|row| [row, &[0; 16]].concat()).collect::<Vec<_>>())
        .collect();
    let pictures = dir.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for k in 0..FRAMES {
        let picture = image::GrayImage::from_raw(WIDTH, HEIGHT, luma(k)).unwrap();
        picture.save(pictures.join(format!("frame{k}.png"))).unwrap();
    }
    vec![
        format!("y4m:{}", write("a.y4m", &y4m())),
        write("b.y4m", &y4m()),
        format!("raw:{}?format=yuv420&size={WIDTH}x{HEIGHT}&fps=100", write("c.yuv", &raw)),
        format!("raw:{}?format=grey&size={WIDTH}x{HEIGHT}&fps=100&stride={}", write("d.raw", &padded), WIDTH + 16),
        format!("images:{}?fps=100", pictures.display()),
        format!("replay:{}", write("e.jsonl", &recording())),
    ]
}

fn open(spec: &str) -> Box<dyn Source> {
    spec.parse::<SourceSpec>().unwrap().build().unwrap_or_else(|e| panic!("{spec}: {e}"))
}

/// Reads a source to its end and checks what every source promises.
fn comply(source: &mut dyn Source, timeout: Duration) -> Vec<Frame> {
    let name = source.name();
    assert!(!source.is_live(), "{name}");
    let mut frames: Vec<Frame> = Vec::new();
    let mut frame = blank_frame();
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < Duration::from_secs(30), "{name} does not end");
        let asked = Instant::now();
        match source.next(&mut frame, timeout).unwrap_or_else(|e| panic!("{name}: {e}")) {
            Step::Frame => frames.push(frame.clone()),
            Step::Timeout => {
                assert!(asked.elapsed() < timeout + Duration::from_secs(2), "{name} waits too long");
            }
            Step::End => break,
        }
    }
    for _ in 0..3 {
        assert_eq!(source.next(&mut frame, timeout).unwrap(), Step::End, "{name}: the end must stay the end");
    }
    for pair in frames.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert!(b.time > a.time, "{name}: times rise");
        assert_eq!(b.sequence, a.sequence + 1 + u64::from(b.lost_before), "{name}: numbers and losses agree");
        match (&a.content, &b.content) {
            (Content::Picture(a), Content::Picture(b)) => {
                assert_eq!((a.width(), a.height()), (b.width(), b.height()), "{name}: the size is stable");
            }
            (Content::Faces(_), Content::Faces(_)) => {}
            _ => panic!("{name}: pictures and faces are mixed"),
        }
    }
    frames
}

/// The frames are those that were written.
fn check_content(name: &str, frames: &[Frame]) {
    assert_eq!(frames.len(), FRAMES, "{name}");
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!(frame.time.as_micros(), k as i64 * 10_000, "{name}");
        match &frame.content {
            Content::Picture(p) => assert_eq!(p.pixels(), luma(k), "{name}: frame {k}"),
            Content::Faces(f) => assert_eq!(f, &[face(k)], "{name}: frame {k}"),
        }
    }
}

#[test]
fn every_file_source_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    for spec in sources(dir.path()) {
        let frames = comply(&mut *open(&spec), Duration::from_secs(1));
        check_content(&spec, &frames);
        // Not waiting at all brings the same frames: files are always ready.
        assert_eq!(comply(&mut *open(&spec), Duration::ZERO), frames, "{spec}");
    }
}

#[test]
fn the_canonical_form_of_a_source_reads_the_same_frames() {
    let dir = tempfile::tempdir().unwrap();
    for text in sources(dir.path()) {
        let canonical = text.parse::<SourceSpec>().unwrap().to_string();
        check_content(&canonical, &comply(&mut *open(&canonical), Duration::from_secs(1)));
    }
}

#[test]
fn a_frame_s_memory_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    for spec in sources(dir.path()).iter().filter(|s| s.contains("y4m") || s.starts_with("raw")) {
        let mut source = open(spec);
        let mut frame = blank_frame();
        let mut places = std::collections::BTreeSet::new();
        while source.next(&mut frame, Duration::from_secs(1)).unwrap() == Step::Frame {
            let Content::Picture(p) = &frame.content else { panic!("no picture") };
            places.insert(p.pixels().as_ptr());
        }
        assert_eq!(places.len(), 1, "{spec}");
    }
}

/// Opens a named pipe as a source while a thread writes `bytes` into it in pieces.
fn through_a_pipe(spec: &str, bytes: Vec<u8>, piece: usize, pause: Duration) -> Vec<Frame> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let there = path.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(there).unwrap();
        for part in bytes.chunks(piece) {
            pipe.write_all(part).unwrap();
            std::thread::sleep(pause);
        }
    });
    let mut source = open(&spec.replace("PIPE", &path.display().to_string()));
    let frames = comply(&mut *source, Duration::from_millis(3));
    writer.join().unwrap();
    frames
}

#[test]
fn nothing_is_lost_from_a_slow_pipe() {
    let raw: Vec<u8> = (0..FRAMES).flat_map(yuv420).collect();
    let raw_spec = format!("raw:PIPE?format=yuv420&size={WIDTH}x{HEIGHT}&fps=100");
    for (spec, bytes) in [("y4m:PIPE", y4m()), (&raw_spec, raw), ("replay:PIPE", recording())] {
        let frames = through_a_pipe(spec, bytes.clone(), 997, Duration::from_millis(5));
        check_content(spec, &frames);
        let frames = through_a_pipe(spec, bytes, 1 << 20, Duration::ZERO);
        check_content(spec, &frames);
    }
}

#[test]
fn missing_things_are_named_with_the_mend() {
    for (spec, message) in [
        ("y4m:/nowhere/x.y4m", "y4m:/nowhere/x.y4m: there is no such file"),
        ("images:/nowhere", "images:/nowhere"),
        ("replay:/nowhere/x.jsonl", "there is no such file"),
        ("v4l2:/dev/video_none", "there is no such device"),
    ] {
        let e = spec.parse::<SourceSpec>().unwrap().build().err().unwrap();
        assert!(matches!(e, CaptureError::Unavailable { .. }), "{spec}: {e:?}");
        assert!(e.to_string().contains(message), "{e}");
    }
}

/// A camera program that is none: notes its arguments, then writes grey pictures of 64x48 at about 50 frames/s.
fn fake_camera(dir: &Path, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let text = r#"#!/bin/sh
echo "$@" > "$0.arguments"
for word in "$@"; do
  case $before$word in --output*) out=$word ;; location=*) out=${word#location=} ;; esac
  before=; [ "$word" != --output ] || before=--output
done
exec > "$out"
while head -c 4608 /dev/zero; do sleep 0.02; done
"#;
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_camera_on_the_ribbon_connector_comes_through_a_pipe() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/camera-pipe");
    for (kind, program, words) in [
        ("rpicam", "rpicam-vid", "--codec yuv420 --width 64 --height 48 --framerate 50 --denoise cdn_off --flush"),
        ("jetson", "gst-launch-1.0", "width=64,height=48,framerate=50/1 ! nvvidconv ! video/x-raw,format=I420"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fake_camera(dir.path(), program);
        let pipe = dir.path().join("frames");
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        let mut camera = std::process::Command::new(script)
            .args([kind, pipe.to_str().unwrap(), "--gain", "4"])
            .envs([("PATH", path.as_str()), ("MERCAM_WIDTH", "64"), ("MERCAM_HEIGHT", "48"), ("MERCAM_FPS", "50")])
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !pipe.exists() && begin.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let spec: SourceSpec =
            format!("raw:{}?format=yuv420&size=64x48&fps=50&live=true", pipe.display()).parse().unwrap();
        assert!(spec.is_camera());
        let mut source = spec.build().unwrap();
        let mut frame = blank_frame();
        let mut next = |source: &mut dyn Source| loop {
            match source.next(&mut frame, Duration::from_millis(200)) {
                Ok(Step::Timeout) => assert!(begin.elapsed() < Duration::from_secs(60), "{kind}: nothing comes"),
                Ok(Step::Frame) => break Some((frame.time, frame.sequence)),
                // Cut in the middle of a picture, or between two.
                Ok(Step::End) | Err(_) => break None,
            }
        };
        let seen: Vec<_> = (0..10).filter_map(|_| next(source.as_mut())).collect();
        assert!(seen.len() == 10 && seen.windows(2).all(|w| w[1].0 > w[0].0 && w[1].1 > w[0].1), "{kind}: {seen:?}");
        camera.kill().unwrap();
        camera.wait().unwrap();
        while next(source.as_mut()).is_some() {}
        let arguments = std::fs::read_to_string(dir.path().join(format!("{program}.arguments"))).unwrap();
        assert!(arguments.contains(words) && arguments.contains("--gain 4"), "{kind}: {arguments}");
    }
}
