//! Settings of the synthetic source, from a configuration file or from the options of a `synthetic:` string.

use super::camera::CameraConfig;
use super::portrait::Portrait;
use super::random::hash;
use super::script::{Script, ScriptConfig};
use super::source::SyntheticSource;
use crate::capture::CaptureError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What the source delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Render {
    /// Landmarks, as a perfect face stage would measure them, with a little noise.
    Landmarks,
    /// Pictures of a drawn face.
    Pixels,
}

/// How fast frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At their time, like a camera; frames that nobody fetched in time are lost.
    Real,
    /// As fast as they are fetched, like a file; none is lost.
    Fast,
    /// Never ahead of their time, so that a person can watch, but none is lost on a slow machine.
    Steady,
}

/// The synthetic source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Names the face, its script, its motion and all noise. Default 1.
    pub seed: u64,
    /// Frames per second, 1 to 1000. Default 100.
    pub fps: f64,
    /// Length in seconds; endless when absent. Default absent.
    pub duration: Option<f64>,
    /// Landmarks or pixels. Default landmarks.
    pub render: Render,
    /// Real time, as fast as possible, or steady: real time at most, without losses. Default real.
    pub pace: Pace,
    /// Width of the picture in pixels, 64 to 2048. Default 640.
    pub width: u32,
    /// Height of the picture in pixels, 64 to 2048. Default 480.
    pub height: u32,
    /// Inter-ocular distance in pixels, 20 to 200; less where several faces would overlap. Default 90.
    pub iod: f32,
    /// Number of faces, 1 to 3. Default 1.
    pub faces: u32,
    /// Standard deviation of the measurement noise of rendered landmarks, in pixels, 0 to 10. Default 0.03.
    pub noise: f32,
    /// Standard deviation of the camera noise of rendered pixels at middle grey, in grey levels, 0 to 50. Default 1.5.
    pub camera_noise: f32,
    /// Share of frames that get lost, 0 to 0.9. Default 0.
    pub drop: f32,
    /// Head motion: 0 none, 1 a quiet real head, up to 3. Default 1.
    pub motion: f32,
    /// Smallest peak movement of a micro-expression of a made face in pixels, 0 to 10, in place of `script.min_peak`;
    /// with a small `script.strength` all have just this peak. Default absent.
    pub min_peak_px: Option<f32>,
    /// What the camera and the light do to rendered pixels.
    pub camera: CameraConfig,
    /// What the face does.
    pub script: ScriptConfig,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            fps: 100.0,
            duration: None,
            render: Render::Landmarks,
            pace: Pace::Real,
            width: 640,
            height: 480,
            iod: 90.0,
            faces: 1,
            noise: 0.03,
            camera_noise: 1.5,
            drop: 0.0,
            motion: 1.0,
            min_peak_px: None,
            camera: CameraConfig::default(),
            script: ScriptConfig::default(),
        }
    }
}

/// Options of a `synthetic:` string.
pub const OPTIONS: [&str; 32] = [
    "seed",
    "fps",
    "duration",
    "render",
    "pace",
    "size",
    "iod",
    "faces",
    "noise",
    "camera_noise",
    "drop",
    "motion",
    "strength",
    "min_peak",
    "min_peak_px",
    "drill",
    "turn_deg",
    "gap_min",
    "gap_max",
    "lead",
    "blinks",
    "macros",
    "talking",
    "shutter",
    "flicker",
    "flicker_hz",
    "rolling",
    "light_steps",
    "light_step",
    "light_drift",
    "occlusions",
    "jpeg",
];

fn spec(text: String) -> CaptureError {
    CaptureError::Spec(text)
}

fn number<T: FromStr>(key: &str, value: &str, example: &str) -> Result<T, CaptureError> {
    value
        .parse()
        .map_err(|_| spec(format!("synthetic: option {key}={value} is not a number; for example {key}={example}")))
}

fn switch(key: &str, value: &str) -> Result<bool, CaptureError> {
    match value {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(spec(format!("synthetic: option {key}={value} is neither true nor false"))),
    }
}

