//! A hand before the face: an oval of textured skin with a soft edge.

use super::Place;
use crate::geometry::Px;
use crate::synth::light::light;
use crate::synth::random::{hash, value_noise};
use crate::synth::texture::Plane;

/// Half width and half height, in IOD.
const HALF: [f32; 2] = [0.62, 0.80];
/// Where it waits: this far to the side, in IOD.
const AWAY: f32 = 3.2;

#[derive(Debug, Clone)]
pub(super) struct Occluder {
    seed: u64,
}

impl Occluder {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: hash(seed, 0x4a2d, 0) }
    }

    /// Draws the hand `share` (0 to 1) of the way to `target` (side, x and y in IOD) into a scene of light.
    pub(super) fn draw(&self, scene: &mut Plane, (face, iod): Place, share: f32, [side, x, y]: [f32; 3]) {
        let middle = Px::new(face.x + iod * (side * AWAY * (1.0 - share) + x * share), face.y + iod * y);
        let [a, b] = HALF.map(|h| h * iod);
        let clip = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
        let columns = clip(middle.x - a - 2.0, scene.width)..clip(middle.x + a + 3.0, scene.width);
        let rows = clip(middle.y - b - 2.0, scene.height)..clip(middle.y + b + 3.0, scene.height);
        for j in rows {
            for i in columns.clone() {
                let (u, v) = (i as f32 - middle.x, j as f32 - middle.y);
                // Distance to the edge in pixels, nearly.
                let inside = (1.0 - (u / a).hypot(v / b)) * a.min(b);
                let cover = (0.5 + inside / 1.5).clamp(0.0, 1.0);
                if cover <= 0.0 {
                    continue;
                }
                let n = |purpose: u64, f: f32| value_noise(hash(self.seed, purpose, 0), u / iod * f, v / iod * f);
                let finger = 8.0 * (u / iod * 14.0 + n(3, 2.0)).sin();
                let tone = light(150.0 + finger + 10.0 * n(1, 4.0) + 6.0 * n(2, 25.0) - 25.0 * (u / a).powi(2));
                if let Some(p) = scene.data.get_mut(j * scene.width + i) {
                    *p += (tone - *p) * cover;
                }
            }
        }
    }
}
