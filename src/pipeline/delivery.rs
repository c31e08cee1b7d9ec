//! The sink threads: each sink behind its own bounded channel, so that none can hold up the frame loop or another sink.

use super::channel::{Drops, Outlet, Policy, bounded};
use crate::clock::Stopwatch;
use crate::event::Event;
use crate::metrics::Sample;
use crate::sinks::{Backlog, Sink, SinkError};
use crate::wire::{Envelope, Origin};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the sinks together may take to write out what waits when a run ends. A reader that is open but never
/// reads (a stopped pager) would otherwise keep the process for ever.
const DRAIN: Duration = Duration::from_secs(5);

/// What became of the events of one sink.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkReport {
    /// The sink.
    pub name: String,
    /// Events that the sink delivered, or keeps for the next run.
    pub sent: u64,
    /// Events that the sink could not deliver, or gave up later.
    pub failed: u64,
    /// Events that gave way because the sink was too slow.
    pub dropped: u64,
    /// Events that wait on disk for the next run.
    pub waiting: u64,
}

/// All sinks of a run.
pub struct Delivery {
    lanes: Vec<Lane>,
    /// Sinks that get no more events.
    ended: Vec<End>,
    origin: Origin,
    sequence: u64,
    capacity: usize,
    policy: Policy,
    /// Threads started so far.
    started: usize,
}

/// What a sink's thread says of itself, to be read from anywhere.
#[derive(Debug, Clone, Default)]
struct Gauges {
    sent: Arc<AtomicU64>,
    failed: Drops,
    over_budget: Drops,
    closed: Drops,
    backlog: Arc<Mutex<Backlog>>,
    troubled: Arc<AtomicBool>,
}

impl Gauges {
    fn backlog(&self) -> Backlog {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_backlog(&self, now: Backlog) {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Events that the sink could not deliver.
    fn lost(&self) -> u64 {
        self.failed.count() + self.over_budget.count() + self.backlog().given_up
    }

    /// Events that did not get through, by sink and reason, where there are any. `dropped` are those that gave way in the
    /// channel in front of it.
    fn losses(&self, sink: &str, dropped: u64) -> impl Iterator<Item = (String, u64)> {
        [
            ("queue_full", dropped),
            ("failed", self.failed.count()),
            ("over_budget", self.over_budget.count()),
            ("given_up", self.backlog().given_up),
        ]
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(move |(reason, n)| (format!("{sink} {reason}"), n))
    }
}

struct Lane {
    outlet: Outlet<Arc<Envelope>>,
    gauges: Gauges,
    /// Tells when the thread has ended.
    done: Receiver<()>,
}

impl Lane {
    /// Closes the channel: the thread writes out what waits and ends.
    fn end(self) -> End {
        End { name: self.outlet.name().to_string(), drops: self.outlet.drops(), gauges: self.gauges, done: self.done }
    }
}

/// A sink whose channel is closed.
struct End {
    name: String,
    drops: Drops,
    gauges: Gauges,
    done: Receiver<()>,
}

impl Delivery {
    /// Starts a thread for each sink, with a channel of `capacity` events.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(sinks: Vec<Box<dyn Sink>>, origin: Origin, capacity: usize, policy: Policy) -> std::io::Result<Self> {
        let lanes = Vec::with_capacity(sinks.len());
        let mut this = Self { lanes, ended: vec![], origin, sequence: 0, capacity, policy, started: 0 };
        sinks.into_iter().try_for_each(|sink| this.open(sink))?;
        Ok(this)
    }

    /// Starts the thread of one sink.
    fn open(&mut self, mut sink: Box<dyn Sink>) -> std::io::Result<()> {
        sink.introduce(&self.origin);
        let (outlet, receiver) = bounded(sink.name(), self.capacity, self.policy);
        let gauges = Gauges::default();
        let shown = gauges.clone();
        let name = format!("sink-{}", self.started);
        self.started += 1;
        let (tell, done) = crossbeam_channel::bounded(1);
        std::thread::Builder::new().name(name).spawn(move || {
            deliver(sink, &receiver, &shown);
            let _ = tell.send(()); // nobody asks any more: the time to drain was over
        })?;
        self.lanes.push(Lane { outlet, gauges, done });
        Ok(())
    }

    /// Goes on with those of the present sinks that `keep` says, in their order, and with `new` ones. The others write out
    /// what waits for them, each on its own thread, and end; nobody waits for that here.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn replace(&mut self, keep: &[bool], new: Vec<Box<dyn Sink>>) -> std::io::Result<()> {
        let lanes = std::mem::take(&mut self.lanes);
        for (i, lane) in lanes.into_iter().enumerate() {
            match keep.get(i) {
                Some(true) => self.lanes.push(lane),
                _ => self.ended.push(lane.end()),
            }
        }
        new.into_iter().try_for_each(|sink| self.open(sink))
    }

