//! Joint estimation: what the landmarks of one part of the face say together about the movement of each.
//!
//! Lucas-Kanade reads the movement of a window, not of a point: where skin moves most, the window's mean is less than the
//! movement of its middle, by a tenth and more for the bump of an action unit. Neighbouring windows say how the movement
//! falls off, and all of them together say more than one about camera noise. With skin that moves as a Gaussian process
//! (two squared exponentials: a local movement, and one of the whole part) and windows that are Gaussians, both follow in
//! closed form: the best linear estimate (kriging, Rasmussen and Williams 2006, 2.2) of the movement at each landmark from
//! the readings of all windows of the part.
//!
//! Upper and lower lid, and upper and lower lip, move apart: they say little about each other. Parts say nothing about
//! each other.

use super::track_config::TrackerConfig;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, Component, PerLandmark};

/// Most landmarks of a part.
const MOST: usize = 20;
/// Length of the movement of a whole part, in IOD.
const WHOLE_IOD: f32 = 0.5;
/// Standard deviation of movements of either kind, in IOD. It matters only against the noise.
const SPREAD_IOD: f32 = 0.02;
/// Correlation of upper and lower lids and lips.
const ACROSS: f32 = 0.3;
/// Standard deviation of a reading without trust, against that of a good one.
const DISTRUST: f32 = 100.0;

type Square = [[f32; MOST]; MOST];

/// Covariances within one part, in squared IOD.
#[derive(Debug, Clone)]
struct Part {
    /// Of the readings with each other.
    readings: Square,
    /// Of the movement at each landmark with each reading.
    cross: Square,
}

/// Joins the readings of the windows.
#[derive(Debug, Clone, Default)]
pub struct Joint {
    parts: Vec<Part>,
    /// Variance of a good reading, in squared IOD.
    noise: f32,
}

/// Which side of a slit a landmark lies on.
#[derive(Clone, Copy, PartialEq)]
enum Slit {
    Upper,
    Lower,
    /// At its corners: both.
    Both,
}

const fn slit(i: usize) -> Slit {
    match i {
        37 | 38 | 43 | 44 | 49..=53 | 61..=63 => Slit::Upper,
        40 | 41 | 46 | 47 | 55..=59 | 65..=67 => Slit::Lower,
        _ => Slit::Both,
    }
}

/// How much two landmarks have to do with each other because of the slit between them: unit vectors' products, so that
/// the covariances stay positive definite.
fn alike(i: usize, j: usize) -> f32 {
    match (slit(i), slit(j)) {
        (Slit::Upper, Slit::Lower) | (Slit::Lower, Slit::Upper) => ACROSS,
        (a, b) if a == b => 1.0,
        _ => ((1.0 + ACROSS) / 2.0).sqrt(),
    }
}

/// Covariance of two window means `r` apart, where `spread` is the sum of the variances of the windows.
fn covariance(length: f32, r: f32, spread: f32) -> f32 {
    let l = length * length;
    SPREAD_IOD * SPREAD_IOD * l / (l + spread) * (-0.5 * r * r / (l + spread)).exp()
}

impl Joint {
    /// Sets it up for a face with this shape; `deviation` is that of each landmark's window, in IOD. Reuses its memory.
    pub fn prepare(&mut self, shape: &PerLandmark<Iod>, deviation: impl Fn(usize) -> f32, config: &TrackerConfig) {
        self.parts.clear();
        self.noise = config.joint_noise_iod * config.joint_noise_iod;
        if config.joint_iod <= 0.0 {
            return;
        }
        for component in Component::ALL {
            let mut part = Part { readings: [[0.0; MOST]; MOST], cross: [[0.0; MOST]; MOST] };
            for (a, i) in component.landmarks().enumerate() {
                for (b, j) in component.landmarks().enumerate() {
                    let (r, alike) = (shape[i].distance(shape[j]), alike(i, j));
                    let (own, other) = (deviation(i).powi(2), deviation(j).powi(2));
                    let both = |spread| {
                        alike * (covariance(config.joint_iod, r, spread) + covariance(WHOLE_IOD, r, spread))
                    };
                    part.readings[a][b] = both(own + other);
                    part.cross[a][b] = both(other);
                }
            }
            self.parts.push(part);
        }
    }

    /// The movement of each landmark from the readings of the windows, of which each is trusted from 0 to 1. Landmarks of
    /// the contour stay as they are read.
    pub fn estimate(&self, read: &PerLandmark<Iod>, trust: &PerLandmark<f32>) -> PerLandmark<Iod> {
        let mut joined = *read;
        for (part, component) in self.parts.iter().zip(Component::ALL) {
            let range = component.landmarks();
            let n = range.len();
            let mut factor = part.readings;
            for (a, i) in range.clone().enumerate() {
                factor[a][a] += self.noise / trust[i].clamp(1.0 / DISTRUST, 1.0).powi(2);
            }
            if !cholesky(&mut factor, n) {
                continue;
            }
            let mut z = [[0f32; MOST]; 2];
            for (a, i) in range.clone().enumerate() {
                (z[0][a], z[1][a]) = (read[i].x, read[i].y);
            }
            z.iter_mut().for_each(|z| solve(&factor, z, n));
            for (a, i) in range.enumerate() {
                let sum = |z: &[f32; MOST]| part.cross[a][..n].iter().zip(z).map(|(c, z)| c * z).sum::<f32>();
                joined[i] = Iod::new(sum(&z[0]), sum(&z[1]));
            }
        }
        joined
    }
}

