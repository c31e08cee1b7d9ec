//! What is at the other end of each kind of sink, so that one test can ask the same of all.

use super::hosts::AckedLine;
use super::pty::Pty;
use mercam::event::Event;
use mercam::sinks::{Human, Sink, SinkSpec, StdoutSink};
use mercam::wire::{Ack, Deframer, Envelope, Format, Message, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, PipeReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far beyond what anything takes; only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);
const QUICK: &str = "retry_min_ms=5&retry_max_ms=20";

/// What can happen to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It is always there.
    Steady,
    /// When it goes, it has gone for good.
    Final,
    /// It goes and comes back.
    Returns,
    /// It goes and comes back, and nobody is told which of the events before that it got.
    Unheard,
    /// It goes and comes back, and acknowledges: the sink keeps what has not arrived.
    Acknowledges,
}

/// The other end of a sink.
pub trait Peer {
    /// The sink that sends here.
    fn sink(&mut self) -> Box<dyn Sink>;
    fn nature(&self) -> Nature;
    /// Ids of the confirmed detections that have arrived, in the order of their arrival.
    fn received(&mut self) -> Vec<u64>;
    /// Whether this machine can have it.
    fn there(&self) -> bool {
        true
    }
    /// Goes away.
    fn go(&mut self) {}
    /// Comes back.
    fn come_back(&mut self) {}
    /// Is there, but takes nothing more. Called before the sink is made.
    fn stop_reading(&mut self) {}
    /// The fewest events that fit into what the system itself holds while nobody reads.
    fn must_be_read_every(&self) -> usize {
        usize::MAX
    }
}

pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn build(spec: &str) -> Box<dyn Sink> {
    spec.parse::<SinkSpec>().unwrap_or_else(|e| panic!("{e}")).build().unwrap_or_else(|e| panic!("{e}"))
}

fn id(envelope: &Envelope) -> Option<u64> {
    match &envelope.event {
        Event::Confirmed(d) => Some(d.id),
        _ => None,
    }
}

fn json_ids(bytes: &[u8]) -> Vec<u64> {
    let whole = bytes.rsplit_once_line();
    whole.split(|b| *b == b'\n').filter(|l| !l.is_empty()).filter_map(|l| id(&json::decode(l).unwrap())).collect()
}

fn framed_ids(format: Format, bytes: &[u8]) -> Vec<u64> {
    let mut got = Vec::new();
    Deframer::new(format).push(bytes, |e| got.extend(id(&e)));
    got
}

/// The numbers behind each `#` that begins a detection in readable text.
fn readable_ids(text: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(text.rsplit_once_line()).unwrap();
    let after = text.lines().filter(|l| !l.contains("perhaps")).filter_map(|l| l.split_once('#'));
    after.filter_map(|(_, l)| l.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

fn csv_ids(bytes: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(bytes.rsplit_once_line()).unwrap();
    let rows = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    rows.filter(|r| r[1] == "confirmed").map(|r| r[2].parse().unwrap()).collect()
}

/// What can be judged while a writer is still at work: whole lines.
trait WholeLines {
    fn rsplit_once_line(&self) -> &[u8];
}

impl WholeLines for [u8] {
    fn rsplit_once_line(&self) -> &[u8] {
        self.iter().rposition(|b| *b == b'\n').map_or(&[], |end| &self[..=end])
    }
}

/// Every kind of sink, in each of its forms.
pub fn every() -> Vec<(&'static str, Box<dyn Peer>)> {
    let mut all = all();
    all.retain(|(_, peer)| peer.there());
    all
}

fn all() -> Vec<(&'static str, Box<dyn Peer>)> {
    vec![
        ("log", Box::new(Log { seen: 0 })),
        ("stdout", Box::new(Pipe::new(false))),
        ("human", Box::new(Pipe::new(true))),
        ("file", Box::new(Files::new("file"))),
        ("csv", Box::new(Files::new("csv"))),
        ("serial", Box::new(Line::new(Format::Text))),
        ("serial", Box::new(Line::new(Format::Binary))),
        ("serial", Box::new(AckedLine::new())),
        ("udp", Box::new(Datagrams::new("json"))),
        ("udp", Box::new(Datagrams::new("text"))),
        ("udp", Box::new(Datagrams::new("binary"))),
        ("tcp", Box::new(Host::new(false))),
        ("unix", Box::new(Host::new(true))),
        #[cfg(feature = "mqtt")]
        ("mqtt", Box::new(super::broker::Peer::new())),
    ]
}

/// So much may wait in the sinks that keep events: as little as they allow.
pub const SPOOL: &str = "spool_max_bytes=262144&retry_min_ms=5&retry_max_ms=20";

/// Takes the lines of `mercam::event` that the log sink writes.
pub struct Capture;
static LOGGED: Mutex<String> = Mutex::new(String::new());

impl log::Log for Capture {
    fn enabled(&self, m: &log::Metadata) -> bool {
        m.target() == "mercam::event"
    }
    fn log(&self, r: &log::Record) {
        if self.enabled(r.metadata()) {
            LOGGED.lock().unwrap().push_str(&format!("{} {}\n", r.level(), r.args()));
        }
    }
    fn flush(&self) {}
}

struct Log {
    /// Where in the log this one begins.
    seen: usize,
}

impl Peer for Log {
    fn sink(&mut self) -> Box<dyn Sink> {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Capture).unwrap();
            log::set_max_level(log::LevelFilter::Info);
        });
        self.seen = LOGGED.lock().unwrap().len();
        build("log")
    }
    fn nature(&self) -> Nature {
        Nature::Steady
    }
    fn received(&mut self) -> Vec<u64> {
        readable_ids(&LOGGED.lock().unwrap().as_bytes()[self.seen..])
    }
}