    /// Sends an event to every sink.
    pub fn send(&mut self, event: Event) {
        let envelope = Arc::new(Envelope::from_origin(&self.origin, self.sequence, event));
        self.sequence += 1;
        self.forward(&envelope);
    }

    /// Sends an event of somebody else as it is to every sink.
    pub fn forward(&self, envelope: &Arc<Envelope>) {
        for lane in &self.lanes {
            if lane.outlet.send(Arc::clone(envelope)).is_err() {
                lane.gauges.failed.add(1);
            }
        }
    }

    /// Events that did not get through, by sink and reason (`SINK REASON`), where there are any.
    pub fn losses(&self) -> Vec<(String, u64)> {
        let now = self.lanes.iter().flat_map(|l| l.gauges.losses(l.outlet.name(), l.outlet.drops().count()));
        let before = self.ended.iter().flat_map(|e| e.gauges.losses(&e.name, e.drops.count()));
        by_name(now.chain(before))
    }

    /// Events that wait now, by channel, where there are any: in the channel and in the sink's spool.
    pub fn waiting(&self) -> Vec<(String, u64)> {
        let waits = |l: &Lane| (l.outlet.name().to_string(), l.outlet.len() as u64 + l.gauges.backlog().waiting);
        by_name(self.lanes.iter().map(waits).filter(|(_, n)| *n > 0))
    }

    /// The state of every sink, for metrics.
    pub fn samples(&self) -> Vec<Sample> {
        let sample = |l: &Lane| {
            let (g, backlog) = (&l.gauges, l.gauges.backlog());
            Sample {
                sink: l.outlet.name().to_string(),
                sent: g.sent.load(Relaxed),
                failed: g.failed.count(),
                over_budget: g.over_budget.count(),
                given_up: backlog.given_up,
                dropped: l.outlet.drops().count(),
                queued: l.outlet.len() as u64,
                spooled: backlog.waiting,
                up: !g.troubled.load(Relaxed) && g.closed.count() == 0,
            }
        };
        self.lanes.iter().map(sample).collect()
    }

    /// Whether every sink's reader has gone, so that going on would be work for nobody.
    pub fn abandoned(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.iter().all(|l| l.gauges.closed.count() > 0)
    }

    /// Lets every sink finish what waits in its channel and flush, and tells what became of it all. Sinks that
    /// cannot within five seconds are left behind, with an error in the log.
    pub fn finish(self) -> Vec<SinkReport> {
        let clock = Stopwatch::start();
        // All channels are closed first, so that all sinks drain at the same time.
        let ends: Vec<_> = self.ended.into_iter().chain(self.lanes.into_iter().map(Lane::end)).collect();
        let report = |End { name, drops, gauges, done }: End| {
            if done.recv_timeout(DRAIN.saturating_sub(clock.elapsed())).is_err() {
                log::error!("a sink did not take its last events in time, they are lost: {name}");
            }
            let backlog = gauges.backlog();
            let (taken, lost) = (gauges.sent.load(Relaxed), gauges.lost());
            let dropped = drops.count();
            if backlog.survives {
                return SinkReport { name, sent: taken, failed: lost, dropped, waiting: backlog.waiting };
            }
            // What waits in memory ends with the process.
            let never = backlog.waiting + backlog.given_up;
            SinkReport { name, sent: taken.saturating_sub(never), failed: lost + backlog.waiting, dropped, waiting: 0 }
        };
        ends.into_iter().map(report).collect()
    }
}

/// Each name once: two sinks may share one, as when one was replaced by another of its kind.
fn by_name(counts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut all = Vec::<(String, u64)>::new();
    for (name, n) in counts {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += n,
            None => all.push((name, n)),
        }
    }
    all
}

