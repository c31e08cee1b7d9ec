//! The smallest HTTP server that Prometheus can ask: one request, one answer, the connection ends.

use super::MetricsError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a request may take altogether.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request.
const LONGEST: usize = 8192;

/// Where requests come in.
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Opens a port (of this machine only), `HOST:PORT` or `unix:PATH`.
    pub fn open(text: &str) -> Result<Self, MetricsError> {
        let unavailable = |e: io::Error| {
            let mend = match e.kind() {
                ErrorKind::AddrInUse => ": in use by another program; take another one",
                ErrorKind::AddrNotAvailable => ": this machine has no such address",
                ErrorKind::NotFound => ": make its directory",
                ErrorKind::PermissionDenied => ": not allowed for this user; ports below 1024 are not",
                _ => "",
            };
            MetricsError::Unavailable { what: text.into(), why: format!("{e}{mend}") }
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let listener = open_socket(Path::new(path)).map_err(unavailable)?;
            return Ok(Self::Unix(listener, path.into()));
        }
        let address = match text.parse::<u16>() {
            Ok(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            Err(_) => text.to_socket_addrs().ok().and_then(|mut a| a.next()),
        };
        let address = address.ok_or_else(|| {
            MetricsError::Config(format!(
                "`listen` is `{text}`; write a port (9464, for this machine only), HOST:PORT or unix:PATH"
            ))
        })?;
        if !address.ip().is_loopback() {
            log::warn!("metrics: anybody on the network can read them at {address}");
        }
        let listener = TcpListener::bind(address).map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        listener.set_nonblocking(true).map_err(unavailable)?;
        Ok(Self::Tcp(listener, address))
    }

    /// Where to ask.
    pub fn place(&self) -> String {
        match self {
            Self::Tcp(_, address) => format!("http://{address}/metrics"),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Answers what comes in during this time.
    pub fn answer_for(&self, time: Duration, page: impl FnOnce() -> String) {
        let fd: BorrowedFd<'_> = match self {
            Self::Tcp(l, _) => l.as_fd(),
            Self::Unix(l, _) => l.as_fd(),
        };
        let wait = Timespec::try_from(time).ok();
        if !matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], wait.as_ref()), Ok(1..)) {
            return;
        }
        // Whoever asks and goes, or asks wrongly, harms only himself.
        let done = match self {
            Self::Tcp(l, _) => l.accept().and_then(|(s, _)| {
                s.set_nonblocking(false)?;
                s.set_read_timeout(Some(PATIENCE))?;
                s.set_write_timeout(Some(PATIENCE))?;
                answer(s, page)
            }),
            Self::Unix(l, _) => l.accept().and_then(|(s, _)| {
                s.set_nonblocking(false)?;
                s.set_read_timeout(Some(PATIENCE))?;
                s.set_write_timeout(Some(PATIENCE))?;
                answer(s, page)
            }),
        };
        if let Err(e) = done {
            log::debug!("metrics: a request failed: {e}");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = fs::remove_file(path); // somebody may have removed it
        }
    }
}

/// A socket at a path where perhaps one is left of a process that was killed.
fn open_socket(path: &Path) -> io::Result<UnixListener> {
    let left_over = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if left_over {
        if UnixStream::connect(path).is_ok() {
            return Err(ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn answer(mut stream: impl Read + Write, page: impl FnOnce() -> String) -> io::Result<()> {
    let began = Instant::now();
    let mut request = Vec::with_capacity(512);
    let mut piece = [0; 512];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        if request.len() > LONGEST || began.elapsed() > PATIENCE {
            return Err(ErrorKind::TimedOut.into());
        }
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => request.extend_from_slice(piece.get(..n).unwrap_or_default()),
        }
    }
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET", "/metrics") => ("200 OK", page()),
        ("GET", _) => ("404 Not Found", "The metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "Only GET is answered\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}
