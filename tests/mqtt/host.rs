//! `mercam host` as a subscriber: from the sensor through the broker to the store.

use super::broker::{Broker, Subscriber, installed, signal, until};
use super::clip::{self, CLIP, sender, spooled_bytes, waiting};
use super::support::{self, Host, wait_for};
use super::{QUICK, build, certificates, event, kiosk};
use mercam::sinks::Sink;
use mercam::wire::Envelope;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LISTEN: &str = "retry_min_ms=5&retry_max_ms=50&ack_timeout_ms=1500&connect_timeout_ms=1500";

fn listen(broker: &Broker) -> String {
    format!("mqtt:127.0.0.1:{}?{LISTEN}", broker.port)
}

/// A host whose subscription the broker has granted.
fn subscribed(broker: &Broker, dir: &Path, listen: &str) -> Host {
    let granted = || broker.log().matches("Sending SUBACK to mercam-host-").count();
    let before = granted();
    let host = Host::start(dir, &[listen]);
    until("the host subscribes", || (granted() > before).then_some(()));
    host
}

fn send(sink: &mut dyn Sink, run: u64, numbers: std::ops::Range<u64>) {
    for seq in numbers {
        sink.send(&Envelope::from_origin(&kiosk(run), seq, event(seq))).unwrap();
        sink.pump();
    }
    sink.flush().unwrap();
}

#[test]
fn every_confirmed_detection_reaches_the_host_once_through_kills_and_a_broker_that_stops() {
    if !installed() {
        return;
    }
    let mut broker = Broker::open();
    let dir = tempfile::tempdir().unwrap();
    let truth = clip::truth(dir.path());
    let (stored, spool) = (dir.path().join("host"), dir.path().join("spool"));
    let sink = format!("mqtt:127.0.0.1:{}?spool={}&{QUICK}", broker.port, spool.display());
    let online = |dir: &Path| clip::counters(dir)["devices"]["kiosk-7"]["online"].clone();
    let mut host = subscribed(&broker, &stored, &listen(&broker));

    // Killed in the middle of its work, while the broker hangs and the spool fills.
    broker.pause();
    let mut first = sender(&sink, CLIP);
    wait_for("the spool fills", || (spooled_bytes(&spool) > 4000).then_some(()));
    first.kill().unwrap();
    first.wait().unwrap();
    let (taken_by_first, left_by_first) = waiting(&spool);
    broker.resume();

    // Killed with events on the way.
    let mut second = sender(&sink, CLIP);
    let arrived = |n: usize| wait_for("events arrive", || (support::events(&stored).len() >= n).then_some(()));
    arrived(10);
    broker.pause(); // it goes on taking events, and cannot say goodbye
    std::thread::sleep(Duration::from_millis(100));
    second.kill().unwrap();
    second.wait().unwrap();
    let (taken_by_second, left_by_second) = waiting(&spool);
    broker.resume();
    wait_for("its will", || (online(&stored) == false).then_some(()));

    // Left alone, while the host is killed and the broker stopped and started.
    let before = support::events(&stored).len();
    let mut third = sender(&sink, CLIP);
    arrived(before + 5);
    host.kill();
    std::thread::sleep(Duration::from_millis(200));
    broker.stop();
    std::thread::sleep(Duration::from_millis(300));
    broker.start();
    host = subscribed(&broker, &stored, &listen(&broker));
    third.wait().unwrap();
    clip::empty(&spool, &sink);
    // The broker has everything; the host has it when nothing more comes.
    let mut seen = 0;
    wait_for("all is stored", || {
        std::thread::sleep(Duration::from_millis(500));
        let events = support::events(&stored);
        let full = support::by_run(&events).values().any(|seqs| seqs.len() == truth.len());
        (full && std::mem::replace(&mut seen, events.len()) == events.len()).then_some(())
    });
    host.stop();
    let events = support::events(&stored);
    let (runs, detections) = clip::check(&events, &truth, &[&taken_by_first, &taken_by_second]);

    let stats = clip::counters(&stored);
    let device = &stats["devices"]["kiosk-7"];
    assert_eq!((device["missing"].as_u64(), device["events"].as_u64()), (Some(0), Some(events.len() as u64)));
    let line = stats["lines"].as_object().unwrap().values().next().unwrap();
    assert_eq!((line["bad"].as_u64(), line["not_stored"].as_u64()), (Some(0), Some(0)), "{line}");
    assert!(line["acks"].as_u64() >= line["records"].as_u64(), "{line}");
    eprintln!(
        "{} events of {runs} runs stored, {detections} of them confirmed detections; {left_by_first} and {left_by_second} waited \
         in the spool at the kills; since the host's restart {} publications, {} of them repeated; missing 0, stored twice 0",
        events.len(),
        line["records"],
        line["repeated"]
    );
}

