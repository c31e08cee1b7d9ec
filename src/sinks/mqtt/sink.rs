//! The sink itself: a spool, and a session with the broker that is opened again whenever it ends.

use super::MqttConfig;
use super::session::Session;
use super::topics::Topics;
use crate::mqtt::{Dialing, Failure, Hello, OFFLINE, ONLINE};
use crate::sinks::{Backlog, Backoff, Sink, SinkError};
use crate::spool::{RecordId, Spool, SpoolConfig, SpoolError};
use crate::wire::{DeviceName, Envelope, Origin, json};
use std::time::{Duration, Instant};

/// How long a sink that ends waits for the last acknowledgements.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// How long it waits for the goodbye to be heard.
const FAREWELL: Duration = Duration::from_millis(500);
/// How soon answers are looked for while some are waited for, and otherwise.
const SOON: Duration = Duration::from_millis(2);
const LATER: Duration = Duration::from_millis(100);

/// Publishes events.
pub struct MqttSink {
    name: String,
    config: MqttConfig,
    spool: Spool,
    /// Known when the sink is introduced, or from the first event.
    topics: Option<Topics>,
    state: State,
    backoff: Backoff,
    /// The newest record that was ever published.
    newest: Option<RecordId>,
    /// Events published again.
    again: u64,
    record: Vec<u8>,
    trouble: Option<String>,
}

/// Where the connection is.
enum State {
    Away,
    Dialing(Dialing),
    Open(Box<Session>),
}

impl MqttSink {
    pub(super) fn new(config: MqttConfig) -> Result<Self, SinkError> {
        let name = format!("mqtt:{}", config.address);
        let spool = SpoolConfig {
            dir: config.spool.clone(),
            max_bytes: config.spool_max_bytes,
            max_age_s: config.spool_max_age_s,
            fsync: config.spool_fsync,
        };
        let spool = spool.open().map_err(|e| match e {
            SpoolError::Config(text) => {
                SinkError::Spec(format!("sink `mqtt`: `spool_{}", text.trim_start_matches('`')))
            }
            other => SinkError::Unavailable { what: name.clone(), why: other.to_string() },
        })?;
        let c = spool.counts();
        if c.recovered > 0 || c.lost() > 0 {
            log::info!("{name}: {} events of earlier runs wait, {} were damaged", c.recovered, c.lost());
        }
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(config.retry_min_ms), ms(config.retry_max_ms));
        Ok(Self {
            name,
            config,
            spool,
            topics: None,
            state: State::Away,
            backoff,
            newest: None,
            again: 0,
            record: Vec::new(),
            trouble: None,
        })
    }

    /// Opens the connection when that is due, publishes, and listens.
    fn step(&mut self, now: Instant) {
        let Some(topics) = &self.topics else { return };
        if matches!(self.state, State::Away) && self.backoff.ready(now) {
            let will = Some((topics.availability(), OFFLINE));
            let hello = Hello { client_id: self.config.client_id(topics), clean: true, will };
            match Dialing::start(self.config.account(), hello) {
                Ok(dialing) => self.state = State::Dialing(dialing),
                Err(failure) => return self.away(now, failure),
            }
        }
        if let State::Dialing(dialing) = &self.state {
            match dialing.poll() {
                None => return,
                Some(Err(failure)) => return self.away(now, failure),
                Some(Ok(link)) => {
                    let ms = Duration::from_millis;
                    let mut greetings = vec![(topics.availability(), ONLINE.to_vec())];
                    if self.config.home_assistant {
                        let told = topics.discovery(&self.config.home_assistant_topic);
                        greetings.extend(told.into_iter().map(|(t, text)| (t, text.into_bytes())));
                    }
                    let keep_alive = Duration::from_secs(self.config.keep_alive_s);
                    let session = Session::new(link, &greetings, keep_alive, ms(self.config.ack_timeout_ms));
                    self.state = State::Open(Box::new(session));
                }
            }
        }
        let State::Open(session) = &mut self.state else { return };
        match session.round(&mut self.spool, self.newest, |record| topics.publication(record), now) {
            Ok(round) => {
                if round.again > 0 {
                    self.again += round.again;
                    let total = self.again;
                    log::debug!("{}: {} events published again, {total} in this run", self.name, round.again);
                }
                if round.heard {
                    // Well only when the broker answers: a connection can open and break at once, for ever.
                    self.backoff.succeeded();
                    if self.trouble.take().is_some() {
                        log::info!("{}: delivers again; {} events wait", self.name, self.spool.waiting());
                    }
                }
            }
            Err(why) => {
                self.newest = self.newest.max(session.newest());
                self.away(now, Failure { why, ours: false });
            }
        }
    }

    /// There is no connection: says so once for each reason, and waits longer each time.
    fn away(&mut self, now: Instant, failure: Failure) {
        self.state = State::Away;
        self.backoff.failed(now);
        if self.trouble.as_ref() != Some(&failure.why) {
            let fate = if self.spool.survives() { "on disk" } else { "in memory" };
            let text = format!("{}: {}; tried again until it is well, events wait {fate}", self.name, failure.why);
            log::log!(if failure.ours { log::Level::Error } else { log::Level::Warn }, "{text}");
        }
        self.trouble = Some(failure.why);
    }

    /// Events that were published more than once, as far as this side knows; the broker may have got them once only.
    pub const fn published_again(&self) -> u64 {
        self.again
    }
}

