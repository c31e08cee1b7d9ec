//! Sends what a spool holds until the peer has acknowledged it, whatever the line does to the bytes.
//!
//! A window of records is on the way at a time. The peer's acknowledgements are cumulative and name the records of the
//! window that it has beyond a missing one, so that only what is missing is sent again: at once when something that was
//! sent later has arrived (a line keeps the order), else after a time.

use crate::sinks::budget::Budget;
use crate::spool::{RecordId, Spool, SpoolError};
use crate::wire::{Ack, Deframer, Format, Message, encode_record};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// Bytes that wait to be written before more are prepared.
const AHEAD: usize = 2048;
/// Most bytes taken in at a time, so that a peer that never stops talking does not keep us from sending.
const INTAKE: usize = 16 * 1024;
/// So many silent rounds are chance on a bad line; after them the waiting time doubles, so many times at most.
pub(super) const SILENT: u32 = 3;
const PATIENCE_DOUBLINGS: u32 = 5;
/// How soon acknowledgements are looked for after something was sent, and later.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(50);

/// How a line behaves.
#[derive(Debug, Clone, Copy)]
pub struct Conduct {
    /// Most records on the way at a time; the acknowledgement has room for 64 beyond the first.
    pub window: usize,
    /// How long the peer may take to acknowledge, beyond the time the bytes need on the line.
    pub patience: Duration,
    /// Bytes per second, where the line is slow enough to matter.
    pub bytes_per_s: Option<u64>,
    /// The line loses and damages bytes: what is not acknowledged is sent again. Otherwise silence means that the
    /// connection is dead.
    pub lossy: bool,
}

/// A record on the way.
#[derive(Debug)]
struct Flight {
    id: u64,
    /// When it was sent last, and as which of all sendings; `None`: to be sent (again) now.
    sent: Option<(Instant, u64)>,
    bytes: u64,
    times: u32,
    arrived: bool,
}

/// What a courier has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CourierCounts {
    /// Frames sent for the first time.
    pub sent: u64,
    /// Frames sent again.
    pub resent: u64,
}

/// Brings what a spool holds over a line.
#[derive(Debug)]
pub struct Courier {
    spool: Spool,
    conduct: Conduct,
    budget: Option<Budget>,
    flights: VecDeque<Flight>,
    order: u64,
    round_trip: Duration,
    silent_rounds: u32,
    /// When the peer was last heard, or its silence last counted.
    last_word: Option<Instant>,
    deframer: Deframer,
    out: Vec<u8>,
    written: usize,
    last_sent: Option<Instant>,
    heard: u64,
    counts: CourierCounts,
}

impl Courier {
    pub fn new(spool: Spool, conduct: Conduct, max_per_s: u32) -> Self {
        Self {
            spool,
            conduct,
            budget: Budget::new(max_per_s, Instant::now()),
            flights: VecDeque::new(),
            order: 0,
            round_trip: Duration::ZERO,
            silent_rounds: 0,
            last_word: None,
            deframer: Deframer::new(Format::Binary),
            out: Vec::new(),
            written: 0,
            last_sent: None,
            heard: 0,
            counts: CourierCounts::default(),
        }
    }

    pub const fn spool(&self) -> &Spool {
        &self.spool
    }

    pub const fn counts(&self) -> CourierCounts {
        self.counts
    }

    /// Frames that the peer has said and that were understood, on all lines so far.
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// How often in a row the peer left everything on the way unacknowledged for too long.
    pub const fn silent_rounds(&self) -> u32 {
        self.silent_rounds
    }

    /// Takes an event over.
    pub fn take(&mut self, body: &[u8]) -> Result<(), SpoolError> {
        self.spool.append(body).map(|_| ())
    }

    /// There is a new line: nothing is on the way, and the peer may be in the middle of a frame.
    pub fn connected(&mut self) {
        self.flights.clear();
        self.out.clear();
        self.out.push(0);
        self.written = 0;
        self.silent_rounds = 0;
        self.last_word = None;
        self.deframer = Deframer::new(Format::Binary);
    }

