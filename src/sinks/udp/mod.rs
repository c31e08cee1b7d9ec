//! `udp`: each event in a datagram of its own, sent and forgotten.
//!
//! Nobody acknowledges a datagram: what the network loses, the receiver sees as a gap in `seq`. What the system itself
//! refuses, and what a receiver's machine answers with "nobody listens here", is counted.

use super::{Backoff, Sink, SinkError};
use crate::wire::{EncodeError, Envelope, Format, MAX_FRAME, json};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// What is in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UdpFormat {
    /// The JSON of the event and a line end. UDP has a checksum of its own.
    #[default]
    Json,
    /// The text frame of serial lines: JSON with a CRC-32.
    Text,
    /// The binary frame of serial lines.
    Binary,
}

/// The `udp` sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UdpConfig {
    /// `HOST:PORT` of the receiver; a broadcast or multicast address reaches several. No default.
    pub address: String,
    /// `json`, `text` or `binary`. Default `json`.
    pub format: UdpFormat,
    /// How many routers a multicast datagram may pass (its time to live). Default 1: this network only.
    pub multicast_ttl: u32,
    /// First delay before a name is looked up again, or a network that is away is tried again, in milliseconds.
    /// Default 250.
    pub retry_min_ms: u64,
    /// Longest such delay, in milliseconds. Default 10000.
    pub retry_max_ms: u64,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            format: UdpFormat::Json,
            multicast_ttl: 1,
            retry_min_ms: 250,
            retry_max_ms: 10_000,
        }
    }
}

impl UdpConfig {
    /// Checks the values alone, without touching the network.
    ///
    /// # Errors
    /// [`SinkError::Spec`] when the address is missing or a value makes no sense.
    pub fn validate(&self) -> Result<(), SinkError> {
        let wrong = |text: String| Err(SinkError::Spec(format!("sink `udp`: {text}")));
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.and_then(|p| p.parse::<u16>().ok()).is_none_or(|p| p == 0) {
            return wrong(format!("`{}` is no HOST:PORT; write `udp:192.168.1.10:5005`", self.address));
        }
        if !(1..=255).contains(&self.multicast_ttl) {
            return wrong(format!("`multicast_ttl` is {}, but may be 1 to 255", self.multicast_ttl));
        }
        for (name, value) in [("retry_min_ms", self.retry_min_ms), ("retry_max_ms", self.retry_max_ms)] {
            if !(1..=600_000).contains(&value) {
                return wrong(format!("`{name}` is {value}, but may be 1 to 600000 (milliseconds)"));
            }
        }
        Ok(())
    }

    /// Makes the sink. A receiver or network that is away is no error.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn build(&self) -> Result<UdpSink, SinkError> {
        self.validate()?;
        let ms = Duration::from_millis;
        Ok(UdpSink {
            name: format!("udp:{}", self.address),
            config: self.clone(),
            socket: None,
            backoff: Backoff::new(ms(self.retry_min_ms), ms(self.retry_max_ms)),
            datagram: Vec::new(),
            trouble: None,
        })
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let to: SocketAddr = self
            .address
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"))?;
        let socket = match to {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
        };
        if to.is_ipv4() {
            socket.set_broadcast(true)?;
            socket.set_multicast_ttl_v4(self.multicast_ttl)?;
        }
        socket.connect(to)?; // so that "nobody listens here" is told to us
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(socket)
    }
}

/// Sends events as datagrams.
#[derive(Debug)]
pub struct UdpSink {
    name: String,
    config: UdpConfig,
    socket: Option<UdpSocket>,
    backoff: Backoff,
    datagram: Vec<u8>,
    trouble: Option<String>,
}

impl UdpSink {
    fn encode(&mut self, event: &Envelope) -> Result<(), EncodeError> {
        self.datagram.clear();
        match self.config.format {
            UdpFormat::Text => Format::Text.encode(event, &mut self.datagram),
            UdpFormat::Binary => Format::Binary.encode(event, &mut self.datagram),
            UdpFormat::Json => {
                json::encode(event, &mut self.datagram)?;
                self.datagram.push(b'\n');
                let length = self.datagram.len();
                if length > MAX_FRAME { Err(EncodeError::TooLong { length }) } else { Ok(()) }
            }
        }
    }

    fn transmit(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None if !self.backoff.ready(now) => return Err(self.trouble.clone().unwrap_or_default()),
            None => self.config.open().map_err(|e| {
                self.backoff.failed(Instant::now());
                format!("cannot be reached ({e}): check its name and this machine's network")
            })?,
        };
        let mut refused = false;
        loop {
            match socket.send(&self.datagram) {
                Ok(_) => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The answer to an earlier datagram, told instead of sending this one; it is told once.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused && !refused => refused = true,
                Err(e) => {
                    self.backoff.failed(Instant::now());
                    return Err(format!("cannot be sent to ({e}): check this machine's network"));
                }
            }
        }
        self.backoff.succeeded();
        self.socket = Some(socket);
        if refused {
            return Err("nobody listens there: the event before this one was refused; start the receiver".into());
        }
        Ok(())
    }
}

impl Sink for UdpSink {
    fn name(&self) -> &str {
        &self.name
    }

    /// As the trait says, but for a receiver's machine that answers "nobody listens here": the answer comes after the
    /// event, so it is reported, and counted, with the next one, which itself was sent.
    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        self.encode(event).map_err(|why| SinkError::event(&self.name, event, why))?;
        let result = self.transmit();
        self.trouble = result.as_ref().err().cloned();
        result.map_err(|why| SinkError::Unavailable { what: self.name.clone(), why })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(()) // nothing is held back
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
