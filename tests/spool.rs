//! The spool: torn at every byte, damaged anywhere, its process killed, its disk full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mercam::spool::{Fsync, MAX_PAYLOAD, RecordId, Spool, SpoolConfig, SpoolCounts, SpoolError};
use proptest::prelude::*;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig { dir: dir.to_path_buf(), ..SpoolConfig::default() }
}

/// Another test that starts a process holds our closed lock for a moment, between its fork and its exec.
fn open(dir: &Path) -> Spool {
    for _ in 0..200 {
        match config(dir).open() {
            Err(SpoolError::InUse(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other.unwrap(),
        }
    }
    panic!("{} is in use", dir.display());
}

/// Lengths differ, so that every kind of boundary comes.
fn payload(n: u64) -> Vec<u8> {
    let mut bytes = format!("event {n} ").into_bytes();
    bytes.extend((0..n * 7 % 40).map(|i| (i * n) as u8));
    bytes
}

fn all(spool: &mut Spool) -> Vec<(u64, Vec<u8>)> {
    (0..).map_while(|i| spool.get(i).unwrap()).map(|r| (r.id.0, r.payload)).collect()
}

fn expected(ids: impl Iterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    ids.map(|n| (n, payload(n))).collect()
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "spool"));
    files.sort();
    files
}

fn fill(spool: &mut Spool, ids: std::ops::RangeInclusive<u64>) {
    for n in ids {
        assert_eq!(spool.append(&payload(n)).unwrap(), RecordId(n));
    }
}

#[test]
fn what_was_not_acknowledged_comes_again_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    fill(&mut spool, 1..=20);
    assert_eq!(spool.ack(RecordId(7)), 7);
    assert_eq!(spool.ack(RecordId(3)), 0, "an older acknowledgement takes nothing back");
    let (first, second) = (spool.get(0).unwrap().unwrap(), spool.get(1).unwrap().unwrap());
    assert_eq!((first.id, first.previous), (RecordId(8), None));
    assert_eq!((second.id, second.previous), (RecordId(9), Some(RecordId(8))));
    let stream = spool.stream();
    drop(spool);
    let mut spool = open(dir.path());
    assert_ne!(spool.stream(), stream);
    assert_eq!(all(&mut spool), expected(8..=20));
    assert_eq!(spool.counts(), SpoolCounts { recovered: 13, ..SpoolCounts::default() });
    fill(&mut spool, 21..=25);
    assert_eq!(spool.ack(RecordId(u64::MAX)), 18);
    drop(spool);
    let mut spool = open(dir.path());
    assert_eq!((spool.waiting(), spool.counts().recovered), (0, 0));
    assert_eq!(spool.append(b"x").unwrap(), RecordId(26), "numbers go on");
}

