//! Where the host listens: `tcp:ADDRESS:PORT`, `unix:PATH`, `serial:DEVICE`, and at a broker `mqtt:HOST`.

use super::hub::{Hub, Reply};
use crate::pipeline::shutdown::Shutdown;
#[cfg(feature = "mqtt")]
use crate::sinks::MqttConfig;
use crate::sinks::{Backoff, Line, SerialConfig, SinkSpec};
use crate::wire::{Deframer, Format, Message};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most connections at a time, over all listeners.
pub const MAX_CONNECTIONS: usize = 512;
/// How long a thread waits for bytes before it looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long a peer may take to take its acknowledgements.
const REPLY: Duration = Duration::from_secs(2);
/// A connection on which nothing comes for so long is closed; devices send their status every few seconds, and come
/// back.
const IDLE: Duration = Duration::from_secs(600);

/// What `host` listens on, in the form of the sink that sends there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `tcp:ADDRESS:PORT`.
    Tcp(String),
    /// `unix:PATH`.
    Unix(String),
    /// `serial:DEVICE?baud=...&format=...`.
    Serial(SerialConfig),
    /// `mqtt:HOST?username=...`.
    #[cfg(feature = "mqtt")]
    Mqtt(MqttConfig),
}

/// The kinds, for messages.
const KINDS: &str = if cfg!(feature = "mqtt") { "tcp, unix, serial and mqtt" } else { "tcp, unix and serial" };

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<SinkSpec>().map_err(|e| e.to_string())? {
            SinkSpec::Tcp(c) => Ok(Self::Tcp(c.address)),
            SinkSpec::Unix(c) => Ok(Self::Unix(c.address)),
            SinkSpec::Serial(c) => Ok(Self::Serial(c)),
            #[cfg(feature = "mqtt")]
            SinkSpec::Mqtt(c) => match c.option_of_senders() {
                None => Ok(Self::Mqtt(c)),
                Some(name) => {
                    Err(format!("`{name}` is for the `mqtt` sink; a host keeps no spool and publishes nothing"))
                }
            },
            other => Err(format!("`{}` cannot be listened on; there are {KINDS}", other.kind())),
        }
    }
}

/// What the threads of the host share.
#[derive(Clone)]
pub(super) struct Shared {
    pub hub: Arc<Mutex<Hub>>,
    pub connections: Arc<AtomicUsize>,
    pub stop: Shutdown,
}

impl Shared {
    pub fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint that has been opened as far as it can fail at the start.
pub(super) enum Opened {
    Tcp(TcpListener),
    Unix(UnixListener),
    Serial(SerialConfig),
    #[cfg(feature = "mqtt")]
    Mqtt(MqttConfig),
}

impl Endpoint {
    /// Its name in counters and messages.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(address) => format!("tcp:{address}"),
            Self::Unix(path) => format!("unix:{path}"),
            Self::Serial(c) => format!("serial:{}", c.device),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(c) => format!("mqtt:{}", c.address),
        }
    }

    pub(super) fn open(&self) -> io::Result<Opened> {
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Opened::Tcp(listener))
            }
            Self::Unix(path) => {
                remove_stale(Path::new(path))?;
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Opened::Unix(listener))
            }
            Self::Serial(config) => Ok(Opened::Serial(config.clone())),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(config) => Ok(Opened::Mqtt(config.clone())),
        }
    }
}

/// Removes the socket that a killed host has left.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Serves an endpoint until the stop is asked for.
pub(super) fn serve(name: &str, opened: Opened, shared: &Shared) {
    match opened {
        Opened::Tcp(listener) => accept(name, shared, || {
            let (stream, peer) = listener.accept()?;
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(REPLY))?;
            Ok((stream, peer.to_string()))
        }),
        Opened::Unix(listener) => accept(name, shared, || {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(REPLY))?;
            Ok((stream, "a socket".into()))
        }),
        Opened::Serial(config) => serial(name, &config, shared),
        #[cfg(feature = "mqtt")]
        Opened::Mqtt(config) => super::mqtt::serve(name, &config, shared),
    }
}

