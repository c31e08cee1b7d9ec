//! Rough depth of the 68 landmarks, for taking a turn of the head out of their movement.
//!
//! A small turn by yaw and pitch moves a landmark in the picture in proportion to its depth, so depth need
//! only be roughly right. The numbers are proportions of an adult face rounded to a few hundredths of an IOD
//! (nose tip 35 mm before the eye corners at 63 mm between the eyes); people differ by some 15 %, and what
//! that leaves is learned per face ([`super::response`]) or shows in the rigid residual.

use super::register::{Fit, Pose, register};
use crate::geometry::{Iod, Px};
use crate::landmarks::{COUNT, MIRROR, PerLandmark};

/// Right half and middle line: landmark, depth towards the camera in IOD, zero at the inner eye corners.
const DEPTH: [(usize, f32); 39] = [
    (0, -0.75),
    (1, -0.72),
    (2, -0.69),
    (3, -0.66),
    (4, -0.58),
    (5, -0.45),
    (6, -0.25),
    (7, -0.03),
    (8, 0.06),
    (17, -0.18),
    (18, -0.07),
    (19, 0.03),
    (20, 0.12),
    (21, 0.18),
    (27, 0.20),
    (28, 0.32),
    (29, 0.44),
    (30, 0.56),
    (31, 0.30),
    (32, 0.36),
    (33, 0.40),
    (36, -0.10),
    (37, -0.02),
    (38, 0.02),
    (39, 0.0),
    (40, 0.0),
    (41, -0.03),
    (48, 0.07),
    (49, 0.25),
    (50, 0.35),
    (51, 0.37),
    (57, 0.34),
    (58, 0.32),
    (59, 0.23),
    (60, 0.09),
    (61, 0.33),
    (62, 0.34),
    (66, 0.33),
    (67, 0.32),
];

/// Places of the rigid landmarks of the right half and the middle line in a frontal face, in IOD.
const FRONTAL: [(usize, f32, f32); 8] = [
    (27, 0.0, -0.03),
    (28, 0.0, 0.16),
    (29, 0.0, 0.34),
    (30, 0.0, 0.53),
    (32, -0.11, 0.72),
    (33, 0.0, 0.75),
    (36, -0.71, 0.0),
    (39, -0.29, 0.01),
];

/// How far people's rigid landmarks lie from the frontal mean, in IOD.
const IDENTITY: f32 = 0.06;
/// How far from frontal a head is on average, in radians: with [`IDENTITY`] this decides how much of an
/// unusual shape is believed to be pose.
const POSE_SPREAD: f32 = 0.2;

/// Depth of every landmark in a frontal face, in IOD.
fn frontal_depth() -> PerLandmark<f32> {
    let mut depth = [0.0; COUNT];
    for &(i, z) in &DEPTH {
        for k in [Some(i), MIRROR.get(i).copied()].into_iter().flatten() {
            if let Some(d) = depth.get_mut(k) {
                *d = z;
            }
        }
    }
    depth
}

/// Depth of every landmark as seen from where the neutral face is seen: the frontal depth, turned by the pose
/// of the neutral face, which is estimated from the places of its rigid landmarks.
pub(super) fn depth_of(neutral: &PerLandmark<Iod>, confidence: &PerLandmark<f32>) -> PerLandmark<f32> {
    let mut depth = frontal_depth();
    let mut frontal = [Iod::default(); COUNT];
    for &(i, x, y) in &FRONTAL {
        if let Some(p) = frontal.get_mut(i) {
            *p = Iod::new(x, y);
        }
        if let Some(p) = MIRROR.get(i).filter(|&&m| m != i).and_then(|&m| frontal.get_mut(m)) {
            *p = Iod::new(-x, y);
        }
    }
    // The registration wants pixels on one side; the neutral face plays the picture here.
    let seen = neutral.map(|p| Px::new(p.x, p.y));
    let model = Fit { reference: &frontal, brows: None, depth: &depth, noise: IDENTITY, pose_spread: POSE_SPREAD };
    let Some(found) = register(&seen, confidence, &model, Pose::default()) else { return depth };
    for (z, p) in depth.iter_mut().zip(neutral) {
        // The neutral face is already turned: turn back approximately to find the place before the turn.
        let before = found.pose.inverse_place(*p, *z);
        *z = found.pose.turned_depth(before, *z);
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::RIGID;

    #[test]
    fn every_rigid_landmark_has_a_place_in_the_frontal_face() {
        let placed = |i: usize| FRONTAL.iter().any(|f| f.0 == i || MIRROR[f.0] == i);
        assert!(RIGID.iter().all(|&i| placed(i)));
    }

    #[test]
    fn depth_is_symmetric_and_the_nose_tip_comes_first() {
        let d = frontal_depth();
        for (i, &m) in MIRROR.iter().enumerate() {
            assert_eq!(d[i], d[m]);
        }
        assert!(d.iter().all(|&z| z <= d[30]));
    }
}
