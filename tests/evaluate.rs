//! `mercam evaluate` as it is called: exit codes, figures in JSON, the plot.
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

/// A detection of another program, or of an earlier run, as an event.
fn event(seq: u32, onset: f64, apex: f64, offset: f64, class: &str) -> String {
    let us = |s: f64| (s * 1e6) as i64;
    format!(
        r#"{{"v":1,"seq":{seq},"kind":"confirmed","id":{seq},"face":1,"onset":{{"us":{}}},"apex":{{"us":{}}},"offset":{{"us":{}}},"class":"{class}","probabilities":{{"{class}":0.9}},"actions":{{}},"relations":[],"amplitude":0.02,"component":"mouth","score":6.0,"rate":30.0,"quality":0.9,"iod":80.0,"model":{{"id":"m","precision":"int8","sha256":"0"}}}}"#,
        us(onset),
        us(apex),
        us(offset)
    )
}

#[test]
fn recorded_events_against_a_sheet_have_the_scores_that_a_hand_gives() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // 30 frames/s, frame 1 at 0 s: 1 s to 1.5 s and 4 s to 4.4 s; a macro-expression from 6 s to 8 s.
    let sheet = "Subject,Filename,Onset,Apex,Offset,Expression type,emotion\n\
        1,a,31,37,46,Micro-expression,happy\n1,a,121,127,133,Micro-expression,fear\n1,a,181,200,241,Macro-expression,fear\n";
    std::fs::write(at.join("sheet.csv"), sheet).unwrap();
    // One right with 40 ms of apex error, one too long, one inside the macro-expression.
    let events = [
        event(0, 1.0, 1.24, 1.5, "positive"),
        event(1, 3.9, 4.2, 4.9, "negative"),
        event(2, 6.5, 6.6, 6.9, "surprise"),
    ];
    std::fs::write(at.join("events.jsonl"), events.join("\n")).unwrap();
    let args = ["evaluate", "--truth", "sheet.csv", "--detections", "events.jsonl", "--length", "60s"];
    let json: Value = serde_json::from_str(&good(&mercam(&[&args[..], &["--json", "-"]].concat(), at))).unwrap();
    assert_eq!(json["micro"]["right"], 1);
    assert_eq!(json["micro"]["precision"].as_f64().unwrap(), 1.0 / 3.0);
    assert_eq!(json["micro"]["recall"].as_f64().unwrap(), 0.5);
    assert!((json["micro"]["f1"].as_f64().unwrap() - 0.4).abs() < 1e-9);
    assert!((json["timing"]["apex"]["median"].as_f64().unwrap() - 40.0).abs() < 0.01);
    assert_eq!(json["macro"]["recall"], 0.0);
    assert_eq!(json["alarms"]["per_minute"].as_f64().unwrap(), 2.0);
    assert_eq!(json["alarms"]["beside"], serde_json::json!({"macro": 1, "micro": 1}));
    assert_eq!(json["recognition"]["right"], 1);
    let shown = good(&mercam(&[&args[..], &["--plot", "page.html"]].concat(), at));
    assert!(shown.contains("precision") && shown.contains("0.333") && shown.contains("STRS"), "{shown}");
    assert!(std::fs::read_to_string(at.join("page.html")).unwrap().contains("false alarm: 6.500"));
}

#[test]
fn the_line_is_run_on_a_source_that_knows_its_truth() {
    let dir = tempfile::tempdir().unwrap();
    let source = "synthetic:?seed=3&fps=100";
    let args = ["evaluate", "--source", source, "--duration", "30s", "--json", "-", "--plot", "page.html"];
    let out = good(&mercam(&args, dir.path()));
    assert_eq!(out, good(&mercam(&args, dir.path())), "the same figures each time");
    let json: Value = serde_json::from_str(&out).unwrap();
    let micro = &json["micro"];
    assert!(micro["truth"].as_u64().unwrap() >= 6, "{micro}");
    // Landmarks without pixels: nearly all are found.
    assert!(micro["f1"].as_f64().unwrap() > 0.7, "{micro}");
    assert!(json["timing"]["apex"]["median_abs"].as_f64().unwrap() < 40.0, "{}", json["timing"]);
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("right brow") && page.contains("found</title>"));
}

#[test]
fn wrong_calls_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    std::fs::write(at.join("t.json"), "{}").unwrap();
    std::fs::write(at.join("e.jsonl"), "{}").unwrap();
    refused(&mercam(&["evaluate"], at), 2, "--source");
    refused(&mercam(&["evaluate", "--source", "synthetic:"], at), 2, "--duration");
    refused(&mercam(&["evaluate", "--source", "y4m:x.y4m"], at), 2, "--truth");
    refused(&mercam(&["evaluate", "--truth", "no.json", "--detections", "e.jsonl"], at), 69, "no.json");
    refused(&mercam(&["evaluate", "--truth", "t.json", "--detections", "e.jsonl"], at), 1, "mercam synth");
    refused(&mercam(&["evaluate", "--truth", "t.json", "--detections", "e.jsonl", "--iou", "0"], at), 2, "--iou");
}
