//! What the camera adds: the room behind the faces, and noise.

use crate::frame::Luma;
use crate::synth::random::{Rng, hash, value_noise};
use crate::synth::texture::Plane;

/// A room out of focus, with the grain of a wall.
pub(super) fn background(width: usize, height: usize, seed: u64) -> Plane {
    let mut plane = Plane::filled(width, height, 0.0);
    for (k, v) in plane.data.iter_mut().enumerate() {
        let (x, y) = ((k % width) as f32 / 640.0, (k / width) as f32 / 640.0);
        let n = |purpose: u64, f: f32| value_noise(hash(seed, 0xbac6, purpose), x * f, y * f);
        let shelf = 0.5 + 0.5 * (y * 14.0 + 2.0 * n(4, 1.5)).sin();
        *v = 118.0 - 22.0 * y + 22.0 * n(1, 3.0) + 9.0 * n(2, 9.0) + 4.0 * n(3, 60.0) + 8.0 * shelf;
    }
    plane
}

/// Read noise and shot noise: the variance grows with the light.
#[derive(Debug, Clone)]
pub(super) struct CameraNoise {
    table: Vec<f32>,
    seed: u64,
    sigma: f32,
}

impl CameraNoise {
    /// Noise with standard deviation `sigma` at middle grey, for pictures of this width.
    pub(super) fn new(sigma: f32, seed: u64, width: usize) -> Self {
        let mut rng = Rng::new(seed, 0xca3e);
        Self { table: (0..(1 << 16) + width).map(|_| rng.normal()).collect(), seed, sigma }
    }

    /// Adds the noise of frame number `frame` and rounds.
    pub(super) fn expose(&self, frame: u64, canvas: &Plane, out: &mut Luma) {
        let (fixed, per_grey) = (0.4 * self.sigma * self.sigma, 0.6 * self.sigma * self.sigma / 128.0);
        let rows = canvas.data.chunks_exact(canvas.width).zip(out.pixels_mut().chunks_exact_mut(canvas.width));
        for (j, (from, to)) in rows.enumerate() {
            let start = (hash(self.seed, frame, j as u64) & 0xffff) as usize;
            let noise = self.table.get(start..start + from.len()).unwrap_or(&[]);
            for ((o, &v), &n) in to.iter_mut().zip(from).zip(noise) {
                *o = (v + n * (fixed + per_grey * v.max(0.0)).sqrt() + 0.5) as u8;
            }
        }
    }
}
