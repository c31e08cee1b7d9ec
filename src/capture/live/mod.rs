//! A camera as a source: the newest frame wins, what is lost is counted, and a camera that fails is opened
//! again for as long as it takes. What the system calls look like is hidden behind [`Grabber`], so all of
//! this is tested without a camera.

use super::mjpeg::MjpegDecoder;
use super::modes::{CameraFormat, Mode};
use super::timeline::{Clock, ClockKind, lost_between};
use super::{CaptureError, Source, Step, take_luma};
use crate::clock::unique;
use crate::frame::{Content, Frame, Luma};
use crate::time::Timestamp;
use std::io;
use std::time::{Duration, Instant};

/// Waits between attempts to open a lost camera: the first and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A camera that ran for so long before it failed is tried again quickly; one that fails at once, more and more slowly.
const STEADY: Duration = Duration::from_secs(10);
/// A camera that is silent for so long (or for four frame intervals) is opened again.
const STALL: Duration = Duration::from_secs(5);
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

/// What happened to a camera's frames so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveCounts {
    /// Frames handed on.
    pub delivered: u64,
    /// Lost by the driver (gaps in its numbers).
    pub lost: u64,
    /// Skipped because a newer one was there.
    pub skipped: u64,
    /// Flagged as damaged by the driver.
    pub damaged: u64,
    /// Not decodable.
    pub corrupt: u64,
    /// Not later than the frame before.
    pub unordered: u64,
    /// Times the camera was opened again.
    pub reopened: u64,
    /// Attempts to open it again that failed.
    pub attempts: u64,
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
            match taken {
                Ok(()) if delivered => return Ok(Step::Frame),
                Ok(()) if !more && Instant::now() >= deadline => return Ok(Step::Timeout),
                Ok(()) => {}
                Err(e) => self.lose(&e.to_string()),
            }
        }
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

/// What is known about the frames so far.
struct Book {
    name: String,
    mode: Mode,
    clock: Clock,
    jpeg: MjpegDecoder,
    counts: LiveCounts,
    /// Driver's number and time of the last buffer since the camera was opened.
    last: Option<(u32, i64)>,
    /// Number of the next frame if nothing is lost.
    sequence: u64,
    /// Lost since the last frame that was delivered.
    pending: u32,
    /// The camera was opened again and has not delivered since.
    resumed: bool,
}

impl Book {
    fn new(name: String, mode: Mode) -> Self {
        Self {
            name,
            mode,
            clock: Clock::default(),
            jpeg: MjpegDecoder::default(),
            counts: LiveCounts::default(),
            last: None,
            sequence: 0,
            pending: 0,
            resumed: false,
        }
    }

    fn begin_again(&mut self, mode: Mode) {
        self.mode = mode;
        self.counts.reopened += 1;
        (self.last, self.resumed) = (None, true);
    }

    fn interval_us(&self) -> Option<f64> {
        self.mode.rate.map(|r| r.interval_us())
    }

    /// How long a camera may be silent.
    fn patience(&self) -> Duration {
        let four = self.interval_us().map_or(Duration::ZERO, |us| Duration::from_micros((4.0 * us) as u64));
        STALL.max(four)
    }

    /// Enters one buffer; `true` when `frame` was filled from it.
    fn enter(&mut self, buffer: &Buffer<'_>, skip: bool, stride: usize, arrival: i64, frame: &mut Frame) -> bool {
        if let Some((sequence, us)) = self.last {
            let lost = lost_between(sequence, buffer.sequence, buffer.us.saturating_sub(us), self.interval_us());
            self.counts.lost += u64::from(lost);
            self.pending = self.pending.saturating_add(lost);
        }
        self.last = Some((buffer.sequence, buffer.us));
        match self.judge(buffer, skip, stride, arrival, frame) {
            Some(us) => {
                self.sequence += u64::from(self.pending);
                frame.time = Timestamp::from_micros(us);
                frame.sequence = self.sequence;
                frame.lost_before = std::mem::take(&mut self.pending);
                self.sequence += 1;
                self.counts.delivered += 1;
                true
            }
            None => {
                self.pending = self.pending.saturating_add(1);
                false
            }
        }
    }

    /// Time of the buffer's picture when it is good and wanted; the picture is in `frame` then.
    fn judge(
        &mut self,
        buffer: &Buffer<'_>,
        skip: bool,
        stride: usize,
        arrival: i64,
        frame: &mut Frame,
    ) -> Option<i64> {
        if buffer.damaged {
            self.counts.damaged += 1;
            return None;
        }
        if skip {
            self.counts.skipped += 1;
            return None;
        }
        let mut luma = take_luma(frame);
        let decoded = self.decode(buffer.bytes, stride, &mut luma);
        frame.content = Content::Picture(luma);
        if let Err(why) = decoded {
            self.counts.corrupt += 1;
            if self.counts.corrupt == 1 {
                log::warn!("{}: a frame cannot be read: {why}; such frames are skipped and counted", self.name);
            }
            return None;
        }
        let before = self.clock.last();
        let first = self.clock.kind().is_none();
        let Some(us) = self.clock.stamp(buffer.us, buffer.monotonic, arrival) else {
            self.counts.unordered += 1;
            return None;
        };
        if first && self.clock.kind() == Some(ClockKind::Arrival) {
            log::warn!(
                "{}: the driver's frame times are not on the monotonic clock; using the time of arrival, which is less exact",
                self.name
            );
        }
        if std::mem::take(&mut self.resumed) {
            self.count_the_pause(before, us);
        }
        Some(us)
    }

    /// Frames that were not taken while the camera was away, from the time that passed.
    fn count_the_pause(&mut self, before: Option<i64>, now: i64) {
        if let Some((before, interval)) = before.zip(self.interval_us()) {
            let missed = (now.saturating_sub(before) as f64 / interval).round() - 1.0;
            // A float to integer cast saturates, so a pause of years is still a number.
            self.pending = self.pending.max(missed as u32);
        }
    }

    fn decode(&mut self, bytes: &[u8], stride: usize, luma: &mut Luma) -> Result<(), String> {
        match self.mode.format {
            CameraFormat::Plain(f) => f.to_luma(bytes, stride, self.mode.size, luma).map_err(|e| e.to_string()),
            CameraFormat::Mjpeg => self.jpeg.decode(bytes, self.mode.size, luma),
        }
    }
}

#[cfg(test)]
mod tests;