impl Sink for MqttSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn introduce(&mut self, origin: &Origin) {
        self.topics.get_or_insert_with(|| Topics::new(&self.config.topic, origin.device.clone()));
        self.step(Instant::now());
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let device = || event.device.parse().unwrap_or_else(|_| DeviceName::of_host());
        let topics = self.topics.get_or_insert_with(|| Topics::new(&self.config.topic, device()));
        self.record.clear();
        topics.begin_record(&event.device, event.event.kind(), &mut self.record);
        json::encode(event, &mut self.record).map_err(|why| SinkError::event(&self.name, event, why))?;
        let taken = self.spool.append(&self.record);
        taken.map_err(|e| SinkError::Unavailable { what: self.name.clone(), why: e.to_string() })?;
        self.step(Instant::now());
        Ok(())
    }

    fn pump(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.step(now);
        match &self.state {
            _ if self.topics.is_none() => None,
            State::Open(session) => Some(if session.waits() { SOON } else { LATER }),
            State::Dialing(_) => Some(Duration::from_millis(10)),
            State::Away => Some(self.backoff.remaining(now).max(Duration::from_millis(1))),
        }
    }

    fn backlog(&self) -> Backlog {
        let spool = &self.spool;
        Backlog { waiting: spool.waiting(), given_up: spool.counts().lost(), survives: spool.survives() }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let began = Instant::now();
        while self.spool.waiting() > 0 && began.elapsed() < LAST_WORDS {
            self.step(Instant::now());
            if self.trouble.is_some() && self.spool.survives() {
                break; // the next run goes on
            }
            std::thread::sleep(SOON);
        }
        let waiting = self.spool.waiting();
        if let Err(e) = self.spool.sync() {
            log::debug!("{}: {e}", self.name);
        }
        if waiting > 0 && !self.spool.survives() {
            let why = format!("{waiting} events were not delivered before the end; give it a `spool` to keep them");
            return Err(SinkError::Unavailable { what: self.name.clone(), why });
        }
        if waiting > 0 {
            log::warn!("{}: {waiting} events wait for the next run", self.name);
        }
        Ok(())
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

impl Drop for MqttSink {
    /// Goes in an orderly way, so that `offline` is there at once and the will is not needed.
    fn drop(&mut self) {
        if let (State::Open(session), Some(topics)) = (std::mem::replace(&mut self.state, State::Away), &self.topics) {
            session.leave(&topics.availability(), OFFLINE, FAREWELL);
        }
    }
}
