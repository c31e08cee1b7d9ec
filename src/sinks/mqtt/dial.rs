//! Opens a connection to the broker, up to and with its CONNACK, on a thread of its own: a name, a handshake and an
//! answer can each take as long as they like.

use super::MqttConfig;
use super::packet::{self, Connect, Incoming, Refusal};
use super::topics::{OFFLINE, Topics};
use crossbeam_channel::{Receiver, TryRecvError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An open connection, with or without TLS.
pub enum Link {
    /// Without.
    Plain(TcpStream),
    /// With.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(s) => s,
            Self::Tls(s) => &s.sock,
        }
    }

    /// Whether reads and writes come back at once, or within `timeout`.
    pub fn wait_at_most(&self, timeout: Option<Duration>) -> io::Result<()> {
        let socket = self.socket();
        socket.set_nonblocking(timeout.is_none())?;
        socket.set_read_timeout(timeout)?;
        socket.set_write_timeout(timeout)
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => s.read(buffer),
            Self::Tls(s) => s.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => s.write(bytes),
            Self::Tls(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(s) => s.flush(),
            Self::Tls(s) => s.flush(),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words, with the mend.
    pub why: String,
    /// Trying again will not help before somebody changes something.
    pub ours: bool,
}

impl Failure {
    fn away(why: String) -> Self {
        Self { why, ours: false }
    }

    fn ours(why: String) -> Self {
        Self { why, ours: true }
    }
}

/// A connection being opened.
pub struct Dialing(Receiver<Result<Link, Failure>>);

impl Dialing {
    /// Begins.
    pub fn start(config: &MqttConfig, topics: &Topics) -> Result<Self, Failure> {
        let (tell, answer) = crossbeam_channel::bounded(1);
        let (config, topics) = (config.clone(), topics.clone());
        let dial = move || {
            let _ = tell.send(dial(&config, &topics)); // the sink may have ended meanwhile
        };
        let thread = std::thread::Builder::new().name("mqtt-dial".into()).spawn(dial);
        thread.map(|_| Self(answer)).map_err(|e| Failure::away(format!("no thread to connect with ({e})")))
    }

    /// What came of it; `None` while it is under way.
    pub fn poll(&self) -> Option<Result<Link, Failure>> {
        match self.0.try_recv() {
            Ok(done) => Some(done),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(Failure::away("connecting failed".into()))),
        }
    }
}

fn dial(config: &MqttConfig, topics: &Topics) -> Result<Link, Failure> {
    let deadline = Instant::now() + Duration::from_millis(config.connect_timeout_ms);
    let socket = connect(&config.host_and_port(), deadline)?;
    let patience = Duration::from_millis(config.connect_timeout_ms);
    let link = if config.uses_tls() {
        let host = config.host().to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|e| Failure::ours(format!("`{host}` cannot stand in a certificate ({e})")))?;
        let client = ClientConnection::new(tls(config)?, name).map_err(|e| Failure::ours(format!("TLS: {e}")))?;
        Link::Tls(Box::new(StreamOwned::new(client, socket)))
    } else {
        Link::Plain(socket)
    };
    link.wait_at_most(Some(patience)).map_err(|e| Failure::away(e.to_string()))?;
    greet(link, config, topics, deadline)
}

fn connect(address: &str, deadline: Instant) -> Result<TcpStream, Failure> {
    let resolved =
        address.to_socket_addrs().map_err(|e| Failure::away(format!("the name cannot be resolved ({e})")))?;
    let mut last = None;
    for one in resolved {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&one, left) {
            Ok(socket) => {
                let _ = socket.set_nodelay(true); // only slower without
                return Ok(socket);
            }
            Err(e) => last = Some(e),
        }
    }
    Err(Failure::away(last.map_or("the name has no address".into(), |e| format!("no broker answers ({e})"))))
}

