//! A device that runs a clip again and again, and what a host must have of it in the end.
#![allow(dead_code)] // Each test binary uses its own part of this.

use super::support::{by_run, mercam};
use mercam::event::Event;
use mercam::wire::{Envelope, decode_body, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

/// The same clip in every run, so that the same event has the same number in each.
pub const CLIP: &str = "synthetic:?seed=3&fps=60&duration=90&pace=fast";

pub fn sender(sink: &str, source: &str) -> Child {
    let mut command = mercam();
    command.args(["run", "--log", "warn", "--set", "device=\"kiosk-7\"", "--source", source, "--sink", sink]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

pub fn spooled_bytes(spool: &Path) -> u64 {
    let entries = fs::read_dir(spool).into_iter().flatten().flatten();
    entries.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

/// Confirmed detections by event number: what they are, without what differs between runs.
pub fn confirmed(events: &[Envelope]) -> BTreeMap<u64, (u64, i64, String)> {
    let key = |e: &Envelope| match &e.event {
        Event::Confirmed(d) => Some((e.seq, (d.id, d.onset.us.as_micros(), d.class.clone()))),
        _ => None,
    };
    events.iter().filter_map(key).collect()
}

/// The highest number of a run in what waits in a spool, and how many wait.
pub fn waiting(spool: &Path) -> (BTreeMap<u64, u64>, u64) {
    let mut highest = BTreeMap::new();
    let config = mercam::spool::SpoolConfig { dir: spool.to_path_buf(), ..Default::default() };
    let mut spool = config.open().unwrap();
    for i in 0.. {
        let Some(record) = spool.get(i).unwrap() else { break };
        // The `mqtt` sink keeps topic and JSON, the others the binary form.
        let text = record.payload.iter().position(|b| *b == b'{').unwrap_or(0);
        let event = json::decode(&record.payload[text..]).or_else(|_| decode_body(&record.payload)).unwrap();
        let last = highest.entry(event.run.0).or_insert(0);
        *last = event.seq.max(*last);
    }
    assert_eq!(spool.counts().corrupt, 0);
    (highest, spool.waiting())
}

/// What the clip holds, without any trouble.
pub fn truth(dir: &Path) -> Vec<Envelope> {
    let path = dir.join("truth.jsonl");
    assert!(sender(&format!("file:{}", path.display()), CLIP).wait().unwrap().success());
    let truth: Vec<_> =
        fs::read_to_string(&path).unwrap().lines().map(|l| json::decode(l.as_bytes()).unwrap()).collect();
    assert!(confirmed(&truth).len() > 20, "{}", confirmed(&truth).len());
    truth
}

/// Starts runs with nothing new until the spool is empty. Returns how many that were.
pub fn empty(spool: &Path, sink: &str) -> usize {
    let mut runs = 0;
    while waiting(spool).1 > 0 {
        runs += 1;
        assert!(runs < 300, "the spool never gets empty");
        sender(sink, "synthetic:?seed=3&fps=60&duration=0.2&pace=fast").wait().unwrap();
    }
    runs
}

/// Checks that what is stored is every event of every run once and in order, as the clip has it, at least as far as the
/// spool had taken it when the device was killed. Returns the number of runs, and of confirmed detections.
pub fn check(events: &[Envelope], truth: &[Envelope], taken: &[&BTreeMap<u64, u64>]) -> (usize, usize) {
    let true_detections = confirmed(truth);
    let ids: BTreeSet<_> = events.iter().map(|e| (e.run, e.seq)).collect();
    assert_eq!(ids.len(), events.len(), "an event was stored twice");
    let runs = by_run(events);
    let (mut in_full, mut detections) = (0, 0);
    for ((device, run), seqs) in &runs {
        assert_eq!(device, "kiosk-7");
        assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "run {run:016x} has holes or is out of order: {seqs:?}");
        let own: Vec<Envelope> = events.iter().filter(|e| e.run.0 == *run).cloned().collect();
        let last = *seqs.last().unwrap();
        for taken in taken {
            assert!(taken.get(run).is_none_or(|t| *t <= last), "run {run:016x}: spooled events never arrived");
        }
        detections += confirmed(&own).len();
        if seqs.len() < 10 {
            continue; // one of those that only emptied the spool
        }
        let expected: BTreeMap<_, _> = true_detections.range(..=last).map(|(k, v)| (*k, v.clone())).collect();
        assert_eq!(confirmed(&own), expected, "run {run:016x}");
        in_full += usize::from(seqs.len() == truth.len());
    }
    assert!(in_full >= 1, "the run that nobody killed is there in full");
    for taken in taken {
        for run in taken.keys() {
            assert!(runs.contains_key(&("kiosk-7".into(), *run)), "run {run:016x} is not there");
        }
    }
    (runs.len(), detections)
}

/// The host's counters, as it has written them; nothing while it has not.
pub fn counters(dir: &Path) -> serde_json::Value {
    let bytes = fs::read(dir.join("stats.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
