//! The real binary as a service: what the service manager is told, when it is fed, and what SIGHUP does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Service {
    child: Child,
    manager: UnixDatagram,
    log: Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Service {
    /// Starts mercam as a service manager would, watched with a limit of two seconds.
    fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mercam"))
            .args(args)
            .env_remove("MERCAM_CONFIG")
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .env_remove("WATCHDOG_PID")
            .env("JOURNAL_STREAM", "8:1")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        Self { child, manager, log, _dir: dir }
    }

    /// Waits until the manager is told something that holds `words`; gives everything that it was told until then.
    #[track_caller]
    fn told(&self, words: &str) -> Vec<String> {
        let (begin, mut all) = (Instant::now(), vec![]);
        let mut bytes = [0; 1024];
        self.manager.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        while begin.elapsed() < PATIENCE {
            let Ok(n) = self.manager.recv(&mut bytes) else { continue };
            all.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
            if all.last().unwrap().contains(words) {
                return all;
            }
        }
        panic!("`{words}` was not told; told: {all:?}; log: {:?}", self.log.try_iter().collect::<Vec<_>>());
    }

    /// What the manager is told in this time.
    fn told_within(&self, time: Duration) -> Vec<String> {
        let (begin, mut all) = (Instant::now(), vec![]);
        let mut bytes = [0; 1024];
        self.manager.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while begin.elapsed() < time {
            if let Ok(n) = self.manager.recv(&mut bytes) {
                all.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
            }
        }
        all
    }

    #[track_caller]
    fn logged(&self, words: &str) -> String {
        let (begin, mut all) = (Instant::now(), vec![]);
        while begin.elapsed() < PATIENCE {
            let Ok(line) = self.log.recv_timeout(Duration::from_millis(100)) else { continue };
            if line.contains(words) {
                return line;
            }
            all.push(line);
        }
        panic!("`{words}` was not logged; logged: {all:?}");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().unwrap().success());
    }

    fn end(mut self) -> i32 {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().unwrap();
        panic!("it did not end");
    }
}

const STEADY: &str = "synthetic:?pace=steady&duration=600&seed=3";

#[test]
fn ready_watchdog_status_and_stopping_are_told_in_this_order() {
    let service = Service::start(&["run", "--source", STEADY]);
    let before = service.told("READY=1");
    assert!(!before.iter().any(|t| t.contains("WATCHDOG")), "fed before it was ready: {before:?}");
    service.told("WATCHDOG=1");
    let status = service.told("frames/s, ");
    assert!(status.last().unwrap().starts_with("STATUS=synthetic: "), "{status:?}");
    service.told("WATCHDOG=1");
    let line = service.logged("source synthetic");
    assert!(line.starts_with("<6>"), "journald wants the priority first: {line}");
    service.signal("TERM");
    service.told("STOPPING=1");
    assert_eq!(service.end(), 0);
}

#[test]
fn a_source_that_falls_silent_is_not_taken_for_progress() {
    // A pipe that delivers half a second of video and then nothing more, but stays open.
    let service = Service::start(&["run", "--source", "replay:-", "--sink", "log"]);
    let mut service = service;
    let mut pipe = service.child.stdin.take().unwrap();
    writeln!(pipe, r#"{{"mercam":"landmarks","version":1}}"#).unwrap();
    for i in 0..30 {
        writeln!(pipe, r#"{{"us":{},"seq":{i},"lost":0,"faces":[]}}"#, i * 16_667).unwrap();
    }
    pipe.flush().unwrap();
    service.told("WATCHDOG=1");
    service.told_within(Duration::from_secs(1));
    let silent = service.told_within(Duration::from_secs(3));
    assert!(silent.iter().any(|t| t.contains("STATUS=")), "it lives: {silent:?}");
    assert!(!silent.iter().any(|t| t.contains("WATCHDOG")), "the manager would never restart it: {silent:?}");
    drop(pipe);
    assert_eq!(service.end(), 0);
}

fn put(path: &Path, spotting: &str, sink: &Path) {
    let sink = sink.display();
    let text = format!("source = \"{STEADY}\"\n{spotting}\n[[sink]]\nkind = \"file\"\npath = \"{sink}\"\n");
    std::fs::write(path, text).unwrap();
}

#[track_caller]
fn appears(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < PATIENCE, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_hangup_puts_a_good_configuration_in_force_and_keeps_the_old_one_before_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    let (config, one, two) = (dir.path().join("c.toml"), dir.path().join("one.jsonl"), dir.path().join("two.jsonl"));
    put(&config, "", &one);
    let service = Service::start(&["run", "--config", config.to_str().unwrap()]);
    service.told("READY=1");
    appears(&one);

    put(&config, "[analysis.spotting]\ntriger = 1\n", &two);
    service.signal("HUP");
    assert!(service.told("READY=1").iter().any(|t| t.contains("RELOADING=1\nMONOTONIC_USEC=")));
    let line = service.logged("was not reloaded");
    assert!(line.starts_with("<3>") && line.contains("c.toml, line") && line.contains("`trigger`"), "{line}");
    assert!(!two.exists());

    put(&config, "[analysis.spotting]\ntrigger = 0.006\n[health]\nhot_c = 75.0\n", &two);
    service.signal("HUP");
    assert!(service.logged("needs a restart").contains("a change of health "));
    assert!(service.logged("configuration reloaded").contains("two.jsonl"));
    appears(&two);
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    service.told("WATCHDOG=1");
    service.signal("TERM");
    assert_eq!(service.end(), 0);
    assert!(lines(&two) > 0, "the new sink gets the events: at least the last status");
    assert!(!std::fs::read_to_string(&one).unwrap().contains(&last_line(&two)), "the old sink gets no more");
}

fn last_line(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().lines().last().unwrap().to_owned()
}
