//! Where a movement begins, peaks and ends between the frames, from its height over time.
//!
//! Facial movements rise and fall along smooth S-shaped curves; the minimum-jerk curve (Flash and Hogan 1985)
//! is the usual model, and some are straighter. The very first of a rise is lost in noise, so onset and offset
//! are found from where the movement crosses 50, 20 and 5 % of its height: the three say how sharply it
//! starts, and so how far before the last crossing that was.

/// How far the start lies before the 5 % crossing, against how far that lies before the 20 % crossing, both in
/// units of the distance from 20 to 50 %: for an exponential approach, a straight line, a minimum-jerk curve,
/// and a little beyond.
const STARTS: [(f32, f32); 4] = [(0.369, 0.11), (0.5, 0.167), (0.795, 1.089), (0.86, 1.29)];
/// The start before the 20 % crossing of a minimum-jerk curve, in the same unit, where 5 % cannot be seen.
const SMOOTH_START: f32 = 1.884;
/// Crossings further apart than this do not come from one smooth rise or fall; in ms.
const LONGEST: f32 = 200.0;

/// How far the start lies before the 20 % crossing, from the distances 20-50 % and 5-20 %, in ms.
fn start_before(middle: f32, first: Option<f32>) -> f32 {
    let Some(first) = first.filter(|_| middle > 1e-3) else { return (SMOOTH_START * middle).min(LONGEST) };
    let ratio = first / middle;
    let mut reach = STARTS[0].1;
    for pair in STARTS.windows(2) {
        let ((r0, e0), (r1, e1)) = (pair[0], pair[1]);
        if ratio > r0 {
            reach = e0 + (e1 - e0) * ((ratio - r0) / (r1 - r0)).min(1.0);
        }
    }
    // A first part much longer than the curves have it is a drift before the movement.
    ((ratio.min(1.0) + reach) * middle).min(LONGEST)
}

/// Height of a movement over time: 0 at its start, 1 at its apex; times in ms, increasing.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub time: Vec<f32>,
    pub height: Vec<f32>,
    raw: Vec<f32>,
}

impl Trace {
    pub fn with_capacity(n: usize) -> Self {
        Self { time: Vec::with_capacity(n), height: Vec::with_capacity(n), raw: Vec::with_capacity(n) }
    }

    pub fn clear(&mut self) {
        self.time.clear();
        self.height.clear();
    }

    pub fn push(&mut self, time: f32, height: f32) {
        if self.time.len() < self.time.capacity() {
            self.time.push(time);
            self.height.push(height);
        }
    }

    /// Puts samples that were pushed newest first into the order of time.
    pub fn reverse(&mut self) {
        self.time.reverse();
        self.height.reverse();
    }

    /// Averages each height over the samples within `half` ms on both sides, fewer where one side ends.
    pub fn smooth(&mut self, half: f32) {
        self.raw.clear();
        self.raw.extend_from_slice(&self.height);
        let n = self.time.len();
        for i in 0..n {
            let (mut sum, mut count) = (self.raw[i], 1.0f32);
            let mut k = 1;
            while i >= k
                && i + k < n
                && self.time[i] - self.time[i - k] <= half
                && self.time[i + k] - self.time[i] <= half
            {
                sum += self.raw[i - k] + self.raw[i + k];
                count += 2.0;
                k += 1;
            }
            self.height[i] = sum / count;
        }
    }

    /// Index of the highest sample between the times `from` and `to`.
    fn peak(&self, from: f32, to: f32) -> Option<usize> {
        let inside = (0..self.time.len()).filter(|&i| self.time[i] >= from && self.time[i] <= to);
        inside.max_by(|&a, &b| self.height[a].total_cmp(&self.height[b]))
    }

    /// Time of the apex between `from` and `to`: the middle of where the height is within 4 % of its peak,
    /// weighted by height, because the top is flat and the highest sample is chosen by noise.
    pub fn apex(&self, from: f32, to: f32) -> Option<f32> {
        let top = self.peak(from, to)?;
        let level = 0.96 * self.height[top];
        let (mut a, mut b) = (top, top);
        while a > 0 && self.height[a - 1] > level && self.time[a - 1] >= from {
            a -= 1;
        }
        while b + 1 < self.time.len() && self.height[b + 1] > level && self.time[b + 1] <= to {
            b += 1;
        }
        let (mut sum, mut weight) = (0.0f32, 1e-9f32);
        for i in a..=b {
            let w = (self.height[i] - level).max(0.0);
            sum += w * (self.time[i] - self.time[top]);
            weight += w;
        }
        Some(self.time[top] + sum / weight)
    }

