//! `mercam host` and the sinks that send to it, as processes: many devices, killed hosts, hostile peers.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "data/wire/sample.rs"]
mod sample;
#[path = "host/support.rs"]
mod support;

use mercam::event::Event;
use mercam::sinks::{Sink, SinkSpec};
use mercam::wire::{Envelope, Origin, RunId};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Host, by_run, mercam, port, wait_for};

const QUICK: &str = "retry_min_ms=5&retry_max_ms=50";

fn build(spec: &str) -> Box<dyn Sink> {
    spec.parse::<SinkSpec>().unwrap_or_else(|e| panic!("{e}")).build().unwrap_or_else(|e| panic!("{e}"))
}

fn origin(device: &str) -> Origin {
    Origin::new(Some(&device.parse().unwrap()))
}

fn event(origin: &Origin, seq: u64) -> Envelope {
    Envelope::from_origin(origin, seq, Event::Confirmed(sample::detection(seq)))
}

/// Sends and works until everything is acknowledged.
fn deliver(sink: &mut Box<dyn Sink>) {
    wait_for("everything is acknowledged", || {
        sink.pump();
        (sink.backlog().waiting == 0).then_some(())
    });
}

#[test]
fn many_devices_at_once_over_tcp_and_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    let (tcp, unix) = (format!("tcp:127.0.0.1:{}", port()), format!("unix:{}", dir.path().join("s").display()));
    let host = Host::start(&dir.path().join("host"), &[&tcp, &unix]);
    let began = Instant::now();
    let devices: Vec<_> = (0..16)
        .map(|k| {
            let spec = format!("{}?{QUICK}", if k % 2 == 0 { &tcp } else { &unix });
            std::thread::spawn(move || {
                let (origin, mut sink) = (origin(&format!("kiosk-{k}")), build(&spec));
                (0..100).for_each(|seq| sink.send(&event(&origin, seq)).unwrap());
                deliver(&mut sink);
                assert_eq!(sink.trouble(), None);
                sink.flush().unwrap();
            })
        })
        .collect();
    devices.into_iter().for_each(|d| d.join().unwrap());
    println!("1600 events of 16 devices in {:?}", began.elapsed());
    let runs = by_run(&host.events());
    assert_eq!(runs.len(), 16);
    assert!(runs.values().all(|seqs| seqs.iter().copied().eq(0..100)), "each once, each device in its order");
    let stored = host.events().into_iter().find(|e| e.device == "kiosk-3" && e.seq == 42).unwrap();
    assert_eq!(stored.event, Event::Confirmed(sample::detection(42)));
    let dir = host.dir.clone();
    host.stop();
    // What people and other programs see of it.
    let said = |args: &[&str]| {
        let out = mercam().arg("host").args(args).arg("--dir").arg(&dir).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let stats = said(&["stats"]);
    let row = stats.lines().find(|l| l.starts_with("kiosk-3 ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[..7], ["kiosk-3", "100", "100", "0", "0", "0", "1"], "{row}");
    let json: serde_json::Value = serde_json::from_str(&said(&["stats", "--json"])).unwrap();
    assert_eq!(json["devices"]["kiosk-0"]["missing"], 0);
    assert_eq!(json["lines"][&tcp]["records"], 800);
    assert_eq!(said(&["tail", "-n", "3"]).lines().filter(|l| l.contains("surprise (0.81)")).count(), 3);
    assert_eq!(said(&["tail", "-n", "1", "--json"]).matches("\"v\":2").count(), 1);
    let csv = said(&["export", "--format", "csv", "--device", "kiosk-5"]);
    assert_eq!(csv.lines().count(), 101);
    assert!(csv.starts_with("device,run,seq,kind,") && csv.lines().nth(1).unwrap().starts_with("kiosk-5,"), "{csv}");
    assert_eq!(said(&["export", "--format", "jsonl", "--kind", "status"]), "");
    assert_eq!(said(&["export", "--format", "jsonl"]), fs::read_to_string(dir.join("events.jsonl")).unwrap());
    sql_is_read_twice(&said(&["export", "--format", "sql"]), 1600);
}

/// Runs the exported SQL twice in SQLite, through Python's own module: nothing comes twice.
fn sql_is_read_twice(sql: &str, rows: u64) {
    let program = "import sqlite3, sys; db = sqlite3.connect(':memory:'); text = sys.stdin.read(); \
                   db.executescript(text); db.executescript(text); \
                   print(db.execute('select count(*), sum(amplitude > 0.03) from event').fetchone())";
    let mut python =
        Command::new("python3").args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let out = python.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), format!("({rows}, {rows})"));
}

