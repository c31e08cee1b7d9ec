//! Joint estimation: what the landmarks of one part of the face say together about the movement of each.
//!
//! Lucas-Kanade reads the movement of a window, not of a point: where skin moves most, the window's mean is less than the
//! movement of its middle, by a tenth and more for the bump of an action unit. Neighbouring windows say how the movement
//! falls off, and all of them together say more than one about camera noise. With skin that moves as a Gaussian process
//! (two squared exponentials: a local movement, and one of the whole part) and windows that are Gaussians, both follow in
//! closed form: the best linear estimate (kriging, Rasmussen and Williams 2006, 2.2) of the movement at each landmark from
//! the readings of all windows of the part.
//!
//! Upper and lower lid, and upper and lower lip, move apart: of local movements they say little about each other. Parts say
//! nothing about each other.

use super::track_config::TrackerConfig;
use crate::geometry::Iod;
use crate::landmarks::{Component, PerLandmark};

/// Most landmarks of a part.
const MOST: usize = 20;
/// Length of the movement of a whole part, in IOD.
const WHOLE_IOD: f32 = 1.0;
/// Standard deviation of movements of either kind, in IOD. It matters only against the noise.
const SPREAD_IOD: f32 = 0.02;
/// Correlation of upper and lower lids and lips.
const ACROSS: f32 = 0.3;
/// Least structure along an edge, as a share of that across.
const LEAST: f32 = 1e-3;

/// A square matrix over both coordinates of the landmarks of a part.
type System = [[f32; 2 * MOST]; 2 * MOST];

/// What is known about one part before the picture is asked, in working pixels.
#[derive(Debug, Clone)]
struct Part {
    /// Covariance of the readings.
    readings: System,
    /// Covariance of the movement at the landmarks with the readings.
    cross: System,
    /// Roots of the Hessians of the windows, lower triangular (xx, yx, yy).
    roots: [[f32; 3]; MOST],
}

/// What the window of one landmark looks at: the parts of it, in the face frame.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The parts of the window, each with its share of the Hessian.
    pub cells: [(Iod, [f32; 3]); 9],
    /// Variance of the softening of the picture, in squared IOD.
    pub softened: f32,
}

/// What the window of one landmark has read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reading {
    /// Movement in working pixels, along the axes of the picture.
    pub moved: [f32; 2],
    /// What a belief about the place added to the normal equations; taken out again, because here the neighbours do that.
    pub pulled: [f32; 2],
    /// Variance of a reading, in units of the normal equations; `None` when there is none.
    pub noise: Option<f32>,
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

/// Covariance of the movement at two places, `square` their squared distance, over their spans of `spread`.
fn covariance(length: f32, square: f32, spread: f32) -> f32 {
    let grown = length * length + spread;
    length * length / grown * (-0.5 * square / grown).exp()
}

impl Joint {
    /// Sets it up for a face with this shape, whose landmarks look as `looks` says; `iod` is in working pixels. Reuses its
    /// memory.
    pub fn prepare(&mut self, shape: &PerLandmark<Iod>, looks: &PerLandmark<Look>, iod: f32, config: &TrackerConfig) {
        self.parts.clear();
        if config.joint_iod <= 0.0 {
            return;
        }
        let variance = (SPREAD_IOD * iod).powi(2);
        let between = |p: Iod, q: Iod, spread: f32, alike: f32| {
            let (x, y) = (p.x - q.x, p.y - q.y);
            let square = x * x + y * y;
            variance * (alike * covariance(config.joint_iod, square, spread) + covariance(WHOLE_IOD, square, spread))
        };
        for component in Component::ALL {
            let mut part = Part {
                readings: [[0.0; 2 * MOST]; 2 * MOST],
                cross: [[0.0; 2 * MOST]; 2 * MOST],
                roots: [[0.0; 3]; MOST],
            };
            for (a, i) in component.landmarks().enumerate() {
                part.roots[a] = root(&looks[i]);
            }
            for (a, i) in component.landmarks().enumerate() {
                for (b, j) in component.landmarks().enumerate() {
                    let (alike, own, other) = (alike(i, j), &looks[i], &looks[j]);
                    // of the movement here with the normal equations there, the root of the Hessian there taken out
                    let mut cross = [0f32; 3];
                    for (q, h) in &other.cells {
                        let k = between(shape[i], *q, other.softened, alike);
                        cross.iter_mut().zip(h).for_each(|(c, h)| *c += k * h);
                    }
                    let m = [[cross[0], cross[1]], [cross[1], cross[2]]];
                    put(&mut part.cross, a, b, &m.map(|row| lower(&part.roots[b], row)));
                    if b > a {
                        continue;
                    }
                    // of the normal equations here and there, both roots taken out
                    let mut m = [[0f32; 2]; 2];
                    for (p, [xx, xy, yy]) in &own.cells {
                        let mut sum = [0f32; 3];
                        for (q, h) in &other.cells {
                            let k = between(*p, *q, own.softened + other.softened, alike);
                            sum.iter_mut().zip(h).for_each(|(s, h)| *s += k * h);
                        }
                        let [sx, sxy, sy] = sum;
                        m[0][0] += xx * sx + xy * sxy;
                        m[0][1] += xx * sxy + xy * sy;
                        m[1][0] += xy * sx + yy * sxy;
                        m[1][1] += xy * sxy + yy * sy;
                    }
                    let right = m.map(|row| lower(&part.roots[b], row));
                    let columns = [[right[0][0], right[1][0]], [right[0][1], right[1][1]]];
                    let [x, y] = columns.map(|column| lower(&part.roots[a], column));
                    put(&mut part.readings, a, b, &[[x[0], y[0]], [x[1], y[1]]]);
                }
            }
            self.parts.push(part);
        }
    }

