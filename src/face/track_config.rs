//! Settings of the landmark tracker.

use serde::{Deserialize, Serialize};

/// How one face is followed between two looks of the landmark network. Lengths are in inter-ocular distances (IOD).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// Width of the Lucas-Kanade window, in IOD (four standard deviations of its Gaussian). Wider is calmer, narrower
    /// follows local movement better. Default 0.2.
    pub window_iod: f32,
    /// Width of the window of the landmarks on the bridge of the nose, in IOD: bare skin over bone, which does not move
    /// by itself. Default 0.42.
    pub bare_window_iod: f32,
    /// Levels of the pyramid, 1 to 4; fewer are used for small faces. More follow faster head motion. Default 3.
    pub levels: usize,
    /// Largest inter-ocular distance that is tracked at full resolution, in pixels; the region of a larger face is
    /// reduced by whole factors. Default 110.
    pub full_resolution_iod_px: f32,
    /// Whether the contour (landmarks 0 to 16) is followed by Lucas-Kanade too. Otherwise it moves with the head, at
    /// low confidence. Nothing after the face stage uses the contour. Default false.
    pub contour: bool,
    /// Standard deviation of the Gaussian of the local mean in contrast normalisation, in IOD. Default 0.15.
    pub mean_sigma_iod: f32,
    /// Standard deviation of the Gaussian of the local spread in contrast normalisation, in IOD. Default 0.22.
    pub spread_sigma_iod: f32,
    /// Noise floor of contrast normalisation: local variance below which contrast is not raised further, in grey
    /// levels squared. Default 2.
    pub noise_floor: f32,
    /// Correlation with its key patch below which a landmark counts as lost, 0 to 1. Default 0.5.
    pub min_correlation: f32,
    /// Largest error of the forward-backward check, in IOD. Default 0.012.
    pub max_forward_backward_iod: f32,
    /// Predicted standard deviation of a landmark at which its confidence is halved, in IOD. Default 0.006.
    pub half_confidence_iod: f32,
    /// How far a landmark is expected to move against the head in a thirtieth of a second (standard deviation), in IOD. It
    /// matters only along edges, where the picture does not fix the place. Default 0.02.
    pub loose_iod: f32,
    /// Length over which skin moves alike, in IOD: the landmarks of a part of the face are estimated together. 0 takes
    /// each by itself. Default 0.25.
    pub joint_iod: f32,
    /// How much less a landmark's own picture counts in the joint estimate than camera noise alone would leave it: skin does
    /// not move as stiffly as a window (ratio of standard deviations). Default 3.
    pub joint_noise: f32,
    /// For how long a landmark that was lost must be found again before it is trusted, in ms. Default 150.
    pub recover_ms: f32,
    /// Part of the difference to the landmark network that is taken over per look, 0 to 1: of it only what a face-wide
    /// affine deformation explains, spread over the time to the next look. Default 0.1.
    pub anchor_pull: f32,
    /// Fastest that landmarks are pulled towards the network's, in IOD per second. Default 0.006.
    pub pull_speed_iod: f32,
    /// Median distance to the network's landmarks at which the track is started anew, in IOD. Default 0.15.
    pub restart_iod: f32,
    /// Head roll against the key patches at which they are turned to fit, in degrees. Default 1.
    pub turn_deg: f32,
    /// Change of size or foreshortening against the key patches at which they are redrawn to fit, as a ratio. Default 0.015.
    pub zoom: f32,
    /// Correlation with its key patch below which a landmark gets a patch from another key picture, or from a new one
    /// (pose or expression have changed), 0 to 1. Default 0.8.
    pub reseed_correlation: f32,
    /// For how long a landmark must be lost before it gets a new patch at the landmark network's place, in ms.
    /// Default 400.
    pub replace_ms: f32,
    /// Distance from the network's place, beyond what the whole face has, at which a landmark has strayed and is given
    /// up, in IOD. Default 0.12.
    pub stray_iod: f32,
    /// Key pictures that are kept, so that a face that turns back, or relaxes, finds its old patches again, 2 to 16.
    /// Each holds about 0.3 MB. Default 4.
    pub keys: usize,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            window_iod: 0.2,
            bare_window_iod: 0.42,
            levels: 3,
            full_resolution_iod_px: 110.0,
            contour: false,
            mean_sigma_iod: 0.15,
            spread_sigma_iod: 0.22,
            noise_floor: 2.0,
            min_correlation: 0.5,
            max_forward_backward_iod: 0.012,
            half_confidence_iod: 0.006,
            loose_iod: 0.02,
            joint_iod: 0.25,
            joint_noise: 3.0,
            recover_ms: 150.0,
            anchor_pull: 0.1,
            pull_speed_iod: 0.006,
            restart_iod: 0.15,
            turn_deg: 1.0,
            zoom: 0.015,
            reseed_correlation: 0.8,
            replace_ms: 400.0,
            stray_iod: 0.12,
            keys: 4,
        }
    }
}