/// The answer of the real `sqlite3` to a question, as one text.
fn ask(database: &Path, question: &str) -> String {
    let out = Command::new("sqlite3").arg(database).arg(question).output();
    let out = out.unwrap_or_else(|e| panic!("sqlite3 cannot be run ({e}): apt-get install sqlite3"));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_database_is_kept_beside_the_events_through_kills_and_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (tcp, own, database) =
        (format!("tcp:127.0.0.1:{}", port()), dir.path().join("host"), dir.path().join("events.db"));
    let start = || {
        let mut command = mercam();
        command.args(["host", "--log", "warn", "--max-bytes", "65536", "--listen", &tcp, "--dir"]).arg(&own);
        Host::of(command.arg("--sqlite").arg(&database).spawn().unwrap(), &own)
    };
    let host = start();
    let (origin, mut sink) = (origin("a"), build(&format!("{tcp}?{QUICK}")));
    let mut send = |seqs: std::ops::Range<u64>| {
        seqs.for_each(|seq| sink.send(&event(&origin, seq)).unwrap());
        deliver(&mut sink);
    };
    send(0..100);
    let rows = |n: &str| wait_for(n, || (ask(&database, "SELECT count(*) FROM event") == n).then_some(()));
    rows("100");
    send(100..150);
    host.kill(); // with the last of them in the file, and perhaps not in the database
    let host = start();
    send(150..300); // over several files
    host.stop();
    // What had come before the end is there when the host has ended.
    assert_eq!(ask(&database, "SELECT count(*), max(seq), count(DISTINCT seq) FROM event"), "300|299|300");
    assert_eq!(ask(&database, "SELECT class, component FROM event WHERE seq = 42"), "surprise|right_brow");
    fs::remove_file(&database).unwrap();
    let host = start();
    wait_for("the host listens", || TcpStream::connect(&tcp[4..]).ok());
    host.stop();
    assert_eq!(ask(&database, "SELECT count(*) FROM event"), "300", "it can be made again");
}

#[test]
fn an_export_goes_on_with_what_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (tcp, own) = (format!("tcp:127.0.0.1:{}", port()), dir.path().join("host"));
    let host = Host::start(&own, &[&tcp]);
    let (origin, mut sink) = (origin("a"), build(&format!("{tcp}?{QUICK}")));
    sink.send(&event(&origin, 0)).unwrap();
    deliver(&mut sink);
    let mut export = mercam();
    export.args(["host", "export", "--format", "jsonl", "--follow", "--dir"]).arg(&own);
    let export = export.stdout(Stdio::piped()).spawn().unwrap();
    for seq in 1..40 {
        sink.send(&event(&origin, seq)).unwrap();
    }
    deliver(&mut sink);
    std::thread::sleep(Duration::from_millis(1200)); // it looks twice in a second
    let pid = rustix::process::Pid::from_child(&export);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let out = export.wait_with_output().unwrap();
    assert!(out.status.success());
    assert_eq!(out.stdout, fs::read(own.join("events.jsonl")).unwrap());
    host.stop();
}

#[test]
fn a_host_that_is_killed_again_and_again_ends_with_every_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let (tcp, own) = (format!("tcp:127.0.0.1:{}", port()), dir.path().join("host"));
    let spool = dir.path().join("spool");
    let mut host = Host::start(&own, &[&tcp]);
    let (origin, mut sink) = (origin("a"), build(&format!("{tcp}?spool={}&{QUICK}", spool.display())));
    for seq in 0..300 {
        sink.send(&event(&origin, seq)).unwrap();
        if seq % 60 == 59 {
            wait_for("more has arrived", || {
                sink.pump();
                (host.events().len() as u64 > seq - 30).then_some(())
            });
            host.kill();
            host = Host::start(&own, &[&tcp]);
        }
    }
    deliver(&mut sink);
    let runs = by_run(&host.events());
    let [seqs] = &runs.values().collect::<Vec<_>>()[..] else { panic!("{runs:?}") };
    assert!(seqs.iter().copied().eq(0..300), "{seqs:?}");
}

#[test]
fn what_waited_while_nobody_listened_arrives_after_a_restart_of_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", dir.path().join("s").display());
    let spec = format!("{unix}?spool={}&{QUICK}", dir.path().join("spool").display());
    let origin = origin("a");
    let mut sink = build(&spec);
    (0..30).for_each(|seq| sink.send(&event(&origin, seq)).unwrap());
    wait_for("the trouble is told", || {
        sink.pump();
        sink.trouble().map(str::to_owned)
    });
    let began = Instant::now();
    sink.flush().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for an absent host at the end");
    assert_eq!((sink.backlog().waiting, sink.backlog().survives), (30, true));
    drop(sink);

    let host = Host::start(&dir.path().join("host"), &[&unix]);
    let mut sink = build(&spec);
    deliver(&mut sink);
    let second = Origin { run: RunId(origin.run.0 ^ 1), ..origin };
    sink.send(&event(&second, 0)).unwrap();
    deliver(&mut sink);
    assert_eq!(by_run(&host.events()).values().map(Vec::len).sum::<usize>(), 31);
    assert_eq!(sink.trouble(), None);

    // Without a spool on disk the end is told as a loss.
    host.stop();
    let mut sink = build(&format!("{unix}?{QUICK}"));
    sink.send(&event(&second, 1)).unwrap();
    let e = sink.flush().unwrap_err().to_string();
    assert!(e.contains("1 events were not delivered") && e.contains("spool"), "{e}");
}

