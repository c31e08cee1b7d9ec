//! The MQTT sink and the host that subscribes, with a real mosquitto between: stopped and started, paused, with TLS and
//! passwords, its queue full, sender and host killed.
//! Only with `--features mqtt`; left out, loudly, where mosquitto is not installed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mqtt/broker.rs"]
mod broker;
#[path = "host/clip.rs"]
mod clip;
#[path = "mqtt/fleet.rs"]
mod fleet;
#[path = "mqtt/host.rs"]
mod host;
#[path = "data/wire/sample.rs"]
mod sample;
#[path = "host/support.rs"]
mod support;

use broker::{Broker, Subscriber, installed, signal, until};
use mercam::event::Event;
use mercam::pipeline::channel::Policy;
use mercam::pipeline::delivery::Delivery;
use mercam::sinks::{Sink, SinkSpec};
use mercam::wire::{Envelope, Origin, RunId};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const QUICK: &str = "retry_min_ms=10&retry_max_ms=200&ack_timeout_ms=1500&connect_timeout_ms=1500";

fn build(spec: &str) -> Box<dyn Sink> {
    spec.parse::<SinkSpec>().unwrap_or_else(|e| panic!("{e}")).build().unwrap_or_else(|e| panic!("{e}"))
}

fn kiosk(run: u64) -> Origin {
    Origin { device: "kiosk-7".parse().unwrap(), run: RunId(run) }
}

fn event(id: u64) -> Event {
    Event::Confirmed(sample::detection(id))
}

/// What a host keeps: each event once, by device, run and number, and how many came twice.
fn once(events: Vec<Envelope>) -> (Vec<u64>, usize) {
    let (mut seen, all) = (BTreeSet::new(), events.len());
    let kept: Vec<u64> =
        events.into_iter().filter(|e| seen.insert((e.device.clone(), e.run, e.seq))).map(|e| e.seq).collect();
    let twice = all - kept.len();
    (kept, twice)
}

/// Works until a sink has delivered all, or has come to a state.
fn pump(sink: &mut dyn Sink, what: &str, mut done: impl FnMut(&dyn Sink) -> bool) {
    until(what, || {
        sink.pump();
        done(sink).then_some(())
    });
}

#[test]
fn a_broker_that_restarts_or_hangs_costs_no_event() {
    if !installed() {
        return;
    }
    let mut broker = Broker::open();
    let host = Subscriber::to(&broker, &[]);
    let spec = format!("mqtt:127.0.0.1:{}?spool={}&{QUICK}", broker.port, broker.dir.path().join("spool").display());
    let mut delivery = Delivery::start(vec![build(&spec)], kiosk(1), 64, Policy::Block).unwrap();
    let mut sent = 0;
    let mut burst = |delivery: &mut Delivery| {
        (sent..sent + 100).for_each(|id| delivery.send(event(id)));
        sent += 100;
        sent
    };
    let arrived = |n: u64| until("all events", || (once(host.events("confirmed")).0.len() as u64 >= n).then_some(()));
    let began = Instant::now();
    let n = burst(&mut delivery);
    arrived(n);
    let plain = began.elapsed();
    for _ in 0..2 {
        broker.stop();
        burst(&mut delivery);
        std::thread::sleep(Duration::from_millis(300));
        broker.start();
        burst(&mut delivery);
        // Long enough that the connection counts as dead.
        broker.pause();
        let n = burst(&mut delivery);
        std::thread::sleep(Duration::from_millis(2500));
        broker.resume();
        arrived(n);
    }
    let report = delivery.finish();
    let (kept, twice) = once(host.events("confirmed"));
    assert!(kept.iter().copied().eq(0..sent), "{kept:?}");
    assert_eq!((report[0].sent, report[0].failed, report[0].dropped, report[0].waiting), (sent, 0, 0, 0));
    until("it says goodbye", || (host.last("mercam/kiosk-7/availability")? == "offline").then_some(()));
    eprintln!("{sent} events sent, {} received, {twice} of them twice; 100 undisturbed took {plain:?}", kept.len());
}

