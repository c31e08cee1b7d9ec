//! Settings of the movement stage. Lengths in inter-ocular distances (IOD), times in milliseconds.

use super::MovementStage;
use crate::frame::FaceId;
use serde::{Deserialize, Serialize};

/// A setting that is out of its range: which one, what it was, and what it may be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{table}.{key} = {value}: it must be {allowed}")]
pub struct SettingError {
    /// Table of the configuration file.
    pub table: &'static str,
    /// Key in that table.
    pub key: &'static str,
    /// The value found.
    pub value: f64,
    /// The values that are allowed.
    pub allowed: String,
}

/// Checks that a setting is a number from `low` to `high`.
pub(crate) fn in_range(
    table: &'static str,
    key: &'static str,
    value: f64,
    (low, high): (f64, f64),
) -> Result<(), SettingError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(SettingError { table, key, value, allowed: format!("a number from {low} to {high}") })
}

/// How landmarks become movement: the registration and the running neutral face.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MovementConfig {
    /// Time constant of the running neutral face, in ms. Default 1500.
    pub neutral_ms: f32,
    /// Time after a start during which the neutral face is the plain mean of what was seen, in ms. Default 300.
    pub start_ms: f32,
    /// A landmark pulls the neutral face by no more than this shift, so that a short movement is not
    /// absorbed; in IOD. Default 0.004.
    pub pull: f32,
    /// A shift above `pull` that lasts this long is the new neutral and is followed in full; in ms.
    /// Default 1000.
    pub hold_ms: f32,
    /// A hole in time longer than this starts the neutral face again; in ms. Default 500.
    pub gap_ms: f32,
    /// Expected error of one rigid landmark, below which the robust registration weighs all alike; in IOD.
    /// Default 0.002.
    pub landmark_noise: f32,
    /// Expected size of a pose change (yaw or pitch) against the neutral face, in degrees: how readily
    /// movement of rigid landmarks is taken for a turn of the head. Default 8.
    pub pose_prior_deg: f32,
    /// A turn away from the neutral face of more than this, in degrees, for `pose_hold_ms`, starts it again.
    /// Default 20.
    pub pose_limit_deg: f32,
    /// How long a turn beyond `pose_limit_deg` must last, in ms. Default 400.
    pub pose_hold_ms: f32,
    /// How far back the head's speed and roll rate look, in ms. Default 80.
    pub speed_ms: f32,
}

impl Default for MovementConfig {
    fn default() -> Self {
        Self {
            neutral_ms: 1500.0,
            start_ms: 300.0,
            pull: 0.004,
            hold_ms: 1000.0,
            gap_ms: 500.0,
            landmark_noise: 0.002,
            pose_prior_deg: 8.0,
            pose_limit_deg: 20.0,
            pose_hold_ms: 400.0,
            speed_ms: 80.0,
        }
    }
}

impl MovementConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn check(&self) -> Result<(), SettingError> {
        let rows: [(&'static str, f32, (f64, f64)); 10] = [
            ("neutral_ms", self.neutral_ms, (100.0, 60_000.0)),
            ("start_ms", self.start_ms, (0.0, 10_000.0)),
            ("pull", self.pull, (1e-4, 1.0)),
            ("hold_ms", self.hold_ms, (500.0, 60_000.0)),
            ("gap_ms", self.gap_ms, (50.0, 10_000.0)),
            ("landmark_noise", self.landmark_noise, (1e-5, 0.1)),
            ("pose_prior_deg", self.pose_prior_deg, (0.1, 90.0)),
            ("pose_limit_deg", self.pose_limit_deg, (1.0, 60.0)),
            ("pose_hold_ms", self.pose_hold_ms, (0.0, 10_000.0)),
            ("speed_ms", self.speed_ms, (1.0, 500.0)),
        ];
        rows.into_iter().try_for_each(|(key, value, range)| in_range("movement", key, f64::from(value), range))
    }

    /// The movement stage of one face track.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn build(&self, face: FaceId) -> Result<MovementStage, SettingError> {
        self.check()?;
        Ok(MovementStage::new(*self, face))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named_with_what_is_allowed() {
        let bad = MovementConfig { pull: f32::NAN, ..MovementConfig::default() };
        let message = bad.build(FaceId(1)).err().unwrap().to_string();
        assert!(message.contains("movement.pull") && message.contains("0.0001 to 1"), "{message}");
        assert!(MovementConfig::default().check().is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_and_missing_keys_take_their_defaults() {
        let some: MovementConfig = toml::from_str("pull = 0.01").unwrap();
        assert_eq!(some, MovementConfig { pull: 0.01, ..MovementConfig::default() });
        assert!(toml::from_str::<MovementConfig>("pul = 0.01").is_err());
    }
}
