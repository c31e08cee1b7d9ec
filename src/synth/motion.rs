//! Head motion: a pose, and the smooth random process that moves it.

use super::random::{Rng, hash};
use crate::geometry::{Iod, Px};
use crate::time::Timestamp;

/// Where the head is: shift in IOD, angles in radians, scale factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pose {
    /// To the right in the picture, in IOD.
    pub(crate) x: f32,
    /// Down, in IOD.
    pub(crate) y: f32,
    /// Turn in the picture plane, positive clockwise as seen.
    pub(crate) roll: f32,
    /// Turn about the vertical axis; positive brings the nose to the right in the picture.
    pub(crate) yaw: f32,
    /// Nod; positive brings the nose down.
    pub(crate) pitch: f32,
    /// Size relative to the resting head.
    pub(crate) scale: f32,
}

impl Default for Pose {
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, roll: 0.0, yaw: 0.0, pitch: 0.0, scale: 1.0 }
    }
}

/// A pose with its sines and cosines, ready to project many points; placed in the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projection {
    /// Rows of the 2 x 3 matrix (IOD to pixels) and the shift.
    m: [[f32; 3]; 2],
    t: [f32; 2],
}

impl Projection {
    /// Puts the face frame's origin at `centre` with `iod` pixels per unit when the head rests.
    pub(crate) fn new(pose: &Pose, centre: Px, iod: f32) -> Self {
        let (sr, cr) = pose.roll.sin_cos();
        let (sy, cy) = pose.yaw.sin_cos();
        let (sp, cp) = pose.pitch.sin_cos();
        // Yaw about y, then pitch about x, then roll about the line of sight; weak perspective.
        let row_x = [cy, 0.0, sy];
        let row_y = [-sy * sp, cp, cy * sp];
        let k = iod * pose.scale;
        let turn = |a: f32, b: f32| -> [f32; 3] { std::array::from_fn(|i| k * (a * row_x[i] + b * row_y[i])) };
        Self { m: [turn(cr, -sr), turn(sr, cr)], t: [centre.x + iod * pose.x, centre.y + iod * pose.y] }
    }

    /// The pixel of the point `p` of the face at height `z`.
    pub(crate) fn apply(&self, p: Iod, z: f32) -> Px {
        let [a, b] = &self.m;
        Px::new(a[0] * p.x + a[1] * p.y + a[2] * z + self.t[0], b[0] * p.x + b[1] * p.y + b[2] * z + self.t[1])
    }

    /// The point of the eye plane (z = 0) that is seen at `q`.
    pub(crate) fn unproject(&self, q: Px) -> Iod {
        let [a, b] = &self.m;
        let (x, y) = (q.x - self.t[0], q.y - self.t[1]);
        let det = a[0] * b[1] - a[1] * b[0];
        let det = if det.abs() > 1e-9 { det } else { 1e-9 };
        Iod::new((b[1] * x - a[1] * y) / det, (a[0] * y - b[0] * x) / det)
    }
}

const CHANNELS: usize = 6;
/// Time between two knots, in microseconds.
const STEP_US: i64 = 250_000;
/// Correlation time of the process, in steps: 2 s.
const CORRELATION: f32 = 8.0;
/// Steps of the past that still count (the weight of older ones is below 1 %).
const MEMORY: i64 = 40;
/// Standard deviation of x, y (IOD), roll, yaw, pitch (radians) and log scale. They give a median speed of about
/// 0.07 IOD/s and a roll of 1 to 2 degrees/s, that of quiet real clips (0.04 to 0.18 IOD/s, 1 to 4 degrees/s).
const SPREAD: [f32; CHANNELS] = [0.036, 0.028, 0.014, 0.022, 0.016, 0.006];

/// An Ornstein-Uhlenbeck process on knots, joined by a cubic B-spline: smooth, and the same at any frame rate.
#[derive(Debug, Clone)]
pub(crate) struct Motion {
    seed: u64,
    amount: f32,
    first: i64,
    knots: [[f32; CHANNELS]; 4],
}

impl Motion {
    /// The motion of `seed`; `amount` 1 is a quiet real head, 0 none.
    pub(crate) fn new(seed: u64, amount: f32) -> Self {
        let mut motion = Self { seed: hash(seed, 0x4ead, 0), amount, first: 0, knots: [[0.0; CHANNELS]; 4] };
        motion.fill(0);
        motion
    }

