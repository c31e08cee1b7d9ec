//! Peers that acknowledge: a host at the other end of a connection or a serial cable. What is sent while it is away
//! waits, and arrives when it is back.

use super::cable::Cable;
use super::peers::{Nature, Peer, build};
use mercam::event::Event;
use mercam::host::{Endpoint, HostConfig};
use mercam::pipeline::shutdown::Shutdown;
use mercam::sinks::Sink;
use mercam::wire::json;
use std::fs;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Little may wait, so that a sink whose memory grows is found.
const QUICK: &str = "retry_min_ms=5&retry_max_ms=20&spool_max_bytes=262144";

pub struct Keeping {
    dir: TempDir,
    cable: Option<Cable>,
    /// The sink's string, without its options.
    target: String,
    options: &'static str,
    listen: Endpoint,
    stop: Shutdown,
    host: Option<JoinHandle<()>>,
}

impl Keeping {
    pub fn new(kind: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cable = (kind == "serial").then(|| Cable::plugged_in(dir.path(), u64::MAX));
        let (target, options, listen) = match &cable {
            Some(c) => (
                format!("serial:{}", c.device_end().display()),
                "baud=2000000&format=binary&acks=true&resend_ms=100&",
                format!("serial:{}?baud=2000000&format=binary&retry_min_ms=5&retry_max_ms=20", c.host_end().display()),
            ),
            None if kind == "unix" => {
                let path = format!("unix:{}", dir.path().join("socket").display());
                (path.clone(), "", path)
            }
            None => {
                let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                (format!("tcp:127.0.0.1:{port}"), "", format!("tcp:127.0.0.1:{port}"))
            }
        };
        let listen = listen.parse().unwrap();
        let mut new = Self { dir, cable, target, options, listen, stop: Shutdown::new(), host: None };
        new.come_back();
        new
    }
}

impl Peer for Keeping {
    fn sink(&mut self) -> Box<dyn Sink> {
        build(&format!("{}?{}{QUICK}", self.target, self.options))
    }
    fn nature(&self) -> Nature {
        Nature::Keeps
    }
    fn received(&mut self) -> Vec<u64> {
        let bytes = fs::read(self.dir.path().join("host/events.jsonl")).unwrap_or_default();
        let stored = bytes.split(|b| *b == b'\n').filter_map(|l| json::decode(l).ok());
        let id = |e: mercam::wire::Envelope| if let Event::Confirmed(d) = e.event { Some(d.id) } else { None };
        stored.filter_map(id).collect()
    }
    fn go(&mut self) {
        self.stop.request();
        if let Some(host) = self.host.take() {
            host.join().unwrap();
        }
        if let Some(cable) = &mut self.cable {
            cable.unplug();
        }
    }
    fn come_back(&mut self) {
        if let Some(cable) = &mut self.cable {
            cable.unplug();
            cable.plug_in();
        }
        self.stop = Shutdown::new();
        let config = HostConfig {
            listen: vec![self.listen.clone()],
            dir: self.dir.path().join("host"),
            max_bytes: 0,
            keep: 0,
            fsync: false,
        };
        let stop = self.stop.clone();
        self.host = Some(std::thread::spawn(move || {
            config.run(vec![], &stop, |_| {}).unwrap();
        }));
    }
    fn stop_reading(&mut self) {
        self.go();
        if let Some(cable) = &mut self.cable {
            cable.plug_in(); // the line is there, and nobody at its end
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(host) = self.host.take() {
            let _ = host.join();
        }
    }
}
