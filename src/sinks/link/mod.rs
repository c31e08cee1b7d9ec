//! Sinks that answer for delivery: a spool, a courier, and a line that is opened again whenever it breaks.

mod courier;
#[cfg(test)]
mod tests;

use courier::SILENT;
pub(super) use courier::{Conduct, Courier};

use super::{Backlog, Backoff, Sink, SinkError};
use crate::spool::{Fsync, Spool, SpoolConfig, SpoolError};
use crate::wire::{Envelope, encode_body};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a sink that ends waits for the last acknowledgements.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Opens a line.
pub(super) trait Dial: Send {
    /// What is opened: reads and writes that do not wait.
    type Line: Read + Write + Send;

    /// Opens it, or goes on opening it; `None` while that is under way.
    fn dial(&mut self) -> Option<Result<Self::Line, String>>;
}

/// The options that all these sinks share, as the spool wants them.
pub(super) fn open_spool(
    sink: &str,
    dir: &Path,
    max_bytes: u64,
    max_age_s: u64,
    fsync: Fsync,
) -> Result<Spool, SinkError> {
    let config = SpoolConfig { dir: dir.to_path_buf(), max_bytes, max_age_s, fsync };
    let spool = config.open().map_err(|e| match e {
        SpoolError::Config(text) => SinkError::Spec(format!("sink `{sink}`: spool_{}", text.trim_start_matches('`'))),
        other => SinkError::Unavailable { what: sink.into(), why: other.to_string() },
    })?;
    let c = spool.counts();
    if c.recovered > 0 || c.lost() > 0 {
        log::info!("{sink}: {} events of earlier runs wait to be delivered, {} were damaged", c.recovered, c.lost());
    }
    if !spool.survives() {
        log::debug!("{sink}: no `spool`: what is not delivered when mercam ends is lost, and counted");
    }
    Ok(spool)
}

/// A sink that answers for delivery, over whatever `D` opens.
pub(super) struct Reliable<D: Dial> {
    name: String,
    dial: D,
    line: Option<D::Line>,
    courier: Courier,
    backoff: Backoff,
    trouble: Option<String>,
    /// The peer has answered since the line was opened.
    answered: bool,
}

impl<D: Dial> Reliable<D> {
    pub fn new(name: String, dial: D, courier: Courier, backoff: Backoff) -> Self {
        let mut sink = Self { name, dial, line: None, courier, backoff, trouble: None, answered: false };
        sink.step(Instant::now());
        sink
    }

    /// Opens the line if that is due, and lets the courier work.
    fn step(&mut self, now: Instant) {
        if self.line.is_none() && self.backoff.ready(now) {
            match self.dial.dial() {
                Some(Ok(line)) => {
                    self.courier.connected();
                    self.answered = false;
                    self.line = Some(line);
                }
                Some(Err(why)) => self.away(now, &why),
                None => {}
            }
        }
        let Some(line) = &mut self.line else { return };
        let before = self.courier.heard();
        let done = self.courier.pump(line, now);
        if self.courier.heard() > before {
            // Well only when the peer answers: a line can open and break at once, for ever.
            self.answered = true;
            self.backoff.succeeded();
            if self.trouble.take().is_some() {
                log::info!("{}: delivers again; {} events wait", self.name, self.courier.spool().waiting());
            }
        }
        if self.courier.silent_rounds() > SILENT && self.trouble.is_none() {
            let why = "nobody acknowledges: is `mercam host` at the other end?";
            log::warn!("{}: {why}", self.name);
            self.trouble = Some(why.to_owned());
        }
        if let Err(e) = done {
            let why = match e.kind() {
                ErrorKind::TimedOut => "takes events but acknowledges none: is it `mercam host`?".to_owned(),
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    "the peer closed the line".to_owned()
                }
                _ => format!("breaks ({e})"),
            };
            self.line = None;
            if self.answered {
                // It was well until now: the first attempt comes at once.
                log::debug!("{}: {why}", self.name);
            } else {
                self.away(now, &why);
            }
        }
    }

    /// The line cannot be used: says so once, and waits longer each time.
    fn away(&mut self, now: Instant, why: &str) {
        self.backoff.failed(now);
        if self.trouble.is_none() {
            let fate = if self.courier.spool().survives() { "events wait on disk" } else { "events wait in memory" };
            log::warn!("{}: {why}; tried again until it is back, {fate}", self.name);
        }
        self.trouble = Some(why.to_owned());
    }
}

impl<D: Dial> Sink for Reliable<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        let body = encode_body(event).map_err(|why| SinkError::event(&self.name, event, why))?;
        let taken = self.courier.take(&body);
        taken.map_err(|e| SinkError::Unavailable { what: self.name.clone(), why: e.to_string() })?;
        self.step(Instant::now());
        Ok(())
    }

    fn pump(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.step(now);
        match self.line {
            Some(_) => self.courier.wake(now),
            // Under way, or to be tried again.
            None => Some(self.backoff.remaining(now).max(Duration::from_millis(10))),
        }
    }

    fn backlog(&self) -> Backlog {
        let spool = self.courier.spool();
        Backlog { waiting: spool.waiting(), given_up: spool.counts().lost(), survives: spool.survives() }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let began = Instant::now();
        while self.courier.spool().waiting() > 0 && began.elapsed() < LAST_WORDS {
            self.step(Instant::now());
            if self.line.is_none() && self.courier.spool().survives() {
                break; // the next run goes on
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let (waiting, counts) = (self.courier.spool().waiting(), self.courier.counts());
        log::debug!("{}: {} frames sent, {} sent again", self.name, counts.sent, counts.resent);
        if let Err(e) = self.courier.spool().sync() {
            log::debug!("{}: {e}", self.name);
        }
        if waiting > 0 && !self.courier.spool().survives() {
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
