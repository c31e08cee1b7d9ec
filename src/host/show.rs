//! What the host has, for people: the last events, and a table of the counters.

use super::stats::HostStats;
use super::store::{FILE, files, lines};
use crate::clock::wall_unix_us;
use crate::sinks::{one_line, printable};
use crate::wire::{Envelope, json};
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// The last `n` stored events of a host's directory, oldest first: the stored line, and the event in it.
///
/// # Errors
/// When there is no such directory, or its files cannot be read.
pub fn tail(dir: &Path, n: usize) -> io::Result<Vec<(Vec<u8>, Envelope)>> {
    let paths = files(dir);
    if paths.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {FILE} in it")));
    }
    let mut last = VecDeque::with_capacity(n + 1);
    for path in paths {
        lines(&path, |line| {
            if let Ok(envelope) = json::decode(line) {
                last.push_back((line.to_vec(), envelope));
                if last.len() > n {
                    last.pop_front();
                }
            }
            true
        })?;
    }
    Ok(last.into())
}

/// One line about a stored event.
pub fn describe(envelope: &Envelope) -> String {
    let at = |us: i64| jiff::Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |t| format!("{t:.3} "));
    let when = moment(envelope).map_or_else(String::new, at);
    format!("{when}{} {}", printable(&envelope.device), one_line(&envelope.event))
}

fn moment(envelope: &Envelope) -> Option<i64> {
    use crate::event::Event;
    match &envelope.event {
        Event::Provisional(d) | Event::Confirmed(d) | Event::Withdrawn(d) => d.onset.unix_us,
        Event::FaceAppeared { at, .. } | Event::FaceLeft { at, .. } => at.unix_us,
        Event::Status(_) => None,
    }
}

/// The counters as rows of columns: devices first, then, after an empty row, lines.
pub fn stats_table(stats: &HostStats) -> Vec<Vec<String>> {
    let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let now = wall_unix_us();
    let mut rows = vec![row(&[
        "device",
        "events",
        "confirmed",
        "withdrawn",
        "duplicates",
        "missing",
        "runs",
        "frames/s",
        "°C",
        "last",
    ])];
    for (name, d) in &stats.devices {
        let status = d.status.as_ref();
        let rate = status.map_or_else(|| "-".into(), |s| format!("{:.1}", s.rate));
        let warm = status.and_then(|s| s.temperature_c).map_or_else(|| "-".into(), |t| format!("{t:.0}"));
        let last = match d.last_unix_us {
            0 => "-".to_owned(),
            us => format!("{} s ago", now.saturating_sub(us).max(0) / 1_000_000),
        };
        let counts = [d.events, d.confirmed, d.withdrawn, d.duplicates, d.missing, d.runs].map(|n| n.to_string());
        rows.push([printable(name)].into_iter().chain(counts).chain([rate, warm, last]).collect());
    }
    rows.push(vec![]);
    rows.push(row(&["line", "open", "bytes", "frames", "damaged", "records", "repeated", "given up", "not stored"]));
    for (name, l) in &stats.lines {
        let counts = [l.open, l.bytes, l.good, l.bad, l.records, l.repeated, l.given_up, l.not_stored];
        rows.push([printable(name)].into_iter().chain(counts.map(|n| n.to_string())).collect());
    }
    rows
}
