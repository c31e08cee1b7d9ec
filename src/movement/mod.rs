//! Movement: landmarks with the head's motion removed, in inter-ocular distances, against the neutral face.
//!
//! A face is registered on its rigid landmarks by a robust similarity and a turn of the head (yaw and pitch by
//! rough depth); what is left of each landmark is its movement against a running neutral face that short
//! expressions hardly touch. Everything runs by time stamps.

mod config;
mod depth;
mod neutral;
mod register;
mod response;
mod stage;
pub mod table;

pub(crate) use config::in_range;
pub use config::{MovementConfig, SettingError};
pub use stage::MovementStage;

use crate::frame::FaceId;
use crate::geometry::Iod;
use crate::landmarks::PerLandmark;
use crate::time::Timestamp;

/// How the head itself moved, which the registration removed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Head {
    /// Speed of the face's origin in IOD per second.
    pub speed: f32,
    /// Roll in degrees per second.
    pub roll_rate: f32,
    /// RMS distance of the rigid landmarks from their neutral places after registration, in IOD.
    pub residual: f32,
}

/// The movement of one face in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Movement {
    /// The face track.
    pub face: FaceId,
    /// Time of the frame.
    pub time: Timestamp,
    /// Frames lost since the previous movement of this face.
    pub lost_before: u32,
    /// Inter-ocular distance in pixels.
    pub iod: f32,
    /// The running neutral face, in the face frame.
    pub neutral: PerLandmark<Iod>,
    /// Displacement of each landmark from the neutral face, head motion removed.
    pub shift: PerLandmark<Iod>,
    /// Confidence of each landmark, 0 to 1.
    pub confidence: PerLandmark<f32>,
    /// What the head did.
    pub head: Head,
    /// Mean opening of both eyes relative to their neutral opening: 1 neutral, 0 closed. Lids that cannot be found
    /// on either eye, while the face around them is, are closed: their open picture is gone.
    pub eye_opening: f32,
}
