//! The receiving end of acknowledged lines: brings the records of each sender's queue into their order.

use crate::wire::{Ack, DecodeError, Envelope, Record};
use std::collections::{BTreeMap, HashMap};

/// Most records that are held because one before them is missing: what an acknowledgement can name.
const EARLY: usize = 64;
/// Most queues that are remembered; the one that was silent for longest is forgotten for a new one. A forgotten
/// queue costs nothing but repeats.
const MAX_STREAMS: usize = 4096;

/// What a record holds.
type Content = Result<Envelope, DecodeError>;

/// One sender's queue.
#[derive(Debug, Default)]
struct Stream {
    /// Everything before this number has been dealt with.
    next: u64,
    early: BTreeMap<u64, (Option<u64>, Content)>,
    last_used: u64,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// It had been here before.
    pub repeated: bool,
    /// Records before it that the sender has given up.
    pub given_up: u64,
}

/// All queues.
#[derive(Debug, Default)]
pub struct Streams {
    streams: HashMap<u64, Stream>,
    uses: u64,
}

impl Streams {
    /// Takes a record. `deliver` is called with what is in order now; when it says no, the record counts as not
    /// arrived, and the sender will send it again.
    pub fn take(&mut self, record: Record, mut deliver: impl FnMut(&Content) -> bool) -> Progress {
        let Record { stream: id, id: number, previous, event } = record;
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&id) {
            let oldest = self.streams.iter().min_by_key(|(_, s)| s.last_used).map(|(id, _)| *id);
            oldest.and_then(|id| self.streams.remove(&id));
        }
        self.uses += 1;
        let stream = self.streams.entry(id).or_default();
        stream.last_used = self.uses;
        let mut progress = Progress::default();
        if number < stream.next || stream.early.contains_key(&number) {
            progress.repeated = true;
            // What was here may tell more now: that nothing before it is coming any more.
            if let Some((known, _)) = stream.early.get_mut(&number) {
                *known = (*known).min(previous);
            }
        } else if stream.early.len() < EARLY || stream.early.last_key_value().is_some_and(|(last, _)| number < *last) {
            stream.early.insert(number, (previous, event));
            if stream.early.len() > EARLY {
                stream.early.pop_last();
            }
        }
        while let Some((number, (previous, content))) = stream.early.first_key_value() {
            let number = *number;
            if number >= stream.next {
                if previous.is_some_and(|p| p >= stream.next) || !deliver(content) {
                    break;
                }
                // At the first contact nobody knows what came before.
                progress.given_up += if stream.next == 0 { 0 } else { number - stream.next };
                stream.next = number.saturating_add(1);
            }
            stream.early.pop_first();
        }
        progress
    }

    /// What is to be acknowledged of a queue.
    pub fn ack(&self, id: u64) -> Ack {
        let Some(stream) = self.streams.get(&id) else { return Ack { stream: id, next: 0, have: 0 } };
        let mut have = 0;
        for number in stream.early.keys() {
            if let Some(k) = number.checked_sub(stream.next.saturating_add(1)).filter(|k| *k < 64) {
                have |= 1 << k;
            }
        }
        Ack { stream: id, next: stream.next, have }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::{Event, Status};
    use proptest::prelude::*;

    fn record(id: u64, previous: Option<u64>) -> Record {
        let event = Ok(Envelope::new(id, Event::Status(Status::default())));
        Record { stream: 9, id, previous, event }
    }

    fn give(s: &mut Streams, id: u64, previous: Option<u64>, got: &mut Vec<u64>) -> Progress {
        s.take(record(id, previous), |e| {
            got.push(e.as_ref().unwrap().seq);
            true
        })
    }

    #[test]
    fn records_come_out_in_their_order_once() {
        let (mut s, mut got) = (Streams::default(), Vec::new());
        give(&mut s, 6, Some(5), &mut got); // the first that is heard of this queue, but not its oldest
        assert_eq!((got.len(), s.ack(9)), (0, Ack { stream: 9, next: 0, have: 1 << 5 }));
        assert_eq!(give(&mut s, 5, None, &mut got), Progress::default());
        assert_eq!(s.ack(9), Ack { stream: 9, next: 7, have: 0 });
        assert!(give(&mut s, 6, Some(5), &mut got).repeated);
        give(&mut s, 8, Some(7), &mut got);
        give(&mut s, 9, Some(8), &mut got);
        assert_eq!(s.ack(9), Ack { stream: 9, next: 7, have: 0b11 });
        // 7 has become too old: the sender says so, with what it sends again.
        let p = give(&mut s, 8, None, &mut got);
        assert_eq!((p, got), (Progress { repeated: true, given_up: 1 }, vec![5, 6, 8, 9]));
        assert_eq!(s.ack(9).next, 10);
        assert_eq!(s.ack(1).next, 0);
    }

    #[test]
    fn what_cannot_be_stored_is_not_acknowledged() {
        let mut s = Streams::default();
        s.take(record(1, None), |_| false);
        assert_eq!(s.ack(9).next, 0);
        let mut got = Vec::new();
        give(&mut s, 2, Some(1), &mut got);
        assert_eq!((got, s.ack(9).next), (vec![1, 2], 3));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut s, mut got) = (Streams::default(), Vec::new());
        for id in 0..10_000 {
            give(&mut s, 100_000 - id, Some(100_000 - id - 1), &mut got);
        }
        assert_eq!(s.streams[&9].early.len(), EARLY);
        for stream in 0..10_000 {
            s.take(Record { stream, ..record(1, None) }, |_| true);
        }
        assert_eq!(s.streams.len(), MAX_STREAMS);
        assert!(!s.ack(u64::MAX).covers(5));
        give(&mut s, u64::MAX, None, &mut got); // the end of all numbers
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever order and repetition the line makes of records, with some given up by the sender.
        #[test]
        fn any_order_gives_each_once_and_in_order(
            there in prop::collection::btree_set(1u64..40, 1..30), order in prop::collection::vec(any::<prop::sample::Index>(), 1..300),
        ) {
            let ids: Vec<u64> = there.into_iter().collect();
            let (mut s, mut got) = (Streams::default(), Vec::new());
            let previous = |i: usize| i.checked_sub(1).map(|k| ids[k]);
            for i in order.iter().map(|o| o.index(ids.len())) {
                give(&mut s, ids[i], previous(i), &mut got);
            }
            prop_assert!(got.is_sorted_by(|a, b| a < b));
            for (i, id) in ids.iter().enumerate() {
                give(&mut s, *id, previous(i), &mut got);
            }
            prop_assert_eq!(got, ids);
        }
    }
}