/// A program that reads standard output.
struct Pipe {
    human: bool,
    read: bool,
    bytes: Arc<Mutex<Vec<u8>>>,
    unread: Option<PipeReader>,
}

impl Pipe {
    fn new(human: bool) -> Self {
        Self { human, read: true, bytes: Arc::default(), unread: None }
    }
}

impl Peer for Pipe {
    fn sink(&mut self) -> Box<dyn Sink> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        if self.read {
            let bytes = Arc::clone(&self.bytes);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    bytes.lock().unwrap().extend(&buffer[..n]);
                }
            });
        } else {
            self.unread = Some(reader);
        }
        if self.human { Box::new(Human::new(writer, true)) } else { Box::new(StdoutSink::to(writer)) }
    }
    fn nature(&self) -> Nature {
        Nature::Final
    }
    fn received(&mut self) -> Vec<u64> {
        let bytes = self.bytes.lock().unwrap();
        if self.human { readable_ids(&bytes) } else { json_ids(&bytes) }
    }
    fn stop_reading(&mut self) {
        self.read = false;
    }
    fn go(&mut self) {
        self.unread = None;
    }
}

/// A file in a directory that is removed and made again.
struct Files {
    kind: &'static str,
    dir: TempDir,
    before: Vec<u64>,
}

impl Files {
    fn new(kind: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inner")).unwrap();
        Self { kind, dir, before: Vec::new() }
    }
    fn path(&self) -> PathBuf {
        self.dir.path().join("inner/events")
    }
}

impl Peer for Files {
    fn sink(&mut self) -> Box<dyn Sink> {
        build(&format!("{}:{}", self.kind, self.path().display()))
    }
    fn nature(&self) -> Nature {
        Nature::Returns
    }
    fn received(&mut self) -> Vec<u64> {
        let bytes = fs::read(self.path()).unwrap_or_default();
        let now = if self.kind == "csv" { csv_ids(&bytes) } else { json_ids(&bytes) };
        [self.before.clone(), now].concat()
    }
    fn go(&mut self) {
        self.before = self.received();
        fs::remove_dir_all(self.dir.path().join("inner")).unwrap();
    }
    fn come_back(&mut self) {
        fs::create_dir(self.dir.path().join("inner")).unwrap();
    }
}

/// A serial line: a pseudo-terminal that a link names, as udev does for adapters.
struct Line {
    format: Format,
    dir: TempDir,
    pty: Option<Pty>,
    before: Vec<u64>,
}

impl Line {
    fn new(format: Format) -> Self {
        let mut line = Self { format, dir: tempfile::tempdir().unwrap(), pty: None, before: Vec::new() };
        line.plug(Pty::open());
        line
    }
    fn link(&self) -> PathBuf {
        self.dir.path().join("ttyUSB0")
    }
    fn plug(&mut self, pty: Pty) {
        let _ = fs::remove_file(self.link());
        symlink(pty.path(), self.link()).unwrap();
        self.pty = Some(pty);
    }
}

impl Peer for Line {
    fn sink(&mut self) -> Box<dyn Sink> {
        build(&format!("serial:{}?format={}&write_timeout_ms=60&{QUICK}", self.link().display(), self.format))
    }
    fn nature(&self) -> Nature {
        Nature::Returns
    }
    fn received(&mut self) -> Vec<u64> {
        let now = self.pty.as_ref().map_or_else(Vec::new, |p| framed_ids(self.format, &p.until(|_| true)));
        [self.before.clone(), now].concat()
    }
    fn go(&mut self) {
        self.before = self.received();
        fs::remove_file(self.link()).unwrap();
        if let Some(pty) = self.pty.take() {
            pty.close();
        }
    }
    fn come_back(&mut self) {
        self.plug(Pty::open());
    }
    fn stop_reading(&mut self) {
        self.plug(Pty::open_unread());
    }
}