/// A setting of the face stage that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {value} is not possible: {mend}")]
pub struct InvalidSetting {
    /// Which setting, with its path inside of the face stage's table.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub mend: String,
}

/// Refuses a number outside of a range (and NaN).
pub(super) fn within(key: &'static str, value: f64, low: f64, high: f64) -> Result<(), InvalidSetting> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(InvalidSetting { key, value: value.to_string(), mend: format!("use a number from {low} to {high}") })
    }
}

impl TrackerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first value that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let ranges = [
            ("tracker.window_iod", self.window_iod, 0.05, 0.6),
            ("tracker.bare_window_iod", self.bare_window_iod, 0.05, 0.8),
            ("tracker.levels", self.levels as f32, 1.0, 4.0),
            ("tracker.full_resolution_iod_px", self.full_resolution_iod_px, 30.0, 400.0),
            ("tracker.mean_sigma_iod", self.mean_sigma_iod, 0.02, 0.5),
            ("tracker.spread_sigma_iod", self.spread_sigma_iod, 0.02, 0.5),
            ("tracker.noise_floor", self.noise_floor, 0.01, 1000.0),
            ("tracker.min_correlation", self.min_correlation, 0.0, 0.95),
            ("tracker.max_forward_backward_iod", self.max_forward_backward_iod, 0.0005, 0.1),
            ("tracker.half_confidence_iod", self.half_confidence_iod, 0.0001, 0.1),
            ("tracker.loose_iod", self.loose_iod, 0.0005, 1.0),
            ("tracker.joint_iod", self.joint_iod, 0.0, 1.0),
            ("tracker.joint_noise", self.joint_noise, 0.1, 100.0),
            ("tracker.recover_ms", self.recover_ms, 0.0, 5000.0),
            ("tracker.anchor_pull", self.anchor_pull, 0.0, 1.0),
            ("tracker.pull_speed_iod", self.pull_speed_iod, 0.0, 1.0),
            ("tracker.restart_iod", self.restart_iod, 0.02, 1.0),
            ("tracker.turn_deg", self.turn_deg, 0.1, 20.0),
            ("tracker.zoom", self.zoom, 0.002, 0.3),
            ("tracker.reseed_correlation", self.reseed_correlation, 0.0, 0.99),
            ("tracker.replace_ms", self.replace_ms, 0.0, 60_000.0),
            ("tracker.stray_iod", self.stray_iod, 0.01, 1.0),
            ("tracker.keys", self.keys as f32, 2.0, 16.0),
        ];
        for (key, value, low, high) in ranges {
            // compared as f64 numbers that print as the user wrote them
            let value = value.to_string().parse().unwrap_or(f64::NAN);
            let bound = |v: f32| v.to_string().parse().unwrap_or(0.0);
            within(key, value, bound(low), bound(high))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_default_is_possible_and_a_bad_value_is_named() {
        assert_eq!(TrackerConfig::default().check(), Ok(()));
        let bad = TrackerConfig { window_iod: 3.0, ..TrackerConfig::default() };
        let message = bad.check().unwrap_err().to_string();
        assert_eq!(message, "tracker.window_iod = 3 is not possible: use a number from 0.05 to 0.6");
        let bad = TrackerConfig { zoom: f32::NAN, ..TrackerConfig::default() };
        assert!(bad.check().is_err());
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(toml::from_str::<TrackerConfig>("windw_iod = 0.2").is_err());
        assert_eq!(toml::from_str::<TrackerConfig>("levels = 2").unwrap().levels, 2);
    }
}
