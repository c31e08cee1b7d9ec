//! `mqtt`: events as JSON to a broker, with QoS 1 and a spool behind it; only with the cargo feature `mqtt`.
//!
//! An event waits in the spool until the broker has acknowledged it (PUBACK), so a broker that restarts, hangs or is
//! away costs none. What was on the way when a connection broke is published again: a subscriber may get an event
//! twice, and knows it by device, run and `seq`.

mod session;
mod sink;
mod topics;

pub use sink::MqttSink;
pub(crate) use topics::parts;

use super::SinkError;
use crate::mqtt::Account;
use crate::spool::{Fsync, SpoolConfig};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use topics::Topics;

/// The `mqtt` sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// `HOST` or `HOST:PORT` of the broker; the port is 1883, or 8883 with TLS. No default.
    pub address: String,
    /// First part of every topic: `TOPIC/DEVICE/KIND`. Default `mercam`.
    pub topic: String,
    /// Name of the session, different for each client of a broker. Default none: `mercam-DEVICE`.
    pub client_id: String,
    /// User name. Default none.
    pub username: String,
    /// File whose first line is the password; read at each attempt. Default none. A password has no place in a
    /// configuration that can be printed or on a command line that others see.
    pub password_file: PathBuf,
    /// Encrypt, and check the broker's certificate against the system's. Default false.
    pub tls: bool,
    /// PEM file with the certificates to check against instead; switches `tls` on. Default none.
    pub ca: PathBuf,
    /// Seconds of silence after which broker and device take each other for dead. Default 30.
    pub keep_alive_s: u64,
    /// Tell Home Assistant about the device (MQTT discovery). Default false.
    pub home_assistant: bool,
    /// Topic below which Home Assistant looks for devices. Default `homeassistant`.
    pub home_assistant_topic: String,
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
    /// How long the broker may leave an event unacknowledged before the connection counts as dead, in milliseconds.
    /// Default 10000.
    pub ack_timeout_ms: u64,
    /// First delay before a broker that is away is tried again, in milliseconds. Default 250.
    pub retry_min_ms: u64,
    /// Longest such delay, in milliseconds. Default 10000.
    pub retry_max_ms: u64,
}

impl Default for MqttConfig {
    fn default() -> Self {
        let spool = SpoolConfig::default();
        Self {
            address: String::new(),
            topic: "mercam".into(),
            client_id: String::new(),
            username: String::new(),
            password_file: PathBuf::new(),
            tls: false,
            ca: PathBuf::new(),
            keep_alive_s: 30,
            home_assistant: false,
            home_assistant_topic: "homeassistant".into(),
            spool: spool.dir,
            spool_max_bytes: spool.max_bytes,
            spool_max_age_s: spool.max_age_s,
            spool_fsync: spool.fsync,
            connect_timeout_ms: 5000,
            ack_timeout_ms: 10_000,
            retry_min_ms: 250,
            retry_max_ms: 10_000,
        }
    }
}

impl MqttConfig {
    /// Checks the values alone.
    ///
    /// # Errors
    /// [`SinkError::Spec`] naming the option.
    pub fn validate(&self) -> Result<(), SinkError> {
        let wrong = |text: String| Err(SinkError::Spec(format!("sink `mqtt`: {text}")));
        let port = self.address.rsplit_once(':').filter(|_| !self.address.ends_with(']')).map(|(_, port)| port);
        if self.host().is_empty() || port.is_some_and(|p| p.parse::<u16>().is_err()) {
            return wrong(format!("`{}` is no HOST or HOST:PORT; write `mqtt:broker.local`", self.address));
        }
        for (name, topic) in [("topic", &self.topic), ("home_assistant_topic", &self.home_assistant_topic)] {
            if topic.is_empty() || topic.len() > 1024 || topic.contains(['+', '#', '\0']) || topic.starts_with('$') {
                return wrong(format!("`{name}` is `{topic}`, but may not be empty, begin with $ or hold + or #"));
            }
        }
        if self.client_id.len() > 256 || self.username.len() > 1024 {
            return wrong("`client_id` may have 256 bytes, `username` 1024".into());
        }
        if self.username.is_empty() && !self.password_file.as_os_str().is_empty() {
            return wrong("`password_file` needs a `username`".into());
        }
        if !(5..=65_535).contains(&self.keep_alive_s) {
            return wrong(format!("`keep_alive_s` is {}, but may be 5 to 65535", self.keep_alive_s));
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

    /// Makes the sink. It connects when it knows which device it is; a broker that is away is no error.
    ///
    /// # Errors
    /// When a value makes no sense, or the spool cannot be used.
    pub fn build(&self) -> Result<MqttSink, SinkError> {
        self.validate()?;
        MqttSink::new(self.clone())
    }

    /// An option that is set and says something to the sink only, not to a host that subscribes.
    pub(crate) fn option_of_senders(&self) -> Option<&'static str> {
        let plain = Self::default();
        [
            ("spool", self.spool != plain.spool),
            ("spool_max_bytes", self.spool_max_bytes != plain.spool_max_bytes),
            ("spool_max_age_s", self.spool_max_age_s != plain.spool_max_age_s),
            ("spool_fsync", self.spool_fsync != plain.spool_fsync),
            ("home_assistant", self.home_assistant),
            ("home_assistant_topic", self.home_assistant_topic != plain.home_assistant_topic),
        ]
        .into_iter()
        .find_map(|(name, set)| set.then_some(name))
    }

    /// Where the broker is and how it lets us in.
    pub(crate) fn account(&self) -> Account {
        Account {
            host: self.host().to_owned(),
            address: self.host_and_port(),
            tls: self.uses_tls(),
            ca: self.ca.clone(),
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            keep_alive_s: self.keep_alive_s,
            timeout: Duration::from_millis(self.connect_timeout_ms),
        }
    }

    fn uses_tls(&self) -> bool {
        self.tls || !self.ca.as_os_str().is_empty()
    }

    /// The host alone; an IPv6 address without its brackets.
    fn host(&self) -> &str {
        let host = match self.address.rsplit_once(':') {
            Some((host, _)) if !self.address.ends_with(']') => host,
            _ => &self.address,
        };
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    fn host_and_port(&self) -> String {
        match self.address.rsplit_once(':') {
            Some(_) if !self.address.ends_with(']') => self.address.clone(),
            _ => format!("{}:{}", self.address, if self.uses_tls() { 8883 } else { 1883 }),
        }
    }

    fn client_id(&self, topics: &Topics) -> String {
        if self.client_id.is_empty() { format!("mercam-{}", topics.device()) } else { self.client_id.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let at = |address: &str, tls: bool| MqttConfig { address: address.into(), tls, ..MqttConfig::default() };
        for (address, tls, host, whole) in [
            ("broker", false, "broker", "broker:1883"),
            ("broker", true, "broker", "broker:8883"),
            ("10.0.0.1:99", true, "10.0.0.1", "10.0.0.1:99"),
            ("[::1]", false, "::1", "[::1]:1883"),
            ("[::1]:99", false, "::1", "[::1]:99"),
        ] {
            let config = at(address, tls);
            assert_eq!((config.host(), config.host_and_port().as_str()), (host, whole));
            assert!(config.validate().is_ok(), "{address}");
        }
        for bad in ["", ":1883", "broker:", "broker:x", "[]"] {
            assert!(at(bad, false).validate().is_err(), "{bad}");
        }
    }
}
