//! The courier against the host's own receiving end, over a line that damages, loses and delays bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::event::{Event, Status};
use crate::host::testing::Streams;
use crate::wire::{Deframer, Format, Message};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// One direction of a line: takes bytes, damages some, and gives them.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    /// One byte of so many is changed; 0: none.
    damage: u64,
    room: usize,
    random: u64,
}

impl Wire {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room.saturating_sub(self.bytes.len()));
        for b in &bytes[..n] {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let hit = self.damage > 0 && (self.random >> 20).is_multiple_of(self.damage);
            self.bytes.push_back(if hit { b ^ ((self.random >> 8) as u8 | 1) } else { *b });
        }
        n
    }
}

/// The sender's end.
struct End {
    to_host: Rc<RefCell<Wire>>,
    to_device: Rc<RefCell<Wire>>,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.to_device.borrow_mut();
        let n = buffer.len().min(wire.bytes.len());
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer.iter_mut().zip(wire.bytes.drain(..n)).for_each(|(b, new)| *b = new);
        Ok(n)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.to_host.borrow_mut().put(bytes) {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The host's end.
struct Host {
    deframer: Deframer,
    streams: Streams,
    got: Vec<u64>,
    repeated: u64,
    given_up: u64,
}

impl Host {
    fn new() -> Self {
        let streams = Streams::default();
        Self { deframer: Deframer::new(Format::Binary), streams, got: vec![], repeated: 0, given_up: 0 }
    }

    fn step(&mut self, end: &End) {
        let bytes: Vec<u8> = end.to_host.borrow_mut().bytes.drain(..).collect();
        let (mut heard, mut out) = (vec![], vec![]);
        self.deframer.messages(&bytes, |m| heard.push(m));
        let mut stream = None;
        for m in heard {
            let Message::Record(r) = m else { continue };
            stream = Some(r.stream);
            let got = &mut self.got;
            let p = self.streams.take(r, |e| {
                got.push(e.as_ref().unwrap().seq);
                true
            });
            self.repeated += u64::from(p.repeated);
            self.given_up += p.given_up;
        }
        if let Some(stream) = stream {
            self.streams.ack(stream).encode(&mut out).unwrap();
        }
        end.to_device.borrow_mut().put(&out);
    }
}

fn line(damage: u64, seed: u64) -> End {
    let wire = |k| Rc::new(RefCell::new(Wire { damage, room: 600, random: seed * 2 + k, ..Wire::default() }));
    End { to_host: wire(1), to_device: wire(3) }
}

fn courier(max_bytes: u64, lossy: bool, max_per_s: u32) -> Courier {
    let spool = SpoolConfig { max_bytes, ..SpoolConfig::default() }.open().unwrap();
    let conduct = Conduct { window: 16, patience: Duration::from_millis(200), bytes_per_s: Some(11_520), lossy };
    Courier::new(spool, conduct, max_per_s)
}

fn body(seq: u64) -> Vec<u8> {
    encode_body(&Envelope::new(seq, Event::Status(Status::default()))).unwrap()
}

/// Runs both ends in steps of 10 ms until everything has arrived. Returns how long that took.
fn until_all_arrived(courier: &mut Courier, end: &mut End, host: &mut Host, start: Instant) -> Duration {
    for step in 0..200_000 {
        let now = start + Duration::from_millis(step * 10);
        courier.pump(end, now).unwrap();
        host.step(end);
        if courier.spool().waiting() == 0 {
            return now - start;
        }
    }
    panic!("{} never arrived", courier.spool().waiting());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives_once_and_in_order_whatever_the_line_does(
        seed in 1u64..1 << 40, damage in prop_oneof![Just(0u64), 20u64..400], events in 1u64..120,
    ) {
        let (mut courier, mut host, mut end) = (courier(1 << 20, true, 0), Host::new(), line(damage, seed));
        courier.connected();
        for seq in 0..events {
            courier.take(&body(seq)).unwrap();
        }
        until_all_arrived(&mut courier, &mut end, &mut host, Instant::now());
        prop_assert!(host.got.iter().copied().eq(0..events), "{:?}", host.got);
        let c = courier.counts();
        prop_assert_eq!(c.sent, events);
        if damage == 0 {
            prop_assert_eq!((c.resent, host.repeated), (0, 0), "nothing is sent twice on a good line");
        }
    }
}

#[test]
fn a_host_that_is_started_anew_in_the_middle_gets_all_that_it_had_not_acknowledged() {
    let (mut courier, mut host, mut end) = (courier(1 << 20, true, 0), Host::new(), line(50, 7));
    courier.connected();
    (0..60).for_each(|seq| courier.take(&body(seq)).unwrap());
    let start = Instant::now();
    for step in 0..8 {
        courier.pump(&mut end, start + Duration::from_millis(step * 10)).unwrap();
        host.step(&end);
    }
    let before = host.got.clone();
    let mut second = Host::new(); // without a word to the sender
    until_all_arrived(&mut courier, &mut end, &mut second, start + Duration::from_millis(80));
    let acked_at_least = second.got[0];
    assert!(acked_at_least as usize <= before.len(), "{before:?} then from {acked_at_least}");
    assert!(second.got.iter().copied().eq(acked_at_least..60), "{:?}", second.got);
}

#[test]
fn what_the_spool_gives_up_is_told_to_the_host() {
    let (mut courier, mut host, mut end) = (courier(1 << 18, true, 0), Host::new(), line(0, 1));
    courier.connected();
    courier.take(&body(0)).unwrap();
    let took = until_all_arrived(&mut courier, &mut end, &mut host, Instant::now());
    // Nobody listens while more comes than may wait.
    let long = vec![2; 4000];
    (0..100).for_each(|_| courier.take(&long).unwrap());
    (1..5).for_each(|seq| courier.take(&body(seq)).unwrap());
    let lost = courier.spool().counts().dropped_size;
    assert!(lost > 30, "{lost}");
    // The host cannot read the long ones: they count as arrived.
    let mut streams_got = 0;
    let start = Instant::now() + took;
    for step in 0..20_000 {
        courier.pump(&mut end, start + Duration::from_millis(step * 10)).unwrap();
        let bytes: Vec<u8> = end.to_host.borrow_mut().bytes.drain(..).collect();
        let mut heard = vec![];
        host.deframer.messages(&bytes, |m| heard.push(m));
        for m in heard {
            let Message::Record(r) = m else { continue };
            let (stream, mut out) = (r.stream, vec![]);
            host.given_up += host.streams.take(r, |_| true).given_up;
            streams_got += 1;
            host.streams.ack(stream).encode(&mut out).unwrap();
            end.to_device.borrow_mut().put(&out);
        }
        if courier.spool().waiting() == 0 {
            break;
        }
    }
    assert_eq!((courier.spool().waiting(), host.given_up), (0, lost), "{streams_got} came");
}

#[test]
fn a_silent_peer_is_asked_ever_more_rarely_and_a_reliable_connection_is_given_up() {
    let (mut lossy, mut end) = (courier(1 << 20, true, 0), line(0, 1));
    end.to_host.borrow_mut().room = usize::MAX;
    lossy.connected();
    lossy.take(&body(0)).unwrap();
    let start = Instant::now();
    for ms in (0..60_000).step_by(20) {
        lossy.pump(&mut end, start + Duration::from_millis(ms)).unwrap();
    }
    let again = lossy.counts().resent;
    assert!((8..30).contains(&again), "{again} times in a minute");
    assert!(lossy.silent_rounds() > SILENT);
    // It says that it is there: everything comes at once.
    let mut ready = vec![];
    Message::encode_ready(&mut ready).unwrap();
    end.to_device.borrow_mut().put(&ready);
    lossy.pump(&mut end, start + Duration::from_millis(60_010)).unwrap();
    assert_eq!((lossy.counts().resent, lossy.silent_rounds()), (again + 1, 0));

    let (mut reliable, mut end) = (courier(1 << 20, false, 0), line(0, 1));
    reliable.connected();
    reliable.take(&body(0)).unwrap();
    reliable.pump(&mut end, start).unwrap();
    reliable.pump(&mut end, start + Duration::from_millis(190)).unwrap();
    let e = reliable.pump(&mut end, start + Duration::from_millis(900)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(reliable.spool().waiting(), 1, "and nothing is lost by it");
}

#[test]
fn false_words_of_the_peer_do_no_harm() {
    let (mut c, mut end) = (courier(1 << 20, true, 0), line(0, 1));
    c.connected();
    (0..3).for_each(|seq| c.take(&body(seq)).unwrap());
    let start = Instant::now();
    c.pump(&mut end, start).unwrap();
    let stream = c.spool().stream();
    for ack in [
        crate::wire::Ack { stream, next: 5, have: 0 }, // record 4 was never sent
        crate::wire::Ack { stream, next: u64::MAX, have: u64::MAX },
        crate::wire::Ack { stream: stream ^ 1, next: 4, have: 0 },
        crate::wire::Ack { stream, next: 0, have: 0 },
    ] {
        let mut out = vec![];
        ack.encode(&mut out).unwrap();
        end.to_device.borrow_mut().put(&out);
        c.pump(&mut end, start).unwrap();
        assert_eq!(c.spool().waiting(), 3, "{ack:?}");
    }
    // Our own words coming back, as on a line that is looped.
    let echo: Vec<u8> = end.to_host.borrow_mut().bytes.drain(..).collect();
    end.to_device.borrow_mut().room = usize::MAX;
    end.to_device.borrow_mut().put(&echo);
    c.pump(&mut end, start).unwrap();
    assert_eq!(c.spool().waiting(), 3);
}

#[test]
fn a_budget_spreads_what_waits() {
    let (mut c, mut host, mut end) = (courier(1 << 20, true, 10), Host::new(), line(0, 1));
    c.connected();
    (0..50).for_each(|seq| c.take(&body(seq)).unwrap());
    let took = until_all_arrived(&mut c, &mut end, &mut host, Instant::now());
    assert!(took > Duration::from_millis(3900) && took < Duration::from_millis(5000), "{took:?}");
    assert!(host.got.iter().copied().eq(0..50));
}
