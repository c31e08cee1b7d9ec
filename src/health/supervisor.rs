//! Watches over a run from a thread of its own: tells the service manager, keeps the board cool, and lets the
//! configuration be read again.
//!
//! **What counts as progress.** The watchdog is fed only when, since it was last fed, a new frame was captured *and* an
//! analysis was finished. While the camera is away, each failed attempt to open it again counts as well: starting the
//! process anew would do nothing else. A camera that is open and silent, a capture that hangs inside the driver and an
//! analysis that never ends do not count; the manager then ends the process and starts it again.

use super::board::{Board, BoardState};
use super::governor::{Decision, Governor, HealthConfig};
use super::logger;
use super::notify::{Notifier, watchdog_from_env};
use super::vitals::{Pulse, Vitals};
use crate::clock::{Stopwatch, monotonic_us};
use crate::pipeline::shutdown::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks.
const TICK: Duration = Duration::from_millis(200);
/// How often the board is read and the manager is told how things are.
const LOOK: Duration = Duration::from_secs(2);

/// Reads the configuration again and puts it in force. Says itself in the log what came of it.
pub type Reload = Box<dyn FnMut() + Send>;

/// What is watched over.
pub struct Watched {
    /// The run's counters.
    pub vitals: Vitals,
    /// Name of the source.
    pub source: String,
    /// Whether frames may be left out.
    pub live: bool,
    /// The run's own token.
    pub stop: Shutdown,
    /// What is done about heat.
    pub config: HealthConfig,
    /// Frames per second below which nothing is spotted.
    pub min_rate: f32,
    /// The board.
    pub board: Board,
    /// Called at SIGHUP.
    pub reload: Option<Reload>,
}

/// The thread. Ends when it is dropped.
pub struct Supervisor {
    end: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the system gives no thread or refuses the signal handler.
    pub fn start(watched: Watched) -> std::io::Result<Self> {
        let hangup = Arc::new(AtomicBool::new(false));
        if watched.reload.is_some() {
            signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hangup))?;
        }
        let end = Shutdown::new();
        let ended = end.clone();
        let notifier = Notifier::from_env();
        let watchdog = watchdog_from_env().filter(|_| notifier.is_some());
        let mut rounds = Rounds::new(watched, notifier, watchdog, hangup);
        let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || {
            let clock = Stopwatch::start();
            while !ended.wait(TICK) {
                rounds.round(clock.elapsed());
            }
            rounds.stopping();
        })?;
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end.request();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of it has been printed and has nobody left to tell
        }
        logger::settle();
    }
}

struct Rounds {
    watched: Watched,
    notifier: Option<Notifier>,
    /// How often to feed it (a quarter of the manager's limit), and the pulse and time of the last feeding.
    watchdog: Option<(Duration, Pulse, Duration)>,
    governor: Governor,
    hangup: Arc<AtomicBool>,
    ready: bool,
    stopping: bool,
    left_out: u32,
    looked: Option<Duration>,
    weak_supply: bool,
}

impl Rounds {
    fn new(watched: Watched, notifier: Option<Notifier>, watchdog: Option<Duration>, hangup: Arc<AtomicBool>) -> Self {
        Self {
            governor: Governor::new(watched.config, watched.min_rate),
            watched,
            notifier,
            watchdog: watchdog.map(|limit| (limit / 4, Pulse::default(), Duration::ZERO)),
            hangup,
            ready: false,
            stopping: false,
            left_out: 0,
            looked: None,
            weak_supply: false,
        }
    }

    /// One look at everything, at `now` since the start.
    fn round(&mut self, now: Duration) {
        if self.watched.stop.requested() {
            return self.stopping();
        }
        if self.hangup.swap(false, Relaxed) {
            self.reload();
        }
        let pulse = self.watched.vitals.pulse();
        if !self.ready && pulse.analysed > 0 {
            self.ready = true;
            self.tell("READY=1");
        }
        if let Some((every, before, at)) = &mut self.watchdog
            && now.saturating_sub(*at) >= *every
            && progressed(before, &pulse)
        {
            (*before, *at) = (pulse, now);
            self.tell("WATCHDOG=1");
        }
        if self.looked.is_none_or(|at| now.saturating_sub(at) >= LOOK) {
            self.looked = Some(now);
            let board = self.watched.board.read();
            self.govern(board, pulse, now);
            self.tell(&format!("STATUS={}", self.describe(pulse, board)));
            logger::settle_old();
        }
    }

