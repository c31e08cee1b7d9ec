//! What the network sees.

use super::DereGrlError;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, Component, PerLandmark};

/// Name and version of the input's meaning, which a model's metadata has to repeat.
pub const FEATURE_FORMAT: &str = "onset-apex-iod-v1";
/// The numbers of a landmark, as the metadata names them.
pub(super) const FEATURES: &str = "x, y, dx, dy";
/// What was done to the numbers before the model sees them.
pub(super) const NORMALISATION: &str = "face frame, IOD, rigid similarity removed; the rest is inside the model";
/// The frames that a movement is measured between.
pub(super) const WINDOW: &str = "onset,apex";
/// The first landmark that the network sees: the contour moves with skull and jaw only.
pub(super) const FIRST: usize = Component::ALL[0].landmarks().start;
/// Number of landmarks that the network sees.
pub(super) const NODES: usize = COUNT - FIRST;
/// Numbers per landmark.
pub(super) const CHANNELS: usize = 4;
/// No real face has a landmark this far out, in IOD.
const FAR: f32 = 10.0;

/// One movement as the network sees it: landmarks 17 to 67, each with its place at the onset (x0, y0) and its
/// movement to the apex (dx, dy), in the face frame, in IOD, head motion removed. Normalisation is the model's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Features([f32; NODES * CHANNELS]);

impl Features {
    /// From the face at the onset and the movement from there to the apex.
    pub fn new(shape: &PerLandmark<Iod>, displacement: &PerLandmark<Iod>) -> Self {
        let mut values = [0.0; NODES * CHANNELS];
        for (to, (p, d)) in values.chunks_exact_mut(CHANNELS).zip(shape.iter().zip(displacement).skip(FIRST)) {
            to.copy_from_slice(&[p.x, p.y, d.x, d.y]);
        }
        Self(values)
    }

    /// The numbers, landmark by landmark: x0, y0, dx, dy.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Every number is one and lies where a face can be.
    pub(super) fn check(&self) -> Result<(), DereGrlError> {
        let near = |v: f32| v.abs() <= FAR; // false for NaN
        for (n, v) in self.0.chunks_exact(CHANNELS).enumerate() {
            for (what, pair) in ["the place at the onset", "the movement"].into_iter().zip(v.chunks_exact(2)) {
                if let [x, y] = *pair
                    && !(near(x) && near(y))
                {
                    return Err(DereGrlError::Feature { landmark: FIRST + n, what, x, y });
                }
            }
        }
        Ok(())
    }
}
