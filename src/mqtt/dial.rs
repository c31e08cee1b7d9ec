//! Opens a connection to the broker, up to and with its CONNACK, on a thread of its own: a name, a handshake and an
//! answer can each take as long as they like.

use super::packet::{Connect, Inbox, Incoming, Refusal};
use crossbeam_channel::{Receiver, TryRecvError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the broker is and how it lets us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The host alone, as it stands in its certificate; an IPv6 address without its brackets.
    pub host: String,
    /// Host and port.
    pub address: String,
    /// Encrypt.
    pub tls: bool,
    /// PEM file with the certificates to check against; empty: the system's.
    pub ca: PathBuf,
    /// User name; empty: none.
    pub username: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Seconds of silence after which the broker takes us for dead.
    pub keep_alive_s: u64,
    /// How long opening a connection may take.
    pub timeout: Duration,
}

/// How we introduce ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Name of the session.
    pub client_id: String,
    /// The broker keeps nothing for us when we are away.
    pub clean: bool,
    /// What it publishes when we go without a word.
    pub will: Option<(String, &'static [u8])>,
}

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

    /// How long reads and writes may wait.
    pub fn wait(&self, read: Duration, write: Duration) -> io::Result<()> {
        let socket = self.socket();
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(read))?;
        socket.set_write_timeout(Some(write))
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
    pub fn start(account: Account, hello: Hello) -> Result<Self, Failure> {
        let (tell, answer) = crossbeam_channel::bounded(1);
        let dial = move || {
            let _ = tell.send(dial(&account, &hello)); // whoever asked may have ended meanwhile
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

fn dial(account: &Account, hello: &Hello) -> Result<Link, Failure> {
    let deadline = Instant::now() + account.timeout;
    let socket = connect(&account.address, deadline)?;
    let link = if account.tls {
        let host = account.host.clone();
        let name = ServerName::try_from(host.clone())
            .map_err(|e| Failure::ours(format!("`{host}` cannot stand in a certificate ({e})")))?;
        let client = ClientConnection::new(tls(account)?, name).map_err(|e| Failure::ours(format!("TLS: {e}")))?;
        Link::Tls(Box::new(StreamOwned::new(client, socket)))
    } else {
        Link::Plain(socket)
    };
    link.wait_at_most(Some(account.timeout)).map_err(|e| Failure::away(e.to_string()))?;
    greet(link, account, hello, deadline)
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
fn tls(account: &Account) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    if account.ca.as_os_str().is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            return Err(Failure::ours(
                "the system has no certificates: install ca-certificates, or name a `ca`".into(),
            ));
        }
    } else {
        let wrong = |e: String| Failure::ours(format!("{e}: `ca` must be a PEM file: {}", account.ca.display()));
        for certificate in CertificateDer::pem_file_iter(&account.ca).map_err(|e| wrong(e.to_string()))? {
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
fn greet(mut link: Link, account: &Account, hello: &Hello, deadline: Instant) -> Result<Link, Failure> {
    let password = read_password(account)?;
    let will = hello.will.as_ref().map(|(topic, text)| (topic.as_str(), *text));
    let user = (!account.username.is_empty()).then_some((account.username.as_str(), password.as_deref()));
    let mut bytes = Vec::with_capacity(256);
    let keep_alive_s = u16::try_from(account.keep_alive_s).unwrap_or(u16::MAX);
    Connect { client_id: &hello.client_id, keep_alive_s, clean: hello.clean, will, user }.encode(&mut bytes);
    link.write_all(&bytes).and_then(|()| link.flush()).map_err(|e| broken(&e, account))?;
    let mut inbox = Inbox::default();
    loop {
        match inbox.take() {
            Ok(Some(Incoming::ConnAck(Ok(())))) => break,
            Ok(Some(Incoming::ConnAck(Err(refusal)))) => return Err(refused(refusal, account, &hello.client_id)),
            Ok(Some(_)) => return Err(Failure::away("the broker answers with something else".into())),
            Ok(None) if Instant::now() >= deadline => return Err(silent()),
            Ok(None) => {}
            Err(e) => return Err(Failure::ours(format!("{e}: is it a broker, and is `tls` as it wants it?"))),
        }
        let mut piece = [0]; // nothing beyond the answer: what comes behind it is for the session
        match link.read(&mut piece) {
            Ok(0) => return Err(broken(&ErrorKind::UnexpectedEof.into(), account)),
            Ok(_) => inbox.extend(&piece),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(&e, account)),
        }
    }
    link.wait_at_most(None).map_err(|e| Failure::away(e.to_string()))?;
    Ok(link)
}

fn silent() -> Failure {
    Failure::away("the broker does not answer: is it stopped, or does it want `tls`?".into())
}

fn broken(e: &io::Error, account: &Account) -> Failure {
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, e.kind()) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => {
            let mend = if account.ca.as_os_str().is_empty() {
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

fn refused(refusal: Refusal, account: &Account, client_id: &str) -> Failure {
    match refusal {
        Refusal::NotAuthorised if account.username.is_empty() => {
            Failure::ours("the broker lets nobody in without a password: set `username` and `password_file`".into())
        }
        Refusal::NotAuthorised => Failure::ours(format!(
            "the broker does not let user `{}` in: wrong name or password; see `username` and `password_file`",
            account.username
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
fn read_password(account: &Account) -> Result<Option<Vec<u8>>, Failure> {
    let path = &account.password_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = fs::read(path)
        .map_err(|e| Failure::ours(format!("`password_file` cannot be read ({e}): {}", path.display())))?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}
