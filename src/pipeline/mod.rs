//! Capture, analysis and sink threads, and the channels between them.
//!
//! The capture thread reads the source into a bounded channel of frames, the calling thread analyses, and each sink
//! has a thread and a channel of its own. A camera's channel keeps the latest frame; a file's makes the reader wait.

pub mod analyser;
pub mod aside;
pub mod channel;
pub mod delivery;
pub mod presence;
pub mod rate;
pub mod reader;
pub mod shutdown;
pub mod thinner;
pub mod timings;

use crate::capture::{CaptureError, Source};
use crate::event::{Event, Status};
use crate::frame::Frame;
use crate::health::board::Board;
use crate::health::vitals::Vitals;
use crate::metrics::{Metrics, Snapshot, StageHistogram};
use crate::sinks::Sink;
use crate::time::Timestamp;
use crate::wire::Origin;
use analyser::Analyser;
pub use analyser::AnalysisError;
use aside::{Aside, Change, Recorder};
use channel::{Policy, bounded};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use delivery::{Delivery, SinkReport};
use reader::ReaderReport;
use serde::{Deserialize, Serialize};
use shutdown::Shutdown;
use std::time::Duration;
use timings::Timed;

/// How the threads are joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Frames that may wait for the analysis when the source is a file or a pipe (nothing is lost then). A camera
    /// always has one place, and the latest frame wins.
    pub frame_queue: usize,
    /// Events that may wait for each sink.
    pub event_queue: usize,
    /// What happens when a sink is too slow for a live source: `drop_oldest` (counted) or `block`. With files and
    /// pipes it is always `block`: nothing is lost.
    pub event_policy: Policy,
    /// Seconds of source time between two status events.
    pub status_interval_s: f64,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self { frame_queue: 4, event_queue: 256, event_policy: Policy::DropOldest, status_interval_s: 10.0 }
    }
}

/// Why a run ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed for good.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A network could not be run.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The recording cannot be written.
    #[error("the recording cannot be written, so the run ends: {0}")]
    Recording(std::io::Error),
    /// The system gave no thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A thread ended by a panic: a fault of ours.
    #[error("the capture thread ended by a panic; please report this with the lines above")]
    Panic,
}

/// Everything a run needs, built and checked.
pub struct Plan {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// The stations.
    pub analyser: Analyser,
    /// Who sends.
    pub origin: Origin,
    /// Where events go.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Ends the run after this much source time.
    pub limit: Option<Duration>,
    /// Queues and policies.
    pub config: PipelineConfig,
    /// What goes on beside the line.
    pub aside: Aside,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The line's own counters.
    pub status: Status,
    /// The capture thread's counters.
    pub reader: ReaderReport,
    /// What became of the events.
    pub sinks: Vec<SinkReport>,
}

/// Runs a plan until the source ends, its limit is reached, or the stop is asked for; then everything is
/// drained and flushed.
///
/// # Errors
/// See [`RunError`]. What had been detected before is delivered in any case.
pub fn run(plan: Plan, stop: &Shutdown) -> Result<Report, RunError> {
    let Plan { mut source, mut analyser, origin, sinks, limit, config, aside } = plan;
    let live = source.is_live();
    let (capacity, frame_policy) = if live { (1, Policy::DropOldest) } else { (config.frame_queue, Policy::Block) };
    let event_policy = if live { config.event_policy } else { Policy::Block };
    let (frames, inbox) = bounded("frames", capacity, frame_policy);
    let (give_back, spare) = crossbeam_channel::bounded(capacity + 2);
    let mut delivery = Delivery::start(sinks, origin, config.event_queue, event_policy)?;
    let Aside { vitals, mut recorder, mut metrics, changes } = aside;
    let (reader_stop, reader_vitals) = (stop.clone(), vitals.clone());
    let reader = std::thread::Builder::new()
        .name("capture".into())
        .spawn(move || reader::read(source.as_mut(), limit, &frames, &spare, &reader_vitals, &reader_stop))?;

    let board = Board::default();
    let status_interval_s = config.status_interval_s;
    let mut beside =
        Beside { give_back, board: &board, status_interval_s, vitals, recorder: recorder.as_mut(), changes };
    let analysed = analyse(&mut analyser, &inbox, &mut beside, &mut delivery, &mut metrics, stop);
    stop_reader(&inbox, stop, analysed.is_err() || delivery.abandoned());
    let read = reader.join().map_err(|_| RunError::Panic);

    let mut events = Vec::new();
    let finished = analyser.finish(&mut events);
    let status = state(&analyser, &delivery, &board);
    events.push(Event::Status(status.clone()));
    events.into_iter().for_each(|e| send(e, &mut delivery, &mut metrics));
    tell(&mut metrics, &analyser, &delivery, true);
    let sinks = delivery.finish();
    let recorded = recorder.as_mut().map_or(Ok(()), |r| r.finish());
    analysed?;
    finished?;
    recorded?;
    Ok(Report { status, reader: read??, sinks })
}

