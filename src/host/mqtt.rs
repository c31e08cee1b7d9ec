//! Receives from an MQTT broker: a subscriber with a session that the broker keeps, so that what is published while the
//! host is away comes afterwards.
//!
//! A publication is acknowledged when its event is stored, and not before: a host that is killed in between gets it again,
//! and knows it by device, run and number.

use super::endpoint::{Open, Shared};
use super::hub::Hub;
use crate::mqtt::packet::{self, Inbox, Incoming, Publication};
use crate::mqtt::{AVAILABILITY, Account, Dialing, Failure, Hello, Link, ONLINE, ended};
use crate::sinks::{Backoff, MqttConfig, mqtt_topic_parts};
use crate::wire::{DecodeError, DeviceName, json};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// How long a read waits before it is looked whether the host should stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long the broker may take to take our acknowledgements.
const REPLY: Duration = Duration::from_secs(2);
/// Number of the SUBSCRIBE; there is one in a connection.
const SUBSCRIPTION: u16 = 1;

/// Serves a broker until the stop is asked for, and connects again whenever that ends.
pub(super) fn serve(name: &str, config: &MqttConfig, shared: &Shared) {
    let ms = Duration::from_millis;
    let mut backoff = Backoff::new(ms(config.retry_min_ms), ms(config.retry_max_ms));
    let mut trouble: Option<String> = None;
    while !shared.stop.requested() {
        let failure = match connect(config, shared) {
            None => return,
            Some(Err(failure)) => failure,
            Some(Ok(link)) => {
                let mut session = Session::new(name, config, link, shared);
                let done = session.run(|| {
                    backoff.succeeded();
                    if trouble.take().is_some() {
                        log::info!("{name}: receives again");
                    }
                });
                match done {
                    Ok(()) => return session.leave(),
                    Err(failure) => failure,
                }
            }
        };
        if trouble.as_ref() != Some(&failure.why) {
            let level = if failure.ours { log::Level::Error } else { log::Level::Warn };
            log::log!(level, "{name}: {}; tried again until it is well, events wait at the broker", failure.why);
        }
        trouble = Some(failure.why);
        let now = Instant::now();
        backoff.failed(now);
        shared.stop.wait(backoff.remaining(now));
    }
}

/// `None` when the stop was asked for meanwhile.
fn connect(config: &MqttConfig, shared: &Shared) -> Option<Result<Link, Failure>> {
    let client_id = match config.client_id.as_str() {
        "" => format!("mercam-host-{}", DeviceName::of_host()),
        chosen => chosen.to_owned(),
    };
    let account: Account = config.account();
    let dialing = match Dialing::start(account, Hello { client_id, clean: false, will: None }) {
        Ok(dialing) => dialing,
        Err(failure) => return Some(Err(failure)),
    };
    loop {
        if let Some(done) = dialing.poll() {
            return Some(done);
        }
        if shared.stop.wait(Duration::from_millis(5)) {
            return None;
        }
    }
}

/// A connection that the broker has accepted.
struct Session<'a> {
    name: &'a str,
    topic: &'a str,
    keep_alive: Duration,
    patience: Duration,
    link: Link,
    shared: &'a Shared,
    inbox: Inbox,
    out: Vec<u8>,
    /// When something was last written.
    spoke: Instant,
    /// An answer is waited for since then.
    asked: Option<Instant>,
    subscribed: bool,
}

impl<'a> Session<'a> {
    fn new(name: &'a str, config: &'a MqttConfig, link: Link, shared: &'a Shared) -> Self {
        let now = Instant::now();
        let mut out = Vec::new();
        packet::subscribe(&mut out, SUBSCRIPTION, &format!("{}/+/+", config.topic));
        Self {
            name,
            topic: &config.topic,
            keep_alive: Duration::from_secs(config.keep_alive_s),
            patience: Duration::from_millis(config.ack_timeout_ms),
            link,
            shared,
            inbox: Inbox::default(),
            out,
            spoke: now,
            asked: Some(now),
            subscribed: false,
        }
    }

