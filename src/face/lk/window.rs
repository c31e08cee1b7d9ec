//! Windows: size and weights.

/// Largest window, in pixels.
pub(super) const MAX_SIZE: usize = 40;

/// Size and weights of the windows of one pyramid level.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    pub(super) size: usize,
    pub(super) weights: Vec<f32>,
    /// Sum of the weights.
    pub(super) total: f32,
    /// Sum of the squared weights over the sum of the weights: how far averaging over the window cuts noise.
    pub(super) share: f32,
}

impl Window {
    /// Gives the window a size (in pixels, a multiple of 4 from 8 to 40) and the standard deviation of its
    /// Gaussian (pixels), reusing its memory.
    pub fn set(&mut self, size: usize, sigma: f32) {
        self.size = (size / 4 * 4).clamp(8, MAX_SIZE);
        let (n, middle) = (self.size, (self.size - 1) as f32 / 2.0);
        let k = -0.5 / (sigma * sigma).max(0.25);
        self.weights.clear();
        for v in 0..n {
            for u in 0..n {
                let (dx, dy) = (u as f32 - middle, v as f32 - middle);
                self.weights.push((k * (dx * dx + dy * dy)).exp());
            }
        }
        self.total = self.weights.iter().sum();
        self.share = self.weights.iter().map(|w| w * w).sum::<f32>() / self.total;
    }

    /// Becomes like another window, reusing the memory.
    pub(super) fn copy(&mut self, other: &Self) {
        (self.size, self.total, self.share) = (other.size, other.total, other.share);
        self.weights.clone_from(&other.weights);
    }

    /// Side in pixels.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// How far averaging over the window cuts the noise of the normal equations.
    pub const fn share(&self) -> f32 {
        self.share
    }

    /// Distance from the first pixel to the middle.
    pub(super) fn middle(&self) -> f32 {
        (self.size as f32 - 1.0) / 2.0
    }
}
