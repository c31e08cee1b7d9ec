//! The mean face: 68 landmarks with depth in the face frame, and how identities differ from it.
//!
//! The numbers are mercam's own, drawn after the usual anthropometric proportions (eye centres 63 mm apart,
//! 112 mm from the eyes to the chin, 140 mm across the cheek bones). The face frame is that of
//! [`crate::geometry`]: origin midway between the eye centres, x to the right in the picture, y down, in
//! inter-ocular distances. Depth grows towards the camera.

use super::random::Rng;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, MIRROR, PerLandmark};

/// The right half (left in the picture) and the middle line; the rest is its mirror.
const HALF: [(usize, f32, f32); 39] = [
    (0, -1.13, 0.02),
    (1, -1.12, 0.31),
    (2, -1.085, 0.60),
    (3, -1.01, 0.89),
    (4, -0.87, 1.16),
    (5, -0.68, 1.40),
    (6, -0.45, 1.60),
    (7, -0.23, 1.73),
    (8, 0.0, 1.77),
    (17, -0.93, -0.25),
    (18, -0.79, -0.37),
    (19, -0.60, -0.41),
    (20, -0.40, -0.385),
    (21, -0.21, -0.325),
    (27, 0.0, -0.02),
    (28, 0.0, 0.20),
    (29, 0.0, 0.42),
    (30, 0.0, 0.63),
    (31, -0.235, 0.765),
    (32, -0.125, 0.805),
    (33, 0.0, 0.83),
    (36, -0.74, 0.005),
    (37, -0.60, -0.08),
    (38, -0.40, -0.085),
    (39, -0.27, 0.03),
    (40, -0.40, 0.065),
    (41, -0.59, 0.065),
    (48, -0.41, 1.21),
    (49, -0.26, 1.125),
    (50, -0.10, 1.075),
    (51, 0.0, 1.095),
    (57, 0.0, 1.405),
    (58, -0.12, 1.39),
    (59, -0.27, 1.325),
    (60, -0.355, 1.21),
    (61, -0.13, 1.19),
    (62, 0.0, 1.20),
    (66, 0.0, 1.225),
    (67, -0.13, 1.22),
];

/// The mean face in the face frame.
pub(crate) fn mean_face() -> PerLandmark<Iod> {
    let mut points = [Iod::default(); COUNT];
    for &(i, x, y) in &HALF {
        if let Some(p) = points.get_mut(i) {
            *p = Iod::new(x, y);
        }
        if let Some(p) = MIRROR.get(i).filter(|&&m| m != i).and_then(|&m| points.get_mut(m)) {
            *p = Iod::new(-x, y);
        }
    }
    points
}

/// Height of the face above the eye plane, towards the camera, in IOD: smooth, so that turning the head
/// warps a picture smoothly.
pub(crate) fn depth(p: Iod) -> f32 {
    let bump =
        |cx: f32, cy: f32, sx: f32, sy: f32| (-0.5 * (((p.x - cx) / sx).powi(2) + ((p.y - cy) / sy).powi(2))).exp();
    let head = 1.05 * bump(0.0, 0.3, 0.85, 1.25) - 0.95;
    head + 0.34 * bump(0.0, 0.60, 0.16, 0.24) + 0.10 * bump(0.0, 1.2, 0.35, 0.25) + 0.06 * bump(0.0, 1.68, 0.3, 0.15)
}

/// How one person differs from the mean face; all factors are near 1 and all shifts near 0.
#[derive(Debug, Clone, Copy)]
struct Build {
    width: f32,
    jaw: f32,
    length: f32,
    nose_width: f32,
    nose_length: f32,
    mouth_width: f32,
    lips: f32,
    brow_height: f32,
    eye_opening: f32,
}

impl Build {
    fn of(seed: u64) -> Self {
        let mut r = Rng::new(seed, 0x5a9e);
        let mut around = |sd: f32| 1.0 + sd * r.normal().clamp(-2.0, 2.0);
        Self {
            width: around(0.03),
            jaw: around(0.03),
            length: around(0.03),
            nose_width: around(0.06),
            nose_length: around(0.03),
            mouth_width: around(0.05),
            lips: around(0.10),
            brow_height: around(0.06),
            eye_opening: around(0.06),
        }
    }
}

/// The neutral face of the identity that `seed` names, in its own face frame.
pub(crate) fn identity(seed: u64) -> PerLandmark<Iod> {
    let b = Build::of(seed);
    let mut points = mean_face();
    let nose_drop = 0.81 * (b.nose_length - 1.0);
    for (i, p) in points.iter_mut().enumerate() {
        match i {
            0..=16 => {
                let low = (p.y / 1.77).clamp(0.0, 1.0);
                p.x *= b.width * (1.0 + (b.jaw - 1.0) * low);
                p.y *= b.length;
            }
            17..=26 => p.y *= b.brow_height,
            27..=30 => p.y *= b.nose_length,
            31..=35 => *p = Iod::new(p.x * b.nose_width, p.y + nose_drop),
            36..=47 => p.y *= b.eye_opening,
            _ => {
                let line = 1.21;
                let shift = 0.5 * (1.77 * (b.length - 1.0)) + 0.5 * nose_drop;
                *p = Iod::new(p.x * b.mouth_width, line + (p.y - line) * b.lips + shift);
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::{Component, MIRROR};

    fn eye_centre(points: &PerLandmark<Iod>, c: Component) -> Iod {
        Iod::mean(c.landmarks().map(|i| points[i]))
    }

    #[test]
    fn every_identity_is_in_its_own_face_frame_and_symmetric() {
        for seed in 0..50 {
            let face = identity(seed);
            assert!(eye_centre(&face, Component::RightEye).distance(Iod::new(-0.5, 0.0)) < 1e-3);
            assert!(eye_centre(&face, Component::LeftEye).distance(Iod::new(0.5, 0.0)) < 1e-3);
            for i in 0..COUNT {
                let m = face[MIRROR[i]];
                assert!(Iod::new(-m.x, m.y).distance(face[i]) < 1e-5, "landmark {i}");
            }
        }
        assert!(identity(1)[8].distance(identity(2)[8]) > 1e-3);
    }

    #[test]
    fn the_nose_tip_is_nearest_to_the_camera() {
        let face = mean_face();
        let tip = depth(face[30]);
        assert!((0..COUNT).all(|i| depth(face[i]) <= tip));
        assert!(depth(face[0]) < depth(face[36]));
    }
}
