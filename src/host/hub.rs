//! What all lines share: the order of records, the ledger of events, the store, and the counters.

use super::ledger::{Ledger, Verdict};
use super::stats::{DeviceStats, HostStats, LineStats};
use super::store::Store;
use super::streams::Streams;
use crate::clock::wall_unix_us;
use crate::event::Event;
use crate::pipeline::delivery::Delivery;
use crate::wire::{DecodeError, Envelope, Message, RunId, VERSION};
use std::sync::Arc;

/// Where everything comes together. One, behind a lock, for all lines.
pub struct Hub {
    streams: Streams,
    ledger: Ledger,
    store: Store,
    forward: Option<Delivery>,
    stats: HostStats,
    complained: bool,
}

/// What a line has to send back.
#[derive(Debug, Default)]
pub struct Reply {
    /// Queues to be acknowledged, each once.
    streams: Vec<u64>,
}

impl Hub {
    /// A hub that goes on with what the store holds. `forward` gets every event once as well.
    pub fn new(store: Store, forward: Option<Delivery>) -> Self {
        let mut hub = Self {
            streams: Streams::default(),
            ledger: Ledger::default(),
            store,
            forward,
            stats: HostStats::default(),
            complained: false,
        };
        let (ledger, stats) = (&mut hub.ledger, &mut hub.stats);
        let turned_over = hub.store.turned_over();
        hub.store.replay(|e| {
            if turned_over {
                ledger.begin(&e.device, e.run, e.seq);
            }
            ledger.note(&e.device, e.run, e.seq);
            stats.device(&e.device).stored(&e.kind);
        });
        hub
    }

    /// Takes a frame from a line.
    pub fn take(&mut self, line: &str, message: Message, reply: &mut Reply) {
        match message {
            Message::Event(envelope) => {
                self.event(line, &envelope);
            }
            Message::Record(record) => {
                let stream = record.stream;
                let mut streams = std::mem::take(&mut self.streams);
                let progress = streams.take(record, |content| self.content(line, content));
                self.streams = streams;
                let stats = self.stats.line(line);
                stats.records += 1;
                stats.repeated += u64::from(progress.repeated);
                stats.given_up += progress.given_up;
                if !reply.streams.contains(&stream) {
                    reply.streams.push(stream);
                }
            }
            // Words of a host: two hosts on one line, or our own echo.
            Message::Ack(_) | Message::Ready => {}
        }
    }

    /// Takes an event that a broker has brought. Returns whether it has been dealt with. One that the broker had kept for
    /// whoever subscribes comes with every subscription: no wonder that it is known.
    #[cfg(feature = "mqtt")]
    pub fn publication(&mut self, line: &str, envelope: &Envelope, kept: bool) -> bool {
        let known = self.ledger.has(&envelope.device, envelope.run, envelope.seq);
        let stats = self.stats.line(line);
        stats.good += 1;
        if known && kept {
            return true;
        }
        stats.records += 1;
        stats.repeated += u64::from(known);
        self.event(line, envelope)
    }

    /// A broker says whether a device is there.
    #[cfg(feature = "mqtt")]
    pub fn available(&mut self, device: &str, online: bool) {
        if self.stats.knows(device) || !self.stats.is_full() {
            self.stats.device(device).online = Some(online);
        }
    }

    /// Makes what was taken last. Returns whether it may be acknowledged.
    #[cfg(feature = "mqtt")]
    pub fn settled(&mut self) -> bool {
        self.store.settle().inspect_err(|e| log::error!("{e}")).is_ok()
    }

    /// Makes what was taken last, and writes the acknowledgements of it.
    pub fn settle(&mut self, line: &str, reply: &mut Reply, out: &mut Vec<u8>) {
        if let Err(e) = self.store.settle() {
            log::error!("{e}");
            reply.streams.clear(); // not acknowledged: it comes again
        }
        for stream in reply.streams.drain(..) {
            if self.streams.ack(stream).encode(out).is_ok() {
                self.stats.line(line).acks += 1;
            }
        }
    }

    /// What a record holds. Returns whether it has been dealt with.
    fn content(&mut self, line: &str, content: &Result<Envelope, DecodeError>) -> bool {
        match content {
            Ok(envelope) => self.event(line, envelope),
            Err(e @ DecodeError::Version(_)) => {
                // It waits with its sender until this host is renewed.
                if self.stats.line(line).foreign == 0 {
                    log::error!("{line}: {e}; its events wait on the device until then");
                }
                self.stats.line(line).foreign += 1;
                false
            }
            Err(e) => {
                log::error!("{line}: an undamaged record is no event and is passed over: {e}");
                self.stats.line(line).unreadable += 1;
                true
            }
        }
    }

    /// Stores an event that has not been here before. Returns whether it has been dealt with.
    fn event(&mut self, line: &str, envelope: &Envelope) -> bool {
        let known = envelope.run != RunId(0);
        let mut envelope = envelope.clone();
        envelope.v = VERSION;
        if envelope.device.is_empty() {
            line.clone_into(&mut envelope.device); // version 1 does not say
        }
        if known && self.ledger.has(&envelope.device, envelope.run, envelope.seq) {
            self.stats.device(&envelope.device).duplicates += 1;
            return true;
        }
        if !self.stats.knows(&envelope.device) && self.stats.is_full() {
            self.stats.refused += 1;
            return true;
        }
        if let Err(e) = self.store.write(&envelope) {
            if !std::mem::replace(&mut self.complained, true) {
                log::error!("events cannot be stored and are not acknowledged: {e}");
            }
            self.stats.line(line).not_stored += 1;
            return false;
        }
        self.complained = false;
        if known && self.ledger.note(&envelope.device, envelope.run, envelope.seq) == Verdict::Refused {
            self.stats.refused += 1;
        }
        let stats = self.stats.device(&envelope.device);
        stats.stored(envelope.event.kind());
        line.clone_into(&mut stats.line);
        stats.last_unix_us = wall_unix_us();
        if let Event::Status(s) = &envelope.event {
            stats.status = Some(s.clone());
        }
        if let Some(forward) = &self.forward {
            forward.forward(&Arc::new(envelope));
        }
        true
    }

    /// The counters of a line.
    pub fn line(&mut self, line: &str) -> &mut LineStats {
        self.stats.line(line)
    }

    /// All counters now.
    pub fn stats(&self) -> HostStats {
        let mut stats = self.stats.clone();
        for (name, device) in &mut stats.devices {
            (device.runs, device.missing) = self.ledger.runs_and_missing(name);
        }
        stats
    }

    /// Ends it: what was forwarded is flushed.
    pub fn finish(&mut self) {
        if let Some(forward) = self.forward.take() {
            for r in forward.finish() {
                log::info!("{} events sent, {} failed, {} dropped: {}", r.sent, r.failed, r.dropped, r.name);
            }
        }
    }
}

impl DeviceStats {
    fn stored(&mut self, kind: &str) {
        self.events += 1;
        self.confirmed += u64::from(kind == "confirmed");
        self.withdrawn += u64::from(kind == "withdrawn");
    }
}
