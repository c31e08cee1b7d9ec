//! From the sensor to the host over a bad serial cable: one byte in a hundred is changed, the line is unplugged, the
//! sender is killed twice and the host once. Every confirmed detection that mercam had taken into its spool is in the
//! host's store exactly once.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "host/cable.rs"]
mod cable;
#[path = "host/clip.rs"]
mod clip;
#[path = "host/support.rs"]
mod support;

use cable::Cable;
use clip::{CLIP, sender, spooled_bytes, waiting};
use support::{Host, wait_for};

#[test]
fn every_confirmed_detection_arrives_once_through_a_bad_cable_and_three_kills() {
    let dir = tempfile::tempdir().unwrap();
    let truth = clip::truth(dir.path());
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
    clip::empty(&spool, &sink);
    let dir_of_host = host.dir.clone();
    host.stop();

    let events = support::events(&dir_of_host);
    let (runs, detections) = clip::check(&events, &truth, &[&taken_by_first, &taken_by_second]);
    let stats = clip::counters(&dir_of_host);
    let device = &stats["devices"]["kiosk-7"];
    assert_eq!((device["missing"].as_u64(), device["events"].as_u64()), (Some(0), Some(events.len() as u64)));
    let line = stats["lines"].as_object().unwrap().values().next().unwrap();
    assert!(line["bad"].as_u64() > Some(20), "the cable was bad: {line}");
    assert_eq!((line["given_up"].as_u64(), line["not_stored"].as_u64()), (Some(0), Some(0)));
    println!(
        "{} events of {} runs, {detections} of them confirmed detections; {left} waited at the second kill; since the host's restart: {} good \
         and {} damaged frames, {} records, {} of them repeated, {} duplicates dropped by event id; lost 0; the cable changed {} of {} bytes",
        events.len(),
        runs,
        line["good"],
        line["bad"],
        line["records"],
        line["repeated"],
        device["duplicates"],
        cable.changed(),
        cable.carried()
    );
}
