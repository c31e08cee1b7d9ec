//! From the sensor to the host over a bad serial cable: one byte in a hundred is changed, the line is unplugged, the
//! sender is killed twice and the host once. Every confirmed detection that mercam had taken into its spool is in the
//! host's store exactly once.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "host/cable.rs"]
mod cable;
#[path = "host/support.rs"]
mod support;

use cable::Cable;
use mercam::event::Event;
use mercam::wire::Envelope;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use support::{Host, by_run, mercam, wait_for};

/// The same clip in every run, so that the same event has the same number in each.
const CLIP: &str = "synthetic:?seed=3&fps=60&duration=90&pace=fast";

fn sender(sink: &str, source: &str) -> Child {
    let mut command = mercam();
    command.args(["run", "--log", "warn", "--set", "device=\"kiosk-7\"", "--source", source, "--sink", sink]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn spooled_bytes(spool: &Path) -> u64 {
    let entries = fs::read_dir(spool).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

/// Confirmed detections by event number: what they are, without what differs between runs.
fn confirmed(events: &[Envelope]) -> BTreeMap<u64, (u64, i64, String)> {
    let key = |e: &Envelope| match &e.event {
        Event::Confirmed(d) => Some((e.seq, (d.id, d.onset.us.as_micros(), d.class.clone()))),
        _ => None,
    };
    events.iter().filter_map(key).collect()
}

/// The highest number of a run in what waits in a spool, and how many wait.
fn waiting(spool: &Path) -> (BTreeMap<u64, u64>, u64) {
    let mut highest = BTreeMap::new();
    let config = mercam::spool::SpoolConfig { dir: spool.to_path_buf(), ..Default::default() };
    let mut spool = config.open().unwrap();
    for i in 0.. {
        let Some(record) = spool.get(i).unwrap() else { break };
        let event = mercam::wire::decode_body(&record.payload).unwrap();
        let last = highest.entry(event.run.0).or_insert(0);
        *last = event.seq.max(*last);
    }
    assert_eq!(spool.counts().corrupt, 0);
    (highest, spool.waiting())
}

#[test]
fn every_confirmed_detection_arrives_once_through_a_bad_cable_and_three_kills() {
    let dir = tempfile::tempdir().unwrap();
    // What the clip holds, without any trouble.
    let truth = dir.path().join("truth.jsonl");
    assert!(sender(&format!("file:{}", truth.display()), CLIP).wait().unwrap().success());
    let truth: Vec<Envelope> = fs::read_to_string(&truth)
        .unwrap()
        .lines()
        .map(|l| mercam::wire::json::decode(l.as_bytes()).unwrap())
        .collect();
    let true_detections = confirmed(&truth);
    assert!(true_detections.len() > 20, "{}", true_detections.len());

    let mut cable = Cable::plugged_in(dir.path(), 100);
    let spool = dir.path().join("spool");
    let sink = format!(
        "serial:{}?baud=2000000&format=binary&acks=true&spool={}&resend_ms=60&retry_min_ms=5&retry_max_ms=50",
        cable.device_end().display(),
        spool.display()
    );
    let listen =
        format!("serial:{}?baud=2000000&format=binary&retry_min_ms=5&retry_max_ms=50", cable.host_end().display());
    let stored = dir.path().join("host");
    let mut host = Host::start(&stored, &[&listen]);

    // Killed in the middle of its work, while it fills the spool.
    let mut first = sender(&sink, CLIP);
    wait_for("the spool fills", || (spooled_bytes(&spool) > 4000).then_some(()));
    first.kill().unwrap();
    first.wait().unwrap();
    let (taken_by_first, _) = waiting(&spool);

    // Killed while it sends; before that the line is pulled out, and the host is killed.
    let mut second = sender(&sink, CLIP);
    let mut arrived = |n: usize| {
        wait_for("events arrive", || {
            // Its clip may be over, and its time to drain, before the cable let enough through: what waits in the spool
            // is the next run's to deliver.
            if second.try_wait().unwrap().is_some() {
                second = sender(&sink, CLIP);
            }
            (support::events(&stored).len() >= n).then_some(())
        });
    };
    arrived(10);
    cable.unplug();
    std::thread::sleep(std::time::Duration::from_millis(300));
    cable.plug_in();
    arrived(25);
    host.kill();
    host = Host::start(&stored, &[&listen]);
    arrived(40);
    second.kill().unwrap();
    second.wait().unwrap();
    let (taken_by_second, left) = waiting(&spool);

    // Left alone, and again with nothing new until the spool is empty.
    let mut third = sender(&sink, CLIP);
    third.wait().unwrap();
    let mut runs_needed = 3;
    while waiting(&spool).1 > 0 {
        runs_needed += 1;
        assert!(runs_needed < 30, "the spool never gets empty");
        sender(&sink, "synthetic:?seed=3&fps=60&duration=0.2&pace=fast").wait().unwrap();
    }
    let dir_of_host = host.dir.clone();
    host.stop();

    let events = support::events(&dir_of_host);
    let ids: BTreeSet<_> = events.iter().map(|e| (e.run, e.seq)).collect();
    assert_eq!(ids.len(), events.len(), "an event was stored twice");
    let runs = by_run(&events);
    let mut in_full = 0;
    for ((device, run), seqs) in &runs {
        assert_eq!(device, "kiosk-7");
        assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "run {run:016x} has holes or is out of order: {seqs:?}");
        let own: Vec<Envelope> = events.iter().filter(|e| e.run.0 == *run).cloned().collect();
        let last = *seqs.last().unwrap();
        for taken in [&taken_by_first, &taken_by_second] {
            assert!(taken.get(run).is_none_or(|t| *t <= last), "run {run:016x}: spooled events never arrived");
        }
        if seqs.len() < 10 {
            continue; // one of those that only emptied the spool
        }
        let expected: BTreeMap<_, _> = true_detections.range(..=last).map(|(k, v)| (*k, v.clone())).collect();
        assert_eq!(confirmed(&own), expected, "run {run:016x}");
        in_full += usize::from(seqs.len() == truth.len());
    }
    assert!(in_full >= 1, "the run that nobody killed is there in full");
    assert!(
        taken_by_first.len() == 1 && runs.contains_key(&("kiosk-7".into(), *taken_by_first.keys().next().unwrap()))
    );

    let stats: serde_json::Value = serde_json::from_slice(&fs::read(dir_of_host.join("stats.json")).unwrap()).unwrap();
    let device = &stats["devices"]["kiosk-7"];
    assert_eq!((device["missing"].as_u64(), device["events"].as_u64()), (Some(0), Some(events.len() as u64)));
    let line = stats["lines"].as_object().unwrap().values().next().unwrap();
    assert!(line["bad"].as_u64() > Some(20), "the cable was bad: {line}");
    assert_eq!((line["given_up"].as_u64(), line["not_stored"].as_u64()), (Some(0), Some(0)));
    let detections: usize = runs
        .keys()
        .map(|(_, r)| confirmed(&events.iter().filter(|e| e.run.0 == *r).cloned().collect::<Vec<_>>()).len())
        .sum();
    println!(
        "{} events of {} runs, {detections} of them confirmed detections; {left} waited at the second kill; since the host's restart: {} good \
         and {} damaged frames, {} records, {} of them repeated, {} duplicates dropped by event id; lost 0; the cable changed {} of {} bytes",
        events.len(),
        runs.len(),
        line["good"],
        line["bad"],
        line["records"],
        line["repeated"],
        device["duplicates"],
        cable.changed(),
        cable.carried()
    );
}