/// What the analysis needs beside the line itself.
struct Beside<'a> {
    give_back: crossbeam_channel::Sender<Frame>,
    board: &'a Board,
    status_interval_s: f64,
    vitals: Vitals,
    recorder: Option<&'a mut Recorder>,
    changes: Receiver<Change>,
}

/// The state of everything, as it is sent.
fn state(analyser: &Analyser, delivery: &Delivery, board: &Board) -> Status {
    let board = board.read();
    Status {
        dropped: delivery.losses(),
        waiting: delivery.waiting(),
        temperature_c: board.temperature_c,
        throttled: board.throttled,
        under_voltage: board.under_voltage,
        ..analyser.status()
    }
}

/// Analyses frames until there are no more.
fn analyse(
    analyser: &mut Analyser,
    inbox: &Receiver<Frame>,
    beside: &mut Beside<'_>,
    delivery: &mut Delivery,
    metrics: &mut Option<Metrics>,
    stop: &Shutdown,
) -> Result<(), RunError> {
    let mut events = Vec::with_capacity(32);
    let mut last_status: Option<Timestamp> = None;
    loop {
        if let Ok(change) = beside.changes.try_recv() {
            change.apply(analyser, delivery);
        }
        let frame = match inbox.recv_timeout(Duration::from_millis(100)) {
            Ok(frame) => frame,
            Err(RecvTimeoutError::Timeout) if stop.requested() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                tell(metrics, analyser, delivery, false);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        analyser.process(&frame, &mut events)?;
        beside.vitals.analysed(analyser.lost(), analyser.faces().len(), analyser.rate());
        if let Some(recorder) = &mut beside.recorder {
            recorder.add(&frame, analyser.faces())?;
        }
        let due = last_status.is_none_or(|at| frame.time.ms_since(at) >= beside.status_interval_s * 1e3);
        if due {
            last_status = Some(frame.time);
            let status = state(analyser, delivery, beside.board);
            beside.vitals.dropped(status.dropped.iter().map(|(_, n)| n).sum());
            if status.frames > 1 {
                events.push(Event::Status(status));
            }
        }
        let _ = beside.give_back.try_send(frame); // a full pool only means one allocation more
        events.drain(..).for_each(|e| send(e, delivery, metrics));
        tell(metrics, analyser, delivery, false);
        if delivery.abandoned() {
            return Ok(());
        }
    }
}

fn send(event: Event, delivery: &mut Delivery, metrics: &mut Option<Metrics>) {
    if let Some(m) = metrics {
        m.saw(&event);
    }
    delivery.send(event);
}

/// Hands the state over to whoever watches, when that is due or `now`.
fn tell(metrics: &mut Option<Metrics>, analyser: &Analyser, delivery: &Delivery, now: bool) {
    if let Some(m) = metrics
        && (now || m.due())
    {
        let times = Timed::ALL.into_iter().filter_map(|t| Some((t, analyser.times().of(t)?)));
        let stages = times.map(|(t, h)| StageHistogram::of(t.label(), h)).collect();
        m.publish(Snapshot { status: analyser.status(), sinks: delivery.samples(), stages, ..Snapshot::default() });
    }
}

/// Makes sure that the capture thread is not left waiting for a place in the channel.
fn stop_reader(inbox: &Receiver<Frame>, stop: &Shutdown, early: bool) {
    if early {
        stop.request();
        while inbox.recv_timeout(Duration::from_millis(200)).is_ok() {}
    }
}