/// Replaces the lower triangle of the first `n` rows by its triangular factor; `false` when it is not positive definite.
fn cholesky(m: &mut Square, n: usize) -> bool {
    for i in 0..n {
        for j in 0..=i {
            let s = m[i][j] - (0..j).map(|k| m[i][k] * m[j][k]).sum::<f32>();
            if i == j {
                if !(s > 0.0) {
                    return false;
                }
                m[i][i] = s.sqrt();
            } else {
                m[i][j] = s / m[j][j];
            }
        }
    }
    true
}

/// Solves with a factor of [`cholesky`], in place.
fn solve(l: &Square, x: &mut [f32; MOST], n: usize) {
    for i in 0..n {
        let s: f32 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x[i] = (x[i] - s) / l[i][i];
    }
    for i in (0..n).rev() {
        let s: f32 = (i + 1..n).map(|k| l[k][i] * x[k]).sum();
        x[i] = (x[i] - s) / l[i][i];
    }
}

/// Trust of all landmarks at the start.
pub const TRUSTED: PerLandmark<f32> = [1.0; COUNT];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A face: brows, nose, eyes and mouth about where they are.
    fn shape() -> PerLandmark<Iod> {
        std::array::from_fn(|i| {
            let at = |k: usize, n: usize| k as f32 / (n - 1) as f32;
            match i {
                17..=21 => Iod::new(-0.85 + 0.6 * at(i - 17, 5), -0.4),
                22..=26 => Iod::new(0.25 + 0.6 * at(i - 22, 5), -0.4),
                27..=30 => Iod::new(0.0, 0.1 + 0.4 * at(i - 27, 4)),
                31..=35 => Iod::new(-0.25 + 0.5 * at(i - 31, 5), 0.65),
                36..=47 => {
                    let (eye, k) = ((i - 36) / 6, (i - 36) % 6);
                    let turn = std::f32::consts::TAU * k as f32 / 6.0;
                    Iod::new(eye as f32 - 0.5 - 0.22 * turn.cos(), -0.09 * turn.sin())
                }
                48..=59 => {
                    let turn = std::f32::consts::TAU * (i - 48) as f32 / 12.0;
                    Iod::new(-0.4 * turn.cos(), 1.1 - 0.15 * turn.sin())
                }
                60..=67 => {
                    let turn = std::f32::consts::TAU * (i - 60) as f32 / 8.0;
                    Iod::new(-0.33 * turn.cos(), 1.1 - 0.04 * turn.sin())
                }
                _ => Iod::new(-1.0 + i as f32 / 8.0, 1.0),
            }
        })
    }

    fn joint(config: &TrackerConfig) -> Joint {
        let mut joint = Joint::default();
        joint.prepare(&shape(), |_| 0.065, config);
        joint
    }

    #[test]
    fn what_a_window_takes_from_a_bump_is_given_back() {
        let (shape, config) = (shape(), TrackerConfig::default());
        // skin that moves by a bump around the middle of a brow: windows of deviation w read it flatter and wider
        let (bump, w) = (0.17f32, 0.065f32);
        let grown = bump * bump + w * w;
        let truth = |p: Iod, i: usize| 0.02 * (-0.5 * (p.distance(shape[i]) / bump).powi(2)).exp();
        for i in [19, 51, 33] {
            let read = shape.map(|p| {
                let r = p.distance(shape[i]);
                Iod::new(0.0, 0.02 * bump * bump / grown * (-0.5 * r * r / grown).exp())
            });
            let joined = joint(&config).estimate(&read, &TRUSTED);
            let (before, after) = (read[i].y / truth(shape[i], i), joined[i].y / truth(shape[i], i));
            assert!(before < 0.89 && (0.93..1.05).contains(&after), "landmark {i}: {before} became {after}");
        }
    }

    #[test]
    fn a_shift_of_all_stays_and_noise_becomes_less() {
        let config = TrackerConfig::default();
        let joint = joint(&config);
        let shift = Iod::new(0.01, -0.02);
        for (i, p) in joint.estimate(&[shift; COUNT], &TRUSTED).iter().enumerate() {
            assert!(p.distance(shift) < 0.06 * shift.norm(), "landmark {i}: {p:?}");
        }
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 16_777_216.0 - 0.5
        };
        let read: PerLandmark<Iod> = std::array::from_fn(|_| Iod::new(random() * 1e-3, random() * 1e-3));
        let power = |of: &PerLandmark<Iod>| of[17..].iter().map(|p| p.norm().powi(2)).sum::<f32>();
        assert!(power(&joint.estimate(&read, &TRUSTED)) < 0.9 * power(&read));
    }

    #[test]
    fn a_landmark_that_is_not_trusted_goes_with_its_neighbours_and_does_not_lead_them() {
        let joint = joint(&TrackerConfig::default());
        let mut read = [Iod::new(0.0, 0.02); COUNT];
        read[19] = Iod::new(0.0, -0.3);
        let mut trust = TRUSTED;
        trust[19] = 0.0;
        let joined = joint.estimate(&read, &trust);
        for i in 17..22 {
            assert!((joined[i].y - 0.02).abs() < 0.002, "landmark {i}: {:?}", joined[i]);
        }
    }

    #[test]
    fn switched_off_it_does_nothing() {
        let config = TrackerConfig { joint_iod: 0.0, ..TrackerConfig::default() };
        let read: PerLandmark<Iod> = std::array::from_fn(|i| Iod::new(i as f32, 1.0));
        assert_eq!(joint(&config).estimate(&read, &TRUSTED), read);
    }
}