/// Accepts connections; each gets a thread.
fn accept<S: Read + Write + Send + 'static>(
    name: &str,
    shared: &Shared,
    mut next: impl FnMut() -> io::Result<(S, String)>,
) {
    let mut crowded = false;
    while !shared.stop.requested() {
        match next() {
            Ok((stream, peer)) => {
                if shared.connections.load(Relaxed) >= MAX_CONNECTIONS {
                    if !std::mem::replace(&mut crowded, true) {
                        log::warn!("{name}: {MAX_CONNECTIONS} connections are open, more are turned away");
                    }
                    continue;
                }
                log::debug!("{name}: {peer} has connected");
                shared.connections.fetch_add(1, Relaxed);
                let (line, own) = (name.to_owned(), shared.clone());
                let thread = std::thread::Builder::new().name("connection".into()).spawn(move || {
                    connection(&line, stream, &own);
                    own.connections.fetch_sub(1, Relaxed);
                    log::debug!("{line}: {peer} has gone");
                });
                if let Err(e) = thread {
                    shared.connections.fetch_sub(1, Relaxed);
                    log::error!("{name}: no thread for a connection: {e}");
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                shared.stop.wait(Duration::from_millis(20));
            }
            Err(e) => {
                log::debug!("{name}: a connection failed: {e}");
                shared.stop.wait(Duration::from_millis(20));
            }
        }
    }
}

/// Counts a line as open while it lives.
pub(super) struct Open<'a>(&'a Shared, &'a str);

impl<'a> Open<'a> {
    pub fn new(shared: &'a Shared, name: &'a str) -> Self {
        let mut hub = shared.hub();
        let line = hub.line(name);
        line.open += 1;
        line.opened += 1;
        drop(hub);
        Self(shared, name)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut hub = self.0.hub();
        let line = hub.line(self.1);
        line.open = line.open.saturating_sub(1);
    }
}

/// What a line has brought, and what is to be sent back.
struct Intake<'a> {
    shared: &'a Shared,
    name: &'a str,
    deframer: Deframer,
    heard: Vec<Message>,
    out: Vec<u8>,
}

impl<'a> Intake<'a> {
    fn new(shared: &'a Shared, name: &'a str, format: Format) -> Self {
        let mut out = Vec::new();
        if format == Format::Binary {
            let _ = Message::encode_ready(&mut out); // cannot fail; and if it did, the sender would come by itself
        }
        Self { shared, name, deframer: Deframer::new(format), heard: Vec::new(), out }
    }

    /// Takes bytes; `out` has what is to be sent back.
    fn take(&mut self, bytes: &[u8]) {
        let before = self.deframer.counts();
        self.deframer.messages(bytes, |m| self.heard.push(m));
        let after = self.deframer.counts();
        let mut hub = self.shared.hub();
        let mut reply = Reply::default();
        let line = hub.line(self.name);
        line.bytes += bytes.len() as u64;
        line.good += after.good - before.good;
        line.bad += after.bad - before.bad;
        line.foreign += after.foreign - before.foreign;
        for message in self.heard.drain(..) {
            hub.take(self.name, message, &mut reply);
        }
        hub.settle(self.name, &mut reply, &mut self.out);
    }
}

fn connection(name: &str, mut stream: impl Read + Write, shared: &Shared) {
    let _open = Open::new(shared, name);
    let mut intake = Intake::new(shared, name, Format::Binary);
    let mut buffer = vec![0; 16 * 1024];
    let mut last = Instant::now();
    while !shared.stop.requested() && last.elapsed() < IDLE {
        if !intake.out.is_empty() {
            if stream.write_all(&intake.out).is_err() {
                return;
            }
            intake.out.clear();
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                last = Instant::now();
                intake.take(buffer.get(..n).unwrap_or_default());
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// Reads a serial line, and opens it again when it was unplugged.
fn serial(name: &str, config: &SerialConfig, shared: &Shared) {
    let ms = Duration::from_millis;
    let mut backoff = Backoff::new(ms(config.retry_min_ms), ms(config.retry_max_ms));
    let mut away = false;
    while !shared.stop.requested() {
        match Line::open(config) {
            Ok(line) => {
                if let Some(text) = line.speed_complaint(config.baud) {
                    log::warn!("{name}: {text}");
                }
                if std::mem::take(&mut away) {
                    log::info!("{name}: is back");
                }
                match serial_line(name, line, config, shared) {
                    Ok(()) => return,
                    // It was well for a while: the first attempt comes soon.
                    Err((e, true)) => {
                        log::debug!("{name}: {e}");
                        backoff.succeeded();
                    }
                    Err((e, false)) => log::debug!("{name}: {e}"),
                }
            }
            Err(why) => {
                if !std::mem::replace(&mut away, true) {
                    log::warn!("{name}: {why}; tried again until it is there");
                }
            }
        }
        let now = Instant::now();
        backoff.failed(now);
        shared.stop.wait(backoff.remaining(now));
    }
}

/// Reads an open line until it breaks. The error says whether anything came before.
fn serial_line(name: &str, mut line: Line, config: &SerialConfig, shared: &Shared) -> Result<(), (io::Error, bool)> {
    let _open = Open::new(shared, name);
    let mut intake = Intake::new(shared, name, config.format);
    let mut buffer = vec![0; 4096];
    let mut any = false;
    while !shared.stop.requested() {
        if !intake.out.is_empty() {
            // A sender that does not listen is no reason to stop listening to it.
            match line.write_until(&intake.out, Instant::now() + REPLY) {
                Err(e) if e.kind() != ErrorKind::TimedOut => return Err((e, any)),
                _ => intake.out.clear(),
            }
        }
        if !line.wait_for_input(LOOK).map_err(|e| (e, any))? {
            continue;
        }
        match line.read(&mut buffer) {
            Ok(0) => return Err((ErrorKind::UnexpectedEof.into(), any)),
            Ok(n) => {
                any = true;
                intake.take(buffer.get(..n).unwrap_or_default());
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err((e, any)),
        }
    }
    Ok(())
}
