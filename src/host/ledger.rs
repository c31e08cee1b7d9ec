//! Which events have arrived: by device, run and sequence number, so that what comes twice is known, and what never
//! came is counted.

use crate::wire::RunId;
use std::collections::{BTreeMap, HashMap};

/// Most devices that are remembered; events of further ones are refused.
pub const MAX_DEVICES: usize = 10_000;
/// Most runs of a device; the one that was silent for longest is forgotten for a new one.
const MAX_RUNS: usize = 1024;
/// Most holes in the numbers of a run; the oldest hole is closed for a new one and stays counted as missing.
const MAX_HOLES: usize = 4096;

/// What the ledger says to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has not been here before.
    New,
    /// It has.
    Duplicate,
    /// Its device is one too many.
    Refused,
}

/// The numbers of one run that have arrived.
#[derive(Debug, Clone, Default)]
struct Run {
    /// First number to last number of each stretch without a hole.
    stretches: BTreeMap<u64, u64>,
    /// Numbers missing in holes that were closed.
    closed: u64,
    last_used: u64,
}

impl Run {
    fn has(&self, seq: u64) -> bool {
        self.stretches.range(..=seq).next_back().is_some_and(|(_, last)| *last >= seq)
    }

    fn add(&mut self, seq: u64) {
        let before = self.stretches.range(..seq).next_back().map(|(f, l)| (*f, *l)).filter(|(_, l)| *l + 1 == seq);
        let after = seq.checked_add(1).and_then(|next| self.stretches.remove(&next));
        let first = before.map_or(seq, |(first, _)| first);
        self.stretches.insert(first, after.unwrap_or(seq));
        if self.stretches.len() > MAX_HOLES + 1
            && let Some((first, end)) = self.stretches.pop_first()
            && let Some((second, last)) = self.stretches.pop_first()
        {
            self.closed = self.closed.saturating_add(second - end - 1);
            self.stretches.insert(first, last);
        }
    }

    fn missing(&self) -> u64 {
        let end = self.stretches.last_key_value().map_or(0, |(_, last)| last.saturating_add(1));
        let there: u64 = self.stretches.iter().map(|(f, l)| (l - f).saturating_add(1)).sum();
        end.saturating_sub(there).saturating_add(self.closed)
    }
}

/// What has arrived from all devices.
#[derive(Debug, Default)]
pub struct Ledger {
    devices: HashMap<String, HashMap<RunId, Run>>,
    uses: u64,
}

impl Ledger {
    /// Notes an event.
    pub fn note(&mut self, device: &str, run: RunId, seq: u64) -> Verdict {
        if !self.devices.contains_key(device) {
            if self.devices.len() >= MAX_DEVICES {
                return Verdict::Refused;
            }
            self.devices.insert(device.to_owned(), HashMap::new());
        }
        let Some(runs) = self.devices.get_mut(device) else { return Verdict::Refused };
        if runs.len() >= MAX_RUNS && !runs.contains_key(&run) {
            let oldest = runs.iter().min_by_key(|(_, r)| r.last_used).map(|(id, _)| *id);
            oldest.and_then(|id| runs.remove(&id));
        }
        self.uses += 1;
        let run = runs.entry(run).or_default();
        run.last_used = self.uses;
        if run.has(seq) {
            return Verdict::Duplicate;
        }
        run.add(seq);
        Verdict::New
    }

    /// What came before this event of its run was here, and has been thrown away since. For runs that are not known.
    pub fn begin(&mut self, device: &str, run: RunId, seq: u64) {
        if !self.devices.get(device).is_some_and(|runs| runs.contains_key(&run))
            && let Some(last) = seq.checked_sub(1)
            && self.note(device, run, last) == Verdict::New
            && let Some(run) = self.devices.get_mut(device).and_then(|runs| runs.get_mut(&run))
        {
            run.stretches = BTreeMap::from([(0, last)]);
        }
    }

    /// Whether an event has been here.
    pub fn has(&self, device: &str, run: RunId, seq: u64) -> bool {
        self.devices.get(device).and_then(|runs| runs.get(&run)).is_some_and(|r| r.has(seq))
    }

    /// Runs of a device, and events of them that never came although later ones did.
    pub fn runs_and_missing(&self, device: &str) -> (u64, u64) {
        let runs = self.devices.get(device);
        let missing = runs.map_or(0, |runs| runs.values().map(Run::missing).sum());
        (runs.map_or(0, |r| r.len() as u64), missing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_twice_is_known_and_what_is_missing_is_counted() {
        let mut l = Ledger::default();
        let (a, b) = (RunId(1), RunId(2));
        for seq in [2, 3, 5] {
            assert_eq!(l.note("x", a, seq), Verdict::New);
        }
        assert_eq!(l.note("x", a, 3), Verdict::Duplicate);
        assert_eq!(l.note("x", b, 3), Verdict::New);
        assert_eq!(l.note("y", a, 3), Verdict::New);
        assert_eq!(l.runs_and_missing("x"), (2, 3 + 3), "0, 1, 4 of the first run, 0, 1, 2 of the second");
        for seq in [4, 0, 1] {
            assert_eq!(l.note("x", a, seq), Verdict::New);
        }
        assert_eq!(l.runs_and_missing("x").1, 3);
        assert_eq!(l.note("x", a, u64::MAX), Verdict::New);
        assert_eq!(l.note("x", a, u64::MAX), Verdict::Duplicate);
        assert_eq!(l.runs_and_missing("z"), (0, 0));
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut l = Ledger::default();
        for seq in 0..20_000 {
            assert_eq!(l.note("x", RunId(1), seq * 2 + 1), Verdict::New);
        }
        let run = &l.devices["x"][&RunId(1)];
        assert!(run.stretches.len() <= MAX_HOLES + 1);
        assert_eq!(run.missing(), 20_000, "holes that were closed stay counted");
        for run in 0..3000 {
            l.note("x", RunId(run), 0);
        }
        assert_eq!(l.devices["x"].len(), MAX_RUNS);
        for n in 0..MAX_DEVICES {
            l.note(&format!("d{n}"), RunId(1), 0);
        }
        assert_eq!(l.note("one more", RunId(1), 0), Verdict::Refused);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(0u64..60, 0..200)) {
            let (mut l, mut set) = (Ledger::default(), std::collections::BTreeSet::new());
            for n in numbers {
                let verdict = if set.insert(n) { Verdict::New } else { Verdict::Duplicate };
                prop_assert_eq!(l.note("x", RunId(1), n), verdict);
                prop_assert!(l.has("x", RunId(1), n));
            }
            let missing = set.last().map_or(0, |last| last + 1 - set.len() as u64);
            prop_assert_eq!(l.runs_and_missing("x").1, missing);
        }
    }
}