    /// Takes in what the peer says, and sends what is due. Does not wait.
    ///
    /// # Errors
    /// When the line is broken, or (where it loses nothing) the peer is silent for too long.
    pub fn pump(&mut self, line: &mut (impl Read + Write), now: Instant) -> io::Result<()> {
        self.listen(line, now)?;
        self.spool.expire();
        let oldest = self.spool.oldest().map_or(u64::MAX, |id| id.0);
        while self.flights.front().is_some_and(|f| f.id < oldest) {
            self.flights.pop_front(); // given up by the spool
        }
        self.check_silence(now)?;
        loop {
            while self.out.len() - self.written < AHEAD && self.prepare(now)? {}
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                return Ok(());
            }
            match line.write(self.out.get(self.written..).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    fn listen(&mut self, line: &mut impl Read, now: Instant) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let (mut heard, mut taken) = (Vec::new(), 0);
        while taken < INTAKE {
            match line.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    taken += n;
                    self.deframer.messages(buffer.get(..n).unwrap_or_default(), |m| heard.push(m));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        for message in heard {
            match message {
                Message::Ack(ack) if ack.stream == self.spool.stream() => {
                    self.heard += 1;
                    self.last_word = Some(now);
                    self.acknowledged(&ack, now);
                }
                Message::Ready => {
                    self.heard += 1;
                    self.last_word = Some(now);
                    self.silent_rounds = 0;
                    if self.conduct.lossy {
                        // Nobody may have heard what was sent before.
                        self.flights.iter_mut().filter(|f| !f.arrived).for_each(|f| f.sent = None);
                    }
                }
                // Of another queue, or our own words coming back: nothing that is for us.
                Message::Ack(_) | Message::Event(_) | Message::Record(_) => {}
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, ack: &Ack, now: Instant) {
        // What was never sent cannot have arrived.
        let Some(highest) = self.flights.iter().filter(|f| f.times > 0).map(|f| f.id).max() else { return };
        if ack.next > highest + 1 {
            return;
        }
        self.silent_rounds = 0;
        let mut latest = None;
        for f in &mut self.flights {
            if !ack.covers(f.id) {
                if std::mem::take(&mut f.arrived) {
                    f.sent = None; // a host that was started anew has forgotten what waited for an earlier one
                }
                continue;
            }
            if f.arrived {
                continue;
            }
            f.arrived = true;
            if let Some((at, order)) = f.sent {
                latest = latest.max(Some(order));
                if f.times == 1 {
                    let trip = now.saturating_duration_since(at);
                    self.round_trip = (self.round_trip * 7 + trip) / 8;
                }
            }
        }
        if let Some(before) = ack.next.checked_sub(1) {
            self.spool.ack(RecordId(before));
        }
        while self.flights.front().is_some_and(|f| f.id < ack.next) {
            self.flights.pop_front();
        }
        if self.conduct.lossy {
            let trip = self.round_trip;
            let overtaken = |f: &&mut Flight| {
                !f.arrived
                    && f.sent
                        .is_some_and(|(at, order)| Some(order) < latest && now.saturating_duration_since(at) >= trip)
            };
            self.flights.iter_mut().filter(overtaken).for_each(|f| f.sent = None);
        }
    }

    /// How long the peer may be silent about what is on the way.
    fn patience(&self) -> Duration {
        let bytes: u64 = self.flights.iter().filter(|f| f.sent.is_some() && !f.arrived).map(|f| f.bytes).sum();
        let on_the_line = match self.conduct.bytes_per_s {
            Some(speed) => Duration::from_millis(bytes * 1000 / speed.max(1)),
            None => Duration::ZERO,
        };
        self.conduct.patience * 2u32.pow(self.silent_rounds.saturating_sub(SILENT).min(PATIENCE_DOUBLINGS))
            + on_the_line
    }

    fn check_silence(&mut self, now: Instant) -> io::Result<()> {
        let patience = self.patience();
        let overdue =
            |f: &&mut Flight| !f.arrived && f.sent.is_some_and(|(at, _)| now.saturating_duration_since(at) > patience);
        let mut any = false;
        for f in self.flights.iter_mut().filter(overdue) {
            if !self.conduct.lossy {
                return Err(ErrorKind::TimedOut.into());
            }
            f.sent = None;
            any = true;
        }
        if any && self.last_word.is_none_or(|at| now.saturating_duration_since(at) > patience) {
            self.silent_rounds += 1;
            self.last_word = Some(now);
        }
        Ok(())
    }

    /// Puts the next frame into `out`, if one is due.
    fn prepare(&mut self, now: Instant) -> io::Result<bool> {
        let again = self.flights.iter().position(|f| !f.arrived && f.sent.is_none());
        let place = match again {
            Some(place) => place,
            None if self.flights.len() >= self.conduct.window.clamp(1, 64) => return Ok(false),
            None => self.flights.len(),
        };
        let index = match self.flights.get(place) {
            Some(f) => self.spool.index_of(RecordId(f.id)),
            None => self.flights.back().map_or(0, |f| self.spool.index_of(RecordId(f.id + 1))),
        };
        let Some(record) = self.spool.get(index).map_err(io::Error::other)? else { return Ok(false) };
        let id = record.id.0;
        if self.flights.get(place).is_some_and(|f| f.id != id) {
            self.flights.remove(place); // its bytes were damaged on disk: it is no more
            return Ok(true);
        }
        if self.budget.as_mut().is_some_and(|b| !b.take(now, true)) {
            return Ok(false);
        }
        let start = self.out.len();
        let previous = record.previous.map(|p| p.0);
        encode_record(self.spool.stream(), id, previous, &record.payload, &mut self.out).map_err(io::Error::other)?;
        let bytes = (self.out.len() - start) as u64;
        self.order += 1;
        let sent = Some((now, self.order));
        match self.flights.get_mut(place) {
            Some(f) => {
                (f.sent, f.bytes) = (sent, bytes);
                f.times += 1;
                self.counts.resent += 1;
            }
            None => {
                self.flights.push_back(Flight { id, sent, bytes, times: 1, arrived: false });
                self.counts.sent += 1;
            }
        }
        self.last_sent = Some(now);
        Ok(true)
    }

    /// When there is something to do again; `None` when all has arrived.
    pub fn wake(&self, now: Instant) -> Option<Duration> {
        if self.spool.waiting() == 0 && self.out.is_empty() {
            return None;
        }
        let fresh = self.last_sent.is_some_and(|at| now.saturating_duration_since(at) < 4 * LATER);
        let look = if fresh { SOON } else { LATER };
        Some(self.budget.as_ref().map_or(look, |b| look.max(b.wait().min(LATER))))
    }
}
