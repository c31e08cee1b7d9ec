//! The running noise level of one part of the face: median and MAD over the last seconds.

/// Samples kept.
const KEPT: usize = 400;
/// Samples between two computations.
const EVERY: usize = 8;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f32 = 1.4826;
/// No landmark is measured better than this, in IOD.
const FLOOR: f32 = 2e-4;

/// Median and spread of a signal over a stated time, robust against the events in it.
#[derive(Debug)]
pub(super) struct Noise {
    every_ms: f32,
    since_ms: f32,
    ring: Vec<f32>,
    next: usize,
    sorted: Vec<f32>,
    stale: usize,
    median: f32,
    sigma: f32,
}

impl Noise {
    /// A noise level over `span_ms`.
    pub fn new(span_ms: f32) -> Self {
        Self {
            every_ms: span_ms / KEPT as f32,
            since_ms: f32::MAX,
            ring: Vec::with_capacity(KEPT),
            next: 0,
            sorted: Vec::with_capacity(KEPT),
            stale: 0,
            median: 0.0,
            sigma: FLOOR,
        }
    }

    /// Changes the span; what was seen is kept.
    pub fn set_span(&mut self, span_ms: f32) {
        self.every_ms = span_ms / KEPT as f32;
    }

    pub fn clear(&mut self) {
        self.ring.clear();
        (self.next, self.stale, self.since_ms, self.median, self.sigma) = (0, 0, f32::MAX, 0.0, FLOOR);
    }

    /// Takes a value, `dt_ms` after the one before.
    pub fn push(&mut self, value: f32, dt_ms: f32) {
        self.since_ms += dt_ms;
        if self.since_ms < self.every_ms || !value.is_finite() {
            return;
        }
        self.since_ms = if self.since_ms < 2.0 * self.every_ms { self.since_ms - self.every_ms } else { 0.0 };
        match self.ring.get_mut(self.next) {
            Some(slot) => *slot = value,
            None => self.ring.push(value),
        }
        self.next = (self.next + 1) % KEPT;
        self.stale += 1;
        if self.stale >= EVERY {
            self.stale = 0;
            self.compute();
        }
    }

    fn compute(&mut self) {
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.ring);
        self.median = middle(&mut self.sorted);
        for v in &mut self.sorted {
            *v = (*v - self.median).abs();
        }
        self.sigma = (MAD_TO_SIGMA * middle(&mut self.sorted)).max(FLOOR);
    }

    pub fn median(&self) -> f32 {
        self.median
    }

    pub fn sigma(&self) -> f32 {
        self.sigma
    }
}

/// The middle value; 0 when there is none.
fn middle(values: &mut [f32]) -> f32 {
    let n = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(n, f32::total_cmp).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_outliers_hardly_moves_the_noise_level() {
        let mut noise = Noise::new(4000.0);
        for k in 0..400 {
            let wobble = ((k * 7919) % 101) as f32 / 100.0 - 0.5;
            noise.push(if k % 3 == 0 { 9.0 } else { 1.0 + 0.1 * wobble }, 10.0);
        }
        assert!((noise.median() - 1.0).abs() < 0.06, "{}", noise.median());
        assert!(noise.sigma() < 0.1, "{}", noise.sigma());
    }
}
