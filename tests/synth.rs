//! `mercam synth` as it is called: what it writes is a source and a truth that fit together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn mercam(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mercam"));
    command.args(args).env_remove("MERCAM_CONFIG").current_dir(folder).output().unwrap()
}

#[track_caller]
fn good(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(out: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert!(said.contains(word) && !said.contains("panicked"), "{said}");
}

const SMALL: [&str; 10] =
    ["--fps", "30", "--duration", "4s", "--set", "width=160", "--set", "height=160", "--set", "iod=40"];

/// A micro-expression within the first seconds.
const SOON: [&str; 8] = [
    "--set",
    "script.lead_ms=500",
    "--set",
    "script.gap_min_ms=300",
    "--set",
    "script.gap_max_ms=400",
    "--set",
    "script.macros=0",
];

#[test]
fn video_and_truth_have_the_same_frames_and_one_seed_makes_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let make = |name: &str, seed: &str| {
        let args =
            [&["synth", "--out", name, "--seed", seed, "--set", "camera.jpeg=80"], &SMALL[..], &SOON[..]].concat();
        assert!(good(&mercam(&args, at)).contains("120 frames"));
        std::fs::read(at.join(name)).unwrap()
    };
    let (a, b, c) = (make("a.y4m", "3"), make("b.y4m", "3"), make("c.y4m", "4"));
    assert!(a == b && a != c);
    assert!(a.starts_with(b"YUV4MPEG2 W160 H160 F30:1 "));
    let truth: Value = serde_json::from_slice(&std::fs::read(at.join("a.truth.json")).unwrap()).unwrap();
    assert_eq!((&truth["mercam"], &truth["seconds"], &truth["iod"]), (&"truth".into(), &4.0.into(), &40.0.into()));
    let frames = truth["frames"].as_array().unwrap();
    assert_eq!((frames.len(), frames[119]["us"].as_i64()), (120, Some(3_966_667)));
    assert_eq!(frames[0]["landmarks"][0].as_array().unwrap().len(), 68);
    let micro = truth["events"].as_array().unwrap().iter().find(|e| e["kind"] == "micro").expect("a micro-expression");
    // What acts in the frame at the apex is what the event says.
    let apex = micro["apex"].as_i64().unwrap();
    let frame = frames.iter().min_by_key(|f| (f["us"].as_i64().unwrap() - apex).abs()).unwrap();
    let (au, right) = (&micro["units"][0]["au"], micro["units"][0]["right"].as_f64().unwrap());
    assert_eq!(frame["units"][0][0], *au);
    assert!((frame["units"][0][1].as_f64().unwrap() - right).abs() < 0.3 * right.max(0.01), "{frame}");
    assert!(std::fs::read_dir(at).unwrap().all(|e| !e.unwrap().path().to_string_lossy().ends_with(".part")));
    // The truth is what `evaluate` reads: without detections nothing is found.
    std::fs::write(at.join("none.jsonl"), "").unwrap();
    let args = ["evaluate", "--truth", "a.truth.json", "--detections", "none.jsonl", "--json", "-"];
    let report: Value = serde_json::from_str(&good(&mercam(&args, at))).unwrap();
    assert!(report["micro"]["truth"].as_u64().unwrap() >= 1 && report["micro"]["recall"] == 0.0);
}

#[test]
fn landmarks_lost_frames_and_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let args = [&["synth", "--out", "a.jsonl", "--face", "landmarks", "--set", "drop=0.2"], &SMALL[..]].concat();
    good(&mercam(&args, at));
    let lines = std::fs::read_to_string(at.join("a.jsonl")).unwrap();
    assert!((80..118).contains(&lines.lines().count()), "{}", lines.lines().count());
    good(&mercam(&["evaluate", "--truth", "a.truth.json", "--source", "replay:a.jsonl"], at));
    // In a video file a lost frame is a repeat of the one before.
    let args = [&["synth", "--out", "-", "--truth", "b.json", "--set", "drop=0.2"], &SMALL[..]].concat();
    let out = mercam(&args, at);
    assert!(out.status.success());
    assert!(out.stdout.len() > 110 * (160 * 160 + 6), "{}", out.stdout.len());
    let truth: Value = serde_json::from_slice(&std::fs::read(at.join("b.json")).unwrap()).unwrap();
    assert_eq!(truth["frames"].as_array().unwrap().len(), lines.lines().count() - 1);
}

#[test]
fn the_printed_recipe_is_a_recipe_and_wrong_calls_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let printed = good(&mercam(&[&["synth", "--print-recipe", "--seed", "9"], &SMALL[..]].concat(), at));
    assert!(printed.contains("seeds = [9]") && printed.contains("jpeg = 0"), "{printed}");
    std::fs::write(at.join("r.toml"), &printed).unwrap();
    assert_eq!(good(&mercam(&["synth", "--recipe", "r.toml", "--print-recipe"], at)), printed);
    refused(&mercam(&["synth", "--recipe", "r.toml", "--take", "x", "--out", "a.y4m"], at), 2, "film");
    refused(&mercam(&["synth", "--recipe", "no.toml", "--out", "a.y4m"], at), 69, "no.toml");
    refused(&mercam(&["synth", "--out", "a.y4m", "--set", "camera.jpg=3"], at), 2, "jpg");
    refused(&mercam(&["synth", "--out", "a.y4m", "--fps", "0"], at), 2, "between 1 and 1000");
    refused(&mercam(&["synth", "--out", "no/where/a.y4m", "--duration", "1s"], at), 69, "no/where");
    refused(&mercam(&["synth"], at), 2, "--out");
    std::fs::write(at.join("bad.toml"), "[[take]]\nseed = 1\n").unwrap();
    refused(&mercam(&["synth", "--recipe", "bad.toml", "--out", "a.y4m"], at), 78, "bad.toml");
}
