//! The 68 landmarks in iBUG order and the facial components they form.
//!
//! Numbering from 0: contour 0-16, the subject's right brow 17-21 (left in the picture), left brow 22-26,
//! nose bridge 27-30, nostril base 31-35, right eye 36-41, left eye 42-47, outer lip 48-59, inner lip 60-67.

use crate::geometry::{FaceFrame, Iod, Pixels, Px, Similarity};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Number of landmarks.
pub const COUNT: usize = 68;

/// One value for each landmark, in iBUG order.
pub type PerLandmark<T> = [T; COUNT];

/// Points that move with the skull only: nose bridge, nose tip's base and the four eye corners.
/// Never the nose wings (31, 35), which AU9 and AU10 move.
pub const RIGID: [usize; 11] = [27, 28, 29, 30, 32, 33, 34, 36, 39, 42, 45];

/// A facial key component: what DeRe-GRL decomposes movement by (paper, abstract) and what spotting watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The subject's right brow (left in the picture), 17-21.
    RightBrow,
    /// The subject's left brow, 22-26.
    LeftBrow,
    /// Nose, 27-35.
    Nose,
    /// The subject's right eye, 36-41.
    RightEye,
    /// The subject's left eye, 42-47.
    LeftEye,
    /// Mouth, 48-67.
    Mouth,
}

impl Component {
    /// All components in landmark order, which is also the order of DeRe-GRL's actions.
    pub const ALL: [Self; 6] =
        [Self::RightBrow, Self::LeftBrow, Self::Nose, Self::RightEye, Self::LeftEye, Self::Mouth];

    /// Its landmarks.
    pub const fn landmarks(self) -> Range<usize> {
        match self {
            Self::RightBrow => 17..22,
            Self::LeftBrow => 22..27,
            Self::Nose => 27..36,
            Self::RightEye => 36..42,
            Self::LeftEye => 42..48,
            Self::Mouth => 48..68,
        }
    }

    /// The name used in configuration, events and model metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RightBrow => "right_brow",
            Self::LeftBrow => "left_brow",
            Self::Nose => "nose",
            Self::RightEye => "right_eye",
            Self::LeftEye => "left_eye",
            Self::Mouth => "mouth",
        }
    }
}

/// The centre of the subject's right eye (left in the picture): mean of 36-41.
pub fn right_eye(points: &PerLandmark<Px>) -> Px {
    Px::mean(points[36..42].iter().copied())
}

/// The centre of the subject's left eye: mean of 42-47.
pub fn left_eye(points: &PerLandmark<Px>) -> Px {
    Px::mean(points[42..48].iter().copied())
}

/// Inter-ocular distance in pixels: between the eye centres.
pub fn iod(points: &PerLandmark<Px>) -> f32 {
    right_eye(points).distance(left_eye(points))
}

/// The similarity from pixels to the face frame that the two eye centres define.
/// `None` when they coincide or are not finite.
pub fn face_frame(points: &PerLandmark<Px>) -> Option<Similarity<Pixels, FaceFrame>> {
    let (r, l) = (right_eye(points), left_eye(points));
    let pairs = [(r, Iod::new(-0.5, 0.0), 1.0), (l, Iod::new(0.5, 0.0), 1.0)];
    Similarity::fit(pairs.into_iter())
}

/// Where each landmark goes when the face is mirrored left to right.
pub const MIRROR: PerLandmark<usize> = {
    let mut m = [0usize; COUNT];
    let groups: [(usize, usize); 3] = [(0, 16), (17, 26), (31, 35)];
    let mut i = 0;
    while i < COUNT {
        m[i] = i;
        i += 1;
    }
    let mut g = 0;
    while g < groups.len() {
        let (s, e) = groups[g];
        let mut k = s;
        while k <= e {
            m[k] = e - (k - s);
            k += 1;
        }
        g += 1;
    }
    let pairs: [(usize, usize); 15] = [
        (36, 45),
        (37, 44),
        (38, 43),
        (39, 42),
        (40, 47),
        (41, 46),
        (48, 54),
        (49, 53),
        (50, 52),
        (59, 55),
        (58, 56),
        (60, 64),
        (61, 63),
        (67, 65),
        (51, 51),
    ];
    let mut p = 0;
    while p < pairs.len() {
        let (a, b) = pairs[p];
        m[a] = b;
        m[b] = a;
        p += 1;
    }
    m
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_its_own_inverse_and_swaps_the_eyes() {
        for i in 0..COUNT {
            assert_eq!(MIRROR[MIRROR[i]], i);
        }
        assert!(Component::RightEye.landmarks().all(|i| Component::LeftEye.landmarks().contains(&MIRROR[i])));
    }

    #[test]
    fn the_components_are_contiguous_and_cover_all_but_the_contour() {
        let mut next = 17;
        for c in Component::ALL {
            assert_eq!(c.landmarks().start, next);
            next = c.landmarks().end;
        }
        assert_eq!(next, COUNT);
    }
}