#[test]
fn a_broker_that_takes_nothing_fills_the_spool_and_the_oldest_are_counted() {
    if !installed() {
        return;
    }
    let broker = Broker::open();
    let host = Subscriber::to(&broker, &[]);
    let mut sink = build(&format!("mqtt:127.0.0.1:{}?spool_max_bytes=262144&{QUICK}", broker.port));
    sink.introduce(&kiosk(2));
    sink.send(&Envelope::from_origin(&kiosk(2), 0, event(0))).unwrap();
    pump(sink.as_mut(), "the first arrives", |s| s.backlog().waiting == 0);
    broker.pause();
    let sent = 2000;
    for seq in 1..sent {
        sink.send(&Envelope::from_origin(&kiosk(2), seq, event(seq))).unwrap();
    }
    let backlog = sink.backlog();
    assert!(backlog.given_up > 1000 && !backlog.survives, "{backlog:?}");
    pump(sink.as_mut(), "the silence is told", |s| s.trouble().is_some());
    broker.resume();
    pump(sink.as_mut(), "the rest arrives", |s| s.backlog().waiting == 0 && s.trouble().is_none());
    let given_up = sink.backlog().given_up;
    let (kept, twice) = until("all", || {
        let got = once(host.events("confirmed"));
        (got.0.last() == Some(&(sent - 1))).then_some(got)
    });
    // What gave way may have been on the way already, so some of it arrived all the same.
    assert!(kept.len() as u64 + given_up >= sent, "{} arrived, {given_up} given up", kept.len());
    assert!(kept.is_sorted_by(|a, b| a < b) && kept.len() < sent as usize, "{} arrived", kept.len());
    eprintln!("{sent} sent, {} received, {given_up} given up and counted, {twice} came twice", kept.len());
}

/// The binary at work, with its last words.
fn run_binary(broker: &Broker, options: &str, duration: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mercam"))
        .args(["run", "--source", "synthetic:?seed=3", "--duration", duration, "--set", "device=kiosk-7"])
        .args(["--set", "pipeline.status_interval_s=1"])
        .args(["--sink", &format!("mqtt:127.0.0.1:{}?{QUICK}{options}", broker.port)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_will_is_seen_when_mercam_is_killed_and_home_assistant_is_told() {
    if !installed() {
        return;
    }
    let broker = Broker::open();
    let host = Subscriber::to(&broker, &[]);
    let mut child = run_binary(&broker, "&home_assistant=true", "600s");
    until("it is there", || (host.last("mercam/kiosk-7/availability")? == "online").then_some(()));
    until("its status", || host.last("mercam/kiosk-7/status"));
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    until("its will", || (host.last("mercam/kiosk-7/availability")? == "offline").then_some(()));
    let told: Vec<_> = host.messages().into_iter().filter(|m| m.topic.starts_with("homeassistant/sensor/")).collect();
    assert!(told.len() >= 3, "{told:?}");
    for m in told {
        let config: serde_json::Value = serde_json::from_str(&m.payload).unwrap();
        assert_eq!(config["availability_topic"], "mercam/kiosk-7/availability");
    }
    // Whoever comes later learns both from the broker.
    let late = Subscriber::to(&broker, &["-i", "late"]);
    until("retained", || (late.last("mercam/kiosk-7/availability")? == "offline").then_some(()));
    until("retained", || late.last("mercam/kiosk-7/status"));
}

/// Not a test of its own: the sender that the next test kills. Tells each number that the sink has taken.
#[test]
fn child_that_sends_until_it_is_killed() {
    let Ok(job) = std::env::var("MERCAM_TEST_SENDER") else { return };
    let (first, spec) = job.split_once(' ').unwrap();
    let first: u64 = first.parse().unwrap();
    let mut sink = build(spec);
    sink.introduce(&kiosk(3));
    for seq in first.. {
        sink.send(&Envelope::from_origin(&kiosk(3), seq, event(seq))).unwrap();
        println!("\ntaken {seq}");
        std::thread::sleep(Duration::from_micros(500));
        if std::env::var("MERCAM_TEST_LAST").is_ok_and(|n| n.parse() == Ok(seq)) {
            return sink.flush().unwrap();
        }
    }
}

#[test]
fn a_sender_that_is_killed_loses_nothing_that_it_took() {
    if !installed() {
        return;
    }
    let broker = Broker::open();
    let host = Subscriber::to(&broker, &[]);
    let spec = format!("mqtt:127.0.0.1:{}?spool={}&{QUICK}", broker.port, broker.dir.path().join("spool").display());
    let start = |first: u64| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_that_sends_until_it_is_killed", "--nocapture"]);
        command.env("MERCAM_TEST_SENDER", format!("{first} {spec}")).stdout(Stdio::piped());
        command
    };
    let numbers = |child: &mut Child| {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        lines.filter_map(|l| l.strip_prefix("taken ")?.parse::<u64>().ok())
    };
    let mut next = 0;
    for _ in 0..3 {
        let mut child = start(next).spawn().unwrap();
        for seq in numbers(&mut child) {
            next = seq + 1;
            if seq % 150 == 149 {
                signal(&child, Signal::KILL);
            }
        }
        child.wait().unwrap();
        next += 1; // the one that it was taking may be there or not, and its number is not used again
    }
    let mut last = start(next).env("MERCAM_TEST_LAST", (next + 20).to_string()).spawn().unwrap();
    let told: Vec<u64> = numbers(&mut last).collect();
    assert!(last.wait().unwrap().success());
    assert_eq!(told.last(), Some(&(next + 20)));
    let (kept, twice) = until("the last", || {
        let got = once(host.events("confirmed"));
        (got.0.last() == Some(&(next + 20))).then_some(got)
    });
    let missing: Vec<u64> = (0..=next + 20).filter(|n| !kept.contains(n)).collect();
    // Only the number that was skipped after each kill may be missing.
    assert!(missing.len() <= 3 && kept.is_sorted_by(|a, b| a < b), "missing {missing:?}");
    eprintln!("{} events over 3 kills, {twice} came twice, skipped numbers not used: {missing:?}", kept.len());
}

/// A CA and a certificate of the broker's, made with openssl.
fn certificates(dir: &Path) {
    let san = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    fs::write(dir.join("san"), san).unwrap();
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem",
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other-ca -keyout other.key -out other.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout broker.key -out broker.csr",
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out broker.pem",
    ] {
        let out = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn tls_is_checked_against_the_ca_that_is_named() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let tls = "cafile DIR/ca.pem\ncertfile DIR/broker.pem\nkeyfile DIR/broker.key\nallow_anonymous true\n";
    let broker = Broker::prepared(dir, tls);
    let file = |name: &str| broker.dir.path().join(name).display().to_string();
    let host = Subscriber::to(&broker, &["--cafile", &file("ca.pem")]);
    let sink = |options: String| {
        let mut sink = build(&format!("mqtt:localhost:{}?{QUICK}&{options}", broker.port));
        sink.introduce(&kiosk(4));
        sink
    };
    let mut good = sink(format!("ca={}", file("ca.pem")));
    for seq in 0..300 {
        good.send(&Envelope::from_origin(&kiosk(4), seq, event(seq))).unwrap();
    }
    pump(good.as_mut(), "delivered", |s| s.backlog().waiting == 0);
    until("all", || once(host.events("confirmed")).0.into_iter().eq(0..300).then_some(()));
    for (options, words) in [
        ("tls=true".to_owned(), ["not trusted", "`ca`"]),
        (format!("ca={}", file("other.pem")), ["not trusted", "signed"]),
        (format!("ca={}", file("no.pem")), ["no.pem", "PEM"]),
        (String::new(), ["broker", "`tls`"]),
    ] {
        let mut bad = sink(options.clone());
        pump(bad.as_mut(), "refused", |s| s.trouble().is_some());
        let trouble = bad.trouble().unwrap();
        assert!(words.iter().all(|w| trouble.contains(w)), "{options}: {trouble}");
    }
    assert!(broker.log().contains("Client connected") || broker.log().contains("New client connected"));
}

/// The errors that the sink logs.
struct Log;
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, r: &log::Record<'_>) {
        if r.level() <= log::Level::Warn {
            LOGGED.lock().unwrap().push(format!("{} {}", r.level(), r.args()));
        }
    }
    fn flush(&self) {}
}