    fn fill(&mut self, first: i64) {
        self.first = first;
        for (k, knot) in self.knots.iter_mut().enumerate() {
            *knot = Self::knot(self.seed, first + k as i64);
        }
    }

    fn knot(seed: u64, index: i64) -> [f32; CHANNELS] {
        let decay = (-1.0 / CORRELATION).exp();
        let kick = (1.0 - decay * decay).sqrt();
        let mut out = [0.0f32; CHANNELS];
        for j in (0..MEMORY).rev() {
            let mut rng = Rng::new(seed, (index - j) as u64);
            for v in &mut out {
                *v = *v * decay + kick * rng.normal();
            }
        }
        out
    }

    /// The pose at `t`.
    pub(crate) fn at(&mut self, t: Timestamp) -> Pose {
        let first = t.as_micros().div_euclid(STEP_US);
        if first != self.first {
            self.fill(first);
        }
        let u = t.as_micros().rem_euclid(STEP_US) as f32 / STEP_US as f32;
        let v = 1.0 - u;
        let w = [v * v * v, 3.0 * u * u * u - 6.0 * u * u + 4.0, 3.0 * v * v * v - 6.0 * v * v + 4.0, u * u * u];
        let mut c = [0.0f32; CHANNELS];
        for (weight, knot) in w.iter().zip(&self.knots) {
            for ((out, k), spread) in c.iter_mut().zip(knot).zip(SPREAD) {
                // Beyond 2.5 standard deviations a head is held back: the renderer draws a bounded region.
                *out += weight / 6.0 * k.clamp(-2.5, 2.5) * spread * self.amount;
            }
        }
        Pose { x: c[0], y: c[1], roll: c[2], yaw: c[3], pitch: c[4], scale: c[5].exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_goes_back_on_the_eye_plane() {
        let pose = Pose { x: 0.1, y: -0.2, roll: 0.1, yaw: 0.2, pitch: -0.1, scale: 1.1 };
        let p = Projection::new(&pose, Px::new(320.0, 200.0), 90.0);
        let point = Iod::new(0.4, -0.7);
        assert!(p.unproject(p.apply(point, 0.0)).distance(point) < 1e-4);
        let rest = Projection::new(&Pose::default(), Px::new(320.0, 200.0), 90.0);
        assert!(rest.apply(Iod::new(0.5, 0.0), 0.3).distance(Px::new(365.0, 200.0)) < 1e-4);
        let turned = Projection::new(&Pose { yaw: 0.1, ..Pose::default() }, Px::new(0.0, 0.0), 90.0);
        assert!(turned.apply(Iod::new(0.0, 0.0), 0.5).x > 4.0, "the nose goes to the right");
        let nod = Projection::new(&Pose { pitch: 0.1, ..Pose::default() }, Px::new(0.0, 0.0), 90.0);
        assert!(nod.apply(Iod::new(0.0, 0.0), 0.5).y > 4.0, "the nose goes down");
    }

    #[test]
    fn the_head_moves_like_a_quiet_real_one_and_smoothly() {
        let mut m = Motion::new(4, 1.0);
        let (mut speeds, mut rolls) = (Vec::new(), Vec::new());
        let mut last = m.at(Timestamp::default());
        for k in 1..12_000i64 {
            let p = m.at(Timestamp::from_micros(k * 10_000));
            speeds.push((p.x - last.x).hypot(p.y - last.y) * 100.0);
            rolls.push((p.roll - last.roll).abs().to_degrees() * 100.0);
            last = p;
        }
        speeds.sort_by(f32::total_cmp);
        rolls.sort_by(f32::total_cmp);
        let (speed, roll) = (speeds[speeds.len() / 2], rolls[rolls.len() / 2]);
        assert!((0.04..0.12).contains(&speed), "{speed} IOD/s");
        assert!((0.6..2.5).contains(&roll), "{roll} degrees/s");
        assert!(speeds[speeds.len() - 1] < 0.6);
    }

    #[test]
    fn the_motion_does_not_depend_on_when_it_is_asked() {
        let (mut a, mut b) = (Motion::new(9, 1.0), Motion::new(9, 1.0));
        b.at(Timestamp::from_secs(100.0));
        let t = Timestamp::from_secs(3.21);
        assert_eq!(a.at(t), b.at(t));
        assert_eq!(Motion::new(9, 0.0).at(t), Pose::default());
    }
}
