//! Metrics as Prometheus reads them: over a port, a socket and a file, of the real binary at work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mercam::metrics::{Metrics, MetricsConfig, Sample, Snapshot};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Reads a page as strictly as Prometheus does: a type before each value, no series twice, buckets that grow.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let (mut types, mut values) = (BTreeMap::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, text) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            if what == "TYPE" {
                assert!(["counter", "gauge", "histogram"].contains(&text), "{line}");
                assert_eq!(types.insert(name.to_owned(), text.to_owned()), None, "{line}");
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
        assert!(types.contains_key(name) || types.get(base).is_some_and(|t| t == "histogram"), "{line}");
        assert_eq!(values.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
    }
    assert!(page.ends_with('\n'));
    values
}

fn exchange(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all}"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    (head.to_owned(), body.to_owned())
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";

fn on_a_port() -> (Metrics, String) {
    let metrics = MetricsConfig { listen: "0".into(), ..MetricsConfig::default() }.build().unwrap().unwrap();
    let address =
        metrics.place().unwrap().strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().to_owned();
    (metrics, address)
}

#[test]
fn off_by_default_and_for_this_machine_only() {
    assert!(MetricsConfig::default().build().unwrap().is_none());
    let (_metrics, address) = on_a_port();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
}

#[test]
fn a_port_answers_with_what_was_published_and_nothing_else() {
    let (mut metrics, address) = on_a_port();
    let sinks = vec![
        Sample { sink: "a \"b\"\\c\nd".into(), sent: 7, dropped: 3, given_up: 2, ..Sample::default() },
        Sample { sink: "udp:x:1".into(), failed: 5, spooled: 9, up: true, ..Sample::default() },
    ];
    assert!(metrics.due());
    metrics.publish(Snapshot { sinks, ..Snapshot::default() });
    assert!(!metrics.due(), "once a second is enough");
    let connect = || TcpStream::connect(&address).unwrap();
    let (head, body) = exchange(connect(), GET);
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    let odd = r#"sink="a \"b\"\\c\nd""#;
    let values = parse(&body);
    assert_eq!(values[&format!("mercam_sink_events_total{{{odd}}}")], 7.0);
    assert_eq!(values[&format!("mercam_sink_lost_total{{{odd},reason=\"queue_full\"}}")], 3.0);
    assert_eq!(values[&format!("mercam_sink_lost_total{{{odd},reason=\"given_up\"}}")], 2.0);
    assert_eq!(values[r#"mercam_sink_lost_total{sink="udp:x:1",reason="failed"}"#], 5.0);
    assert_eq!(values[r#"mercam_sink_spooled_events{sink="udp:x:1"}"#], 9.0);
    assert_eq!(values[r#"mercam_sink_up{sink="udp:x:1"}"#], 1.0);
    assert_eq!(values[&format!("mercam_sink_up{{{odd}}}")], 0.0);

    assert!(exchange(connect(), "GET / HTTP/1.0\r\n\r\n").0.starts_with("HTTP/1.0 404"));
    assert!(exchange(connect(), "POST /metrics HTTP/1.0\r\n\r\n").0.starts_with("HTTP/1.0 405"));
    // One that says nothing, and one that says too much, keep nobody from being answered.
    let _silent = connect();
    let mut endless = connect();
    let _ = endless.write_all(&[b'x'; 1 << 16]);
    assert!(exchange(connect(), GET).0.starts_with("HTTP/1.0 200"));
}

#[test]
fn what_cannot_be_is_refused_with_its_mend() {
    let refused = |config: MetricsConfig| config.build().err().unwrap().to_string();
    let listen = |text: &str| refused(MetricsConfig { listen: text.into(), ..MetricsConfig::default() });
    let e = listen("kiosk");
    assert!(e.contains("`kiosk`") && e.contains("HOST:PORT"), "{e}");
    let (_metrics, address) = on_a_port();
    let e = listen(&address);
    assert!(e.contains(&address) && e.contains("another program"), "{e}");
    let e = refused(MetricsConfig { file: "/no/such/directory/x.prom".into(), ..MetricsConfig::default() });
    assert!(e.contains("x.prom") && e.contains("directory"), "{e}");
    let e = refused(MetricsConfig { interval_s: 0.0, ..MetricsConfig::default() });
    assert!(e.contains("interval_s"), "{e}");

    // A socket that a killed process left is taken over; one that is in use is not.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.sock");
    let spec = format!("unix:{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    let first = MetricsConfig { listen: spec.clone(), ..MetricsConfig::default() }.build().unwrap();
    assert!(exchange(UnixStream::connect(&path).unwrap(), GET).0.contains("200"));
    assert!(listen(&spec).contains("another program"));
    drop(first);
    assert!(!path.exists());
}

fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_binary_at_work_tells_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, file) = (dir.path().join("m.sock"), dir.path().join("mercam.prom"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_mercam"))
        .args(["run", "--source", "synthetic:?seed=3", "--sink", "file:events.jsonl", "--duration", "8s"])
        .args(["--set", &format!("metrics.listen=unix:{}", socket.display())])
        .args(["--set", &format!("metrics.file={}", file.display()), "--set", "metrics.interval_s=1"])
        .current_dir(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&socket);
    let began = Instant::now();
    let live = loop {
        let values = parse(&exchange(UnixStream::connect(&socket).unwrap(), GET).1);
        if values["mercam_frames_total"] > 0.0 {
            break values;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no frame was ever told");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(live["mercam_frame_age_seconds"] < 30.0);
    assert_eq!(live[r#"mercam_sink_up{sink="file:events.jsonl"}"#], 1.0);
    assert!(live["process_resident_memory_bytes"] > 1e6);
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success(), "{log}");
    assert!(log.contains("metrics at unix:"), "{log}");

    // The file's last writing says the same as the events themselves.
    let values = parse(&fs::read_to_string(&file).unwrap());
    let events = fs::read_to_string(dir.path().join("events.jsonl")).unwrap();
    let kinds = |kind: &str| events.lines().filter(|l| l.contains(&format!("\"kind\":\"{kind}\""))).count() as f64;
    for kind in ["provisional", "confirmed", "withdrawn", "face_appeared", "face_left", "status"] {
        assert_eq!(values[&format!("mercam_events_total{{kind=\"{kind}\"}}")], kinds(kind), "{kind}\n{log}");
    }
    assert!(kinds("face_appeared") > 0.0 && kinds("status") > 0.0);
    let frames = values["mercam_frames_total"];
    assert_eq!(values[r#"mercam_stage_seconds_count{stage="spotting"}"#], frames);
    let buckets: Vec<f64> =
        page_order(&fs::read_to_string(&file).unwrap(), "mercam_stage_seconds_bucket{stage=\"spotting\"");
    assert!(buckets.is_sorted() && buckets.last() == Some(&frames), "{buckets:?}");
}

/// The values of a series' lines, from the top.
fn page_order(page: &str, prefix: &str) -> Vec<f64> {
    page.lines().filter(|l| l.starts_with(prefix)).map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}