impl SyntheticConfig {
    /// Reads the options of a `synthetic:?key=value&...` string; [`OPTIONS`] lists them. `size` is `WIDTHxHEIGHT`, times
    /// (`gap_min`, `gap_max`, `lead`) are in ms, `duration` in s (a trailing `s` is allowed).
    ///
    /// # Errors
    /// An unknown option, named with the nearest known one; a value that cannot be read or is out of range.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self, CaptureError> {
        let mut c = Self::default();
        for (key, value) in options {
            let (k, v) = (key.as_str(), value.as_str());
            match k {
                "seed" => c.seed = number(k, v, "1")?,
                "fps" => c.fps = number(k, v, "100")?,
                "duration" => c.duration = Some(number(k, v.strip_suffix('s').unwrap_or(v), "20")?),
                "render" => {
                    c.render = match v {
                        "landmarks" => Render::Landmarks,
                        "pixels" => Render::Pixels,
                        _ => return Err(spec(format!("synthetic: option render={v}: landmarks or pixels"))),
                    }
                }
                "pace" => {
                    c.pace = match v {
                        "real" => Pace::Real,
                        "fast" => Pace::Fast,
                        "steady" => Pace::Steady,
                        _ => return Err(spec(format!("synthetic: option pace={v}: real, fast or steady"))),
                    }
                }
                "size" => {
                    let Some((w, h)) = v.split_once('x') else {
                        return Err(spec(format!(
                            "synthetic: option size={v} is not WIDTHxHEIGHT, for example 640x480"
                        )));
                    };
                    (c.width, c.height) = (number("size", w, "640x480")?, number("size", h, "640x480")?);
                }
                "iod" => c.iod = number(k, v, "90")?,
                "faces" => c.faces = number(k, v, "1")?,
                "noise" => c.noise = number(k, v, "0.03")?,
                "camera_noise" => c.camera_noise = number(k, v, "1.5")?,
                "drop" => c.drop = number(k, v, "0.01")?,
                "motion" => c.motion = number(k, v, "1")?,
                "strength" => c.script.strength = number(k, v, "1")?,
                "min_peak" => c.script.min_peak = number(k, v, "0.012")?,
                "min_peak_px" => c.min_peak_px = Some(number(k, v, "1")?),
                "drill" => c.script.drill = switch(k, v)?,
                "turn_deg" => c.script.turn_deg = number(k, v, "20")?,
                "gap_min" => c.script.gap_min_ms = number(k, v, "1200")?,
                "gap_max" => c.script.gap_max_ms = number(k, v, "2500")?,
                "lead" => c.script.lead_ms = number(k, v, "2000")?,
                "blinks" => c.script.blinks = switch(k, v)?,
                "macros" => c.script.macros = number(k, v, "0.12")?,
                "talking" => c.script.talking = number(k, v, "0.05")?,
                "shutter" => c.camera.shutter_ms = number(k, v, "8")?,
                "flicker" => c.camera.flicker = number(k, v, "0.1")?,
                "flicker_hz" => c.camera.flicker_hz = number(k, v, "100")?,
                "rolling" => c.camera.rolling_ms = number(k, v, "15")?,
                "light_steps" => c.camera.light_steps = number(k, v, "2")?,
                "light_step" => c.camera.light_step = number(k, v, "0.05")?,
                "light_drift" => c.camera.light_drift = number(k, v, "0.1")?,
                "occlusions" => c.camera.occlusions = number(k, v, "1")?,
                "jpeg" => c.camera.jpeg = number(k, v, "85")?,
                _ => return Err(unknown(k)),
            }
        }
        c.check()?;
        Ok(c)
    }

    pub(super) fn check(&self) -> Result<(), CaptureError> {
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(spec(format!("synthetic: {name} is {value}; it must be between {low} and {high}")))
            }
        };
        range("fps", self.fps, 1.0, 1000.0)?;
        if let Some(d) = self.duration {
            range("duration", d, 0.0, 1e7)?;
        }
        range("width", self.width.into(), 64.0, 2048.0)?;
        range("height", self.height.into(), 64.0, 2048.0)?;
        range("iod", self.iod.into(), 20.0, 200.0)?;
        range("faces", self.faces.into(), 1.0, 3.0)?;
        range("noise", self.noise.into(), 0.0, 10.0)?;
        range("camera_noise", self.camera_noise.into(), 0.0, 50.0)?;
        range("drop", self.drop.into(), 0.0, 0.9)?;
        range("motion", self.motion.into(), 0.0, 3.0)?;
        for (name, value, low, high) in self.camera.bounds() {
            range(name, value, low, high)?;
        }
        range("strength", self.script.strength.into(), 0.0, 5.0)?;
        range("min_peak", self.script.min_peak.into(), 0.0, 0.1)?;
        range("min_peak_px", self.min_peak_px.unwrap_or(0.0).into(), 0.0, 10.0)?;
        range("turn_deg", self.script.turn_deg.into(), 0.0, 90.0)?;
        range("gap_min", self.script.gap_min_ms.into(), 200.0, 60_000.0)?;
        range("gap_max", self.script.gap_max_ms.into(), self.script.gap_min_ms.into(), 60_000.0)?;
        range("lead", self.script.lead_ms.into(), 0.0, 1e6)?;
        range("macros", self.script.macros.into(), 0.0, 1.0)?;
        range("talking", self.script.talking.into(), 0.0, 1.0)
    }

    /// Inter-ocular distance that the faces really get, so that they do not overlap.
    pub fn placed_iod(&self) -> f32 {
        if self.faces <= 1 { self.iod } else { self.iod.min(self.width as f32 / self.faces as f32 / 3.9) }
    }

    /// The seed of face number `face`.
    pub(super) fn face_seed(&self, face: u32) -> u64 {
        if face == 0 { self.seed } else { hash(self.seed, 0xface, face.into()) }
    }

    /// The script that face number `face` (from 0) plays: the truth, for whoever cannot ask the source itself because
    /// another thread has it. It is the same script, extended on demand.
    pub fn script(&self, face: u32) -> Script {
        let min_peak = self.min_peak_px.map_or(self.script.min_peak, |px| px / self.placed_iod());
        Script::new(self.face_seed(face), &ScriptConfig { min_peak, ..self.script })
    }

    /// Builds the source with the built-in faces.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn build(&self) -> Result<SyntheticSource, CaptureError> {
        self.check()?;
        Ok(SyntheticSource::new(self.clone(), None))
    }

    /// Builds a source of pictures that plays the script on the given portrait, with one face.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn build_with(&self, portrait: &Portrait) -> Result<SyntheticSource, CaptureError> {
        self.check()?;
        let config = Self { faces: 1, render: Render::Pixels, ..self.clone() };
        Ok(SyntheticSource::new(config, Some(portrait)))
    }
}

