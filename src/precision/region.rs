//! Regions of the face in the tables.

use serde::Serialize;

/// A region of the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Both brows.
    Brows,
    /// Both eyes.
    Eyes,
    /// Bridge, tip and wings.
    Nose,
    /// Both lips.
    Mouth,
    /// The contour beside the cheeks. On the cheeks themselves the 68 landmarks have none.
    Cheeks,
    /// The contour around the chin.
    Chin,
}

impl Region {
    /// All regions in the order of the tables.
    pub const ALL: [Self; 6] = [Self::Brows, Self::Eyes, Self::Nose, Self::Mouth, Self::Cheeks, Self::Chin];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brows => "brows",
            Self::Eyes => "eyes",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Cheeks => "edge of the cheeks",
            Self::Chin => "chin",
        }
    }

    /// The region of a landmark.
    pub const fn of(landmark: usize) -> Self {
        match landmark {
            6..=10 => Self::Chin,
            0..=16 => Self::Cheeks,
            17..=26 => Self::Brows,
            27..=35 => Self::Nose,
            36..=47 => Self::Eyes,
            _ => Self::Mouth,
        }
    }

    /// Whether it lies on the contour, which is followed only with `tracker.contour`.
    pub const fn is_contour(self) -> bool {
        matches!(self, Self::Cheeks | Self::Chin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::COUNT;

    #[test]
    fn every_region_has_landmarks_and_is_mirrored_onto_itself() {
        assert!(Region::ALL.into_iter().all(|r| (0..COUNT).any(|i| Region::of(i) == r)));
        assert!((0..COUNT).all(|i| Region::of(i) == Region::of(crate::landmarks::MIRROR[i])));
    }
}
