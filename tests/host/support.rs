//! A `mercam host` in a process of its own, and what it has stored.
#![allow(dead_code)] // Each test binary uses its own part of this.

use mercam::wire::{Envelope, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far beyond what anything takes; only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub fn mercam() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mercam"));
    command.env_remove("MERCAM_CONFIG").env_remove("MERCAM_SINK").stdin(Stdio::null());
    command
}

pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A free port of the loopback.
pub fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub struct Host {
    child: Option<Child>,
    pub dir: PathBuf,
}

impl Host {
    pub fn start(dir: &Path, listen: &[&str]) -> Self {
        let mut command = mercam();
        command.args(["host", "--log", "warn", "--dir"]).arg(dir);
        for l in listen {
            command.args(["--listen", l]);
        }
        Self::of(command.spawn().unwrap(), dir)
    }

    /// One that was started otherwise.
    pub fn of(child: Child, dir: &Path) -> Self {
        Self { child: Some(child), dir: dir.to_path_buf() }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends it as a service manager would.
    pub fn stop(mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub fn events(&self) -> Vec<Envelope> {
        events(&self.dir)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What is stored now; a line that is being written is not there yet.
pub fn events(dir: &Path) -> Vec<Envelope> {
    let bytes = fs::read(dir.join("events.jsonl")).unwrap_or_default();
    bytes.split(|b| *b == b'\n').filter_map(|l| json::decode(l).ok()).collect()
}

/// The numbers of each device and run, in the order in which they were stored.
pub fn by_run(events: &[Envelope]) -> BTreeMap<(String, u64), Vec<u64>> {
    let mut runs = BTreeMap::<_, Vec<u64>>::new();
    for e in events {
        runs.entry((e.device.clone(), e.run.0)).or_default().push(e.seq);
    }
    runs
}