    fn tell(&self, state: &str) {
        if let Some(notifier) = &self.notifier {
            notifier.tell(state);
        }
    }

    fn stopping(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.tell("STOPPING=1");
        }
    }

    fn reload(&mut self) {
        let Some(reload) = &mut self.watched.reload else { return };
        if let Some(notifier) = &self.notifier {
            notifier.reloading(monotonic_us());
        }
        reload();
        if self.ready {
            self.tell("READY=1");
        }
    }

    /// Does what is to be done about heat, and speaks of a weak supply.
    fn govern(&mut self, board: BoardState, pulse: Pulse, now: Duration) {
        let weak = board.under_voltage == Some(true);
        if weak && !self.weak_supply {
            log::warn!(
                "the board's supply is too weak, so it may slow down or fail: use a stronger one or a shorter cable"
            );
        }
        self.weak_supply = weak;
        if !self.watched.live {
            return;
        }
        let heat = heat(board);
        match self.governor.look(board, pulse.rate, now) {
            Some(Decision::Fewer(n)) => {
                self.leave_out(n);
                log::warn!("the board is too hot ({heat}): now one of {} frames is analysed", n + 1);
            }
            Some(Decision::More(0)) => {
                self.leave_out(0);
                log::info!("the board has cooled down ({heat}): every frame is analysed again");
            }
            Some(Decision::More(n)) => {
                self.leave_out(n);
                log::info!("the board has cooled down ({heat}): now one of {} frames is analysed", n + 1);
            }
            Some(Decision::Floor) => log::warn!(
                "the board is too hot ({heat}), but with less than the {:.1} frames/s of now nothing could be spotted: cool it",
                pulse.rate
            ),
            None => {}
        }
    }

    fn leave_out(&mut self, n: u32) {
        self.left_out = n;
        self.watched.vitals.leave_out(n);
    }

    /// One line for `systemctl status`.
    fn describe(&self, p: Pulse, board: BoardState) -> String {
        let what = match p.analysed {
            0 => "waiting for the first frame".to_string(),
            _ => format!(
                "{:.1} frames/s, {} face{}, {} frames lost, {} events dropped",
                p.rate,
                p.faces,
                if p.faces == 1 { "" } else { "s" },
                p.lost,
                p.dropped
            ),
        };
        let mut text = format!("{}: {what}", self.watched.source);
        if board != BoardState::default() {
            text.push_str(&format!(", {}", heat(board)));
        }
        if self.left_out > 0 {
            text.push_str(&format!(", one of {} frames analysed", self.left_out + 1));
        }
        text
    }
}

/// Whether the line got on between two pulses; see the head of this file.
fn progressed(before: &Pulse, now: &Pulse) -> bool {
    now.analysed > before.analysed && now.captured > before.captured || now.attempts > before.attempts
}