    /// Receives until the stop is asked for. `well` is called whenever it has shown that it can receive.
    fn run(&mut self, mut well: impl FnMut()) -> Result<(), Failure> {
        let away = |why: String| Failure { why, ours: false };
        let _open = Open::new(self.shared, self.name);
        self.link.wait(LOOK, REPLY).map_err(|e| away(ended(&e)))?;
        let mut piece = vec![0; 16 * 1024];
        while !self.shared.stop.requested() {
            self.speak().map_err(|e| away(ended(&e)))?;
            match self.link.read(&mut piece) {
                Ok(0) => return Err(away("the broker closed the connection".into())),
                Ok(n) => {
                    self.inbox.extend(piece.get(..n).unwrap_or_default());
                    if self.take(n)? {
                        well();
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(e) => return Err(away(ended(&e))),
            }
            if self.asked.is_some_and(|since| since.elapsed() > self.patience) {
                return Err(away("the broker does not answer any more: has it stopped?".into()));
            }
        }
        self.speak().map_err(|e| away(ended(&e)))
    }

    /// Writes what waits, and a sign of life when there was none for long.
    fn speak(&mut self) -> std::io::Result<()> {
        // Half the time that the broker waits for: a late packet is no reason to be thrown out.
        if self.asked.is_none() && self.spoke.elapsed() >= self.keep_alive / 2 {
            packet::ping(&mut self.out);
            self.asked = Some(Instant::now());
        }
        if self.out.is_empty() {
            return Ok(());
        }
        self.link.write_all(&self.out)?;
        self.link.flush()?;
        self.out.clear();
        self.spoke = Instant::now();
        Ok(())
    }

    /// Takes what has come. Says whether anything was stored or granted.
    fn take(&mut self, bytes: usize) -> Result<bool, Failure> {
        let mut hub = self.shared.hub();
        hub.line(self.name).bytes += bytes as u64;
        let (mut stored, mut granted, mut refused) = (Vec::new(), false, None);
        loop {
            match self.inbox.take() {
                Ok(Some(Incoming::Publish(p))) => {
                    let id = p.id;
                    if publication(&mut hub, self.name, self.topic, p) {
                        stored.extend(id);
                    } else {
                        // What comes behind it must not be acknowledged before it.
                        let why = "events cannot be stored here: make room".to_owned();
                        refused = Some(Failure { why, ours: true });
                        break;
                    }
                }
                Ok(Some(Incoming::SubAck(true))) => {
                    (self.subscribed, self.asked, granted) = (true, None, true);
                }
                Ok(Some(Incoming::SubAck(false))) => {
                    let why = format!("the broker does not let us read `{}/+/+`: see its access list", self.topic);
                    return Err(Failure { why, ours: true });
                }
                Ok(Some(Incoming::PingResp)) if self.subscribed => self.asked = None,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(e) => return Err(Failure { why: e.to_string(), ours: false }),
            }
        }
        if !hub.settled() {
            return Err(Failure { why: "events cannot be made to last here".into(), ours: true });
        }
        hub.line(self.name).acks += stored.len() as u64;
        drop(hub);
        let any = !stored.is_empty();
        stored.into_iter().for_each(|id| packet::acknowledge(&mut self.out, id));
        match refused {
            Some(failure) => {
                let _ = self.speak(); // what was stored before it comes again otherwise, and is known then
                Err(failure)
            }
            None => Ok(any || granted),
        }
    }

    /// Goes in an orderly way; the broker keeps the session.
    fn leave(mut self) {
        packet::disconnect(&mut self.out);
        if let Err(e) = self.speak() {
            log::debug!("{}: {}", self.name, ended(&e));
        }
    }
}

/// Takes a publication. Says whether it has been dealt with, so that the broker may forget it.
fn publication(hub: &mut Hub, line: &str, prefix: &str, p: Publication) -> bool {
    let Some((device, kind)) = mqtt_topic_parts(prefix, &p.topic) else {
        hub.line(line).foreign += 1;
        return true;
    };
    let Some(payload) = p.payload else {
        return passed_over(hub, line, &p.topic, "it is longer than any event");
    };
    if kind == AVAILABILITY {
        hub.available(device, payload == ONLINE);
        return true;
    }
    let mut envelope = match json::decode(&payload) {
        Ok(envelope) => envelope,
        Err(e @ DecodeError::Version(_)) => {
            // A broker cannot be told to wait with the events of one device only.
            hub.line(line).foreign += 1;
            return passed_over(hub, line, &p.topic, &e.to_string());
        }
        Err(e) => return passed_over(hub, line, &p.topic, &e.to_string()),
    };
    if envelope.device.is_empty() {
        device.clone_into(&mut envelope.device); // version 1 does not say
    }
    if envelope.device != device {
        // The broker lets a device write below its own name only.
        return passed_over(hub, line, &p.topic, "the event is of another device than its topic");
    }
    hub.publication(line, &envelope, p.retained)
}

/// Counts what is no event; says so once in a while only, because anybody may publish anything.
fn passed_over(hub: &mut Hub, line: &str, topic: &str, why: &str) -> bool {
    let stats = hub.line(line);
    stats.bad += 1;
    if stats.bad.is_power_of_two() {
        log::warn!("{line}: passed over, {} in all: {why}: {}", stats.bad, crate::sinks::printable(topic));
    }
    true
}
