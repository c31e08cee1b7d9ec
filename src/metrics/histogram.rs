//! Latencies in the buckets that Prometheus is told.

use hdrhistogram::Histogram;

/// Upper bounds of the buckets in microseconds.
pub const BOUNDS_US: [u64; 13] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 16_667, 33_333, 50_000, 100_000, 250_000, 1_000_000];

/// How long one station took, as cumulative buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct StageHistogram {
    /// The station's label.
    pub stage: &'static str,
    /// Times up to each of [`BOUNDS_US`].
    pub cumulative: [u64; BOUNDS_US.len()],
    /// All of them.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_s: f64,
}

impl StageHistogram {
    /// The buckets of a histogram of microseconds.
    pub fn of(stage: &'static str, times: &Histogram<u64>) -> Self {
        let mut cumulative = [0; BOUNDS_US.len()];
        let mut sum = 0.0;
        for step in times.iter_recorded() {
            let (value, n) = (step.value_iterated_to(), step.count_at_value());
            sum += times.median_equivalent(value) as f64 * n as f64;
            for (bucket, bound) in cumulative.iter_mut().zip(BOUNDS_US) {
                *bucket += if value <= bound { n } else { 0 };
            }
        }
        Self { stage, cumulative, count: times.len(), sum_s: sum / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buckets_hold_all_up_to_their_bound() {
        let mut h = Histogram::new_with_bounds(1, 10_000_000, 3).unwrap();
        [80, 100, 240, 900, 900, 60_000, 9_000_000].into_iter().for_each(|us| h.record(us).unwrap());
        let s = StageHistogram::of("face", &h);
        assert_eq!(s.cumulative[..4], [2, 3, 3, 5]);
        assert_eq!((s.cumulative[12], s.count), (6, 7));
        assert!((s.sum_s - 9.062_22).abs() < 0.01, "{}", s.sum_s);
    }
}
