//! Spotting: causal onset, apex and offset per facial component; micro or macro; rejections with a name.
//!
//! Nine parts of the face are watched ([`Spotter`]). A part has started to move when it is far from where it was
//! 250-500 ms ago, against its own running noise (median and MAD). From then on its movement is measured against
//! where it was before, along its direction at the apex. Movements that overlap in time are one event, named by
//! the strongest. A face that does not keep still is watched in another way as well: by the course and the direction
//! of a movement ([`matched`]), which also have a say in what is confirmed. [`Analysis`] does this for all faces.

mod analysis;
mod config;
mod describe;
mod history;
mod matched;
mod noise;
mod patch;
mod reject;
mod scene;
mod spotter;
mod timing;
mod tracker;

pub use analysis::Analysis;
pub use config::{AnalysisConfig, SpottingConfig};
pub use reject::Rejections;
pub use spotter::Spotter;

use crate::event::{Interval, Rejection, Stage};
use crate::frame::FaceId;
use crate::geometry::Iod;
use crate::landmarks::{Component, PerLandmark};

/// A movement that the spotter takes for a micro-expression, or no longer does.
#[derive(Debug, Clone, PartialEq)]
pub struct Spotted {
    /// Provisional at the apex, then confirmed or withdrawn.
    pub stage: Stage,
    /// Number of the movement, the same in all its stages; unique within the spotter.
    pub key: u64,
    /// The face track.
    pub face: FaceId,
    /// Onset, apex and, once seen, offset.
    pub interval: Interval,
    /// The component that moved most.
    pub component: Component,
    /// Largest landmark movement from onset to apex, in IOD.
    pub amplitude: f32,
    /// How far it stands out: provisional, its amplitude over the noise of the part; confirmed, how much it is like a
    /// micro-expression in course and direction, against the unrest around it.
    pub score: f32,
    /// Frames per second around the movement.
    pub rate: f32,
    /// 0 to 1.
    pub quality: f32,
    /// Inter-ocular distance in pixels.
    pub iod: f32,
    /// Why it was withdrawn.
    pub reason: Option<Rejection>,
    /// The face at the onset, in the face frame.
    pub shape: PerLandmark<Iod>,
    /// Movement of each landmark from onset to apex.
    pub displacement: PerLandmark<Iod>,
}
