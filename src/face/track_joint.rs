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
/// Least information, in 1/IOD^2: a deviation of a third of an IOD.
const LEAST: f32 = 10.0;

type Square = [[f32; MOST]; MOST];

/// Covariances within one part, in squared IOD.
#[derive(Debug, Clone)]
struct Part {
    /// Of the readings with each other.
    readings: Square,
    /// Of the movement at each landmark with each reading.
    cross: Square,
}

/// What the window of one landmark says about its movement, in IOD along the axes of the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reading {
    /// Information: the inverse of the covariance of the movement (xx, xy, yy). Along an edge there is little.
    pub information: [f32; 3],
    /// Information times movement.
    pub weighted: [f32; 2],
}

/// Joins the readings of the windows.
#[derive(Debug, Clone, Default)]
pub struct Joint {
    parts: Vec<Part>,
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
    /// Sets it up for a face with this shape; `looks` says where each landmark's window looks, and how widely (standard
    /// deviation), both in IOD. Reuses its memory.
    pub fn prepare(&mut self, shape: &PerLandmark<Iod>, looks: &PerLandmark<(Iod, f32)>, config: &TrackerConfig) {
        self.parts.clear();
        if config.joint_iod <= 0.0 {
            return;
        }
        for component in Component::ALL {
            let mut part = Part { readings: [[0.0; MOST]; MOST], cross: [[0.0; MOST]; MOST] };
            for (a, i) in component.landmarks().enumerate() {
                for (b, j) in component.landmarks().enumerate() {
                    let ((from, own), (to, other)) = (looks[i], looks[j]);
                    let both = |r, spread| {
                        alike(i, j) * (covariance(config.joint_iod, r, spread) + covariance(WHOLE_IOD, r, spread))
                    };
                    part.readings[a][b] = both(from.distance(to), own * own + other * other);
                    part.cross[a][b] = both(shape[i].distance(to), other * other);
                }
            }
            self.parts.push(part);
        }
    }

    /// Replaces `moved`, the movement of each landmark along the axes of the picture in IOD, by what all readings of its
    /// part say. Landmarks of the contour stay.
    pub fn estimate(&self, readings: &PerLandmark<Reading>, moved: &mut PerLandmark<Iod>) {
        for (part, component) in self.parts.iter().zip(Component::ALL) {
            let range = component.landmarks();
            let n = range.len();
            // with the information of each window as L L^T, and C and X the covariances, the estimate is
            // X L (1 + L^T C L)^-1 L^-1 times the weighted movement: no inverse of what an edge does not know
            let (mut roots, mut z) = ([[0f32; 3]; MOST], [0f32; 2 * MOST]);
            for (a, r) in readings.get(range.clone()).unwrap_or(&[]).iter().enumerate() {
                let [xx, xy, yy] = r.information;
                let l = xx.max(LEAST).sqrt();
                let m = xy / l;
                let k = (yy - m * m).max(LEAST).sqrt();
                roots[a] = [l, m, k];
                z[2 * a] = r.weighted[0] / l;
                z[2 * a + 1] = (r.weighted[1] - m * z[2 * a]) / k;
            }
            let mut system = [[0f32; 2 * MOST]; 2 * MOST];
            for a in 0..n {
                for b in 0..=a {
                    let (c, [l, m, k], [o, p, q]) = (part.readings[a][b], roots[a], roots[b]);
                    let (row, column) = (2 * a, 2 * b);
                    system[row][column] = c * (l * o + m * p);
                    system[row][column + 1] = c * m * q;
                    system[row + 1][column] = c * k * p;
                    system[row + 1][column + 1] = c * k * q;
                }
                system[2 * a][2 * a] += 1.0;
                system[2 * a + 1][2 * a + 1] += 1.0;
            }
            if !cholesky(&mut system, 2 * n) {
                continue;
            }
            solve(&system, &mut z, 2 * n);
            let mut weights = [[0f32; 2]; MOST];
            for b in 0..n {
                let ([l, m, k], x, y) = (roots[b], z[2 * b], z[2 * b + 1]);
                weights[b] = [l * x, m * x + k * y];
            }
            for (a, moved) in moved.get_mut(range).unwrap_or(&mut []).iter_mut().enumerate() {
                let terms = part.cross[a][..n].iter().zip(&weights);
                *moved = terms.fold(Iod::default(), |sum, (c, [x, y])| sum + Iod::new(c * x, c * y));
            }
        }
    }
}

type System = [[f32; 2 * MOST]; 2 * MOST];

/// Replaces the lower triangle of the first `n` rows by its triangular factor; `false` when it is not positive definite.
fn cholesky(m: &mut System, n: usize) -> bool {
    for i in 0..n {
        let (above, rest) = m.split_at_mut(i);
        let row = &mut rest[0];
        for (j, other) in above.iter().enumerate() {
            let s = row[j] - row[..j].iter().zip(&other[..j]).map(|(a, b)| a * b).sum::<f32>();
            row[j] = s / other[j];
        }
        let s = row[i] - row[..i].iter().map(|a| a * a).sum::<f32>();
        if !(s > 0.0) {
            return false;
        }
        row[i] = s.sqrt();
    }
    true
}

/// Solves with a factor of [`cholesky`], in place.
fn solve(l: &System, x: &mut [f32; 2 * MOST], n: usize) {
    for i in 0..n {
        let s: f32 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x[i] = (x[i] - s) / l[i][i];
    }
    for i in (0..n).rev() {
        x[i] /= l[i][i];
        for k in 0..i {
            x[k] -= l[i][k] * x[i];
        }
    }
}

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
