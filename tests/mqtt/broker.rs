//! A real mosquitto of Debian's, and a real subscriber.

use mercam::wire::{Envelope, json};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far beyond what anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|d| Path::new(d).join(name));
    places.find(|p| p.is_file())
}

/// Whether the tests can run. Where the checks of the project must be complete, they may not be left out.
pub fn installed() -> bool {
    let missing: Vec<_> = ["mosquitto", "mosquitto_sub", "mosquitto_passwd", "openssl"]
        .into_iter()
        .filter(|p| program(p).is_none())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let text = format!("LEFT OUT: not installed: {missing:?}; apt-get install mosquitto mosquitto-clients openssl");
    assert!(std::env::var_os("NEED_BROKER").is_none(), "{text}");
    eprintln!("{text}");
    false
}

pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

pub struct Broker {
    pub port: u16,
    pub dir: TempDir,
    child: Option<Child>,
}

impl Broker {
    /// A broker that everybody may use.
    pub fn open() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// A broker with more lines in its configuration; `DIR` in them is its directory.
    pub fn with(lines: &str) -> Self {
        Self::prepared(tempfile::tempdir().unwrap(), lines)
    }

    pub fn prepared(dir: TempDir, lines: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = dir.path().display().to_string();
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\npersistence true\npersistence_location {home}/\n\
             max_queued_messages 0\nlog_type all\nlog_dest file {home}/log\n{}",
            lines.replace("DIR", &home)
        );
        fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self { port, dir, child: None };
        broker.start();
        broker
    }

    pub fn start(&mut self) {
        let child = Command::new(program("mosquitto").unwrap())
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the broker starts", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// In an orderly way: it writes down the sessions of its subscribers.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, Signal::TERM);
            child.wait().unwrap();
        }
    }

    pub fn pause(&self) {
        signal(self.child.as_ref().unwrap(), Signal::STOP);
    }

    pub fn resume(&self) {
        signal(self.child.as_ref().unwrap(), Signal::CONT);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A message as `mosquitto_sub` printed it.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: String,
}

/// `mosquitto_sub` with a session that outlives the connection.
pub struct Subscriber {
    child: Child,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Subscriber {
    pub fn to(broker: &Broker, more: &[&str]) -> Self {
        let mut child = Command::new(program("mosquitto_sub").unwrap())
            .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1", "-c", "-i", "listener"])
            .args(["-t", "#", "-F", "%t %p"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let messages = Arc::<Mutex<Vec<Message>>>::default();
        let (into, out) = (Arc::clone(&messages), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let (topic, payload) = line.split_once(' ').unwrap_or((&line, ""));
                into.lock().unwrap().push(Message { topic: topic.into(), payload: payload.into() });
            }
        });
        until("the subscriber is in", || broker.log().contains("Sending SUBACK to listener").then_some(()));
        Self { child, messages }
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// The last text on a topic.
    pub fn last(&self, topic: &str) -> Option<String> {
        self.messages().into_iter().rev().find(|m| m.topic == topic).map(|m| m.payload)
    }

    /// The events of a kind, in the order in which they came.
    pub fn events(&self, kind: &str) -> Vec<Envelope> {
        let ours = self.messages().into_iter().filter(|m| m.topic.ends_with(&format!("/{kind}")));
        ours.map(|m| json::decode(m.payload.as_bytes()).unwrap_or_else(|e| panic!("{e}: {}", m.payload))).collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
