//! The parts of the face that are watched one by one.

use crate::geometry::Iod;
use crate::landmarks::{Component, PerLandmark};

/// Most landmarks in one part.
pub(super) const MOST: usize = 6;
/// Places or displacements of the landmarks of one part; entries beyond its landmarks stay zero.
pub(super) type Shape = [Iod; MOST];

/// A part of the face: few enough landmarks that a local movement is not diluted, enough that noise averages out.
/// The mouth has four, because its corners and lips move apart from one another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patch {
    pub component: Component,
    pub landmarks: &'static [usize],
}

/// Number of parts.
pub(super) const COUNT: usize = 9;

/// All parts. The bridge of the nose and the eye corners are rigid and left out.
pub(super) const ALL: [Patch; COUNT] = [
    Patch { component: Component::RightBrow, landmarks: &[17, 18, 19, 20, 21] },
    Patch { component: Component::LeftBrow, landmarks: &[22, 23, 24, 25, 26] },
    Patch { component: Component::Nose, landmarks: &[31, 32, 33, 34, 35] },
    Patch { component: Component::RightEye, landmarks: &[37, 38, 40, 41] },
    Patch { component: Component::LeftEye, landmarks: &[43, 44, 46, 47] },
    Patch { component: Component::Mouth, landmarks: &[48, 49, 59, 60] },
    Patch { component: Component::Mouth, landmarks: &[53, 54, 55, 64] },
    Patch { component: Component::Mouth, landmarks: &[50, 51, 52, 61, 62, 63] },
    Patch { component: Component::Mouth, landmarks: &[56, 57, 58, 65, 66, 67] },
];

impl Patch {
    /// Its landmarks' values, taken from all.
    pub fn pick(&self, points: &PerLandmark<Iod>) -> Shape {
        let mut shape = [Iod::default(); MOST];
        for (to, from) in shape.iter_mut().zip(self.landmarks.iter().filter_map(|&i| points.get(i))) {
            *to = *from;
        }
        shape
    }

    /// RMS length of a displacement over its landmarks.
    pub fn rms(&self, displacement: &Shape) -> f32 {
        (dot(displacement, displacement) / self.landmarks.len() as f32).sqrt()
    }
}

/// Difference `a - b`.
pub(super) fn minus(a: &Shape, b: &Shape) -> Shape {
    let mut d = *a;
    for (x, y) in d.iter_mut().zip(b) {
        *x = *x - *y;
    }
    d
}

/// Inner product over all landmarks.
pub(super) fn dot(a: &Shape, b: &Shape) -> f32 {
    a.iter().zip(b).map(|(p, q)| p.x * q.x + p.y * q.y).sum()
}