#[test]
fn a_spool_torn_at_any_byte_gives_all_that_is_whole_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut ends = vec![spool.bytes()];
    for n in 1..=12 {
        fill(&mut spool, n..=n);
        ends.push(spool.bytes());
        if n == 6 {
            spool.ack(RecordId(2));
            ends.push(spool.bytes()); // a mark is no record: the same number of records is there behind it
        }
    }
    drop(spool);
    let file = segments(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes.len() as u64, *ends.last().unwrap());
    for cut in 0..=bytes.len() {
        fs::write(&file, &bytes[..cut]).unwrap();
        let mut spool = open(dir.path());
        // 14 ends: of the header, of records 1 to 6, of the mark, of records 7 to 12.
        let whole = ends.iter().filter(|e| **e <= cut as u64).count() as u64;
        let (last, first) = if whole <= 7 { (whole.saturating_sub(1), 1) } else { (whole - 2, 3) };
        assert_eq!(all(&mut spool), expected(first..=last), "cut at {cut}");
        assert_eq!(spool.counts().corrupt, 0, "cut at {cut}");
        fill(&mut spool, last + 1..=last + 3);
        drop(spool);
        assert_eq!(all(&mut open(dir.path())), expected(first..=last + 3), "cut at {cut}, continued");
        for extra in segments(dir.path()).iter().filter(|p| **p != file) {
            fs::remove_file(extra).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_costs_the_touched_records_only(at in any::<prop::sample::Index>(), by in 1u8.., length in 1usize..60) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let mut ends = vec![spool.bytes() as usize];
        for n in 1..=12 {
            fill(&mut spool, n..=n);
            ends.push(spool.bytes() as usize);
        }
        drop(spool);
        let file = segments(dir.path()).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        let at = at.index(bytes.len());
        let until = (at + length).min(bytes.len());
        bytes[at..until].iter_mut().for_each(|b| *b ^= by);
        fs::write(&file, &bytes).unwrap();
        let touched = |n: &u64| at < ends[*n as usize] && until > ends[*n as usize - 1];
        let whole: Vec<u64> = (1..=12).filter(|n| !touched(n)).collect();
        let mut spool = open(dir.path());
        prop_assert_eq!(all(&mut spool), expected(whole.iter().copied()));
        let c = spool.counts();
        if let (Some(first), Some(last)) = (whole.first(), whole.last()) {
            prop_assert_eq!(c.corrupt, last - first + 1 - whole.len() as u64);
            prop_assert_eq!(c.torn > 0, *last < 12, "{:?}", c);
        }
        spool.append(b"goes on").unwrap();
    }
}

#[test]
fn damage_while_it_is_open_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    fill(&mut spool, 1..=3);
    let file = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|w| w == b"event 2").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(all(&mut spool), expected([1, 3].into_iter()));
    assert_eq!(spool.get(1).unwrap().unwrap().previous, Some(RecordId(1)), "who asks is told that 2 is no more");
    assert_eq!((spool.counts().corrupt, spool.counts().lost()), (1, 1));
}

#[test]
fn the_oldest_give_way_when_it_is_full_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path().to_path_buf(), Default::default()] {
        let on_disk = !dir.as_os_str().is_empty();
        let mut spool = SpoolConfig { dir: dir.clone(), max_bytes: 1 << 18, ..SpoolConfig::default() }.open().unwrap();
        assert_eq!(spool.survives(), on_disk);
        for n in 0..3000u64 {
            spool.append(&[n as u8; 400]).unwrap();
            assert!(spool.bytes() <= 1 << 18, "{}", spool.bytes());
        }
        let c = spool.counts();
        assert_eq!(c.dropped_size + spool.waiting(), 3000);
        assert!(spool.waiting() > 500, "{}", spool.waiting());
        let oldest = spool.peek().unwrap().unwrap();
        assert_eq!((oldest.id.0, oldest.previous), (c.dropped_size + 1, None));
        assert_eq!(oldest.payload, [c.dropped_size as u8; 400]);
        // Delivered all the time, it stays small.
        spool.ack(RecordId(3000));
        for n in 3001..6000 {
            let id = spool.append(&[1; 400]).unwrap();
            assert_eq!((id.0, spool.ack(id)), (n, 1));
            assert!(spool.bytes() < (1 << 18) / 4);
        }
        if on_disk {
            assert!(segments(&dir).len() <= 2, "{:?}", segments(&dir));
        }
    }
}

#[test]
fn what_is_too_old_goes_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = SpoolConfig { max_age_s: 1, ..config(dir.path()) }.open().unwrap();
    fill(&mut spool, 1..=3);
    assert_eq!(spool.expire(), 0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fill(&mut spool, 4..=4);
    assert_eq!(all(&mut spool), expected(4..=4));
    assert_eq!(spool.counts().dropped_age, 3);
    drop(spool);
    assert_eq!(all(&mut open(dir.path())), expected(4..=4));
}