fn heat(board: BoardState) -> String {
    let mut parts = Vec::new();
    parts.extend(board.temperature_c.map(|c| format!("{c:.0} degrees C")));
    if board.throttled == Some(true) {
        parts.push("clock lowered".into());
    }
    if board.under_voltage == Some(true) {
        parts.push("supply too weak".into());
    }
    if parts.is_empty() { "temperature unknown".into() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    struct Bench {
        rounds: Rounds,
        vitals: Vitals,
        manager: UnixDatagram,
        hangup: Arc<AtomicBool>,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        fn new(sysfs: &Path) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let manager = UnixDatagram::bind(&path).unwrap();
            manager.set_nonblocking(true).unwrap();
            let (vitals, hangup) = (Vitals::default(), Arc::new(AtomicBool::new(false)));
            let watched = Watched {
                vitals: vitals.clone(),
                source: "v4l2:/dev/video0".into(),
                live: true,
                stop: Shutdown::new(),
                config: HealthConfig::default(),
                min_rate: 20.0,
                board: Board::at(sysfs),
                reload: Some(Box::new(|| {})),
            };
            let notifier = Notifier::to(path.as_os_str()).unwrap();
            let limit = Some(Duration::from_secs(4));
            let rounds = Rounds::new(watched, Some(notifier), limit, Arc::clone(&hangup));
            Self { rounds, vitals, manager, hangup, _dir: dir }
        }

        /// One round; gives what the manager was told, without the status.
        fn round(&mut self, seconds: f64) -> Vec<String> {
            self.rounds.round(Duration::from_secs_f64(seconds));
            let mut told = vec![];
            let mut bytes = [0; 512];
            while let Ok(n) = self.manager.recv(&mut bytes) {
                told.push(String::from_utf8(bytes[..n].to_vec()).unwrap());
            }
            told.retain(|t| !t.starts_with("STATUS="));
            told
        }
    }

    #[test]
    fn only_progress_feeds_the_watchdog() {
        let mut bench = Bench::new(Path::new("/nonexistent"));
        assert_eq!(bench.round(1.0), [""; 0], "nothing was seen yet: not ready, not fed");
        bench.vitals.captured();
        assert_eq!(bench.round(2.0), [""; 0], "captured, not analysed");
        bench.vitals.analysed(0, 1, 30.0);
        assert_eq!(bench.round(3.0), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(bench.round(5.0), [""; 0], "no new frame");
        bench.vitals.captured();
        assert_eq!(bench.round(7.0), [""; 0], "the analysis hangs");
        bench.vitals.attempts(1);
        assert_eq!(bench.round(9.0), ["WATCHDOG=1"], "the camera is away and is tried again");
        assert_eq!(bench.round(11.0), [""; 0], "not tried again");
        bench.vitals.captured();
        bench.vitals.analysed(0, 1, 30.0);
        assert_eq!(bench.round(13.0), ["WATCHDOG=1"]);
        bench.vitals.captured();
        bench.vitals.analysed(0, 1, 30.0);
        assert_eq!(bench.round(13.5), [""; 0], "not more often than a quarter of the limit");
    }

    #[test]
    fn a_reload_is_told_from_begin_to_end_and_a_stop_once() {
        let mut bench = Bench::new(Path::new("/nonexistent"));
        bench.vitals.captured();
        bench.vitals.analysed(0, 1, 30.0);
        bench.round(0.1);
        bench.hangup.store(true, Relaxed);
        let told = bench.round(0.2);
        assert!(told[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
        assert_eq!(told[1..], ["READY=1"]);
        bench.rounds.watched.stop.request();
        assert_eq!(bench.round(0.3), ["STOPPING=1"]);
        assert_eq!(bench.round(0.4), [""; 0]);
    }

    #[test]
    fn heat_leaves_frames_out_and_the_status_says_so() {
        let sysfs = tempfile::tempdir().unwrap();
        let zone = sysfs.path().join("class/thermal/thermal_zone0");
        std::fs::create_dir_all(&zone).unwrap();
        std::fs::write(zone.join("temp"), "85000").unwrap();
        let mut bench = Bench::new(sysfs.path());
        bench.vitals.analysed(3, 1, 90.0);
        bench.round(2.0);
        assert_eq!(bench.vitals.left_out(), 1);
        let status = bench.rounds.describe(bench.vitals.pulse(), Board::at(sysfs.path()).read());
        assert_eq!(
            status,
            "v4l2:/dev/video0: 90.0 frames/s, 1 face, 3 frames lost, 0 events dropped, 85 degrees C, one of 2 frames analysed"
        );
        std::fs::write(zone.join("temp"), "50000").unwrap();
        bench.round(4.0);
        assert_eq!(bench.vitals.left_out(), 1, "too soon");
        bench.round(24.0);
        assert_eq!(bench.vitals.left_out(), 0);
    }
}