    /// The movement of each landmark, in working pixels along the axes of the picture, from all readings of its part.
    /// Landmarks of the contour keep their own.
    pub fn estimate(&self, readings: &PerLandmark<Reading>) -> PerLandmark<[f32; 2]> {
        let mut joined = readings.map(|r| r.moved);
        for (part, component) in self.parts.iter().zip(Component::ALL) {
            let range = component.landmarks();
            let n = range.len();
            let mut system = part.readings;
            let mut z = [0f32; 2 * MOST];
            for (a, i) in range.clone().enumerate() {
                let Reading { moved: [x, y], pulled, noise } = readings[i];
                if noise.is_some() {
                    let [l, m, k] = part.roots[a];
                    let [p, q] = lower(&part.roots[a], pulled);
                    (z[2 * a], z[2 * a + 1]) = (l * x + m * y + p, k * y + q);
                }
                let noise = noise.unwrap_or(UNREAD).clamp(1e-6, UNREAD);
                system[2 * a][2 * a] += noise;
                system[2 * a + 1][2 * a + 1] += noise;
            }
            if !cholesky(&mut system, 2 * n) {
                continue;
            }
            solve(&system, &mut z, 2 * n);
            for (a, i) in range.enumerate() {
                joined[i] = [2 * a, 2 * a + 1].map(|r| {
                    part.cross.get(r).map_or(0.0, |row| row[..2 * n].iter().zip(&z).map(|(c, z)| c * z).sum::<f32>())
                });
            }
        }
        joined
    }
}

/// Noise of a window that has read nothing.
const UNREAD: f32 = 1e9;

/// The root of the Hessian of a window; along an edge it is not quite 0.
fn root(look: &Look) -> [f32; 3] {
    let mut h = [0f32; 3];
    look.cells.iter().for_each(|(_, cell)| h.iter_mut().zip(cell).for_each(|(h, c)| *h += c));
    let [xx, xy, yy] = h;
    let least = LEAST * (xx + yy) + 1e-6;
    let l = xx.max(least).sqrt();
    let m = xy / l;
    [l, m, (yy - m * m).max(least).sqrt()]
}

/// `L^-1 v`, which as a row is also `v L^-T`.
fn lower(root: &[f32; 3], [x, y]: [f32; 2]) -> [f32; 2] {
    let [l, m, k] = *root;
    let first = x / l;
    [first, (y - m * first) / k]
}