fn unknown(key: &str) -> CaptureError {
    let near = OPTIONS.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let hint = near.map_or(String::new(), |n| format!(" (did you mean {n}?)"));
    spec(format!("synthetic: unknown option {key}{hint}; known are {}", OPTIONS.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn options(text: &str) -> BTreeMap<String, String> {
        text.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    #[test]
    fn options_are_read() {
        let c = SyntheticConfig::from_options(&options(
            "seed=7&fps=200&render=pixels&duration=20s&size=320x240&blinks=off&strength=2&pace=fast",
        ))
        .unwrap();
        assert_eq!((c.seed, c.fps, c.render, c.duration), (7, 200.0, Render::Pixels, Some(20.0)));
        assert_eq!((c.width, c.height, c.script.blinks, c.script.strength, c.pace), (320, 240, false, 2.0, Pace::Fast));
        assert_eq!(SyntheticConfig::from_options(&BTreeMap::new()).unwrap(), SyntheticConfig::default());
    }

    #[test]
    fn every_listed_option_is_known() {
        for key in OPTIONS {
            let error = SyntheticConfig::from_options(&options(&format!("{key}=?"))).unwrap_err().to_string();
            assert!(error.contains(key) && !error.contains("unknown"), "{error}");
        }
    }

    #[test]
    fn an_unknown_option_names_the_nearest_and_a_wrong_value_the_range() {
        let error = |text: &str| SyntheticConfig::from_options(&options(text)).unwrap_err().to_string();
        assert!(error("sed=1").contains("did you mean seed"), "{}", error("sed=1"));
        assert!(error("fps=0").contains("between 1 and 1000"));
        assert!(error("iod=nan").contains("iod"));
        assert!(error("size=640").contains("WIDTHxHEIGHT"));
        assert!(error("gap_min=3000&gap_max=2000").contains("gap_max"));
    }

    #[test]
    fn a_configuration_file_is_strict() {
        let c: SyntheticConfig = toml::from_str("seed = 3\nrender = \"pixels\"\n[script]\nblinks = false\n").unwrap();
        assert!(c.seed == 3 && c.render == Render::Pixels && !c.script.blinks);
        assert!(toml::from_str::<SyntheticConfig>("sead = 3").is_err());
    }

    proptest! {
        #[test]
        fn hostile_options_never_panic(key in 0..OPTIONS.len(), value in ".{0,12}") {
            let one = BTreeMap::from([(OPTIONS[key].to_owned(), value)]);
            let _ = SyntheticConfig::from_options(&one);
        }
    }
}
