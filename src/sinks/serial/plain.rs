//! Serial events that nobody acknowledges, as text or binary.

use super::super::budget::Budget;
use super::super::{Backoff, Sink, SinkError};
use super::SerialConfig;
use super::line::Line;
use crate::event::Event;
use crate::wire::Envelope;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Sends events over a serial line.
pub struct SerialSink {
    name: String,
    config: SerialConfig,
    line: Option<Line>,
    backoff: Backoff,
    frame: Vec<u8>,
    trouble: Option<String>,
    /// Events not delivered since the line was last well.
    missed: u64,
    /// The speed that the line runs at has been complained of.
    speed_told: bool,
    budget: Option<Budget>,
}

impl SerialSink {
    pub(super) fn new(config: &SerialConfig) -> Self {
        let ms = Duration::from_millis;
        let now = Instant::now();
        let mut sink = Self {
            name: format!("serial:{}", config.device),
            config: config.clone(),
            line: None,
            backoff: Backoff::new(ms(config.retry_min_ms), ms(config.retry_max_ms)),
            frame: Vec::new(),
            trouble: None,
            missed: 0,
            speed_told: false,
            budget: Budget::new(config.max_per_s, now),
        };
        sink.open(now);
        sink
    }

    /// Opens the line if that is due.
    fn open(&mut self, now: Instant) {
        if self.line.is_some() || !self.backoff.ready(now) {
            return;
        }
        match Line::open(&self.config) {
            Ok(line) => {
                if let Some(text) = line.speed_complaint(self.config.baud)
                    && !std::mem::replace(&mut self.speed_told, true)
                {
                    log::warn!("{}: {text}", self.name);
                }
                // Well again only when it takes an event: a line can open and break at once, for ever.
                self.line = Some(line);
            }
            Err(why) => self.away(now, &why),
        }
    }

    /// The line cannot be used: says so once, and waits longer each time.
    fn away(&mut self, now: Instant, why: &str) {
        self.line = None;
        self.backoff.failed(now);
        if self.trouble.is_none() {
            let longest = Duration::from_millis(self.config.retry_max_ms).as_secs_f64();
            log::warn!("{}: {why}; tried again at least every {longest} s, events are lost until then", self.name);
        }
        self.trouble = Some(why.to_owned());
    }

    fn lost(&mut self, why: String) -> SinkError {
        self.missed += 1;
        SinkError::Unavailable { what: self.name.clone(), why }
    }

    fn deadline(&self, now: Instant, bytes: u64) -> Instant {
        now + Duration::from_millis(self.config.write_timeout_ms) + self.config.wire_time(bytes)
    }
}

impl Sink for SerialSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let now = Instant::now();
        let urgent = matches!(event.event, Event::Confirmed(_) | Event::Withdrawn(_));
        if self.budget.as_mut().is_some_and(|b| !b.take(now, urgent)) {
            return Err(SinkError::Budget { sink: self.name.clone(), per_s: self.config.max_per_s });
        }
        // A delimiter that is sent when needed, and the frame behind it.
        self.frame.clear();
        self.frame.push(self.config.format.delimiter());
        let encoded = self.config.format.encode(event, &mut self.frame);
        encoded.map_err(|why| SinkError::event(&self.name, event, why))?;
        let mut broken = None;
        // Twice, because a line that was unplugged and is back is found out only by a failing write.
        for _ in 0..2 {
            broken = None;
            let now = Instant::now();
            self.open(now);
            let Some(line) = &self.line else { break };
            let deadline = self.deadline(now, self.frame.len() as u64 + line.pending());
            let Some(line) = &mut self.line else { break };
            let bytes = self.frame.get(usize::from(!line.unclean)..).unwrap_or_default();
            match line.write_until(bytes, deadline) {
                Ok(()) => {
                    self.backoff.succeeded();
                    if self.trouble.take().is_some() {
                        log::info!("{}: takes events again; {} were lost meanwhile", self.name, self.missed);
                    }
                    self.missed = 0;
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    let why = format!("took nothing for {} ms: is anybody reading?", self.config.write_timeout_ms);
                    if self.trouble.is_none() {
                        log::warn!("{}: {why}", self.name);
                    }
                    self.trouble = Some(why.clone());
                    return Err(self.lost(why));
                }
                Err(e) => {
                    log::debug!("{}: {e}", self.name);
                    self.line = None;
                    broken = Some(e);
                }
            }
        }
        if let Some(e) = broken {
            // It opened, and broke at once again.
            self.away(Instant::now(), &format!("breaks when written to ({e})"));
        }
        let why = self.trouble.clone().unwrap_or_default();
        Err(self.lost(why))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let Some(line) = &self.line else { return Ok(()) };
        let deadline = self.deadline(Instant::now(), line.pending());
        // The system's own wait for this (tcdrain) has no time limit.
        while line.pending() > 0 {
            if Instant::now() >= deadline {
                let why = format!("{} bytes could not be sent in time", line.pending());
                return Err(SinkError::Unavailable { what: self.name.clone(), why });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

impl Drop for SerialSink {
    /// Bytes that nobody takes would hold up the closing of the line for up to 30 s: they are thrown away and told.
    fn drop(&mut self) {
        if let Err(e) = self.flush() {
            log::error!("{e}");
            if let Some(line) = &self.line {
                line.discard();
            }
        }
    }
}
