//! What every sink promises, asked of every kind in the same way: the order is kept; the end of a run writes out what
//! waits; a peer that takes nothing, or is not there, holds up neither the frame loop nor another sink, and costs no
//! memory; one that comes back is found; nothing is lost uncounted; trouble is told while it lasts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "mqtt")]
#[path = "compliance/broker.rs"]
mod broker;
#[path = "host/cable.rs"]
#[allow(dead_code)] // shared with `delivery.rs`
mod cable;
#[path = "compliance/hosts.rs"]
mod hosts;
#[cfg(feature = "mqtt")]
#[path = "mqtt/broker.rs"]
#[allow(dead_code)] // shared with `mqtt.rs`
mod mosquitto;
#[path = "compliance/peers.rs"]
mod peers;
#[path = "sinks/pty.rs"]
#[allow(dead_code)] // shared with `sinks.rs`
mod pty;
#[path = "data/wire/sample.rs"]
mod sample;

use mercam::event::{Detection, Event};
use mercam::health::memory::resident_kib;
use mercam::pipeline::channel::Policy;
use mercam::pipeline::delivery::{Delivery, SinkReport};
use mercam::sinks::{Sink, SinkError, SinkSpec};
use mercam::wire::{Envelope, Origin};
use peers::{Nature, every, until};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One test at a time: they watch the memory of the process and share its log.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn event(id: u64) -> Event {
    Event::Confirmed(sample::detection(id))
}

fn confirmed(id: u64) -> Envelope {
    Envelope::new(id, event(id))
}

fn total(r: &SinkReport) -> u64 {
    r.sent + r.failed + r.dropped
}

#[test]
fn no_kind_is_left_out() {
    let known: BTreeSet<_> = SinkSpec::KINDS.iter().copied().collect();
    assert_eq!(peers::kinds(), known);
}

#[test]
fn the_order_is_kept_and_the_end_writes_out_what_waits() {
    let _alone = alone();
    for (kind, mut peer) in every() {
        let mut delivery = Delivery::start(vec![peer.sink()], Origin::new(None), 16, Policy::Block).unwrap();
        for id in 0..200 {
            delivery.send(event(id));
            if (id as usize + 1).is_multiple_of(peer.must_be_read_every()) {
                until(kind, || (peer.received().len() as u64 > id).then_some(()));
            }
        }
        let report = delivery.finish();
        assert_eq!((report[0].sent, total(&report[0])), (200, 200), "{kind}: {report:?}");
        until(kind, || (peer.received().len() >= 200).then_some(()));
        assert!(peer.received().into_iter().eq(0..200), "{kind}: {:?}", peer.received());
    }
}

#[test]
fn every_kind_of_event_is_taken_and_one_that_cannot_be_written_down_harms_no_other() {
    let _alone = alone();
    let bad = Envelope::new(1, Event::Confirmed(Detection { amplitude: f32::NAN, ..sample::detection(1) }));
    for (kind, mut peer) in every() {
        let mut sink = peer.sink();
        for e in sample::all() {
            sink.send(&e).unwrap_or_else(|e| panic!("{kind}: {e}"));
        }
        let readable = matches!(kind, "log" | "human"); // a person can read "NaN"
        match sink.send(&bad) {
            Ok(()) => assert!(readable, "{kind}"),
            Err(e) => {
                assert!(!readable && matches!(e, SinkError::Event { seq: 1, .. }), "{kind}: {e}");
                assert!(e.to_string().contains("amplitude"), "{kind}: {e}");
            }
        }
        assert_eq!(sink.trouble(), None, "{kind}: the sink itself is well");
        sink.send(&confirmed(77)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        sink.flush().unwrap_or_else(|e| panic!("{kind}: {e}"));
        drop(sink);
        until(kind, || (peer.received().last() == Some(&77)).then_some(()));
    }
}

/// Counts what it takes.
struct Well(Arc<AtomicU64>);

impl Sink for Well {
    fn name(&self) -> &str {
        "well"
    }
    fn send(&mut self, _: &Envelope) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_peer_that_takes_nothing_holds_up_neither_the_line_nor_another_sink() {
    const EVENTS: u64 = 400;
    let _alone = alone();
    for (kind, mut peer) in every() {
        if peer.nature() == Nature::Steady {
            continue;
        }
        peer.stop_reading();
        let count = Arc::new(AtomicU64::new(0));
        let sinks = vec![peer.sink(), Box::new(Well(Arc::clone(&count))) as Box<dyn Sink>];
        if peer.nature() != Nature::Final {
            peer.go();
        }
        let mut delivery = Delivery::start(sinks, Origin::new(None), 8, Policy::DropOldest).unwrap();
        for id in 0..EVENTS {
            delivery.send(event(id));
            // The other sink gets each one at once.
            while count.load(Ordering::Relaxed) <= id {
                std::thread::yield_now();
            }
        }
        if peer.nature() == Nature::Final {
            peer.go(); // or the last write would wait for ever
        }
        let report = delivery.finish();
        // Each event once: what an acknowledging sink took and nobody had is counted as failed, not as sent.
        assert_eq!(total(&report[0]), EVENTS, "{kind}: {report:?}");
        assert_eq!(report[1].sent, EVENTS, "{kind}: {report:?}");
    }
}

#[test]
fn a_peer_that_goes_is_told_and_counted_and_found_again() {
    let _alone = alone();
    for (kind, mut peer) in every() {
        let nature = peer.nature();
        if !matches!(nature, Nature::Returns | Nature::Unheard) {
            continue;
        }
        let mut sink = peer.sink();
        let (mut taken, mut refused) = (BTreeSet::new(), 0u64);
        let mut id = 0;
        let mut send = |sink: &mut Box<dyn Sink>, refused: &mut u64| {
            let result = sink.send(&confirmed(id));
            match &result {
                Ok(()) => _ = taken.insert(id),
                Err(_) => *refused += 1,
            }
            id += 1;
            result
        };
        (0..10).for_each(|_| send(&mut sink, &mut refused).unwrap_or_else(|e| panic!("{kind}: {e}")));
        until(kind, || (peer.received().len() == 10).then_some(()));
        peer.go();
        let error = until(kind, || send(&mut sink, &mut refused).err()).to_string();
        assert!(error.contains(sink.name()), "{kind}: {error}");
        assert!(sink.trouble().is_some_and(|t| !t.is_empty()), "{kind}");
        (0..20).for_each(|_| _ = send(&mut sink, &mut refused));
        peer.come_back();
        until(kind, || send(&mut sink, &mut refused).is_ok().then_some(()));
        assert_eq!(sink.trouble(), None, "{kind}");
        (0..10).for_each(|_| send(&mut sink, &mut refused).unwrap_or_else(|e| panic!("{kind}: {e}")));
        drop(sink);
        let sent = id;
        // Nothing is lost uncounted: what was refused and what arrived make up all.
        let got = until(kind, || Some(peer.received()).filter(|r| r.len() as u64 + refused >= sent));
        assert!(got.is_sorted_by(|a, b| a < b), "{kind}: {got:?}");
        assert_eq!(got.len() as u64 + refused, sent, "{kind}: {refused} refused, {got:?}");
        if nature == Nature::Returns {
            assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), taken, "{kind}");
        }
    }
}