fn deliver(mut sink: Box<dyn Sink>, events: &Receiver<Arc<Envelope>>, gauges: &Gauges) {
    let (mut complained, mut over_budget) = (false, false);
    loop {
        let wait = if gauges.closed.count() > 0 { None } else { sink.pump() };
        gauges.set_backlog(sink.backlog());
        gauges.troubled.store(sink.trouble().is_some(), Relaxed);
        let event = match wait {
            None => match events.recv() {
                Ok(event) => event,
                Err(_) => break,
            },
            Some(time) => match events.recv_timeout(time) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            },
        };
        if gauges.closed.count() > 0 {
            gauges.failed.add(1);
            continue; // keeps the channel empty, so that nobody waits for a reader that has gone
        }
        match sink.send(&event) {
            Ok(()) => {
                if std::mem::take(&mut complained) {
                    let lost = gauges.failed.count();
                    log::info!("sink delivers again ({lost} events lost meanwhile): {}", sink.name());
                }
                gauges.sent.fetch_add(1, Relaxed);
            }
            Err(e @ SinkError::Budget { .. }) => {
                gauges.over_budget.add(1);
                if !std::mem::replace(&mut over_budget, true) {
                    log::warn!("{e}; they are counted");
                }
            }
            Err(SinkError::Closed(_)) => {
                gauges.failed.add(1);
                gauges.closed.add(1);
                log::debug!("nobody reads any more: {}", sink.name());
            }
            Err(e) => {
                gauges.failed.add(1);
                if !std::mem::replace(&mut complained, true) {
                    log::error!("events are being lost: {e}");
                }
            }
        }
    }
    if gauges.closed.count() == 0
        && let Err(e) = sink.flush()
    {
        log::error!("the last events may be lost: {e}");
    }
    gauges.set_backlog(sink.backlog());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::Status;

    /// Notes the numbers of what it takes; fails on odd ones; never returns from number `stuck` or a later one.
    struct Fake {
        taken: Arc<Mutex<Vec<u64>>>,
        stuck: u64,
    }

    impl Sink for Fake {
        fn name(&self) -> &str {
            "fake"
        }
        fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
            if event.seq >= self.stuck {
                std::thread::sleep(DRAIN * 100);
            }
            if event.seq % 2 == 1 {
                return Err(SinkError::Unavailable { what: "fake".into(), why: "odd".into() });
            }
            self.taken.lock().unwrap().push(event.seq);
            Ok(())
        }
        fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }

    #[test]
    fn what_fails_is_counted_and_the_order_is_kept() {
        let taken = Arc::new(Mutex::new(vec![]));
        let sink = Box::new(Fake { taken: Arc::clone(&taken), stuck: u64::MAX });
        let mut delivery = Delivery::start(vec![sink], Origin::new(None), 4, Policy::Block).unwrap();
        (0..10).for_each(|_| delivery.send(Event::Status(Status::default())));
        while delivery.losses() != [("fake failed".to_owned(), 5)] {
            std::thread::yield_now();
        }
        let report = delivery.finish();
        assert_eq!(report, [SinkReport { name: "fake".into(), sent: 5, failed: 5, ..SinkReport::default() }]);
        assert_eq!(*taken.lock().unwrap(), [0, 2, 4, 6, 8]);
    }

    #[test]
    fn sinks_that_stay_miss_nothing_while_others_come_and_go() {
        let note = || Arc::new(Mutex::new(vec![]));
        let (stays, goes, comes) = (note(), note(), note());
        let fake = |taken: &Arc<Mutex<Vec<u64>>>| -> Box<dyn Sink> {
            Box::new(Fake { taken: Arc::clone(taken), stuck: u64::MAX })
        };
        let mut delivery =
            Delivery::start(vec![fake(&goes), fake(&stays)], Origin::new(None), 16, Policy::Block).unwrap();
        (0..4).for_each(|_| delivery.send(Event::Status(Status::default())));
        delivery.replace(&[false, true], vec![fake(&comes)]).unwrap();
        (0..4).for_each(|_| delivery.send(Event::Status(Status::default())));
        while delivery.losses() != [("fake failed".to_owned(), 8)] {
            std::thread::yield_now(); // one name for all three: JSON has no room for a second
        }
        let report = delivery.finish();
        assert_eq!(report.iter().map(|r| (r.sent, r.failed)).collect::<Vec<_>>(), [(2, 2), (4, 4), (2, 2)]);
        assert_eq!(*goes.lock().unwrap(), [0, 2]);
        assert_eq!(*stays.lock().unwrap(), [0, 2, 4, 6]);
        assert_eq!(*comes.lock().unwrap(), [4, 6]);
    }

    #[test]
    fn a_sink_that_hangs_neither_holds_up_the_others_nor_the_end() {
        let taken = Arc::new(Mutex::new(vec![]));
        let hung = Box::new(Fake { taken: Arc::new(Mutex::new(vec![])), stuck: 0 });
        let well = Box::new(Fake { taken: Arc::clone(&taken), stuck: u64::MAX });
        let mut delivery = Delivery::start(vec![hung, well], Origin::new(None), 4, Policy::DropOldest).unwrap();
        for n in 0..20 {
            delivery.send(Event::Status(Status::default()));
            while n % 2 == 0 && taken.lock().unwrap().last() != Some(&n) {
                std::thread::yield_now();
            }
        }
        let report = delivery.finish();
        assert_eq!(report.iter().map(|r| r.sent).collect::<Vec<_>>(), [0, 10]);
        assert!(report[0].dropped >= 15, "{report:?}");
    }
}