/// Puts a block of two by two in its place.
fn put(system: &mut System, a: usize, b: usize, block: &[[f32; 2]; 2]) {
    for (r, row) in block.iter().enumerate() {
        for (c, v) in row.iter().enumerate() {
            system[2 * a + r][2 * b + c] = *v;
        }
    }
}

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

    const IOD: f32 = 80.0;
    /// Standard deviation of the windows, in IOD.
    const W: f32 = 0.065;

    /// Windows that look at what is around their landmark, alike along both axes: nine places with the window's variance.
    fn joint(config: &TrackerConfig) -> Joint {
        let step = W * 1.5f32.sqrt();
        let looks = shape().map(|p| Look {
            cells: std::array::from_fn(|k| {
                let at = Iod::new((k % 3) as f32 - 1.0, (k / 3) as f32 - 1.0) * step;
                (p + at, [100.0 / 9.0, 0.0, 100.0 / 9.0])
            }),
            softened: 0.0,
        });
        let mut joint = Joint::default();
        joint.prepare(&shape(), &looks, IOD, config);
        joint
    }

    /// Readings with a deviation of 0.04 px, in units of normal equations with a Hessian of 100: about what a camera gives.
    fn read(moved: impl Fn(usize, Iod) -> [f32; 2]) -> PerLandmark<Reading> {
        let shape = shape();
        std::array::from_fn(|i| Reading { moved: moved(i, shape[i]), pulled: [0.0; 2], noise: Some(0.16) })
    }

    #[test]
    fn what_a_window_takes_from_a_bump_is_given_back() {
        let (shape, joint) = (shape(), joint(&TrackerConfig::default()));
        // skin that moves by a pixel around one landmark: a window of deviation W reads the bump flatter and wider
        let (bump, wide) = (0.2f32 * 0.2, 0.2f32 * 0.2 + W * W);
        for i in [19, 33, 51] {
            let readings = read(|_, p| [0.0, bump / wide * (-0.5 * p.distance(shape[i]).powi(2) / wide).exp()]);
            let joined = joint.estimate(&readings);
            let (before, after) = (readings[i].moved[1], joined[i][1]);
            assert!(before < 0.91 && (0.94..1.06).contains(&after), "landmark {i}: {before} became {after}");
        }
    }

    #[test]
    fn a_shift_of_all_stays_and_noise_hardly_grows() {
        let joint = joint(&TrackerConfig::default());
        for (i, p) in joint.estimate(&read(|_, _| [0.8, -1.6])).iter().enumerate().skip(17) {
            assert!((p[0] - 0.8).hypot(p[1] + 1.6) < 0.15, "landmark {i}: {p:?}");
        }
        let seed = std::cell::Cell::new(1u32);
        let random = || {
            seed.set(seed.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            (seed.get() >> 8) as f32 / 16_777_216.0 - 0.5
        };
        // told three times as large as it is, as the default is
        let mut readings = read(|_, _| [random() * 0.1, random() * 0.1]);
        readings.iter_mut().for_each(|r| r.noise = Some(9.0 * 0.08));
        let power = |of: &PerLandmark<[f32; 2]>| of[17..].iter().map(|p| p[0] * p[0] + p[1] * p[1]).sum::<f32>();
        let before = power(&readings.map(|r| r.moved));
        let after = power(&joint.estimate(&readings));
        assert!(after < 1.15 * before, "{before} became {after}");
    }

    #[test]
    fn a_landmark_without_a_reading_goes_with_its_neighbours_and_does_not_lead_them() {
        let joint = joint(&TrackerConfig::default());
        let mut readings = read(|_, _| [0.0, 1.6]);
        (readings[19].moved, readings[19].noise) = ([0.0, -20.0], None);
        let joined = joint.estimate(&readings);
        for i in 17..22 {
            assert!((joined[i][1] - 1.6).abs() < 0.16, "landmark {i}: {:?}", joined[i]);
        }
    }

    #[test]
    fn along_an_edge_the_neighbours_speak_and_not_a_belief() {
        let config = TrackerConfig::default();
        let mut joint = Joint::default();
        let shape = shape();
        // the middle of a brow sees nothing along x; a belief has kept it at 0 there
        let looks = std::array::from_fn(|i| {
            let h = if i == 19 { [0.0, 0.0, 100.0] } else { [100.0, 0.0, 100.0] };
            Look { cells: [(shape[i], h.map(|v| v / 9.0)); 9], softened: 0.0 }
        });
        joint.prepare(&shape, &looks, IOD, &config);
        let joined = joint.estimate(&read(|i, _| if i == 19 { [0.0, 1.0] } else { [1.0, 1.0] }));
        assert!((joined[19][0] - 1.0).abs() < 0.15, "{:?}", joined[19]);
    }

    #[test]
    fn switched_off_it_does_nothing() {
        let config = TrackerConfig { joint_iod: 0.0, ..TrackerConfig::default() };
        let readings = read(|i, _| [i as f32, 1.0]);
        assert_eq!(joint(&config).estimate(&readings), readings.map(|r| r.moved));
    }
}