#[test]
fn a_peer_that_acknowledges_gets_everything_once_it_is_back() {
    let _alone = alone();
    for (kind, mut peer) in every() {
        if peer.nature() != Nature::Acknowledges {
            continue;
        }
        let mut sink = peer.sink();
        let work = |sink: &mut Box<dyn Sink>, what: &str, done: &dyn Fn(&dyn Sink) -> bool| {
            until(&format!("{kind}: {what}"), || {
                sink.pump();
                done(sink.as_ref()).then_some(())
            });
        };
        let send = |sink: &mut Box<dyn Sink>, ids: std::ops::Range<u64>| {
            ids.for_each(|id| sink.send(&confirmed(id)).unwrap_or_else(|e| panic!("{kind}: {e}")));
        };
        send(&mut sink, 0..10);
        work(&mut sink, "the first arrive", &|s| s.backlog().waiting == 0);
        assert_eq!(sink.trouble(), None, "{kind}");
        peer.go();
        send(&mut sink, 10..40);
        work(&mut sink, "trouble is told", &|s| s.trouble().is_some_and(|t| !t.is_empty()));
        assert_eq!(sink.backlog().waiting, 30, "{kind}");
        peer.come_back();
        send(&mut sink, 40..50);
        work(&mut sink, "the rest arrives", &|s| s.backlog().waiting == 0);
        assert_eq!(sink.trouble(), None, "{kind}");
        until(kind, || (peer.received().len() >= 50).then_some(()));
        assert!(peer.received().into_iter().eq(0..50), "{kind}: {:?}", peer.received());

        // More than there is room for: the oldest give way, and are counted.
        peer.go();
        send(&mut sink, 50..2050);
        let backlog = sink.backlog();
        assert_eq!(backlog.waiting + backlog.given_up, 2000, "{kind}: {backlog:?}");
        assert!(backlog.given_up > 500 && backlog.waiting > 50, "{kind}: {backlog:?}");
        peer.come_back();
        work(&mut sink, "what is left arrives", &|s| s.backlog().waiting == 0);
        until(kind, || (peer.received().len() as u64 >= 50 + backlog.waiting).then_some(()));
        assert!(peer.received().into_iter().skip(50).eq(2050 - backlog.waiting..2050), "{kind}");
    }
}

#[test]
fn a_peer_that_is_not_there_costs_no_memory() {
    let _alone = alone();
    for (kind, mut peer) in every() {
        if matches!(peer.nature(), Nature::Steady | Nature::Final) {
            continue;
        }
        let mut sink = peer.sink();
        peer.go();
        let mut burst = |from: u64| (from..from + 10_000).for_each(|id| _ = sink.send(&confirmed(id)));
        burst(0);
        let (before, _) = resident_kib().unwrap();
        burst(10_000);
        burst(20_000);
        let (after, _) = resident_kib().unwrap();
        // 20,000 events are 16 MB of JSON.
        assert!(after < before + 4096, "{kind}: {before} KiB, then {after} KiB");
    }
}
