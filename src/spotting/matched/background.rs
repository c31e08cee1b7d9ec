//! What a face does by itself: the covariance of its own short movements, and filters that see past them.
//!
//! The adaptive matched filter (Robey, Fuhrmann, Kelly and Nitzberg 1992): a direction is looked at along the vector
//! that answers 1 to it and as little as can be to what the face has done in the last seconds, jaw and lips of somebody
//! who talks above all.

use super::directions::{Directions, MOST, MOST_WAYS, Vector, dot};
use crate::spotting::noise::Noise;

/// Own movement before any is seen, in IOD, and how long it counts for, in ms.
const USUAL: f64 = 0.004;
const USUAL_MS: f64 = 1000.0;
/// A movement this many times as large as the middle one teaches no more than that.
const CLIP: f32 = 3.0;
/// Time between two computations of the filters, in ms.
const EVERY_MS: f32 = 250.0;

type Square = [[f64; MOST]; MOST];

/// The own movement of one region.
#[derive(Debug)]
pub(super) struct Background {
    size: usize,
    directions: Directions,
    sum: Box<Square>,
    weight_ms: f64,
    length: Noise,
    stale_ms: f32,
    /// Inverse of the covariance.
    inverse: Box<[Vector; MOST]>,
    filters: Vec<Filter>,
}

/// One direction seen past the own movement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    pub weights: Vector,
    /// Length of the weights: what white noise of 1 gives.
    pub gain: f32,
    /// Variance of what own movement gives.
    pub variance: f32,
}

impl Background {
    pub fn new(size: usize, directions: Directions, span_ms: f32) -> Self {
        let mut new = Self {
            size,
            directions,
            sum: Box::new([[0.0; MOST]; MOST]),
            weight_ms: 0.0,
            length: Noise::new(span_ms),
            stale_ms: 0.0,
            inverse: Box::new([[0.0; MOST]; MOST]),
            filters: Vec::with_capacity(MOST_WAYS),
        };
        new.clear();
        new
    }

    /// Another face.
    pub fn clear(&mut self) {
        self.sum.iter_mut().for_each(|row| row.fill(0.0));
        self.length.clear();
        (self.weight_ms, self.stale_ms) = (0.0, f32::MAX);
    }

    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// How unusual a movement is for this face: its square length in units of the own movement.
    pub fn unusual(&self, moved: &Vector) -> f32 {
        let rows = self.inverse.iter().zip(moved).take(self.size);
        rows.map(|(row, v)| v * dot(row, moved)).sum()
    }

    /// Learns a movement of the reference course, `dt_ms` after the one before.
    pub fn learn(&mut self, moved: &Vector, dt_ms: f32, span_ms: f32) {
        let length = dot(moved, moved).sqrt();
        if !length.is_finite() || dt_ms <= 0.0 {
            return;
        }
        self.length.set_span(span_ms);
        self.length.push(length, dt_ms);
        let usual = self.length.median();
        let share = if usual > 0.0 && length > CLIP * usual { CLIP * usual / length } else { 1.0 };
        let keep = (-f64::from(dt_ms / span_ms)).exp();
        let gain = f64::from(share * dt_ms);
        for (row, &a) in self.sum.iter_mut().zip(moved).take(self.size) {
            for (s, &b) in row.iter_mut().zip(moved).take(self.size) {
                *s = *s * keep + gain * f64::from(a) * f64::from(b);
            }
        }
        self.weight_ms = self.weight_ms * keep + f64::from(dt_ms);
        self.stale_ms += dt_ms;
    }

    /// Computes the filters anew when it is time; says whether it was. `error` is what a landmark is measured to, in
    /// IOD.
    pub fn refresh(&mut self, error: f32) -> bool {
        if self.stale_ms < EVERY_MS {
            return false;
        }
        self.stale_ms = 0.0;
        let total = self.weight_ms + USUAL_MS;
        let floor = f64::from(error).powi(2) + USUAL.powi(2) * USUAL_MS / total;
        if !invert(&self.sum, self.size, total, floor, &mut self.inverse) {
            return false;
        }
        self.filters.clear();
        for way in &self.directions.ways {
            let mut weights = [0.0; MOST];
            for (w, row) in weights.iter_mut().zip(self.inverse.iter()).take(self.size) {
                *w = dot(row, way);
            }
            let variance = 1.0 / dot(&weights, way).max(1e-12);
            weights.iter_mut().for_each(|w| *w *= variance);
            self.filters.push(Filter { weights, gain: dot(&weights, &weights).sqrt(), variance });
        }
        true
    }
}

/// The inverse of `sum / total` with `floor` on its diagonal, by Cholesky's decomposition.
fn invert(sum: &Square, size: usize, total: f64, floor: f64, out: &mut [Vector; MOST]) -> bool {
    let mut l = [[0f64; MOST]; MOST];
    for i in 0..size {
        for j in 0..=i {
            let done: f64 = l[i].iter().zip(&l[j]).take(j).map(|(a, b)| a * b).sum();
            let s = sum[i][j] / total + if i == j { floor } else { 0.0 } - done;
            if i == j {
                if !(s.is_finite() && s > 0.0) {
                    return false;
                }
                l[i][i] = s.sqrt();
            } else {
                l[i][j] = s / l[j][j];
            }
        }
    }
    for k in 0..size {
        let mut x = [0f64; MOST];
        for i in k..size {
            let done: f64 = l[i].iter().zip(&x).take(i).map(|(a, b)| a * b).sum();
            x[i] = (if i == k { 1.0 } else { 0.0 } - done) / l[i][i];
        }
        for i in (0..size).rev() {
            let done: f64 = (i + 1..size).map(|j| l[j][i] * x[j]).sum();
            x[i] = (x[i] - done) / l[i][i];
        }
        for (row, v) in out.iter_mut().zip(&x).take(size) {
            row[k] = *v as f32;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::directions::Region;
    use super::*;

    #[test]
    fn a_filter_answers_to_its_direction_and_not_to_what_the_face_does() {
        let directions = Directions::of(Region::Brows);
        let way = directions.ways[0];
        let mut background = Background::new(20, directions, 20_000.0);
        assert!(background.refresh(0.0015));
        // The face nods: all brow landmarks go up and down alike.
        let nod = |k: i32| {
            let mut v = [0.0; MOST];
            let by = 0.02 * (0.7 * k as f32).sin();
            v.iter_mut().take(20).skip(1).step_by(2).for_each(|y| *y = by);
            v
        };
        for k in 0..600 {
            background.learn(&nod(k), 33.0, 20_000.0);
        }
        assert!(background.refresh(0.0015));
        let filter = background.filters()[0];
        assert!((dot(&filter.weights, &way) - 1.0).abs() < 1e-3);
        let nodded = nod(2);
        assert!(dot(&filter.weights, &nodded).abs() < 0.1 * dot(&way, &nodded).abs());
        assert!(background.unusual(&nodded) < 10.0);
        let wink = way.map(|w| 0.02 * w);
        assert!(background.unusual(&wink) > 20.0);
    }
}
