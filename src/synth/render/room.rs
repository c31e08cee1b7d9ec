//! The room behind the faces.

use crate::synth::light::light;
use crate::synth::random::{hash, value_noise};
use crate::synth::texture::Plane;

/// The light of a room out of focus, with the grain of a wall.
pub(super) fn background(width: usize, height: usize, seed: u64) -> Plane {
    let mut plane = Plane::filled(width, height, 0.0);
    for (k, v) in plane.data.iter_mut().enumerate() {
        let (x, y) = ((k % width) as f32 / 640.0, (k / width) as f32 / 640.0);
        let n = |purpose: u64, f: f32| value_noise(hash(seed, 0xbac6, purpose), x * f, y * f);
        let shelf = 0.5 + 0.5 * (y * 14.0 + 2.0 * n(4, 1.5)).sin();
        *v = light(118.0 - 22.0 * y + 22.0 * n(1, 3.0) + 9.0 * n(2, 9.0) + 4.0 * n(3, 60.0) + 8.0 * shelf);
    }
    plane
}
