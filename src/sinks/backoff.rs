//! When to try again: exponential delays with jitter, so that many devices do not return in step.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Decides when the next attempt is due. It never waits itself, so nothing blocks and a stop needs no waking.
#[derive(Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
    due: Option<Instant>,
    random: u64,
}

impl Backoff {
    /// Delays from `shortest`, doubling with each failure up to `longest`; each is cut by a random share of up
    /// to a half.
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self::with_seed(shortest, longest, RandomState::new().hash_one(0))
    }

    /// The same with chosen randomness.
    fn with_seed(shortest: Duration, longest: Duration, seed: u64) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0, due: None, random: seed | 1 }
    }

    /// Whether an attempt is due.
    pub fn ready(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// How long until the next attempt is due; zero when it is.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// An attempt failed: the next one comes later.
    pub fn failed(&mut self, now: Instant) {
        let doubled = 2u32.checked_pow(self.failures).and_then(|k| self.shortest.checked_mul(k));
        let full = doubled.unwrap_or(self.longest).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        // xorshift64: no more is needed to keep devices apart.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = 0.5 + (self.random >> 11) as f64 / (1u64 << 53) as f64 / 2.0;
        self.due = now.checked_add(full.mul_f64(share));
    }

    /// An attempt succeeded: the next failure begins with the shortest delay again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn delays_double_to_the_longest_and_begin_again() {
        let now = Instant::now();
        let mut b = Backoff::with_seed(ms(100), ms(1000), 7);
        assert!(b.ready(now));
        for full in [100, 200, 400, 800, 1000, 1000] {
            b.failed(now);
            assert!(!b.ready(now));
            let left = b.remaining(now);
            assert!(left >= ms(full / 2) && left <= ms(full), "{left:?} of {full}");
            assert!(b.ready(now + ms(full)));
        }
        for _ in 0..100 {
            b.failed(now);
        }
        assert!(b.remaining(now) <= ms(1000));
        b.succeeded();
        assert!(b.ready(now));
        b.failed(now);
        assert!(b.remaining(now) <= ms(100));
    }

    #[test]
    fn devices_do_not_return_in_step() {
        let now = Instant::now();
        let delay = |seed| {
            let mut b = Backoff::with_seed(ms(1000), ms(1000), seed);
            (0..4).for_each(|_| b.failed(now));
            b.remaining(now)
        };
        let delays: std::collections::BTreeSet<_> = (0..50).map(|i| delay(i * 7919)).collect();
        assert!(delays.len() > 20, "{}", delays.len());
    }
}
