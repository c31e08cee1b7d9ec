//! An acknowledged serial line: the real host at the other end of a cable.

use super::cable::Cable;
use super::peers::{Nature, Peer, SPOOL, build};
use mercam::event::Event;
use mercam::host::{Endpoint, HostConfig};
use mercam::pipeline::shutdown::Shutdown;
use mercam::sinks::Sink;
use mercam::wire::{Envelope, json};
use std::fs;
use std::thread::JoinHandle;
use tempfile::TempDir;

pub struct AckedLine {
    dir: TempDir,
    cable: Cable,
    stop: Shutdown,
    host: Option<JoinHandle<()>>,
}

impl AckedLine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cable = Cable::plugged_in(dir.path(), u64::MAX);
        let mut new = Self { dir, cable, stop: Shutdown::new(), host: None };
        new.come_back();
        new
    }
}

impl Peer for AckedLine {
    fn sink(&mut self) -> Box<dyn Sink> {
        let device = self.cable.device_end();
        build(&format!("serial:{}?baud=2000000&format=binary&acks=true&resend_ms=100&{SPOOL}", device.display()))
    }
    fn nature(&self) -> Nature {
        Nature::Acknowledges
    }
    fn received(&mut self) -> Vec<u64> {
        let bytes = fs::read(self.dir.path().join("host/events.jsonl")).unwrap_or_default();
        let stored = bytes.split(|b| *b == b'\n').filter_map(|l| json::decode(l).ok());
        let id = |e: Envelope| if let Event::Confirmed(d) = e.event { Some(d.id) } else { None };
        stored.filter_map(id).collect()
    }
    fn go(&mut self) {
        self.stop.request();
        if let Some(host) = self.host.take() {
            host.join().unwrap();
        }
        self.cable.unplug();
    }
    fn come_back(&mut self) {
        self.cable.unplug();
        self.cable.plug_in();
        let line = format!("serial:{}?baud=2000000&format=binary&retry_min_ms=5", self.cable.host_end().display());
        let listen: Vec<Endpoint> = vec![line.parse().unwrap()];
        let dir = self.dir.path().join("host");
        let config = HostConfig { listen, dir, max_bytes: 0, keep: 0, fsync: false };
        self.stop = Shutdown::new();
        let stop = self.stop.clone();
        self.host = Some(std::thread::spawn(move || {
            config.run(vec![], &stop, |_| {}).unwrap();
        }));
    }
    fn stop_reading(&mut self) {
        self.go();
        self.cable.plug_in(); // the line is there, and nobody at its end
    }
}

impl Drop for AckedLine {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(host) = self.host.take() {
            let _ = host.join();
        }
    }
}
