//! A camera as a source: the newest frame wins, what is lost is counted, and a camera that fails is opened
//! again for as long as it takes. What the system calls look like is hidden behind [`Grabber`], so all of
//! this is tested without a camera.

mod book;
mod pace;

pub use book::LiveCounts;

use super::modes::Mode;
use super::rate::Rate;
use super::{CaptureError, Source, Step};
use crate::clock::unique;
use crate::frame::Frame;
use book::Book;
use pace::Finding;
use std::io;
use std::time::{Duration, Instant};

/// Waits between attempts to open a lost camera: the first and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A camera that ran for so long before it failed is tried again quickly; one that fails at once, more and more slowly.
const STEADY: Duration = Duration::from_secs(10);
/// Frames that waited for longer than this before the first one was asked for are old.
const STALE: Duration = Duration::from_millis(500);
/// Old frames that are thrown away at most: more than any driver queues.
const STALE_BUFFERS: u32 = 32;
/// Frames skipped in one go at most, so that a camera faster than we are still gets a frame through.
const SKIP_AT_ONCE: u32 = 8;

/// One buffer that a driver filled.
#[derive(Debug, Clone, Copy)]
pub struct Buffer<'a> {
    /// The payload only.
    pub bytes: &'a [u8],
    /// The driver's frame number; it wraps.
    pub sequence: u32,
    /// The driver's time, in microseconds.
    pub us: i64,
    /// The driver promises that `us` is CLOCK_MONOTONIC.
    pub monotonic: bool,
    /// The driver says that the content is damaged.
    pub damaged: bool,
}

/// The queue of a streaming camera.
pub trait Grabber: Send {
    /// Waits until a buffer is filled; `false` when the time is up.
    fn ready(&mut self, wait: Duration) -> io::Result<bool>;

    /// Takes the oldest filled buffer and hands it to `then`, with whether a newer one is filled already.
    /// Without a call of `then` the buffer was lost. Only to be called when [`Self::ready`] said so.
    fn take(&mut self, then: &mut dyn FnMut(Buffer<'_>, bool)) -> io::Result<()>;

    /// Whether automatic exposure lengthens the frames in the dark; `None` when nobody says.
    fn lengthens(&self) -> Option<bool> {
        None
    }
}

/// A camera that streams.
pub struct Opened {
    /// Its queue.
    pub grabber: Box<dyn Grabber>,
    /// The mode it really runs in.
    pub mode: Mode,
    /// Bytes from row to row.
    pub stride: usize,
}

/// Opens one camera, again and again if need be.
pub trait Opener: Send {
    /// For messages.
    fn name(&self) -> String;

    /// Opens and starts it.
    fn open(&mut self) -> Result<Opened, CaptureError>;

    /// CLOCK_MONOTONIC in microseconds.
    fn now_us(&self) -> i64;
}

/// A camera as a [`Source`].
pub struct LiveSource<O: Opener> {
    opener: O,
    state: State,
    book: Book,
    /// When it was opened last.
    opened: Instant,
    /// The last wait before it was opened.
    waited: Duration,
    /// Whether a frame was asked for yet.
    asked: bool,
}

enum State {
    Open { camera: Opened, heard: Instant },
    Lost { retry: Instant, wait: Duration },
}

impl<O: Opener> LiveSource<O> {
    /// Opens the camera.
    ///
    /// # Errors
    /// What [`Opener::open`] says; only the first opening may fail, later ones are repeated.
    pub fn new(mut opener: O) -> Result<Self, CaptureError> {
        let camera = opener.open()?;
        log::info!("{}: {}", opener.name(), camera.mode);
        let book = Book::new(opener.name(), camera.mode);
        Ok(Self {
            opener,
            state: State::Open { camera, heard: Instant::now() },
            book,
            opened: Instant::now(),
            waited: Duration::ZERO,
            asked: false,
        })
    }

    /// The mode that it runs in.
    pub fn mode(&self) -> Mode {
        self.book.mode
    }

    /// What happened to the frames so far.
    pub fn counts(&self) -> LiveCounts {
        self.book.counts
    }

    /// The camera does not answer any more: close it and begin to try again.
    fn lose(&mut self, why: &str) {
        log::error!("{}: {why}; opening it again until it is back", self.opener.name());
        let wait = if self.opened.elapsed() >= STEADY { RETRY.0 } else { (self.waited * 2).clamp(RETRY.0, RETRY.1) };
        self.state = State::Lost { retry: Instant::now() + jittered(wait), wait };
    }

    /// Throws away what queued up between opening and the first question: while networks are built the queue runs over,
    /// and what is in it is old. None of it is a loss, because nobody wanted it yet.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.asked, true) || self.opened.elapsed() < STALE {
            return;
        }
        let State::Open { camera, heard } = &mut self.state else { return };
        for _ in 0..STALE_BUFFERS {
            if !matches!(camera.grabber.ready(Duration::ZERO), Ok(true)) || camera.grabber.take(&mut |_, _| {}).is_err()
            {
                break; // an error comes again when a frame is asked for
            }
        }
        *heard = Instant::now();
    }

