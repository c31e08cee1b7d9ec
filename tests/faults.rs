//! What a camera can do wrong, one fault at a time, and what becomes of the frames: makes the table in
//! `docs/reference/faults.md`, and fails when it is no longer true.
//!
//! `MERCAM_RENEW_FAULTS=1 cargo test --test faults` writes the table anew.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mercam::capture::{
    Buffer, CameraFormat, CaptureError, Grabber, LiveSource, Mode, Opened, Opener, PixelFormat, Rate, Size, Source,
    Step, blank_frame,
};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the log said since it was last asked.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Info {
            let level = record.level().as_str().to_lowercase();
            LOG.lock().unwrap().push(format!("{level}: {}", record.args()));
        }
    }
    fn flush(&self) {}
}

/// One thing that the camera does.
#[derive(Clone, Copy)]
enum Act {
    /// Delivers a frame: number and time in microseconds.
    Frame(u32, i64),
    /// Delivers these together.
    Pair([(u32, i64); 2]),
    /// Delivers a frame with the error flag.
    Flagged(u32, i64),
    /// Delivers a frame of which the end is missing.
    Cut(u32, i64),
    /// Delivers a frame whose time is not the monotonic clock's.
    Unclocked(u32, i64),
    /// Delivers nothing for this long.
    Silence(Duration),
    /// Says that a frame is there, and then has none.
    Nothing,
    /// Waiting fails.
    WaitFails(Errno),
    /// Taking a frame fails.
    TakeFails(Errno),
    /// Opening fails.
    OpenFails(&'static str),
    /// From now on it opens with another size.
    OtherSize,
}

#[derive(Clone)]
struct Camera(Arc<Mutex<VecDeque<Act>>>, Arc<AtomicI64>);

struct Queue {
    acts: Camera,
    second: Option<(u32, i64)>,
}

impl Grabber for Queue {
    fn ready(&mut self, wait: Duration) -> io::Result<bool> {
        let mut acts = self.acts.0.lock().unwrap();
        match acts.front_mut() {
            _ if self.second.is_some() => Ok(true),
            None => Ok(false),
            Some(Act::WaitFails(e)) => {
                let e = *e;
                acts.pop_front();
                Err(e.into())
            }
            Some(Act::Silence(left)) => {
                let nap = wait.min(*left);
                *left -= nap;
                if left.is_zero() {
                    acts.pop_front();
                }
                drop(acts);
                std::thread::sleep(nap);
                Ok(false)
            }
            Some(_) => Ok(true),
        }
    }

    fn take(&mut self, then: &mut dyn FnMut(Buffer<'_>, bool)) -> io::Result<()> {
        let picture = [128; 4];
        let whole = |(sequence, us)| Buffer { bytes: &picture, sequence, us, monotonic: true, damaged: false };
        if let Some(second) = self.second.take() {
            then(whole(second), false);
            return Ok(());
        }
        match self.acts.0.lock().unwrap().pop_front() {
            Some(Act::Frame(n, t)) => then(whole((n, t)), false),
            Some(Act::Pair([one, two])) => {
                self.second = Some(two);
                then(whole(one), true);
            }
            Some(Act::Flagged(n, t)) => then(Buffer { damaged: true, ..whole((n, t)) }, false),
            Some(Act::Cut(n, t)) => then(Buffer { bytes: &picture[..3], ..whole((n, t)) }, false),
            Some(Act::Unclocked(n, t)) => then(Buffer { monotonic: false, ..whole((n, t)) }, false),
            Some(Act::TakeFails(e)) => return Err(e.into()),
            _ => {}
        }
        Ok(())
    }
}

impl Opener for Camera {
    fn name(&self) -> String {
        "v4l2:/dev/video0".into()
    }

    fn open(&mut self) -> Result<Opened, CaptureError> {
        let mut acts = self.0.lock().unwrap();
        let mut width = 2;
        match acts.front() {
            Some(Act::OpenFails(why)) => {
                let why = (*why).to_string();
                acts.pop_front();
                return Err(CaptureError::Unavailable { what: self.name(), why });
            }
            Some(Act::OtherSize) => width = 4,
            _ => {}
        }
        let size = Size::new(width, 2).unwrap();
        let mode = Mode { format: CameraFormat::Plain(PixelFormat::Grey), size, rate: Rate::new(100, 1) };
        Ok(Opened { grabber: Box::new(Queue { acts: self.clone(), second: None }), mode, stride: width as usize })
    }