#[test]
fn the_same_event_over_two_lines_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let (tcp, unix) = (format!("tcp:127.0.0.1:{}", port()), format!("unix:{}", dir.path().join("s").display()));
    let host = Host::start(&dir.path().join("host"), &[&tcp, &unix]);
    let origin = origin("a");
    for spec in [&tcp, &unix] {
        let mut sink = build(&format!("{spec}?{QUICK}"));
        (0..20).filter(|seq| *seq != 7).for_each(|seq| sink.send(&event(&origin, seq)).unwrap());
        deliver(&mut sink);
    }
    assert_eq!(host.events().len(), 19);
    let stats = wait_for("the counters", || {
        let bytes = fs::read(host.dir.join("stats.json")).ok()?;
        let stats: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        (stats["devices"]["a"]["duplicates"] == 19).then_some(stats)
    });
    assert_eq!(stats["devices"]["a"]["missing"], 1, "and the one that was never sent is missed");
}

#[test]
fn hostile_peers_cost_neither_memory_nor_others() {
    let dir = tempfile::tempdir().unwrap();
    let port = port();
    let tcp = format!("tcp:127.0.0.1:{port}");
    let host = Host::start(&dir.path().join("host"), &[&tcp]);
    let address = format!("127.0.0.1:{port}");
    let connect = || wait_for("the host listens", || TcpStream::connect(&address).ok());
    let memory = || {
        let text = fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
        let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut held = vec![connect()];
    std::thread::sleep(Duration::from_millis(300));
    let before = memory();
    // Endless frames, noise, frames that never end, frames of other versions; from several at a time.
    let mut random = 88_172_645_463_325_252_u64;
    let mut noise = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as u8
    };
    for k in 0..8 {
        let mut peer = connect();
        for _ in 0..40 {
            let bytes: Vec<u8> = (0..50_000).map(|_| if k % 2 == 0 { 1 } else { noise() }).collect();
            if peer.write_all(&bytes).is_err() {
                break;
            }
        }
        held.push(peer);
    }
    // More connections than there may be.
    held.extend((0..600).filter_map(|_| TcpStream::connect(&address).ok()));
    let after = memory();
    assert!(after < before + 60_000, "{before} kB, then {after} kB");
    drop(held);
    let (origin, mut sink) = (origin("good"), build(&format!("{tcp}?{QUICK}")));
    (0..50).for_each(|seq| sink.send(&event(&origin, seq)).unwrap());
    deliver(&mut sink);
    assert!(host.events().iter().map(|e| e.seq).eq(0..50));
}

#[test]
fn mistakes_of_the_caller_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |args: &[&str]| {
        let out = mercam().arg("host").args(args).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, said) = fails(&["--listen", "file:x"]);
    assert!(code == Some(2) && said.contains("tcp, unix") && said.contains("serial"), "{said}");
    let (code, said) = fails(&["stats", "--dir", "/no/such"]);
    assert!(code == Some(69) && said.contains("/no/such") && said.contains("mercam host"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", taken.local_addr().unwrap());
    let own = dir.path().join("host");
    let own = own.to_str().unwrap();
    let (code, said) = fails(&["--listen", &address, "--dir", own]);
    assert!(code == Some(69) && said.contains("cannot listen") && said.contains(&address), "{said}");
    let free = format!("tcp:127.0.0.1:{}", port());
    let host = Host::start(Path::new(own), &[&free]);
    wait_for("the host listens", || TcpStream::connect(&free[4..]).ok());
    let (code, said) = fails(&["--listen", &format!("tcp:127.0.0.1:{}", port()), "--dir", own]);
    assert!(code == Some(69) && said.contains("another `mercam host`"), "{said}");
    // It greets whoever connects, so that a device sends at once what waits.
    let mut peer = TcpStream::connect(&free[4..]).unwrap();
    let mut hello = [0; 9];
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    peer.read_exact(&mut hello).unwrap();
    assert_eq!((hello[0], hello[8]), (0, 0), "{hello:?}");
    host.stop();
}
