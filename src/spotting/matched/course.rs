//! The course of a micro-expression over time, and how much of it is in a signal.
//!
//! A movement rises and falls along minimum-jerk curves (Flash and Hogan 1985). It is fitted together with a straight
//! line: the line takes whatever slower thing goes on, so that no neutral face is needed, and what is left beside both
//! is the unrest of these very moments.

/// Longest window in samples.
pub(super) const WINDOW: usize = 256;

/// A course: how long it is in all, and which share of it rises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Course {
    pub total_ms: f32,
    pub rise: f32,
}

impl Course {
    /// Height at `t` ms after the onset, 0 to 1.
    pub fn height(self, t: f32) -> f32 {
        let up = self.total_ms * self.rise;
        let x = if t < up { t / up } else { (self.total_ms - t) / (self.total_ms - up) };
        let x = x.clamp(0.0, 1.0);
        x * x * x * (10.0 + x * (6.0 * x - 15.0))
    }
}

/// Weights that find the amplitude of a course in the samples of a window, whatever line they lie on.
#[derive(Debug)]
pub(super) struct Weights {
    /// Orthogonal to every line.
    course: [f32; WINDOW],
    /// The tilt of a line, of length 1.
    tilt: [f32; WINDOW],
    n: usize,
    energy: f32,
    /// Length of the tilt before it was made 1, and how much of the course lies along it.
    length: f32,
    along: f32,
    /// Mean time between samples, in ms.
    step: f32,
}

/// Unrest of a face is alike over this time, in ms: samples closer together do not average it away.
const ALIKE_MS: f32 = 40.0;

/// What was found in a signal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub amplitude: f32,
    /// Mean square of what is left beside course and line.
    pub left: f32,
    /// How much the line rises in one ms.
    pub slope: f32,
}

impl Weights {
    pub const fn new() -> Self {
        Self { course: [0.0; WINDOW], tilt: [0.0; WINDOW], n: 0, energy: 0.0, length: 1.0, along: 0.0, step: ALIKE_MS }
    }

    /// Sets the weights for samples at `times`, in ms after the onset. `false` when there are too few to tell.
    pub fn set(&mut self, course: Course, times: impl Iterator<Item = f32>) -> bool {
        self.n = 0;
        for (t, slot) in times.zip(&mut self.tilt) {
            *slot = t;
            self.n += 1;
        }
        let n = self.n as f32;
        if self.n < 6 {
            return false;
        }
        let (Some(tilt), Some(bump)) = (self.tilt.get_mut(..self.n), self.course.get_mut(..self.n)) else {
            return false;
        };
        for (b, t) in bump.iter_mut().zip(tilt.iter()) {
            *b = course.height(*t);
        }
        let mean = tilt.iter().sum::<f32>() / n;
        let (first, last) = tilt.iter().fold((f32::MAX, f32::MIN), |(a, b), t| (a.min(*t), b.max(*t)));
        self.step = (last - first) / (n - 1.0);
        tilt.iter_mut().for_each(|t| *t -= mean);
        let length = tilt.iter().map(|t| t * t).sum::<f32>().sqrt().max(1e-6);
        tilt.iter_mut().for_each(|t| *t /= length);
        let level = bump.iter().sum::<f32>() / n;
        let slope: f32 = bump.iter().zip(tilt.iter()).map(|(b, t)| b * t).sum();
        for (b, t) in bump.iter_mut().zip(tilt.iter()) {
            *b -= level + slope * t;
        }
        (self.length, self.along) = (length, slope);
        self.energy = bump.iter().map(|b| b * b).sum();
        self.energy > 0.1
    }

    /// The gain against unrest: the root of the sum of squares of the course beside the line, over samples that are
    /// independent of one another.
    pub fn gain(&self) -> f32 {
        (self.energy * (self.step / ALIKE_MS).min(1.0)).sqrt()
    }

    /// The amplitude alone.
    pub fn amplitude(&self, signal: impl Iterator<Item = f32>) -> f32 {
        self.course.iter().take(self.n).zip(signal).map(|(w, y)| w * y).sum::<f32>() / self.energy
    }

    /// Fits course and line.
    pub fn fit(&self, signal: impl Iterator<Item = f32>) -> Found {
        let (mut first, mut sum, mut tilt, mut course, mut square) = (None, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for ((w, q), y) in self.course.iter().zip(&self.tilt).take(self.n).zip(signal) {
            let y = y - *first.get_or_insert(y); // small numbers, so that squares are exact
            sum += y;
            tilt += q * y;
            course += w * y;
            square += y * y;
        }
        let n = self.n as f32;
        let amplitude = course / self.energy;
        let left = square - sum * sum / n - tilt * tilt - amplitude * course;
        let slope = (tilt - amplitude * self.along) / self.length;
        Found { amplitude, left: left.max(0.0) / (n - 3.0), slope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amplitude_is_found_on_any_line_and_irregular_times() {
        let course = Course { total_ms: 320.0, rise: 0.4 };
        let times: Vec<f32> = (0..40).map(|k| -120.0 + 14.0 * k as f32 + 5.0 * ((k * 7) % 3) as f32).collect();
        let mut weights = Weights::new();
        assert!(weights.set(course, times.iter().copied()));
        let signal = |t: f32| 0.7 - 2e-4 * t + 0.02 * course.height(t);
        let found = weights.fit(times.iter().map(|&t| signal(t)));
        assert!((found.amplitude - 0.02).abs() < 1e-5, "{found:?}");
        assert!(found.left.sqrt() < 1e-4 && (found.slope + 2e-4).abs() < 1e-6, "{found:?}");
        let alone = weights.amplitude(times.iter().map(|&t| signal(t)));
        assert!((alone - 0.02).abs() < 1e-4, "{alone}");
    }

    #[test]
    fn a_step_is_no_course() {
        let mut weights = Weights::new();
        let times: Vec<f32> = (0..14).map(|k| -120.0 + 40.0 * k as f32).collect();
        assert!(weights.set(Course { total_ms: 320.0, rise: 0.5 }, times.iter().copied()));
        let found = weights.fit(times.iter().map(|&t| if t > 100.0 { 0.02 } else { 0.0 }));
        let stands_out = found.amplitude * weights.gain() / found.left.sqrt();
        // less than the least that is asked of any movement (`vouch_score`), let alone of a match
        assert!(stands_out.abs() < 4.0, "{stands_out}");
        assert!(!weights.set(Course { total_ms: 320.0, rise: 0.5 }, [0.0, 1.0].into_iter()));
    }
}
