//! The chain of `docs/guide/fleet.md`: two kiosks, mosquitto, and the subscriber that writes to SQLite, which is killed.

use super::broker::{Broker, installed, until};
use super::{QUICK, build, event};
use mercam::wire::{Envelope, Origin, RunId};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Debian's own, which has the packages that Debian installs.
const PYTHON: &str = "/usr/bin/python3";

fn subscriber(broker: &Broker, database: &Path) -> Child {
    Command::new(PYTHON)
        .arg("examples/fleet_sqlite.py")
        .arg(database)
        .args(["--host", "127.0.0.1", "--port", &broker.port.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The answer to a question, as one text; empty while the database is not there.
fn ask(database: &Path, question: &str) -> String {
    let program =
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=20).execute(sys.argv[2]).fetchall())";
    let out = Command::new(PYTHON).args(["-c", program]).arg(database).arg(question).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_fleet_s_database_has_every_event_once_although_the_subscriber_is_killed() {
    let paho = Command::new(PYTHON).args(["-c", "import paho.mqtt"]).stderr(Stdio::null()).status();
    if !paho.is_ok_and(|s| s.success()) {
        assert!(std::env::var_os("NEED_BROKER").is_none(), "apt-get install python3-paho-mqtt");
        eprintln!("LEFT OUT: apt-get install python3-paho-mqtt");
        return;
    }
    if !installed() {
        return;
    }
    let broker = Broker::open();
    let database = broker.dir.path().join("fleet.db");
    let mut writer = subscriber(&broker, &database);
    until("the subscriber is in", || broker.log().contains("Sending SUBACK to mercam-fleet").then_some(()));
    let mut kiosks: Vec<_> = ["kiosk-1", "kiosk-2"]
        .into_iter()
        .map(|name| {
            let origin = Origin { device: name.parse().unwrap(), run: RunId(9) };
            let mut sink = build(&format!("mqtt:127.0.0.1:{}?{QUICK}", broker.port));
            sink.introduce(&origin);
            (origin, sink)
        })
        .collect();
    let mut send = |numbers: std::ops::Range<u64>| {
        for seq in numbers {
            for (origin, sink) in &mut kiosks {
                sink.send(&Envelope::from_origin(origin, seq, event(seq))).unwrap();
                sink.pump();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    send(0..150);
    writer.kill().unwrap(); // in the middle of it, as a power cut would
    writer.wait().unwrap();
    send(150..300);
    let mut writer = subscriber(&broker, &database);
    send(300..400);
    for (_, sink) in &mut kiosks {
        sink.flush().unwrap();
    }
    let per_device = "SELECT device, count(*), max(seq) + 1 - count(*) FROM event WHERE kind = 'confirmed' GROUP BY 1";
    until("all events", || (ask(&database, per_device) == "[('kiosk-1', 400, 0), ('kiosk-2', 400, 0)]").then_some(()));
    assert_eq!(ask(&database, "SELECT name, online FROM device ORDER BY 1"), "[('kiosk-1', 1), ('kiosk-2', 1)]");
    drop(kiosks);
    until("both have gone", || {
        (ask(&database, "SELECT name, online FROM device ORDER BY 1") == "[('kiosk-1', 0), ('kiosk-2', 0)]")
            .then_some(())
    });
    writer.kill().unwrap();
    writer.wait().unwrap();
}