#[test]
fn a_wrong_password_is_one_clear_error_and_tried_with_growing_delays() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let passwords = dir.path().join("passwords");
    let made = Command::new("mosquitto_passwd").arg("-c").arg("-b").arg(&passwords).args(["mercam", "right"]).output();
    assert!(made.unwrap().status.success());
    let broker = Broker::prepared(dir, "allow_anonymous false\npassword_file DIR/passwords\n");
    let host = Subscriber::to(&broker, &["-u", "mercam", "-P", "right"]);
    let file = broker.dir.path().join("secret");
    fs::write(&file, "wrong\n").unwrap();
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let address = format!("127.0.0.1:{}", broker.port);
    let options = format!("{QUICK}&username=mercam&password_file={}", file.display());
    let mut sink = build(&format!("mqtt:{address}?{options}"));
    sink.introduce(&kiosk(5));
    for seq in 0..10 {
        sink.send(&Envelope::from_origin(&kiosk(5), seq, event(seq))).unwrap();
    }
    let began = Instant::now();
    let attempts = || broker.log().matches("not authorised").count();
    pump(sink.as_mut(), "several attempts", |_| attempts() >= 6);
    // 10, 20, 40, 80, 160 ms, each cut by up to a half, and 200 from then on.
    assert!(began.elapsed() > Duration::from_millis(150), "{:?}", began.elapsed());
    let ours: Vec<String> = LOGGED.lock().unwrap().iter().filter(|l| l.contains(&address)).cloned().collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    for word in ["ERROR", "user `mercam`", "wrong name or password", "password_file", "in memory"] {
        assert!(ours[0].contains(word), "{word}: {ours:?}");
    }
    assert!(!ours[0].contains("wrong\n") && sink.trouble().is_some());
    // Mended while it runs.
    fs::write(&file, "right\n").unwrap();
    pump(sink.as_mut(), "let in", |s| s.trouble().is_none() && s.backlog().waiting == 0);
    until("all", || once(host.events("confirmed")).0.into_iter().eq(0..10).then_some(()));
}