/// TLS with the certificates that are named, or the system's.
fn tls(config: &MqttConfig) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    if config.ca.as_os_str().is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            return Err(Failure::ours(
                "the system has no certificates: install ca-certificates, or name a `ca`".into(),
            ));
        }
    } else {
        let wrong = |e: String| Failure::ours(format!("{e}: `ca` must be a PEM file: {}", config.ca.display()));
        for certificate in CertificateDer::pem_file_iter(&config.ca).map_err(|e| wrong(e.to_string()))? {
            let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
            roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("no certificate in it".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::ours(format!("TLS: {e}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Says who we are and waits for the broker's answer.
fn greet(mut link: Link, config: &MqttConfig, topics: &Topics, deadline: Instant) -> Result<Link, Failure> {
    let password = read_password(config)?;
    let client_id = config.client_id(topics);
    let will = topics.availability();
    let user = (!config.username.is_empty()).then_some((config.username.as_str(), password.as_deref()));
    let mut bytes = Vec::with_capacity(256);
    let keep_alive_s = u16::try_from(config.keep_alive_s).unwrap_or(u16::MAX);
    Connect { client_id: &client_id, keep_alive_s, will: (&will, OFFLINE), user }.encode(&mut bytes);
    link.write_all(&bytes).and_then(|()| link.flush()).map_err(|e| broken(&e, config))?;
    bytes.clear();
    loop {
        match packet::take(&mut bytes) {
            Ok(Some(Incoming::ConnAck(Ok(())))) => break,
            Ok(Some(Incoming::ConnAck(Err(refusal)))) => return Err(refused(refusal, config, &client_id)),
            Ok(Some(_)) => return Err(Failure::away("the broker answers with something else".into())),
            Ok(None) if Instant::now() >= deadline => return Err(silent()),
            Ok(None) => {}
            Err(e) => return Err(Failure::ours(format!("{e}: is it a broker, and is `tls` as it wants it?"))),
        }
        let mut piece = [0; 256];
        match link.read(&mut piece) {
            Ok(0) => return Err(broken(&ErrorKind::UnexpectedEof.into(), config)),
            Ok(n) => bytes.extend_from_slice(piece.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(&e, config)),
        }
    }
    link.wait_at_most(None).map_err(|e| Failure::away(e.to_string()))?;
    Ok(link)
}

fn silent() -> Failure {
    Failure::away("the broker does not answer: is it stopped, or does it want `tls`?".into())
}

fn broken(e: &io::Error, config: &MqttConfig) -> Failure {
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, e.kind()) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => {
            let mend = if config.ca.as_os_str().is_empty() {
                "name the broker's CA with `ca`"
            } else {
                "is `ca` the one that signed it, and is the broker's name the one in it?"
            };
            Failure::ours(format!("the broker's certificate is not trusted ({why:?}): {mend}"))
        }
        (Some(e), _) => Failure::ours(format!("no TLS connection ({e}): does this port of the broker speak TLS?")),
        (None, ErrorKind::WouldBlock | ErrorKind::TimedOut) => silent(),
        (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            Failure::away("the broker closed the connection at once: does it want `tls`, or allow nobody in?".into())
        }
        _ => Failure::away(format!("the connection breaks ({e})")),
    }
}

fn refused(refusal: Refusal, config: &MqttConfig, client_id: &str) -> Failure {
    match refusal {
        Refusal::NotAuthorised if config.username.is_empty() => {
            Failure::ours("the broker lets nobody in without a password: set `username` and `password_file`".into())
        }
        Refusal::NotAuthorised => Failure::ours(format!(
            "the broker does not let user `{}` in: wrong name or password; see `username` and `password_file`",
            config.username
        )),
        Refusal::ClientId => {
            Failure::ours(format!("the broker does not like the client id `{client_id}`: set `client_id`"))
        }
        Refusal::Version => Failure::ours("the broker does not speak MQTT 3.1.1".into()),
        Refusal::Unavailable => Failure::away("the broker says that it is not available".into()),
        Refusal::Unknown(code) => Failure::away(format!("the broker refuses with code {code}")),
    }
}

/// The first line of the password file, read anew each time, so that it may change.
fn read_password(config: &MqttConfig) -> Result<Option<Vec<u8>>, Failure> {
    let path = &config.password_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = fs::read(path)
        .map_err(|e| Failure::ours(format!("`password_file` cannot be read ({e}): {}", path.display())))?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}
