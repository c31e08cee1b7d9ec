//! The real binary: exit codes, standard output and standard error, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

fn mercam(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mercam"));
    command.args(args).env_remove("MERCAM_CONFIG").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    mercam(args).output().unwrap()
}

fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = mercam(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input)); // the reader may stop early: no failure
    let out = child.wait_with_output().unwrap();
    let _ = feeder.join().unwrap();
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Ended with this code, said something that holds all of `words`, and did not panic.
#[track_caller]
fn refused(out: &Output, code: i32, words: &[&str]) {
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_exit_codes_are_those_of_the_table() {
    refused(&run(&["run", "--sourc", "x"]), 2, &["--source"]);
    refused(&run(&["run", "--source", "y4n:clip.y4m"]), 2, &["y4m"]);
    refused(&run(&["run", "--source", "y4m:no/such/clip.y4m"]), 69, &["no/such/clip.y4m"]);
    refused(&run(&["run", "--source", "/dev/video97"]), 69, &["/dev/video97"]);
    refused(&run(&["run", "--set", "analysi.x=1", "--source", "synthetic:"]), 78, &["analysi", "`analysis`"]);
    refused(&run(&["run", "--config", "no/such.toml"]), 78, &["no/such.toml", "config default"]);
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

/// The one test of the build without features; `scripts/test.sh` runs this file in both builds.
#[cfg(not(feature = "mqtt"))]
#[test]
fn a_sink_that_was_left_out_says_how_to_get_it() {
    refused(&run(&["check", "--source", "synthetic:", "--sink", "mqtt:broker"]), 2, &["without it", "--features mqtt"]);
}

#[test]
fn every_command_teaches() {
    for command in [
        "run",
        "record",
        "demo",
        "doctor",
        "devices",
        "check",
        "extract",
        "synth",
        "evaluate",
        "recognise",
        "host",
        "bench",
        "models",
        "man",
        "completions",
        "config",
    ] {
        let out = run(&[command, "--help"]);
        assert_eq!(out.status.code(), Some(0), "{command}");
        assert!(text(&out.stdout).contains("Usage:"), "{command}");
    }
    assert!(text(&run(&["--help"]).stdout).contains("69  a device, file or model"));
}

#[test]
fn the_bench_reports_every_station_that_worked() {
    let source = "synthetic:?render=landmarks&pace=fast&duration=10";
    let out = run(&["bench", "--source", source, "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let stations: Vec<_> = report["stations"].as_array().unwrap().iter().map(|s| s["station"].as_str()).collect();
    assert_eq!(stations, ["source", "face", "spotting", "dere_grl", "frame"].map(Some));
    assert!(report["frames_with_face"].as_u64().unwrap() > 900, "{report}");
    assert!(report["fps"].as_f64().unwrap() > 0.0);
    let table = text(&run(&["bench", "--source", source, "--frames", "200"]).stdout);
    assert!(table.contains("analysis of a frame, all") && table.contains("200 frames"), "{table}");
}

#[test]
fn the_printed_default_is_accepted_and_is_the_default() {
    let out = run(&["config", "default"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, &out.stdout).unwrap();
    let shown = |args: &[&str]| text(&run(args).stdout);
    let with_file = shown(&["config", "show", "--config", file.path().to_str().unwrap()]);
    assert_eq!(with_file, shown(&["config", "show"]));
    assert!(with_file.contains("[analysis.spotting]"));
}

#[test]
fn twenty_seconds_of_the_built_in_source_give_explained_detections() {
    let source = "synthetic:?pace=fast&seed=3";
    let out = run(&["run", "--source", source, "--sink", "stdout", "--duration", "20s"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let lines: Vec<serde_json::Value> =
        text(&out.stdout).lines().map(|l| serde_json::from_str(l).expect("only JSON on standard output")).collect();
    let confirmed: Vec<_> = lines.iter().filter(|l| l["kind"] == "confirmed").collect();
    assert!(confirmed.len() >= 3, "{} detections in 20 s", confirmed.len());
    for d in &confirmed {
        for key in [
            "kind",
            "face",
            "onset",
            "apex",
            "offset",
            "class",
            "probabilities",
            "actions",
            "relations",
            "amplitude",
            "rate",
            "model",
        ] {
            assert!(!d[key].is_null(), "{key} is missing in {d}");
        }
        let us = |k: &str| d[k]["us"].as_i64().unwrap();
        assert!(us("onset") <= us("apex") && us("apex") <= us("offset"));
        let sum: f64 = d["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{d}");
    }
    let sequence: Vec<u64> = lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect();
    assert!(sequence.windows(2).all(|w| w[1] == w[0] + 1), "a gap in {sequence:?}");
    assert_eq!(lines.last().unwrap()["kind"], "status");
    assert_eq!(lines.last().unwrap()["dropped"].as_array().map(Vec::len).unwrap_or(0), 0);
}

/// Events without what differs from run to run: the id of the run, and what waits in queues when a status is made.
fn without_run(lines: &str) -> String {
    let line = |line: &str| {
        let (before, run) = line.split_once(r#""run":""#).expect("every event says its run");
        let rest = run[16..].to_owned();
        let rest = match rest.split_once(r#""waiting":{"#) {
            Some((head, tail)) => format!("{head}{}", tail.split_once('}').expect("a closed object").1),
            None => rest,
        };
        format!("{before}{rest}")
    };
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_same_source_gives_the_same_events_to_the_byte() {
    let args =
        ["run", "--source", "synthetic:?pace=fast&seed=5", "--sink", "stdout", "--duration", "8s", "--log", "error"];
    let (a, b) = (run(&args), run(&args));
    assert!(!a.stdout.is_empty());
    assert_eq!(without_run(&text(&a.stdout)), without_run(&text(&b.stdout)));
}

#[test]
fn hostile_video_on_the_pipe_ends_with_a_clear_error() {
    let args = ["run", "--source", "y4m:-", "--sink", "stdout"];
    for (input, word) in [
        (&b""[..], "empty"),
        (b"GIF89a not a video", "YUV4MPEG2"),
        (b"YUV4MPEG2 W99999999 H99999999 F30:1\nFRAME\n", "99999999"),
        (b"YUV4MPEG2 W0 H0 F30:1\n", "0"),
    ] {
        let out = run_with_input(&args, input);
        let said = text(&out.stderr);
        // Where the face networks cannot be had, that is said instead, with its own code.
        if out.status.code() == Some(69) && said.contains("models") {
            continue;
        }
        refused(&out, 1, &[word]);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let mut child = mercam(&["run", "--source", "synthetic:?pace=fast&duration=3600", "--sink", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("panicked"));
}

#[test]
fn the_first_interrupt_drains_and_flushes() {
    let mut child = mercam(&["run", "--source", "synthetic:?pace=real", "--sink", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap(); // the line is at work
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(rest.ends_with('\n'), "{rest}");
    let last: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).expect("the last line is whole");
    assert_eq!(last["kind"], "status");
    assert!(last["frames"].as_u64().unwrap() > 0, "{last}");
}

/// Shown, detected and rightly classified micro-expressions, and false alarms, out of the demo's last lines.
fn score(out: &Output) -> [usize; 4] {
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said = text(&out.stdout);
    let line = said.lines().find(|l| l.contains("micro-expressions were shown")).expect("a summary");
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn the_demo_finds_what_it_shows_even_without_the_face_networks() {
    let out =
        mercam(&["demo", "--landmarks", "--fast", "--duration", "60s"]).env("MERCAM_CACHE", "/nonexistent").output();
    let [shown, detected, right, false_alarms] = score(&out.unwrap());
    assert!(shown >= 15 && detected * 10 >= shown * 9, "{detected} of {shown}");
    assert!(right * 10 >= detected * 8 && false_alarms <= 1, "{right} of {detected}, {false_alarms} false alarms");
}

#[test]
fn the_demo_goes_through_pixels() {
    let out = run(&["demo", "--fast", "--duration", "20s", "--seed", "2"]);
    if text(&out.stderr).contains("shows landmarks instead of pictures") {
        eprintln!("the face networks cannot be had here: {}", text(&out.stderr));
        assert!(std::env::var_os("MERCAM_OFFLINE").is_some(), "set MERCAM_OFFLINE=1 where there is no network");
        return;
    }
    let [shown, detected, right, false_alarms] = score(&out);
    assert!(shown >= 4 && detected * 10 >= shown * 7, "{detected} of {shown}");
    assert!(right * 10 >= detected * 6 && false_alarms <= 2, "{right} of {detected}, {false_alarms} false alarms");
}

#[test]
fn a_recorded_landmark_stream_gives_the_events_of_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("faces.jsonl");
    let source = "synthetic:?pace=fast&seed=4&duration=12";
    let out = run(&["extract", "--source", source, "--out", stream.to_str().unwrap(), "--log", "error"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let events = |source: &str| text(&run(&["run", "--source", source, "--sink", "stdout", "--log", "error"]).stdout);
    let recorded = events(&format!("replay:{}", stream.display()));
    assert!(recorded.contains("\"confirmed\""));
    assert_eq!(without_run(&recorded), without_run(&events(source)));
    let table = dir.path().join("faces.csv");
    let out = run(&["extract", "--source", source, "--out", table.to_str().unwrap(), "--log", "error"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(std::fs::read_to_string(table).unwrap().starts_with("time_us,sequence,lost,face,iod_px"));
    let wrong = dir.path().join("faces.txt");
    refused(&run(&["extract", "--source", source, "--out", wrong.to_str().unwrap()]), 2, &[".jsonl", ".csv"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing half-written is left");
}
