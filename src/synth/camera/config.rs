//! Settings of the camera.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the camera and the light do to the picture; all 0 is a still lamp and an ideal camera.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CameraConfig {
    /// Exposure time in ms, 0 to 100: what moves meanwhile is blurred. 0 is an instant. Default 0.
    pub shutter_ms: f32,
    /// Flicker of the lamp, largest deviation as a share of the light, 0 to 0.5. Default 0.
    pub flicker: f32,
    /// Frequency of the flicker in Hz, 1 to 500: twice that of the mains. Default 100.
    pub flicker_hz: f32,
    /// Time from the first to the last row of a rolling shutter in ms, 0 to 50: makes bands of the flicker (it does not
    /// shear what moves). Default 0.
    pub rolling_ms: f32,
    /// Steps of the light per minute, 0 to 60. Default 0.
    pub light_steps: f32,
    /// Size of a step as a share of the light, 0 to 0.9; every second one leads back. Default 0.05.
    pub light_step: f32,
    /// Slow change of the light (clouds, auto-exposure), largest deviation as a share, 0 to 0.9. Default 0.
    pub light_drift: f32,
    /// Times per minute that a hand goes before the face, 0 to 30. Default 0.
    pub occlusions: f32,
    /// Quality of MJPEG compression, 1 to 100; 0 is none. Default 0.
    pub jpeg: u8,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            shutter_ms: 0.0,
            flicker: 0.0,
            flicker_hz: 100.0,
            rolling_ms: 0.0,
            light_steps: 0.0,
            light_step: 0.05,
            light_drift: 0.0,
            occlusions: 0.0,
            jpeg: 0,
        }
    }
}

impl CameraConfig {
    /// Each setting with its bounds, for checking: name, value, smallest, largest.
    pub(crate) fn bounds(&self) -> [(&'static str, f64, f64, f64); 9] {
        [
            ("shutter", self.shutter_ms.into(), 0.0, 100.0),
            ("flicker", self.flicker.into(), 0.0, 0.5),
            ("flicker_hz", self.flicker_hz.into(), 1.0, 500.0),
            ("rolling", self.rolling_ms.into(), 0.0, 50.0),
            ("light_steps", self.light_steps.into(), 0.0, 60.0),
            ("light_step", self.light_step.into(), 0.0, 0.9),
            ("light_drift", self.light_drift.into(), 0.0, 0.9),
            ("occlusions", self.occlusions.into(), 0.0, 30.0),
            ("jpeg", self.jpeg.into(), 0.0, 100.0),
        ]
    }

    /// Brightness of a flickering lamp around 1, averaged over the exposure.
    pub(crate) fn lamp(&self, time: Timestamp) -> f32 {
        if self.flicker <= 0.0 {
            return 1.0;
        }
        let turns = f64::from(self.flicker_hz) * time.as_secs();
        let half = std::f32::consts::PI * self.flicker_hz * self.shutter_ms / 1e3;
        let average = if half > 1e-4 { half.sin() / half } else { 1.0 };
        1.0 + self.flicker * average * ((turns.fract() * std::f64::consts::TAU) as f32).sin()
    }
}
