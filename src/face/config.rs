//! The face stage's configuration: which networks, and how they and the tracker work together.

use super::FaceError;
use super::detector::DetectorConfig;
use super::mesh::MeshConfig;
use super::models::{NetId, Store};
use super::stage::{FaceConfig as TrackingConfig, FaceStage};
use serde::{Deserialize, Serialize};

/// How faces are found and followed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaceConfig {
    /// How faces are found.
    pub detector: DetectorConfig,
    /// Which landmark network anchors the tracks.
    pub landmarks: MeshConfig,
    /// When the networks run, and how points are followed between their runs.
    pub tracking: TrackingConfig,
}

impl FaceConfig {
    /// The networks that this configuration needs.
    pub fn networks(&self) -> [NetId; 2] {
        [NetId::BlazeFaceShort, self.landmarks.net]
    }

    /// Loads the networks from the cache and joins them to the tracker; `live` when the pictures come from a camera.
    ///
    /// # Errors
    /// When a network is not there or a setting makes no sense.
    pub fn build(&self, store: &Store, live: bool) -> Result<FaceStage, FaceError> {
        let (detector, landmarks) = (self.detector.build(store)?, self.landmarks.build(store)?);
        self.tracking.build(Box::new(detector), Box::new(landmarks), live)
    }
}
