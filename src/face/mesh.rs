//! Face Mesh as landmark network: a dense mesh from a turned square around the face, reduced to 68 landmarks.
//!
//! Network: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019).
//! The network follows only a part of a local movement, so its points are anchors, never the movement itself.

use serde::{Deserialize, Serialize};

use super::crop::TurnedCrop;
use super::models::{NetId, Store};
use super::network::Network;
use super::{Anchor, FaceError, LandmarkNet, ibug_map};
use crate::frame::Luma;
use crate::geometry::{Px, Roi};

/// Vertices at the outer corners of the subject's right and left eye, which define the face's turn.
const EYE_CORNERS: (usize, usize) = (33, 263);
/// Vertices of the face itself; V2 has ten more for the irises.
const VERTICES: usize = 468;

/// Which landmark network runs and how far around the face it looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshConfig {
    /// `face_mesh_v1_2019` (default), `face_mesh_v1` or `face_mesh_v2`.
    pub net: NetId,
    /// Side of the square that the network sees next time, relative to the mesh's larger extent (no unit;
    /// default 1.5, what the networks were trained with; 1.1 to 3).
    pub margin: f32,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self { net: NetId::FaceMeshV1Of2019, margin: 1.5 }
    }
}

impl MeshConfig {
    /// Loads the network from the cache.
    ///
    /// # Errors
    /// When it is not there or cannot be used (the message has the mend), or the configuration makes no sense.
    pub fn build(&self, store: &Store) -> Result<Mesh, FaceError> {
        if self.net == NetId::BlazeFaceShort {
            return Err(FaceError::Model(format!("face.landmarks.net: {} finds faces, not landmarks", self.net)));
        }
        if !(1.1..=3.0).contains(&self.margin) {
            return Err(FaceError::Model(format!("face.landmarks.margin: {} is not in 1.1 to 3", self.margin)));
        }
        let network = Network::load(self.net, &store.ready(self.net)?)?;
        Ok(Mesh { network, crop: TurnedCrop::default(), margin: self.margin })
    }
}

/// A Face Mesh network, ready to run.
#[derive(Debug)]
pub struct Mesh {
    network: Network,
    crop: TurnedCrop,
    margin: f32,
}

impl LandmarkNet for Mesh {
    fn landmarks(&mut self, picture: &Luma, roi: &Roi) -> Result<Anchor, FaceError> {
        let size = self.network.size();
        let crop = &mut self.crop;
        self.network.run(|input| {
            crop.cut(picture, roi, size, input);
            input.iter_mut().for_each(|v| *v /= 255.0);
        })?;
        let mesh = self.network.output(0)?.as_chunks::<3>().0.get(..VERTICES).unwrap_or(&[]);
        let presence = sigmoid(self.network.output(1)?.first().copied().unwrap_or(f32::NEG_INFINITY));
        let to_picture = Placement::new(roi, size);
        let vertex = |i: usize| mesh.get(i).map_or_else(Px::default, |[x, y, _]| to_picture.apply(*x, *y));
        let points = ibug_map::landmarks(vertex);
        if mesh.is_empty() || !points.iter().all(|p| p.is_finite()) {
            return Err(FaceError::Inference(format!("{}: the landmarks are not finite", self.network.id())));
        }
        let roi = around((0..mesh.len()).map(vertex), vertex(EYE_CORNERS.0), vertex(EYE_CORNERS.1), self.margin);
        Ok(Anchor { points, presence, roi })
    }
}

/// From the network's coordinates, in which 0 is the edge of its input, to pixels of the picture.
struct Placement {
    centre: Px,
    half: f32,
    cos: f32,
    sin: f32,
}

impl Placement {
    fn new(roi: &Roi, size: usize) -> Self {
        let scale = roi.side / size as f32;
        Self { centre: roi.centre, half: size as f32 / 2.0, cos: roi.angle.cos() * scale, sin: roi.angle.sin() * scale }
    }

    fn apply(&self, x: f32, y: f32) -> Px {
        let (x, y) = (x - self.half, y - self.half);
        self.centre + Px::new(self.cos * x - self.sin * y, self.sin * x + self.cos * y)
    }
}

/// The square around some points, turned by the eyes.
fn around(points: impl Iterator<Item = Px>, right: Px, left: Px, margin: f32) -> Roi {
    let eyes = left - right;
    let angle = eyes.y.atan2(eyes.x);
    let (sin, cos) = angle.sin_cos();
    let (mut low, mut high) = (Px::new(f32::MAX, f32::MAX), Px::new(f32::MIN, f32::MIN));
    for p in points {
        let (u, v) = (cos * p.x + sin * p.y, cos * p.y - sin * p.x);
        low = Px::new(low.x.min(u), low.y.min(v));
        high = Px::new(high.x.max(u), high.y.max(v));
    }
    let (middle, extent) = ((low + high) * 0.5, high - low);
    Roi {
        centre: Px::new(cos * middle.x - sin * middle.y, sin * middle.x + cos * middle.y),
        side: extent.x.max(extent.y) * margin,
        angle,
    }
}

/// Logistic function.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_square_turns_with_the_eyes() {
        let angle = 0.4f32;
        let turn = |x: f32, y: f32| {
            Px::new(100.0 + angle.cos() * x - angle.sin() * y, 50.0 + angle.sin() * x + angle.cos() * y)
        };
        let corners = [turn(-30.0, -40.0), turn(30.0, -40.0), turn(30.0, 40.0), turn(-30.0, 40.0)];
        let roi = around(corners.into_iter(), turn(-20.0, 0.0), turn(20.0, 0.0), 1.5);
        assert!((roi.angle - angle).abs() < 1e-5 && (roi.side - 120.0).abs() < 1e-3);
        assert!(roi.centre.distance(Px::new(100.0, 50.0)) < 1e-3);
    }

    #[test]
    fn the_middle_of_the_input_is_the_middle_of_the_region() {
        let roi = Roi { centre: Px::new(12.0, 7.0), side: 96.0, angle: 1.0 };
        let placement = Placement::new(&roi, 192);
        assert!(placement.apply(96.0, 96.0).distance(roi.centre) < 1e-5);
        let right = placement.apply(192.0, 96.0);
        assert!(right.distance(Px::new(12.0 + 48.0 * 1f32.cos(), 7.0 + 48.0 * 1f32.sin())) < 1e-4);
    }

    #[test]
    fn a_senseless_configuration_is_refused_by_name() {
        let store = Store::at("no such folder");
        let text = |c: MeshConfig| c.build(&store).unwrap_err().to_string();
        assert!(text(MeshConfig { net: NetId::BlazeFaceShort, ..Default::default() }).contains("face.landmarks.net"));
        assert!(text(MeshConfig { margin: f32::NAN, ..Default::default() }).contains("face.landmarks.margin"));
        assert!(text(MeshConfig::default()).contains("mercam models fetch face_mesh_v1_2019"));
    }
}
