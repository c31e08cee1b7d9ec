//! What stands between a scene and its picture: light that changes, something before the face, exposure, noise and
//! compression. All mixing is done in light, not in grey levels.

mod config;
mod noise;
mod occluder;
mod schedule;

pub use config::CameraConfig;
pub(crate) use noise::CameraNoise;

use super::light::grey;
use super::random::{hash, value_noise};
use super::texture::Plane;
use crate::frame::Luma;
use crate::geometry::Px;
use crate::time::Timestamp;
use occluder::Occluder;
use schedule::{Occlusions, Steps};
use serde::{Deserialize, Serialize};

/// What disturbs the picture for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisturbanceKind {
    /// Something goes before the face and away again.
    Occlusion,
    /// The light changes at once.
    Light,
}

/// A disturbance: part of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Disturbance {
    /// What it is.
    pub kind: DisturbanceKind,
    /// First moment.
    pub onset: Timestamp,
    /// Last moment.
    pub offset: Timestamp,
}

/// Takes pictures of scenes.
#[derive(Debug, Clone)]
pub(crate) struct Camera {
    config: CameraConfig,
    seed: u64,
    noise: CameraNoise,
    steps: Steps,
    occlusions: Occlusions,
    occluder: Occluder,
    scene: Plane,
    coded: Vec<u8>,
}

/// Where the face is, for what goes before it.
pub(crate) type Place = (Px, f32);

impl Camera {
    /// A camera with noise of standard deviation `noise` at middle grey, for pictures of this width.
    pub(crate) fn new(config: CameraConfig, noise: f32, seed: u64, width: usize) -> Self {
        Self {
            config,
            seed,
            noise: CameraNoise::new(noise, seed, width),
            steps: Steps::new(hash(seed, 0x1194, 0), config.light_steps, config.light_step),
            occlusions: Occlusions::new(hash(seed, 0x0cc1, 0), config.occlusions),
            occluder: Occluder::new(seed),
            scene: Plane::default(),
            coded: Vec::new(),
        }
    }

    /// Disturbances that begin before `end`.
    pub(crate) fn disturbances(&self, end: Timestamp) -> Vec<Disturbance> {
        let (mut steps, mut occlusions) = (self.steps.clone(), self.occlusions.clone());
        let mut all = occlusions.until(end);
        all.extend(steps.until(end));
        all.sort_by_key(|d| d.onset);
        all
    }

    /// Times within an exposure that begins and ends half the shutter before and after `time`, in odd number.
    pub(crate) fn exposure(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let shutter = f64::from(self.config.shutter_ms);
        let n = if shutter > 0.0 { BLUR } else { 1 };
        (0..n).map(move |k| time.plus_ms(shutter * ((k as f64 + 0.5) / n as f64 - 0.5)))
    }

    /// Takes the picture of `scene`, which is light, at `time`; `frame` numbers the noise.
    pub(crate) fn expose(&mut self, frame: u64, time: Timestamp, scene: &Plane, face: Option<Place>, out: &mut Luma) {
        self.scene.width = scene.width;
        self.scene.height = scene.height;
        self.scene.data.clone_from(&scene.data);
        if let (Some((share, target)), Some(face)) = (self.occlusions.at(time), face) {
            self.occluder.draw(&mut self.scene, face, share, target);
        }
        let slow = value_noise(hash(self.seed, 0xd21f, 0), time.as_secs() as f32 / DRIFT_S, 0.0);
        let gain = self.steps.at(time) * (1.0 + self.config.light_drift * slow);
        let rows = self.scene.height.max(1);
        let config = self.config;
        for (j, row) in self.scene.data.chunks_exact_mut(self.scene.width.max(1)).enumerate() {
            let late = f64::from(config.rolling_ms) * j as f64 / rows as f64;
            let gain = gain * config.lamp(time.plus_ms(late));
            row.iter_mut().for_each(|v| *v = grey(*v * gain));
        }
        out.resize(self.scene.width as u32, self.scene.height as u32);
        self.noise.expose(frame, &self.scene, out);
        if self.config.jpeg > 0 {
            self.compress(out);
        }
    }

    /// JPEG there and back, as an MJPEG camera does.
    fn compress(&mut self, picture: &mut Luma) {
        self.coded.clear();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut self.coded, self.config.jpeg);
        let (w, h) = (picture.width(), picture.height());
        let coded = encoder.encode(picture.pixels(), w, h, image::ExtendedColorType::L8);
        let decoded = image::load_from_memory_with_format(&self.coded, image::ImageFormat::Jpeg);
        match (coded, decoded) {
            (Ok(()), Ok(decoded)) => {
                let grey = decoded.into_luma8();
                picture.pixels_mut().iter_mut().zip(grey.as_raw()).for_each(|(to, from)| *to = *from);
            }
            (Err(e), _) | (_, Err(e)) => log::error!("a picture stays without compression: {e}"),
        }
    }
}

/// Pictures that are averaged for one with motion blur.
const BLUR: usize = 5;
/// Time in which slow light changes, in seconds.
const DRIFT_S: f32 = 3.0;

#[cfg(test)]
mod tests;
