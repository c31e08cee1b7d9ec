//! The face stage's settings, and the stage made of them.

use super::beside::Beside;
use super::eyes::Eyes;
use super::{FaceStage, FaceWork, Networks, REMEMBERED};
use crate::face::track_config::{InvalidSetting, TrackerConfig, within};
use crate::face::{FaceDetector, FaceError, LandmarkNet};
use serde::{Deserialize, Serialize};

/// Settings of the face stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaceConfig {
    /// Most faces followed at a time, 1 to 16. Default 4.
    pub max_faces: usize,
    /// Smallest inter-ocular distance of a face that is followed, in pixels. Micro-expressions move landmarks by
    /// 0.02 of it. Default 24.
    pub min_iod_px: f32,
    /// Time between two runs of the detector while no face is followed, or one has just been lost, in ms. Default 100.
    pub search_ms: f32,
    /// Time between two runs of the detector while faces are followed and there is room for more, in ms. Default 1000.
    pub detect_ms: f32,
    /// Time between two looks of the landmark network at a followed face, in ms. Default 250.
    pub anchor_ms: f32,
    /// Score from which a detection counts, 0 to 1. Default 0.5.
    pub min_score: f32,
    /// Probability of the landmark network that there is a face, below which there is none, 0 to 1. Default 0.5.
    pub min_presence: f32,
    /// Share of the landmarks that must be found for a face to be followed without doubt, 0 to 1; below it the network
    /// looks at once. Default 0.5.
    pub min_found: f32,
    /// Time for which a face may stay in doubt before it is lost, in ms. Default 300.
    pub doubt_ms: f32,
    /// Time for which a lost face keeps its id, if it comes back near its last place, in ms. Default 1000.
    pub remember_ms: f32,
    /// Where the networks run. `inline`: in the frame loop, which waits for them; results come out the same each time.
    /// `beside`: on a thread of their own, so that no frame waits for them; when their answers come depends on the
    /// machine. `auto`: beside for a camera on a machine with more than one core, inline otherwise. Default `auto`.
    pub networks: NetworkPlace,
    /// How one face is followed.
    pub tracker: TrackerConfig,
}

/// Where the networks run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPlace {
    /// Beside the frame loop for live sources on more than one core, in it otherwise.
    #[default]
    Auto,
    /// In the frame loop.
    Inline,
    /// On a thread of their own.
    Beside,
}

impl NetworkPlace {
    fn is_beside(self, live: bool) -> bool {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match self {
            Self::Auto => live && cores() > 1,
            Self::Inline => false,
            Self::Beside => true,
        }
    }
}

impl Default for FaceConfig {
    fn default() -> Self {
        Self {
            max_faces: 4,
            min_iod_px: 24.0,
            search_ms: 100.0,
            detect_ms: 1000.0,
            anchor_ms: 250.0,
            min_score: 0.5,
            min_presence: 0.5,
            min_found: 0.5,
            doubt_ms: 300.0,
            remember_ms: 1000.0,
            networks: NetworkPlace::Auto,
            tracker: TrackerConfig::default(),
        }
    }
}

impl FaceConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("max_faces", self.max_faces as f64, 1.0, 16.0)?;
        within("min_iod_px", f64::from(self.min_iod_px), 8.0, 2000.0)?;
        for (key, ms) in [
            ("search_ms", self.search_ms),
            ("detect_ms", self.detect_ms),
            ("anchor_ms", self.anchor_ms),
            ("doubt_ms", self.doubt_ms),
            ("remember_ms", self.remember_ms),
        ] {
            within(key, f64::from(ms), 0.0, 600_000.0)?;
        }
        for (key, share) in
            [("min_score", self.min_score), ("min_presence", self.min_presence), ("min_found", self.min_found)]
        {
            within(key, f64::from(share), 0.0, 1.0)?;
        }
        self.tracker.check()
    }

    /// The stage, with these networks; `live` when its pictures come from a camera that does not wait.
    ///
    /// # Errors
    /// When a setting cannot be used or the system gives no thread.
    pub fn build(
        &self,
        detector: Box<dyn FaceDetector>,
        net: Box<dyn LandmarkNet>,
        live: bool,
    ) -> Result<FaceStage, FaceError> {
        self.check().map_err(|e| FaceError::Model(format!("face.tracking: {e}")))?;
        let (min_score, min_presence) = (self.min_score, self.min_presence);
        let eyes = Eyes { detector, net, min_score, min_presence, detected: Vec::with_capacity(32) };
        let networks =
            if self.networks.is_beside(live) { Networks::Beside(Beside::start(eyes)?) } else { Networks::Inline(eyes) };
        Ok(FaceStage {
            config: self.clone(),
            networks,
            tracks: Vec::with_capacity(self.max_faces),
            remembered: Vec::with_capacity(REMEMBERED),
            followed: Vec::with_capacity(self.max_faces),
            found: Vec::with_capacity(self.max_faces),
            last: None,
            searched: None,
            era: 0,
            next_id: 0,
            work: FaceWork::default(),
        })
    }
}
