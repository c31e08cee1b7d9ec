//! Repeatable random numbers: the same seed gives the same face, script and noise on every machine.

/// Mixes a number thoroughly (the finaliser of SplitMix64; Steele, Lea and Flood 2014).
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number from three: for noise that can be asked for in any order.
pub(crate) const fn hash(seed: u64, a: u64, b: u64) -> u64 {
    mix(mix(mix(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(a)).wrapping_add(b.wrapping_mul(0xd1b5_4a32_d192_ed03)))
}

/// A number of [0, 1) from random bits.
pub(crate) fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u64 << 24) as f32
}

/// The SplitMix64 generator.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of `seed` for one purpose; different purposes are independent.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(hash(seed, purpose, 0))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        unit(self.bits())
    }

    /// Uniform in [low, high).
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f32 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    }

    /// Gamma with the given shape, at least 1, and scale 1 (Marsaglia and Tsang 2000).
    fn gamma(&mut self, shape: f32) -> f32 {
        let d = shape.max(1.0) - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// Beta with both parameters at least 1.
    pub(crate) fn beta(&mut self, a: f32, b: f32) -> f32 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        x / (x + y)
    }

    /// An index drawn with the given weights; 0 when there are none.
    pub(crate) fn pick(&mut self, weights: impl Iterator<Item = f32> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f32>();
        let mut last = 0;
        for (i, w) in weights.enumerate() {
            if left < w {
                return i;
            }
            left -= w;
            last = i;
        }
        last
    }
}

/// Smooth value noise at (x, y), one lattice point per unit, within -1 to 1.
pub(crate) fn value_noise(seed: u64, x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (u, v) = (x - fx, y - fy);
    let (u, v) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v));
    let at = |i: f32, j: f32| unit(hash(seed, (fx + i) as i64 as u64, (fy + j) as i64 as u64)) * 2.0 - 1.0;
    let top = at(0.0, 0.0) + (at(1.0, 0.0) - at(0.0, 0.0)) * u;
    let low = at(0.0, 1.0) + (at(1.0, 1.0) - at(0.0, 1.0)) * u;
    top + (low - top) * v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_have_their_means_and_spreads() {
        let mut r = Rng::new(7, 1);
        let n = 20_000;
        let normal: Vec<f32> = (0..n).map(|_| r.normal()).collect();
        let mean = normal.iter().sum::<f32>() / n as f32;
        let var = normal.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n as f32;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "{mean} {var}");
        let beta = (0..n).map(|_| r.beta(5.5, 5.0)).sum::<f32>() / n as f32;
        assert!((beta - 5.5 / 10.5).abs() < 0.01, "{beta}");
        let picked = (0..n).filter(|_| r.pick([1.0, 3.0].into_iter()) == 1).count();
        assert!((picked as f32 / n as f32 - 0.75).abs() < 0.02);
    }

    #[test]
    fn different_purposes_of_one_seed_differ() {
        assert_ne!(Rng::new(1, 1).bits(), Rng::new(1, 2).bits());
        assert_ne!(hash(1, 2, 3), hash(1, 3, 2));
    }
}