#[test]
fn what_the_broker_drops_because_its_queue_is_full_is_counted_as_missing() {
    if !installed() {
        return;
    }
    let broker = Broker::with("allow_anonymous true\nmax_queued_messages 50\n");
    let dir = tempfile::tempdir().unwrap();
    let stored = dir.path().join("host");
    let mut sink = build(&format!("mqtt:127.0.0.1:{}?{QUICK}", broker.port));
    sink.introduce(&kiosk(6));
    let host = subscribed(&broker, &stored, &listen(&broker));
    send(sink.as_mut(), 6, 0..30);
    wait_for("the first arrive", || (support::events(&stored).len() == 30).then_some(()));
    host.stop();
    send(sink.as_mut(), 6, 30..430); // nobody takes them from the broker
    let host = subscribed(&broker, &stored, &listen(&broker));
    wait_for("what the broker has kept", || (support::events(&stored).len() > 30).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    send(sink.as_mut(), 6, 430..440);
    wait_for("the last", || support::events(&stored).iter().any(|e| e.seq == 439).then_some(()));
    host.stop();
    let events = support::events(&stored).len() as u64;
    let stats = clip::counters(&stored);
    let missing = stats["devices"]["kiosk-7"]["missing"].as_u64().unwrap();
    assert_eq!(events + missing, 440, "{stats}");
    assert!(missing > 250 && events >= 80, "{stats}");
    eprintln!("440 sent, {events} received, {missing} dropped by the broker and counted as missing");
}

#[test]
fn whatever_others_publish_is_counted_and_harms_nobody() {
    if !installed() {
        return;
    }
    let broker = Broker::open();
    let dir = tempfile::tempdir().unwrap();
    let stored = dir.path().join("host");
    let host = subscribed(&broker, &stored, &listen(&broker));
    let port = broker.port.to_string();
    let publish = |topic: &str, payload: &[u8]| {
        let path = dir.path().join("payload");
        fs::write(&path, payload).unwrap();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-f"]).arg(path);
        assert!(command.status().unwrap().success());
    };
    let mut someone_s = Vec::new();
    mercam::wire::json::encode(&Envelope::from_origin(&kiosk(7), 0, event(0)), &mut someone_s).unwrap();
    publish("mercam/kiosk-7/confirmed", b"no event");
    publish("mercam/kiosk-7/confirmed", &[0xff; 300]);
    publish("mercam/kiosk-7/confirmed", &vec![b'{'; 500_000]);
    publish("mercam/kiosk-8/confirmed", &someone_s); // in the name of another
    publish("mercam/kiosk-7/confirmed", br#"{"v":9,"seq":0}"#);
    publish("mercam/not a name/confirmed", b"");
    let mut sink = build(&format!("mqtt:127.0.0.1:{}?{QUICK}", broker.port));
    sink.introduce(&kiosk(7));
    send(sink.as_mut(), 7, 0..20);
    wait_for("the events arrive", || (support::events(&stored).len() == 20).then_some(()));
    host.stop();
    let stats = clip::counters(&stored);
    let line = stats["lines"].as_object().unwrap().values().next().unwrap();
    assert_eq!(
        (line["bad"].as_u64(), line["foreign"].as_u64(), line["records"].as_u64()),
        (Some(5), Some(2), Some(20))
    );
    assert_eq!(stats["devices"].as_object().unwrap().keys().collect::<Vec<_>>(), ["kiosk-7"]);
}

#[test]
fn a_host_is_let_in_with_tls_and_the_right_password_and_says_once_why_not() {
    if !installed() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    certificates(home.path());
    let passwords = home.path().join("passwords");
    let made = Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&passwords).args(["hub", "right"]).output();
    assert!(made.unwrap().status.success());
    let broker = Broker::prepared(
        home,
        "cafile DIR/ca.pem\ncertfile DIR/broker.pem\nkeyfile DIR/broker.key\nallow_anonymous false\n\
         password_file DIR/passwords\n",
    );
    let file = |name: &str| broker.dir.path().join(name).display().to_string();
    let ca = file("ca.pem");
    let reader = Subscriber::to(&broker, &["--cafile", &ca, "-u", "hub", "-P", "right"]);
    fs::write(file("secret"), "wrong\n").unwrap();
    let options = format!("ca={ca}&username=hub&password_file={}", file("secret"));
    let dir = tempfile::tempdir().unwrap();
    let mut host = support::mercam();
    host.args(["host", "--dir"]).arg(dir.path().join("host"));
    host.args(["--listen", &format!("mqtt:localhost:{}?{LISTEN}&{options}", broker.port)]);
    let log = dir.path().join("log");
    let mut host = host.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let attempts = || broker.log().matches("not authorised").count();
    until("several attempts", || (attempts() >= 4).then_some(()));
    fs::write(file("secret"), "right\n").unwrap(); // mended while it runs
    until("it is let in", || fs::read_to_string(&log).unwrap().contains("receives again").then_some(()));
    let mut sink = build(&format!("mqtt:localhost:{}?{QUICK}&{options}", broker.port));
    sink.introduce(&kiosk(8));
    send(sink.as_mut(), 8, 0..10);
    wait_for("the events arrive", || (support::events(&dir.path().join("host")).len() == 10).then_some(()));
    signal(&host, Signal::TERM);
    assert!(host.wait().unwrap().success());
    let said = fs::read_to_string(&log).unwrap();
    let errors: Vec<_> = said.lines().filter(|l| l.starts_with("error") || l.starts_with("warn")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    for word in ["user `hub`", "wrong name or password", "password_file", "events wait at the broker"] {
        assert!(errors[0].contains(word), "{word}: {errors:?}");
    }
    drop(reader);
}