    /// Time before `apex` at which the height last rose through `level`.
    fn rise_through(&self, apex: f32, level: f32) -> Option<f32> {
        let last = (0..self.time.len()).rev().find(|&i| self.time[i] <= apex && self.height[i] >= level)?;
        let below = (0..last).rev().find(|&i| self.height[i] < level)?;
        Some(self.crossing(below, below + 1, level))
    }

    /// Time after `apex` at which the height first fell through `level`.
    fn fall_through(&self, apex: f32, level: f32) -> Option<f32> {
        let first = (0..self.time.len()).find(|&i| self.time[i] >= apex && self.height[i] >= level)?;
        let below = (first + 1..self.time.len()).find(|&i| self.height[i] < level)?;
        Some(self.crossing(below - 1, below, level))
    }

    fn crossing(&self, i: usize, k: usize, level: f32) -> f32 {
        let (a, b) = (self.height[i], self.height[k]);
        let share = if (b - a).abs() > 1e-9 { ((level - a) / (b - a)).clamp(0.0, 1.0) } else { 0.5 };
        self.time[i] + share * (self.time[k] - self.time[i])
    }

    /// Onset of the rise to `apex`.
    pub fn onset(&self, apex: f32) -> Option<f32> {
        let half = self.rise_through(apex, 0.5)?;
        let fifth = self.rise_through(apex, 0.2)?;
        let first = self.rise_through(apex, 0.05).map(|t| fifth - t);
        Some(fifth - start_before(half - fifth, first))
    }

    /// Offset of the fall from `apex` to what is left at the end, `left` of the height.
    pub fn offset(&self, apex: f32, left: f32) -> Option<f32> {
        let level = |share: f32| left + share * (1.0 - left);
        let half = self.fall_through(apex, level(0.5))?;
        let fifth = self.fall_through(apex, level(0.2))?;
        let last = self.fall_through(apex, level(0.05)).map(|t| t - fifth);
        Some(fifth + start_before(fifth - half, last))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn minimum_jerk(t: f32) -> f32 {
        let t = t.clamp(0.0, 1.0);
        t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
    }

    #[test]
    fn onset_apex_and_offset_are_found_between_the_frames_whatever_the_course() {
        let (onset, apex, offset) = (103.0, 263.0, 481.0);
        let straight = |t: f32| t.clamp(0.0, 1.0);
        for (step, left) in [(5.0, 0.0), (10.0, 0.3), (33.3, 0.0)] {
            for course in [minimum_jerk, straight] {
                let mut trace = Trace::with_capacity(300);
                let mut t = 0.0;
                while t < 700.0 {
                    let rise = course((t - onset) / (apex - onset));
                    let fall = (1.0 - left) * course((t - apex) / (offset - apex));
                    trace.push(t, rise - fall);
                    t += step;
                }
                let found = trace.apex(0.0, 700.0).unwrap();
                assert!((found - apex).abs() < 6.0 + step / 3.0, "apex {found} at {step}");
                let (a, b) = (trace.onset(found).unwrap() - onset, trace.offset(found, left).unwrap() - offset);
                let most = 2.0 + 0.7 * step;
                assert!(a.abs() < most && b.abs() < most, "onset off by {a}, offset by {b} at {step}");
            }
        }
    }

    #[test]
    fn a_trace_without_rise_has_no_onset() {
        let mut trace = Trace::with_capacity(4);
        assert_eq!(trace.onset(0.0), None);
        assert_eq!(trace.apex(0.0, 1.0), None);
        for k in 0..9 {
            trace.push(k as f32, 1.0); // more than it holds: the rest is passed over
        }
        assert_eq!(trace.onset(3.0), None);
        assert_eq!(trace.offset(0.0, 0.0), None);
    }
}
