//! What the host has, for people: the last events, and a table of the counters.

use super::stats::HostStats;
use super::store::{FILE, files, lines};
use crate::clock::wall_unix_us;
use crate::sinks::{one_line, printable};
use crate::wire::{Envelope, json};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The last `n` stored events of a host's directory, oldest first: the stored line, and the event in it.
///
/// # Errors
/// When there is no such directory, or its files cannot be read.
pub fn tail(dir: &Path, n: usize) -> io::Result<Vec<(Vec<u8>, Envelope)>> {
    let paths = files(dir);
    if paths.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {FILE} in it")));
    }
    let mut found = VecDeque::new();
    for path in paths.iter().rev() {
        let mut last = VecDeque::new();
        lines(path, |line| {
            if let Ok(envelope) = json::decode(line) {
                last.push_back((line.to_vec(), envelope));
                if last.len() + found.len() > n {
                    last.pop_front();
                }
            }
            true
        })?;
        last.append(&mut found);
        found = last;
        if found.len() >= n {
            break;
        }
    }
    Ok(found.into())
}

/// So much is read at a time, so that who follows from the beginning needs no memory for all of it.
const PIECE: u64 = 1 << 20;

/// Reads what a host appends from now on, also when it turns its file over.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    file: File,
    held: Vec<u8>,
}

impl Follower {
    /// Begins at the end of what a host's directory holds.
    ///
    /// # Errors
    /// When there is no such directory, or its file cannot be read.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let mut file = File::open(dir.join(FILE))?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { dir: dir.to_path_buf(), file, held: Vec::new() })
    }

    /// Begins with the oldest event that a host's directory holds.
    ///
    /// # Errors
    /// When there is no such directory, or its file cannot be read.
    pub fn from_the_beginning(dir: &Path) -> io::Result<Self> {
        let paths = files(dir);
        let oldest =
            paths.first().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there are no events in it"))?;
        Ok(Self { dir: dir.to_path_buf(), file: File::open(oldest)?, held: Vec::new() })
    }

    /// The events that have come since: the stored line, and the event in it. Not all at once when they are many: none
    /// come only when there are no more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new_events(&mut self) -> io::Result<Vec<(Vec<u8>, Envelope)>> {
        let (mut found, mut taken) = (Vec::new(), 0);
        while taken < PIECE {
            // Asked before reading: what comes into the old file after it was turned over is nothing.
            let next = self.next_file();
            match (self.read(&mut found)?, next) {
                (0, None) => break,
                (0, Some(next)) => {
                    self.file = next;
                    self.held.clear();
                }
                (n, _) => taken += n,
            }
        }
        Ok(found)
    }

    /// The file behind ours, when ours was turned over; the oldest when ours has been thrown away.
    fn next_file(&self) -> Option<File> {
        let ours = self.file.metadata().ok()?.ino();
        let paths = files(&self.dir);
        let place = paths.iter().position(|p| fs::metadata(p).is_ok_and(|m| m.ino() == ours));
        File::open(paths.get(place.map_or(0, |i| i + 1))?).ok()
    }

    fn read(&mut self, found: &mut Vec<(Vec<u8>, Envelope)>) -> io::Result<u64> {
        let n = (&self.file).take(PIECE).read_to_end(&mut self.held)?;
        let end = self.held.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let whole: Vec<u8> = self.held.drain(..end).collect();
        let event = |line: &[u8]| json::decode(line).ok().map(|e| (line.to_vec(), e));
        found.extend(whole.split(|b| *b == b'\n').filter_map(event));
        Ok(n as u64)
    }
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
        let offline = if d.online == Some(false) { ", offline" } else { "" };
        let last = match d.last_unix_us {
            0 => format!("-{offline}"),
            us => format!("{} s ago{offline}", now.saturating_sub(us).max(0) / 1_000_000),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::{Event, Status};
    use std::io::Write;

    fn line(seq: u64) -> Vec<u8> {
        let mut line = Vec::new();
        json::encode(&Envelope::new(seq, Event::Status(Status::default())), &mut line).unwrap();
        line.push(b'\n');
        line
    }

    fn numbers(events: &[(Vec<u8>, Envelope)]) -> Vec<u64> {
        events.iter().map(|(_, e)| e.seq).collect()
    }

    #[test]
    fn the_last_events_are_found_over_several_files_and_followed_when_one_is_turned_over() {
        let dir = tempfile::tempdir().unwrap();
        assert!(tail(dir.path(), 3).is_err() && Follower::start(dir.path()).is_err());
        let path = dir.path().join(FILE);
        fs::write(dir.path().join("events.jsonl.2"), line(0)).unwrap();
        fs::write(dir.path().join("events.jsonl.1"), [line(1), line(2), line(3)].concat()).unwrap();
        fs::write(&path, [line(4), b"torn".to_vec()].concat()).unwrap();
        assert_eq!(numbers(&tail(dir.path(), 3).unwrap()), [2, 3, 4]);
        assert_eq!(numbers(&tail(dir.path(), 99).unwrap()), [0, 1, 2, 3, 4]);
        assert!(tail(dir.path(), 0).unwrap().is_empty());

        fs::write(&path, line(4)).unwrap();
        let mut follower = Follower::start(dir.path()).unwrap();
        assert!(follower.new_events().unwrap().is_empty());
        let append = |bytes: &[u8]| File::options().append(true).open(&path).unwrap().write_all(bytes).unwrap();
        let next = line(5);
        append(&next[..10]);
        assert!(follower.new_events().unwrap().is_empty(), "half a line is none");
        append(&next[10..]);
        assert_eq!(numbers(&follower.new_events().unwrap()), [5]);
        append(&line(6));
        fs::rename(&path, dir.path().join("events.jsonl.1")).unwrap();
        fs::write(&path, line(7)).unwrap();
        assert_eq!(numbers(&follower.new_events().unwrap()), [6, 7]);
        // Two at once, and from the beginning.
        for (from, to) in [("events.jsonl.1", "events.jsonl.2"), ("events.jsonl", "events.jsonl.1")] {
            fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
        }
        fs::write(&path, line(8)).unwrap();
        fs::rename(dir.path().join("events.jsonl.1"), dir.path().join("events.jsonl.2")).unwrap();
        fs::rename(&path, dir.path().join("events.jsonl.1")).unwrap();
        fs::write(&path, line(9)).unwrap();
        assert_eq!(numbers(&follower.new_events().unwrap()), [8, 9]);
        let mut all = Follower::from_the_beginning(dir.path()).unwrap();
        assert_eq!(numbers(&all.new_events().unwrap()), [7, 8, 9]);
        assert!(all.new_events().unwrap().is_empty());
    }
}
