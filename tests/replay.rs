//! Recordings: what `mercam record` wrote gives the same detections again, and a recording made long ago still gives
//! what it gave then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

fn mercam(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_mercam"))
        .args(args)
        .args(["--log", "error"])
        .env_remove("MERCAM_CONFIG")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The lines of the detections. The number of the run, which differs by intent, becomes zeros.
fn detections(events: &str) -> Vec<String> {
    let kinds = ["\"provisional\"", "\"confirmed\"", "\"withdrawn\""];
    let lines = events.lines().filter(|l| kinds.iter().any(|k| l.contains(k)));
    let anonymous = |line: &str| {
        let (before, after) = line.split_once("\"run\":\"").unwrap();
        format!("{before}\"run\":\"0000000000000000{}", &after[16..])
    };
    lines.map(anonymous).collect()
}

/// Records a source, and gives the detections of the recorded run and of the replay.
fn twice(source: &str, dir: &Path) -> (Vec<String>, Vec<String>) {
    let stream = dir.join("faces.jsonl");
    let first = mercam(&["record", "--source", source, "--out", stream.to_str().unwrap(), "--sink", "stdout"]);
    let second = mercam(&["run", "--source", &format!("replay:{}", stream.display()), "--sink", "stdout"]);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 1, "nothing half-written is left");
    (detections(&first), detections(&second))
}

#[test]
fn a_replay_gives_the_detections_of_the_recorded_run_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = twice("synthetic:?pace=fast&seed=4&duration=12", dir.path());
    assert!(first.iter().any(|l| l.contains("\"confirmed\"")), "{first:?}");
    assert_eq!(first, second);
    // Numbers on disk are exact, so recording the replay gives the same file but for the name of the source.
    let (one, two) = (dir.path().join("faces.jsonl"), dir.path().join("again.jsonl"));
    let replay = format!("replay:{}", one.display());
    mercam(&["record", "--source", &replay, "--out", two.to_str().unwrap(), "--sink", "stdout"]);
    let body = |path: &Path| std::fs::read_to_string(path).unwrap().split_once('\n').unwrap().1.to_owned();
    assert_eq!(body(&one), body(&two));
}

#[test]
fn a_recording_that_cannot_be_written_is_refused_before_anything_is_seen() {
    let args = ["record", "--source", "synthetic:?duration=1&pace=fast", "--out", "/nonexistent/faces.jsonl"];
    let out = Command::new(env!("CARGO_BIN_EXE_mercam")).args(args).output().unwrap();
    assert_eq!(out.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nonexistent/faces.jsonl.part"));
}

/// Lengths and probabilities may differ in the last digits between processors; times, classes and reasons may not.
#[track_caller]
fn alike(now: &Value, then: &Value, at: &str) {
    match (now, then) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{at}");
            a.iter().for_each(|(key, value)| alike(value, &b[key], &format!("{at}.{key}")));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| alike(a, b, &format!("{at}[{i}]")));
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-3 * b.abs().max(1.0), "{at}: {a} now, {b} then");
        }
        _ => assert_eq!(now, then, "{at}"),
    }
}

/// A change that is meant to change detections renews the expectation:
/// `RENEW_GOLDEN=1 cargo test --test replay`, and the difference is read before it is committed.
#[test]
fn the_golden_recording_gives_what_it_gave() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/replay");
    let mut stream = Vec::new();
    let packed = std::fs::File::open(data.join("golden.jsonl.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut stream).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("golden.jsonl");
    std::fs::write(&path, stream).unwrap();
    let events = mercam(&[
        "run",
        "--source",
        &format!("replay:{}", path.display()),
        "--sink",
        "stdout",
        "--set",
        "device=golden",
    ]);
    let found: Vec<Value> = detections(&events)
        .iter()
        .map(|line| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value.as_object_mut().unwrap().remove("model"); // another model has another name and may agree
            value
        })
        .collect();
    let expected = data.join("golden.events.json");
    if std::env::var_os("RENEW_GOLDEN").is_some() {
        std::fs::write(&expected, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let then: Vec<Value> = serde_json::from_slice(&std::fs::read(&expected).unwrap()).unwrap();
    assert!(then.iter().any(|e| e["kind"] == "confirmed"), "the recording holds a micro-expression");
    assert_eq!(found.len(), then.len(), "{found:#?}");
    found.iter().zip(&then).enumerate().for_each(|(i, (now, then))| alike(now, then, &format!("event {i}")));
}
