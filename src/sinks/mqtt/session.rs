//! A connection that the broker has accepted: what is on the way on it, and what has arrived.

use crate::mqtt::packet::{self, Inbox, Incoming};
use crate::mqtt::{Link, ended};
use crate::spool::{RecordId, Spool};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// Most publications on the way at a time.
const WINDOW: usize = 32;
/// Bytes that wait to be written before more are prepared.
const AHEAD: usize = 32 * 1024;

/// Why a session is over.
pub type Broken = String;

/// Something published and not acknowledged yet.
#[derive(Debug)]
struct Flight {
    packet: u16,
    /// The spool's number; `None`: said on connecting (availability, discovery).
    record: Option<RecordId>,
    sent: Instant,
    arrived: bool,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Where.
    pub topic: String,
    /// The text.
    pub payload: &'a [u8],
    /// The broker keeps it for whoever subscribes later.
    pub retain: bool,
}

/// What a session did in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// The broker has answered something.
    pub heard: bool,
    /// Events published that had been published before.
    pub again: u64,
}

/// A session with the broker.
pub struct Session {
    link: Link,
    flights: VecDeque<Flight>,
    next_packet: u16,
    /// The newest record published in this session.
    newest: Option<RecordId>,
    out: Vec<u8>,
    written: usize,
    inbox: Inbox,
    /// When something was last written.
    spoke: Instant,
    /// A PINGREQ waits for its answer since then.
    pinged: Option<Instant>,
    keep_alive: Duration,
    patience: Duration,
}

impl Session {
    /// Begins with what has to be said on connecting: topic and text, all retained.
    pub fn new(link: Link, greetings: &[(String, Vec<u8>)], keep_alive: Duration, patience: Duration) -> Self {
        let now = Instant::now();
        let mut session = Self {
            link,
            flights: VecDeque::with_capacity(WINDOW),
            next_packet: 1,
            newest: None,
            out: Vec::new(),
            written: 0,
            inbox: Inbox::default(),
            spoke: now,
            pinged: None,
            keep_alive,
            patience,
        };
        for (topic, payload) in greetings {
            session.publish(topic, payload, true, false, None, now);
        }
        session
    }

    fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        retain: bool,
        again: bool,
        record: Option<RecordId>,
        now: Instant,
    ) {
        let packet = self.next_packet;
        self.next_packet = packet.checked_add(1).unwrap_or(1); // 0 is not allowed
        packet::publish(&mut self.out, topic, packet, payload, retain, again);
        self.flights.push_back(Flight { packet, record, sent: now, arrived: false });
    }

    /// Publishes what waits, as far as there is room, and takes acknowledgements. `read` makes a publication of a
    /// record; `before` is the newest record of earlier sessions.
    pub fn round(
        &mut self,
        spool: &mut Spool,
        before: Option<RecordId>,
        read: impl Fn(&[u8]) -> Option<Publication<'_>>,
        now: Instant,
    ) -> Result<Round, Broken> {
        let mut round = Round::default();
        self.listen(spool, &mut round)?;
        while self.flights.len() < WINDOW && self.out.len() - self.written < AHEAD {
            let place = self.newest.map_or(0, |newest| spool.index_of(RecordId(newest.0.saturating_add(1))));
            let Some(record) = spool.get(place).map_err(|e| e.to_string())? else { break };
            self.newest = Some(record.id);
            let again = before.is_some_and(|b| record.id <= b);
            round.again += u64::from(again);
            // A record that is none of ours is acknowledged with the next one that is.
            let Some(p) = read(&record.payload) else { continue };
            self.publish(&p.topic, p.payload, p.retain, again, Some(record.id), now);
        }
        // Half the time that the broker waits for: a late packet is no reason to be thrown out.
        if self.pinged.is_none() && now.duration_since(self.spoke) >= self.keep_alive / 2 {
            packet::ping(&mut self.out);
            self.pinged = Some(now);
        }
        self.write(now)?;
        let oldest = self.flights.iter().find(|f| !f.arrived).map(|f| f.sent);
        if [oldest, self.pinged].into_iter().flatten().any(|since| now.duration_since(since) > self.patience) {
            return Err("the broker does not acknowledge any more: has it stopped?".into());
        }
        Ok(round)
    }

    /// Takes in what the broker says.
    fn listen(&mut self, spool: &mut Spool, round: &mut Round) -> Result<(), Broken> {
        let mut piece = [0; 4096];
        loop {
            match self.link.read(&mut piece) {
                Ok(0) => return Err("the broker closed the connection".into()),
                Ok(n) => self.inbox.extend(piece.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(ended(&e)),
            }
            while let Some(incoming) = self.inbox.take().map_err(|e| e.to_string())? {
                round.heard = true;
                match incoming {
                    Incoming::PubAck(id) => {
                        self.flights.iter_mut().filter(|f| f.packet == id).for_each(|f| f.arrived = true);
                    }
                    Incoming::PingResp => self.pinged = None,
                    _ => {} // nothing that a publisher has asked for
                }
            }
        }
        let mut done = None;
        while self.flights.front().is_some_and(|f| f.arrived) {
            let Some(flight) = self.flights.pop_front() else { break };
            done = flight.record.or(done);
        }
        if let Some(id) = done {
            spool.ack(id);
        }
        Ok(())
    }

    fn write(&mut self, now: Instant) -> Result<(), Broken> {
        while let Some(rest) = self.out.get(self.written..).filter(|r| !r.is_empty()) {
            match self.link.write(rest) {
                Ok(0) => return Err("the broker takes nothing any more".into()),
                Ok(n) => {
                    self.written += n;
                    self.spoke = now;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(ended(&e)),
            }
        }
        self.out.clear();
        self.written = 0;
        // TLS keeps what the socket did not take.
        match self.link.flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(ended(&e)),
            _ => Ok(()),
        }
    }

    /// The newest record published in this session.
    pub const fn newest(&self) -> Option<RecordId> {
        self.newest
    }

    /// Whether an answer is waited for.
    pub fn waits(&self) -> bool {
        !self.flights.is_empty() || self.pinged.is_some() || !self.out.is_empty()
    }

    /// Says goodbye, so that the broker does not publish the will: the last text on a topic, retained, in its place.
    pub fn leave(mut self, topic: &str, payload: &[u8], patience: Duration) {
        let id = self.next_packet;
        packet::publish(&mut self.out, topic, id, payload, true, false);
        let farewell = (|| {
            self.link.wait_at_most(Some(patience))?;
            self.link.write_all(self.out.get(self.written..).unwrap_or_default())?;
            self.link.flush()?;
            let deadline = Instant::now() + patience;
            let mut piece = [0; 1024];
            loop {
                match self.inbox.take().map_err(io::Error::other)? {
                    Some(Incoming::PubAck(arrived)) if arrived == id => break,
                    Some(_) => continue,
                    None if Instant::now() >= deadline => return Err(ErrorKind::TimedOut.into()),
                    None => {}
                }
                match self.link.read(&mut piece)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    n => self.inbox.extend(piece.get(..n).unwrap_or_default()),
                }
            }
            let mut last = Vec::new();
            packet::disconnect(&mut last);
            self.link.write_all(&last)?;
            self.link.flush()
        })();
        if let Err(e) = farewell {
            log::debug!("mqtt: the broker was not told that we go, its will does that: {e}");
        }
    }
}
