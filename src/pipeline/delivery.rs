//! The sink threads: each sink behind its own bounded channel, so that none can hold up the frame loop or another sink.

use super::channel::{Drops, Outlet, Policy, bounded};
use crate::event::Event;
use crate::sinks::{Sink, SinkError};
use crate::wire::{Envelope, VERSION};
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What became of the events of one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkReport {
    /// The sink.
    pub name: String,
    /// Events delivered.
    pub sent: u64,
    /// Events the sink could not deliver.
    pub failed: u64,
    /// Events that gave way because the sink was too slow.
    pub dropped: u64,
}

/// All sinks of a run.
pub struct Delivery {
    lanes: Vec<Lane>,
    sequence: u64,
}

struct Lane {
    outlet: Outlet<Arc<Envelope>>,
    failed: Drops,
    closed: Drops,
    thread: JoinHandle<u64>,
}

impl Delivery {
    /// Starts a thread for each sink, with a channel of `capacity` events.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(sinks: Vec<Box<dyn Sink>>, capacity: usize, policy: Policy) -> std::io::Result<Self> {
        let mut lanes = Vec::with_capacity(sinks.len());
        for sink in sinks {
            let (outlet, receiver) = bounded(sink.name(), capacity, policy);
            let (failed, closed) = (Drops::default(), Drops::default());
            let (fails, closes) = (failed.clone(), closed.clone());
            let name = format!("sink-{}", lanes.len());
            let thread =
                std::thread::Builder::new().name(name).spawn(move || deliver(sink, &receiver, &fails, &closes))?;
            lanes.push(Lane { outlet, failed, closed, thread });
        }
        Ok(Self { lanes, sequence: 0 })
    }

    /// Sends an event to every sink.
    pub fn send(&mut self, event: Event) {
        let envelope = Arc::new(Envelope { v: VERSION, seq: self.sequence, event });
        self.sequence += 1;
        for lane in &self.lanes {
            if lane.outlet.send(Arc::clone(&envelope)).is_err() {
                lane.failed.add(1);
            }
        }
    }

    /// Events that did not get through, by channel, where there are any.
    pub fn losses(&self) -> Vec<(String, u64)> {
        let lost = |l: &Lane| (l.outlet.name().to_string(), l.outlet.drops().count() + l.failed.count());
        self.lanes.iter().map(lost).filter(|(_, n)| *n > 0).collect()
    }

    /// Whether every sink's reader has gone, so that going on would be work for nobody.
    pub fn abandoned(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.iter().all(|l| l.closed.count() > 0)
    }

    /// Lets every sink finish what waits in its channel, flush, and tells what became of it all.
    pub fn finish(self) -> Vec<SinkReport> {
        let end = |lane: Lane| {
            let (name, drops) = (lane.outlet.name().to_string(), lane.outlet.drops());
            drop(lane.outlet);
            let sent = lane.thread.join().unwrap_or_else(|_| {
                log::error!("the thread of a sink ended by a panic; its last events are lost: {name}");
                0
            });
            SinkReport { name, sent, failed: lane.failed.count(), dropped: drops.count() }
        };
        self.lanes.into_iter().map(end).collect()
    }
}

fn deliver(mut sink: Box<dyn Sink>, events: &Receiver<Arc<Envelope>>, failed: &Drops, closed: &Drops) -> u64 {
    let mut sent = 0;
    let mut complained = false;
    for event in events {
        if closed.count() > 0 {
            failed.add(1);
            continue; // keeps the channel empty, so that nobody waits for a reader that has gone
        }
        match sink.send(&event) {
            Ok(()) => {
                if std::mem::take(&mut complained) {
                    log::info!("sink delivers again ({} events lost meanwhile): {}", failed.count(), sink.name());
                }
                sent += 1;
            }
            Err(SinkError::Closed(_)) => {
                failed.add(1);
                closed.add(1);
                log::debug!("nobody reads any more: {}", sink.name());
            }
            Err(e) => {
                failed.add(1);
                if !std::mem::replace(&mut complained, true) {
                    log::error!("events are being lost: {e}");
                }
            }
        }
    }
    if closed.count() == 0
        && let Err(e) = sink.flush()
    {
        log::error!("the last events may be lost: {e}");
    }
    sent
}
