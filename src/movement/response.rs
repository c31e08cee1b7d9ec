//! How each landmark answers to a turn of the head beyond what the rough depth says, learned from the face itself.
//!
//! A depth wrong by `e` leaves `e` times the angle of the turn in the movement. Heads turn a little all the
//! time, so two numbers per landmark and axis can be learned by recursive least squares with forgetting
//! (Ljung 1999, 11.2). What one frame can teach is bounded, so a facial movement is not learned as depth.

use super::register::Pose;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, PerLandmark};

/// Time over which what was learned about the turns is forgotten, in seconds.
const MEMORY_S: f32 = 20.0;
/// Prior information, in rad² s: a movement error of 0.003 IOD that lasts a second, over a depth error of 0.08.
const PRIOR: f32 = 1.4e-3;
/// Largest answer, IOD per radian: depth is never wrong by more.
const LIMIT: f32 = 0.25;

/// The learned answers of one face.
#[derive(Debug, Clone)]
pub(super) struct Response {
    yaw: PerLandmark<Iod>,
    pitch: PerLandmark<Iod>,
    /// Information about yaw², yaw pitch and pitch², in rad² s.
    information: [f32; 3],
}

impl Response {
    pub fn new() -> Self {
        Self { yaw: [Iod::default(); COUNT], pitch: [Iod::default(); COUNT], information: [0.0; 3] }
    }

    /// Forgets everything: the neutral face is another one now.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// What the turn adds to the movement of landmark `i`.
    pub fn predict(&self, i: usize, pose: Pose) -> Iod {
        match (self.yaw.get(i), self.pitch.get(i)) {
            (Some(y), Some(p)) => *y * pose.yaw + *p * pose.pitch,
            _ => Iod::default(),
        }
    }

    /// Learns for `dt` seconds from what the prediction left of each landmark's movement, already bounded.
    pub fn learn(&mut self, left: &PerLandmark<Iod>, pose: Pose, dt: f32) {
        let keep = (-dt / MEMORY_S).exp();
        let [a, b, c] = &mut self.information;
        *a = *a * keep + dt * pose.yaw * pose.yaw;
        *b = *b * keep + dt * pose.yaw * pose.pitch;
        *c = *c * keep + dt * pose.pitch * pose.pitch;
        let (a, b, c) = (*a + PRIOR, *b, *c + PRIOR);
        let det = a * c - b * b;
        if !(det.is_finite() && det > 1e-12) {
            return;
        }
        let gain_yaw = dt * (c * pose.yaw - b * pose.pitch) / det;
        let gain_pitch = dt * (a * pose.pitch - b * pose.yaw) / det;
        let bounded = |p: Iod| Iod::new(p.x.clamp(-LIMIT, LIMIT), p.y.clamp(-LIMIT, LIMIT));
        for ((y, p), e) in self.yaw.iter_mut().zip(&mut self.pitch).zip(left) {
            *y = bounded(*y + *e * gain_yaw);
            *p = bounded(*p + *e * gain_pitch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_depth_is_learned_from_the_turns_of_the_head() {
        let mut response = Response::new();
        let truth = |pose: Pose| Iod::new(0.06 * pose.yaw, 0.02 * pose.yaw - 0.05 * pose.pitch);
        for k in 0..1000 {
            let t = k as f32 * 0.02;
            let pose = Pose { yaw: 0.06 * (1.3 * t).sin(), pitch: 0.05 * (0.9 * t).cos() };
            let mut left = [Iod::default(); COUNT];
            left[50] = truth(pose) - response.predict(50, pose);
            response.learn(&left, pose, 0.02);
        }
        let pose = Pose { yaw: 0.1, pitch: -0.1 };
        assert!(response.predict(50, pose).distance(truth(pose)) < 0.15 * truth(pose).norm());
        assert_eq!(response.predict(20, pose), Iod::default());
    }
}