    fn now_us(&self) -> i64 {
        self.1.fetch_add(10_000, Relaxed)
    }
}

/// A row of the table: frames 0 and 1, the fault, then good frames again.
fn row(fault: &str, acts: &[Act]) -> String {
    row_from([Act::Frame(0, 0), Act::Frame(1, 10_000)], fault, acts)
}

fn row_from(good: [Act; 2], fault: &str, acts: &[Act]) -> String {
    LOG.lock().unwrap().clear();
    let script = good.into_iter().chain(acts.iter().copied());
    let camera = Camera(Arc::new(Mutex::new(script.collect())), Arc::new(AtomicI64::new(5_000_000)));
    let mut source = LiveSource::new(camera.clone()).unwrap();
    let mut frame = blank_frame();
    let (mut delivered, mut next, mut lost) = (0, 0, 0);
    let ended = loop {
        match source.next(&mut frame, Duration::from_millis(100)) {
            Ok(Step::Frame) => {
                assert!(frame.sequence >= next, "{fault}: numbers rise");
                lost += frame.sequence - next;
                assert_eq!(frame.sequence - next, u64::from(frame.lost_before), "{fault}: every loss is a gap");
                (delivered, next) = (delivered + 1, frame.sequence + 1);
            }
            Ok(_) if camera.0.lock().unwrap().is_empty() => break "goes on".to_string(),
            Ok(_) => {}
            Err(e) => break format!("ends: {e}"),
        }
    };
    let c = source.counts();
    let counted: Vec<String> = [
        ("lost by the driver", c.lost),
        ("skipped", c.skipped),
        ("damaged", c.damaged),
        ("not decodable", c.corrupt),
        ("out of order", c.unordered),
        ("opened again", c.reopened),
        ("attempts failed", c.attempts),
    ]
    .into_iter()
    .filter(|(_, n)| *n > 0)
    .map(|(what, n)| format!("{what} {n}"))
    .collect();
    let counted = if counted.is_empty() { "-".into() } else { counted.join(", ") };
    // The first line says which mode was opened; it belongs to no fault.
    let said: Vec<String> = LOG.lock().unwrap().iter().skip(1).map(|l| l.replace("v4l2:/dev/video0: ", "")).collect();
    let said = if said.is_empty() { "-".into() } else { said.join("; ") };
    format!("| {fault} | {said} | {delivered} | {lost} | {counted} | {ended} |\n")
}

fn table() -> String {
    use Act::*;
    let [good, more] = [Frame(2, 20_000), Frame(3, 30_000)];
    // After a camera was opened again its numbers begin anew and its clock goes on: 100 intervals later.
    let [back, on] = [Frame(0, 1_010_000), Frame(1, 1_020_000)];
    let rows = [
        row("none", &[good, more]),
        row("no frame for 0.3 s (poll times out)", &[Silence(Duration::from_millis(300)), good, more]),
        row("open and silent for more than 5 s", &[Silence(Duration::from_millis(5300)), back, on]),
        row("a signal while it waits (EINTR)", &[WaitFails(Errno::INTR), good, more]),
        row("a buffer is announced and is not there", &[Nothing, good, more]),
        row("fatal error of the queue (EIO)", &[TakeFails(Errno::IO), back, on]),
        row(
            "EIO three times, at once after each opening",
            &[TakeFails(Errno::IO); 3].iter().copied().chain([back, on]).collect::<Vec<_>>(),
        ),
        row("QBUF refused (EINVAL)", &[TakeFails(Errno::INVAL), back, on]),
        row(
            "unplugged (ENODEV), away for two attempts, plugged in",
            &[
                WaitFails(Errno::NODEV),
                OpenFails("there is no such device"),
                OpenFails("there is no such device"),
                back,
                on,
            ],
        ),
        row(
            "another program takes it while it is away (EBUSY)",
            &[TakeFails(Errno::NODEV), OpenFails("another program is using the camera"), back, on],
        ),
        row("comes back with another size", &[TakeFails(Errno::NODEV), OtherSize]),
        row("three frames dropped by the driver", &[Frame(5, 50_000), Frame(6, 60_000)]),
        row("a frame with the error flag", &[Flagged(2, 20_000), more]),
        row("a frame whose end is missing (bytesused)", &[Cut(2, 20_000), more]),
        row("two frames wait: the analysis was busy", &[Pair([(2, 20_000), (3, 30_000)]), Frame(4, 40_000)]),
        row("a number comes twice", &[Frame(1, 20_000), Frame(2, 30_000)]),
        row("a time comes twice", &[Frame(2, 10_000), more]),
    ];
    let wrapped = {
        let acts = [Frame(u32::MAX, 20_000), Frame(0, 30_000), Frame(1, 40_000)];
        row("the number wraps after 2^32 - 1 (and jumps there from 1)", &acts)
    };
    let dark = {
        // A frame each 20 ms, and then each 10 ms again.
        let time = |n: u32| 20_000 * i64::from(n) - 10_000 * i64::from(n.saturating_sub(110));
        let frames: Vec<Act> = (2..410).map(|n| Frame(n, time(n))).collect();
        row("half of the promised rate for 2 s: automatic exposure in the dark", &frames)
    };
    let clock = {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| Unclocked(n, 1_700_000_000_000_000 + 10_000 * i64::from(n)));
        row_from([a, b], "times are not on the monotonic clock (from the first frame on)", &[c, d])
    };
    let head = "| fault | what the log says | frames delivered | frames lost | counted as | then |\n|---|---|---|---|---|---|\n";
    head.to_string() + &rows.concat() + &wrapped + &dark + &clock
}

#[test]
fn the_fault_table_is_true() {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/faults.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once("<!-- table -->\n").expect("the page has a place for the table");
    let (printed, after) = rest.split_once("<!-- end -->").expect("the page has an end of the table");
    let found = table();
    println!("{found}");
    if std::env::var_os("MERCAM_RENEW_FAULTS").is_some() {
        std::fs::write(path, format!("{before}<!-- table -->\n{found}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(printed, found, "renew it with MERCAM_RENEW_FAULTS=1 cargo test --test faults, and read the difference");
}