    /// One attempt to open a lost camera, when it is time for one.
    fn reopen(&mut self, retry: Instant, wait: Duration, deadline: Instant) -> Result<(), CaptureError> {
        let now = Instant::now();
        if now < retry {
            std::thread::sleep(retry.min(deadline).saturating_duration_since(now));
            return Ok(());
        }
        match self.opener.open() {
            Ok(camera) if camera.mode.size != self.book.mode.size => Err(CaptureError::Broken {
                what: self.opener.name(),
                why: format!(
                    "the camera came back with {} where it had {} before: start again, or fix the size with ?size=",
                    camera.mode.size, self.book.mode.size
                ),
            }),
            Ok(camera) => {
                log::info!("{}: the camera is back", self.opener.name());
                self.book.begin_again(camera.mode);
                (self.opened, self.waited) = (Instant::now(), wait);
                self.state = State::Open { camera, heard: Instant::now() };
                Ok(())
            }
            Err(e) => {
                log::debug!("still lost: {e}");
                self.book.counts.attempts += 1;
                let wait = (wait * 2).min(RETRY.1);
                self.state = State::Lost { retry: Instant::now() + jittered(wait), wait };
                Ok(())
            }
        }
    }
}

impl<O: Opener> Source for LiveSource<O> {
    fn name(&self) -> String {
        self.opener.name()
    }

    fn is_live(&self) -> bool {
        true
    }

    fn attempts(&self) -> u64 {
        self.book.counts.attempts
    }

    fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Result<Step, CaptureError> {
        self.begin();
        let deadline = Instant::now() + timeout;
        let mut skipped = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (camera, heard) = match &mut self.state {
                State::Open { camera, heard } => (camera, heard),
                &mut State::Lost { retry, wait } => {
                    self.reopen(retry, wait, deadline)?;
                    if Instant::now() >= deadline {
                        return Ok(Step::Timeout);
                    }
                    continue;
                }
            };
            match camera.grabber.ready(left) {
                Ok(true) => {}
                Ok(false) if heard.elapsed() > self.book.patience() => {
                    let seconds = heard.elapsed().as_secs();
                    self.lose(&format!("the camera is open but sent nothing for {seconds} s"));
                    return Ok(Step::Timeout);
                }
                Ok(false) => return Ok(Step::Timeout),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(Step::Timeout),
                Err(e) => {
                    self.lose(&e.to_string());
                    continue;
                }
            }
            let (book, arrival, stride) = (&mut self.book, self.opener.now_us(), camera.stride);
            let (mut delivered, mut more) = (false, false);
            let taken = camera.grabber.take(&mut |buffer, newer| {
                *heard = Instant::now();
                let skip = newer && skipped < SKIP_AT_ONCE;
                skipped += u32::from(skip);
                more = newer;
                delivered = book.enter(&buffer, skip, stride, arrival, frame);
            });
            if let Some(found) = book.finding.take() {
                tell(&book.name, book.mode.rate, found, camera.grabber.lengthens());
            }
            match taken {
                Ok(()) if delivered => return Ok(Step::Frame),
                Ok(()) if !more && Instant::now() >= deadline => return Ok(Step::Timeout),
                Ok(()) => {}
                Err(e) => self.lose(&e.to_string()),
            }
        }
    }
}

/// Says that the camera is slower than its mode promises, or no longer.
fn tell(name: &str, promised: Option<Rate>, found: Finding, lengthens: Option<bool>) {
    let promised = promised.map_or(0.0, Rate::hertz);
    match found {
        Finding::Slow(fps) => {
            log::warn!(
                "{name}: takes {fps:.1} frames/s where its mode promises {promised:.0}: {}",
                pace::mend(lengthens)
            );
        }
        Finding::Fast(fps) => log::info!("{name}: takes {fps:.1} frames/s again"),
    }
}

/// A wait that is up to a quarter shorter, so that several devices on one hub do not try in step.
fn jittered(wait: Duration) -> Duration {
    wait - wait / 4 * (unique() % 1000) as u32 / 1000
}

impl<O: Opener> Drop for LiveSource<O> {
    fn drop(&mut self) {
        let c = &self.book.counts;
        log::info!(
            "{}: {} frames delivered, {} lost by the driver, {} skipped for newer ones, {} damaged, {} not decodable, {} out of order, opened again {} times ({} attempts failed)",
            self.opener.name(),
            c.delivered,
            c.lost,
            c.skipped,
            c.damaged,
            c.corrupt,
            c.unordered,
            c.reopened,
            c.attempts
        );
    }
}

#[cfg(test)]
mod tests;
