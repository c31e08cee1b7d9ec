//! `tcp` and `unix`: binary frames over a connection to `mercam host`, acknowledged and kept until they are.

use super::link::{Conduct, Courier, Dial, Reliable, open_spool};
use super::{Backoff, Sink, SinkError};
use crate::spool::{Fsync, SpoolConfig};
use crossbeam_channel::{Receiver, TryRecvError};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where `mercam host` listens when nothing else is said.
pub const PORT: u16 = 7420;

/// The `tcp` and `unix` sinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// `HOST:PORT` for `tcp`, the path of a socket for `unix`. No default.
    pub address: String,
    /// Directory of its own in which undelivered events wait, also when mercam ends. Default none: they wait in
    /// memory, and what is left at the end is lost and counted.
    pub spool: PathBuf,
    /// Most bytes that may wait; the oldest events give way and are counted. Default 16777216.
    pub spool_max_bytes: u64,
    /// Oldest event that is still delivered, in seconds; 0: any. Default 604800.
    pub spool_max_age_s: u64,
    /// Whether every event waits for the disk: `never` or `always`. Default `never`.
    pub spool_fsync: Fsync,
    /// How long opening the connection may take, in milliseconds. Default 5000.
    pub connect_timeout_ms: u64,
    /// How long the peer may leave events unacknowledged before the connection counts as dead, in milliseconds.
    /// Default 10000.
    pub ack_timeout_ms: u64,
    /// First delay before a peer that is away is tried again, in milliseconds. Default 250.
    pub retry_min_ms: u64,
    /// Longest such delay, in milliseconds. Default 10000.
    pub retry_max_ms: u64,
    /// Most events per second; the rest waits. 0 (default): no limit.
    pub max_per_s: u32,
}

impl Default for StreamConfig {
    fn default() -> Self {
        let spool = SpoolConfig::default();
        Self {
            address: String::new(),
            spool: spool.dir,
            spool_max_bytes: spool.max_bytes,
            spool_max_age_s: spool.max_age_s,
            spool_fsync: spool.fsync,
            connect_timeout_ms: 5000,
            ack_timeout_ms: 10_000,
            retry_min_ms: 250,
            retry_max_ms: 10_000,
            max_per_s: 0,
        }
    }
}

/// What kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Tcp,
    /// A Unix domain socket.
    Unix,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }
}

impl StreamConfig {
    /// Checks the values alone.
    ///
    /// # Errors
    /// [`SinkError::Spec`] naming the option.
    pub fn validate(&self, kind: Kind) -> Result<(), SinkError> {
        let wrong = |text: String| Err(SinkError::Spec(format!("sink `{}`: {text}", kind.name())));
        match kind {
            Kind::Tcp => {
                let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
                if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                    return wrong(format!("`{}` is no HOST:PORT; write `tcp:hub.local:{PORT}`", self.address));
                }
            }
            Kind::Unix if self.address.is_empty() => return wrong("no path; write `unix:/run/mercam.sock`".into()),
            Kind::Unix => {}
        }
        for (name, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("ack_timeout_ms", self.ack_timeout_ms),
            ("retry_min_ms", self.retry_min_ms),
            ("retry_max_ms", self.retry_max_ms),
        ] {
            if !(1..=600_000).contains(&value) {
                return wrong(format!("`{name}` is {value}, but may be 1 to 600000 (milliseconds)"));
            }
        }
        Ok(())
    }

    /// Makes the sink and begins to connect. A peer that is away is no error.
    ///
    /// # Errors
    /// When a value makes no sense, or the spool cannot be used.
    pub fn build(&self, kind: Kind) -> Result<Box<dyn Sink>, SinkError> {
        self.validate(kind)?;
        let name = format!("{}:{}", kind.name(), self.address);
        let spool = open_spool(&name, &self.spool, self.spool_max_bytes, self.spool_max_age_s, self.spool_fsync)?;
        let ms = Duration::from_millis;
        let conduct = Conduct { window: 64, patience: ms(self.ack_timeout_ms), bytes_per_s: None, lossy: false };
        let courier = Courier::new(spool, conduct, self.max_per_s);
        let dial =
            Dialer { kind, address: self.address.clone(), timeout: ms(self.connect_timeout_ms), under_way: None };
        let backoff = Backoff::new(ms(self.retry_min_ms), ms(self.retry_max_ms));
        Ok(Box::new(Reliable::new(name, dial, courier, backoff)))
    }
}

/// An open connection.
#[derive(Debug)]
enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.read(buffer),
            Self::Unix(s) => s.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.write(bytes),
            Self::Unix(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects on a thread of its own: looking up a name can take as long as it likes.
struct Dialer {
    kind: Kind,
    address: String,
    timeout: Duration,
    under_way: Option<Receiver<Result<Connection, String>>>,
}

impl Dial for Dialer {
    type Line = Connection;

    fn dial(&mut self) -> Option<Result<Connection, String>> {
        let Some(answer) = &self.under_way else {
            let (tell, answer) = crossbeam_channel::bounded(1);
            let (kind, address, timeout) = (self.kind, self.address.clone(), self.timeout);
            let thread = std::thread::Builder::new().name("dial".into()).spawn(move || {
                let _ = tell.send(connect(kind, &address, timeout)); // the sink may have ended meanwhile
            });
            return match thread {
                Ok(_) => {
                    self.under_way = Some(answer);
                    None
                }
                Err(e) => Some(Err(format!("no thread to connect with ({e})"))),
            };
        };
        match answer.try_recv() {
            Ok(result) => {
                self.under_way = None;
                Some(result)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                self.under_way = None;
                Some(Err("connecting failed".into()))
            }
        }
    }
}

fn connect(kind: Kind, address: &str, timeout: Duration) -> Result<Connection, String> {
    match kind {
        Kind::Tcp => {
            let resolved = address.to_socket_addrs().map_err(|e| format!("the name cannot be resolved ({e})"))?;
            let (mut last, deadline) = (None, Instant::now() + timeout);
            for one in resolved {
                let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                match TcpStream::connect_timeout(&one, left) {
                    Ok(stream) => {
                        let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
                        return ready.map(|()| Connection::Tcp(stream)).map_err(|e| e.to_string());
                    }
                    Err(e) => last = Some(e),
                }
            }
            Err(last.map_or_else(|| "the name has no address".into(), |e| format!("not reached ({e})")))
        }
        Kind::Unix => {
            let stream = UnixStream::connect(address).map_err(|e| format!("not reached ({e})"))?;
            stream.set_nonblocking(true).map_err(|e| e.to_string())?;
            Ok(Connection::Unix(stream))
        }
    }
}
