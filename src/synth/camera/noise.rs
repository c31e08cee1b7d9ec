//! Sensor noise.

use crate::frame::Luma;
use crate::synth::random::{Rng, hash};
use crate::synth::texture::Plane;

/// Read noise and shot noise: the variance grows with the light.
#[derive(Debug, Clone)]
pub(crate) struct CameraNoise {
    table: Vec<f32>,
    seed: u64,
    sigma: f32,
}

impl CameraNoise {
    /// Noise with standard deviation `sigma` at middle grey, for pictures of this width.
    pub(crate) fn new(sigma: f32, seed: u64, width: usize) -> Self {
        let mut rng = Rng::new(seed, 0xca3e);
        Self { table: (0..(1 << 16) + width).map(|_| rng.normal()).collect(), seed, sigma }
    }

    /// Adds the noise of frame number `frame` and rounds.
    pub(crate) fn expose(&self, frame: u64, canvas: &Plane, out: &mut Luma) {
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
