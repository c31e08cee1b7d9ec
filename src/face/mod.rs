//! The face stage: from pictures to 68 landmarks per face that follow sub-pixel movement.
//!
//! The networks only anchor; movement comes from Lucas-Kanade on contrast-normalised luma.

pub mod config;
mod crop;
pub mod detector;
mod ibug_map;
pub mod lk;
pub mod mesh;
pub mod models;
pub mod network;
pub mod ops;
pub mod stage;
pub mod track_config;
pub mod track_fit;
pub mod track_joint;
pub mod track_picture;
pub mod track_point;
pub mod tracker;

use crate::frame::Luma;
use crate::geometry::{Px, Rect, Roi};
use crate::landmarks::PerLandmark;

/// What went wrong in the face stage.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// A network file is missing, damaged or of the wrong kind.
    #[error("{0}")]
    Model(String),
    /// A network could not be run.
    #[error("face network: {0}")]
    Inference(String),
}

/// A face as the detector sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedFace {
    /// Its box, in pixels.
    pub bounds: Rect,
    /// Score, 0 to 1.
    pub score: f32,
    /// Where the landmark network should look.
    pub roi: Roi,
}

/// Finds faces in a picture.
pub trait FaceDetector: Send {
    /// Replaces `found` by the faces in `picture`, best first.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn detect(&mut self, picture: &Luma, found: &mut Vec<DetectedFace>) -> Result<(), FaceError>;
}

/// Landmarks as a network sees them: right within a fraction of a pixel, but following only a part of a local movement.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// 68 landmarks in iBUG order.
    pub points: PerLandmark<Px>,
    /// Probability that there is a face, 0 to 1.
    pub presence: f32,
    /// Where to look next time.
    pub roi: Roi,
}

/// Finds the landmarks of the face in a region.
pub trait LandmarkNet: Send {
    /// The landmarks of the face at `roi`.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn landmarks(&mut self, picture: &Luma, roi: &Roi) -> Result<Anchor, FaceError>;
}
