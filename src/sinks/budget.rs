//! A message budget: so many messages per second, so that a slow line is never swamped.

use std::time::{Duration, Instant};

/// A token bucket that holds one second's worth.
#[derive(Debug)]
pub(super) struct Budget {
    per_s: f64,
    tokens: f64,
    last: Instant,
}

impl Budget {
    /// `None` when `per_s` is 0: no limit.
    pub fn new(per_s: u32, now: Instant) -> Option<Self> {
        let per_s = f64::from(per_s);
        (per_s > 0.0).then_some(Self { per_s, tokens: per_s, last: now })
    }

    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.last).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_s).min(self.per_s.max(1.0));
        self.last = now;
    }

    /// Takes a token. What is `urgent` may use all of them, the rest only the upper half.
    pub fn take(&mut self, now: Instant, urgent: bool) -> bool {
        self.refill(now);
        let reserve = if urgent { 0.0 } else { (self.per_s / 2.0).floor() };
        let granted = self.tokens >= 1.0 + reserve;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }

    /// How long until the next token is there.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / self.per_s).clamp(0.0, 60.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_s_worth_and_then_at_its_rate_and_detections_first() {
        let start = Instant::now();
        assert!(Budget::new(0, start).is_none());
        let mut b = Budget::new(10, start).unwrap();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!((0..20).filter(|_| b.take(start, false)).count(), 5);
        assert_eq!((0..20).filter(|_| b.take(start, true)).count(), 5);
        assert!(b.wait() > Duration::from_millis(99) && b.wait() <= Duration::from_millis(101));
        assert!(!b.take(at(50), true) && b.take(at(101), true));
        let later = (0..100).filter(|k| b.take(at(1000 + k * 20), true)).count();
        assert!((28..=30).contains(&later), "{later}"); // the second's worth saved up, and two seconds more
        assert!(Budget::new(1, start).unwrap().take(start, false));
    }
}