/// A socket that datagrams come to.
struct Datagrams {
    format: &'static str,
    port: u16,
    bytes: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Datagrams {
    fn new(format: &'static str) -> Self {
        let mut new = Self { format, port: 0, bytes: Arc::default(), stop: Arc::default(), reader: None };
        new.come_back();
        new
    }
}

impl Peer for Datagrams {
    fn sink(&mut self) -> Box<dyn Sink> {
        build(&format!("udp:127.0.0.1:{}?format={}&{QUICK}", self.port, self.format))
    }
    fn nature(&self) -> Nature {
        Nature::Unheard
    }
    fn received(&mut self) -> Vec<u64> {
        let bytes = self.bytes.lock().unwrap();
        match self.format {
            "text" => framed_ids(Format::Text, &bytes),
            "binary" => framed_ids(Format::Binary, &bytes),
            _ => json_ids(&bytes),
        }
    }
    fn go(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
    }
    fn come_back(&mut self) {
        let socket = UdpSocket::bind(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        self.port = socket.local_addr().unwrap().port();
        self.stop = Arc::default();
        let (bytes, stop) = (Arc::clone(&self.bytes), Arc::clone(&self.stop));
        self.reader = Some(std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while !stop.load(Ordering::Relaxed) {
                if let Ok(n) = socket.recv(&mut buffer) {
                    bytes.lock().unwrap().extend(&buffer[..n]);
                }
            }
        }));
    }
    fn must_be_read_every(&self) -> usize {
        20
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The least that a host does: it takes records and acknowledges them.
struct Host {
    dir: TempDir,
    port: Option<u16>,
    got: Arc<Mutex<Vec<u64>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    fn new(unix: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = (!unix).then_some(0);
        let mut host = Self { dir, port, got: Arc::default(), stop: Arc::default(), thread: None };
        host.come_back();
        host
    }
    fn socket(&self) -> PathBuf {
        self.dir.path().join("host.sock")
    }
}

/// Serves one connection until it ends or all is to stop.
fn host(mut line: impl Read + Write, got: &Mutex<Vec<u64>>, stop: &AtomicBool) {
    let mut out = Vec::new();
    Message::encode_ready(&mut out).unwrap();
    let (mut frames, mut buffer) = (Deframer::new(Format::Binary), [0; 4096]);
    while !stop.load(Ordering::Relaxed) && line.write_all(&std::mem::take(&mut out)).is_ok() {
        match line.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => frames.messages(&buffer[..n], |m| {
                let Message::Record(record) = m else { panic!("{m:?}") };
                let mut got = got.lock().unwrap();
                if let Some(id) = id(&record.event.unwrap())
                    && !got.contains(&id)
                {
                    got.push(id);
                }
                Ack { stream: record.stream, next: record.id + 1, have: 0 }.encode(&mut out).unwrap();
            }),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

impl Peer for Host {
    fn sink(&mut self) -> Box<dyn Sink> {
        match self.port {
            Some(port) => build(&format!("tcp:127.0.0.1:{port}?{SPOOL}")),
            None => build(&format!("unix:{}?{SPOOL}", self.socket().display())),
        }
    }
    fn nature(&self) -> Nature {
        Nature::Acknowledges
    }
    fn received(&mut self) -> Vec<u64> {
        self.got.lock().unwrap().clone()
    }
    fn go(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
    fn come_back(&mut self) {
        const TICK: Option<Duration> = Some(Duration::from_millis(5));
        self.stop = Arc::default();
        let (got, stop) = (Arc::clone(&self.got), Arc::clone(&self.stop));
        self.thread = Some(if let Some(port) = self.port {
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            self.port = Some(listener.local_addr().unwrap().port());
            listener.set_nonblocking(true).unwrap();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((line, _)) = listener.accept() {
                        line.set_nonblocking(false).and_then(|()| line.set_read_timeout(TICK)).unwrap();
                        host(line, &got, &stop);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        } else {
            let _ = fs::remove_file(self.socket());
            let listener = UnixListener::bind(self.socket()).unwrap();
            listener.set_nonblocking(true).unwrap();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((line, _)) = listener.accept() {
                        line.set_nonblocking(false).and_then(|()| line.set_read_timeout(TICK)).unwrap();
                        host(line, &got, &stop);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether all kinds are here.
pub fn kinds() -> BTreeSet<&'static str> {
    all().into_iter().map(|(kind, _)| kind).collect()
}