#[test]
fn two_cannot_share_it_and_mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path());
    let e = config(dir.path()).open().unwrap_err();
    assert!(matches!(e, SpoolError::InUse(_)) && e.to_string().contains("its own directory"), "{e}");
    let e = first.append(&vec![0; MAX_PAYLOAD + 1]).unwrap_err().to_string();
    assert!(e.contains("65537") && e.contains("65536"), "{e}");
    first.append(&vec![7; MAX_PAYLOAD]).unwrap();
    drop(first);
    assert_eq!(open(dir.path()).peek().unwrap().unwrap().payload, vec![7; MAX_PAYLOAD]);
    let e = SpoolConfig { max_bytes: 5, ..config(dir.path()) }.open().unwrap_err().to_string();
    assert!(e.contains("max_bytes") && e.contains('5'), "{e}");
    let e = config(Path::new("/proc/no/such")).open().unwrap_err().to_string();
    assert!(e.contains("/proc/no/such"), "{e}");
}

#[test]
fn foreign_files_and_rubbish_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("note.txt"), "mine").unwrap();
    fs::write(dir.path().join("0000000000000001.spool"), vec![b'm'; 100_000]).unwrap();
    fs::write(dir.path().join("0000000000000002.spool"), b"mREC\xff\xff\xff\xff").unwrap();
    let mut spool = open(dir.path());
    assert_eq!(spool.waiting(), 0);
    spool.append(b"well").unwrap();
    drop(spool);
    assert_eq!(open(dir.path()).peek().unwrap().unwrap().payload, b"well");
    assert_eq!(fs::read(dir.path().join("note.txt")).unwrap(), b"mine");
}

/// Not a test of its own: the process that the next test kills. It says every number that it has appended or
/// acknowledged, after it has.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os("MERCAM_TEST_SPOOL") else { return };
    let mut spool = SpoolConfig { max_bytes: 1 << 20, ..config(Path::new(&dir)) }.open().unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let next = spool.append(&[]).unwrap().0 + 1;
        let id = spool.append(&payload(next)).unwrap();
        writeln!(out, "+{}", id.0).unwrap();
        if id.0.is_multiple_of(5) {
            let oldest = spool.get(1).unwrap().unwrap().id;
            spool.ack(oldest);
            writeln!(out, "-{}", oldest.0).unwrap();
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_had_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut total = 0;
    let mut last_done = 0;
    for round in 0..15u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env("MERCAM_TEST_SPOOL", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut taken, mut done) = (Vec::new(), last_done);
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix('+') {
                taken.push(n.parse::<u64>().unwrap());
            } else if let Some(n) = line.strip_prefix('-') {
                done = n.parse().unwrap();
            }
            if taken.len() as u64 == 20 + round * 13 {
                child.kill().unwrap(); // SIGKILL; what the pipe still holds is read to its end
            }
        }
        child.wait().unwrap();
        let mut spool = SpoolConfig { max_bytes: 1 << 20, ..config(dir.path()) }.open().unwrap();
        let there = all(&mut spool);
        assert!(there.is_sorted_by_key(|r| r.0));
        // Two records may have been noted as acknowledged on disk, without the child having said so.
        let first = there[0].0;
        assert!(first <= done + 3, "round {round}: acknowledged to {done}, there from {first}");
        let missing: Vec<_> =
            taken.iter().filter(|id| **id >= first && !there.contains(&(**id, payload(**id)))).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?} are missing");
        assert!(there.iter().all(|(id, _)| *id > done), "what was acknowledged came again");
        assert_eq!((spool.counts().corrupt, spool.counts().dropped_size), (0, 0));
        total += taken.len();
        last_done = first;
        spool.ack(RecordId(first));
    }
    assert!(total > 1000, "{total}");
}

#[test]
fn waiting_for_the_disk_is_a_choice() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = SpoolConfig { fsync: Fsync::Always, ..config(dir.path()) }.open().unwrap();
    fill(&mut spool, 1..=3);
    spool.sync().unwrap();
    assert_eq!(all(&mut spool), expected(1..=3));
}
