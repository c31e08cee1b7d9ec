//! A smooth displacement of the whole face for every action unit, from its displacement of the landmarks.
//!
//! Kernel ridge regression with Wendland's compactly supported C2 function (Wendland 1995): exact enough at the
//! landmarks, smooth between them, nothing far away. Sampled once on a grid; a frame sums the units that act.

use super::au::{Activation, Displacements};
use super::shape::depth;
use crate::geometry::Iod;
use crate::landmarks::{COUNT, PerLandmark};

/// Left, top edge and spacing of the grid, in IOD, and its size.
const LEFT: f32 = -1.7;
const TOP: f32 = -1.1;
const SPACING: f32 = 0.04;
const COLUMNS: usize = 86;
const ROWS: usize = 84;
/// Reach of a landmark in IOD.
const REACH: f32 = 0.50;
/// Ridge: a landmark may give way this much where its neighbours disagree (inner lips).
const RIDGE: f64 = 0.03;

fn kernel(r: f32) -> f32 {
    let u = (1.0 - r / REACH).max(0.0);
    u.powi(4) * (4.0 * r / REACH + 1.0)
}

type Grid = Vec<Iod>;

/// Turns displacements of one face's landmarks into displacements of the grid.
struct Spreader {
    factor: Option<Factor>,
    /// For each node: the landmarks that reach it, and how strongly.
    basis: Vec<Vec<(usize, f32)>>,
}

impl Spreader {
    fn new(face: &PerLandmark<Iod>) -> Self {
        let node = |k: usize| Iod::new(LEFT + (k % COLUMNS) as f32 * SPACING, TOP + (k / COLUMNS) as f32 * SPACING);
        let near = |k: usize| {
            let reached = face.iter().enumerate().map(|(i, p)| (i, kernel(p.distance(node(k)))));
            reached.filter(|(_, w)| *w > 0.0).collect()
        };
        Self { factor: cholesky(face), basis: (0..COLUMNS * ROWS).map(near).collect() }
    }

    fn spread(&self, moved: &PerLandmark<Iod>) -> Grid {
        let Some(factor) = &self.factor else { return vec![Iod::default(); COLUMNS * ROWS] };
        let x = solve(factor, |i| f64::from(moved[i].x));
        let y = solve(factor, |i| f64::from(moved[i].y));
        let at = |near: &Vec<(usize, f32)>| {
            near.iter().fold(Iod::default(), |sum, &(i, w)| sum + Iod::new(w * x[i] as f32, w * y[i] as f32))
        };
        self.basis.iter().map(at).collect()
    }
}

fn lookup(grid: &Grid, p: Iod) -> Iod {
    let (fx, fy) = ((p.x - LEFT) / SPACING, (p.y - TOP) / SPACING);
    if !(0.0..(COLUMNS - 1) as f32).contains(&fx) || !(0.0..(ROWS - 1) as f32).contains(&fy) {
        return Iod::default();
    }
    let (i, j) = (fx as usize, fy as usize);
    let (u, v) = (fx - i as f32, fy - j as f32);
    let row = |k: usize| match grid.get(k..k + 2) {
        Some(&[a, b]) => a * (1.0 - u) + b * u,
        _ => Iod::default(),
    };
    let k = j * COLUMNS + i;
    row(k) * (1.0 - v) + row(k + COLUMNS) * v
}

/// One fixed displacement of the face: how an identity differs from the mean face.
#[derive(Debug, Clone)]
pub(crate) struct Field(Grid);

impl Field {
    /// The field that carries the landmarks `from` (nearly) to `to`.
    pub(crate) fn between(from: &PerLandmark<Iod>, to: &PerLandmark<Iod>) -> Self {
        Self(Spreader::new(from).spread(&std::array::from_fn(|i| to[i] - from[i])))
    }

    /// Where `p` goes.
    pub(crate) fn carry(&self, p: Iod) -> Iod {
        p + lookup(&self.0, p)
    }

    /// How far `p` goes; nothing outside [`Field::reach`].
    pub(crate) fn at(&self, p: Iod) -> Iod {
        lookup(&self.0, p)
    }

    /// Corners of the box in which points move.
    pub(crate) const fn reach() -> [Iod; 4] {
        let (right, bottom) = (LEFT + (COLUMNS - 1) as f32 * SPACING, TOP + (ROWS - 1) as f32 * SPACING);
        [Iod::new(LEFT, TOP), Iod::new(right, TOP), Iod::new(LEFT, bottom), Iod::new(right, bottom)]
    }

    /// The point that goes to `q`.
    pub(crate) fn back(&self, q: Iod) -> Iod {
        (0..4).fold(q, |p, _| q - lookup(&self.0, p))
    }
}

/// The height of the face over the eye plane, tabulated: a frame asks for it many thousand times.
#[derive(Debug, Clone)]
pub(crate) struct Heights {
    table: Vec<f32>,
}

/// Extent of the heights in IOD: a margin around the largest head.
const HEIGHTS_EDGE: f32 = 2.4;
const HEIGHTS_TOP: f32 = -2.4;
const HEIGHTS_COLUMNS: usize = 121;
const HEIGHTS_ROWS: usize = 141;

impl Heights {
    pub(crate) fn new() -> Self {
        let at = |k: usize| {
            let (i, j) = (k % HEIGHTS_COLUMNS, k / HEIGHTS_COLUMNS);
            depth(Iod::new(i as f32 * SPACING - HEIGHTS_EDGE, j as f32 * SPACING + HEIGHTS_TOP))
        };
        Self { table: (0..HEIGHTS_COLUMNS * HEIGHTS_ROWS).map(at).collect() }
    }

    /// The height at `p`; beyond the table that of its edge.
    pub(crate) fn at(&self, p: Iod) -> f32 {
        let fx = ((p.x + HEIGHTS_EDGE) / SPACING).max(0.0).min((HEIGHTS_COLUMNS - 2) as f32);
        let fy = ((p.y - HEIGHTS_TOP) / SPACING).max(0.0).min((HEIGHTS_ROWS - 2) as f32);
        let (i, j) = (fx as usize, fy as usize);
        let (u, v) = (fx - i as f32, fy - j as f32);
        let row = |k: usize| match self.table.get(k..k + 2) {
            Some(&[a, b]) => a + (b - a) * u,
            _ => 0.0,
        };
        let k = j * HEIGHTS_COLUMNS + i;
        let top = row(k);
        top + (row(k + HEIGHTS_COLUMNS) - top) * v
    }
}

/// The displacement fields of all action units for one face, and the sum of those that act now.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    units: Vec<[Grid; 2]>,
    sum: Grid,
    active: bool,
}

impl Fields {
    /// The fields of a face with these landmarks. Landmarks that are not finite give flat fields.
    pub(crate) fn new(face: &PerLandmark<Iod>, displacements: &Displacements) -> Self {
        let spreader = Spreader::new(face);
        let units = displacements.sides().map(|sides| sides.each_ref().map(|moved| spreader.spread(moved))).collect();
        Self { units, sum: vec![Iod::default(); COLUMNS * ROWS], active: false }
    }

    /// Sums the units that act.
    pub(crate) fn set(&mut self, activation: &Activation) {
        self.sum.fill(Iod::default());
        self.active = false;
        for &(au, right, left) in &activation.units {
            let Some([r, l]) = self.units.get(au.index()) else { continue };
            self.active = true;
            for ((s, &a), &b) in self.sum.iter_mut().zip(r).zip(l) {
                *s += a * right + b * left;
            }
        }
    }

    /// The summed displacement at `p`; zero outside the grid.
    pub(crate) fn at(&self, p: Iod) -> Iod {
        if self.active { lookup(&self.sum, p) } else { Iod::default() }
    }
}

type Factor = Vec<[f64; COUNT]>;

/// The lower triangular factor of the kernel matrix; `None` when it is not positive definite.
fn cholesky(face: &PerLandmark<Iod>) -> Option<Factor> {
    let mut l: Factor = vec![[0.0; COUNT]; COUNT];
    for i in 0..COUNT {
        for j in 0..=i {
            let mut s = f64::from(kernel(face[i].distance(face[j])));
            if i == j {
                s += RIDGE;
            }
            s -= l[i][..j].iter().zip(&l[j][..j]).map(|(a, b)| a * b).sum::<f64>();
            if i == j {
                if !(s.is_finite() && s > 1e-9) {
                    return None;
                }
                l[i][i] = s.sqrt();
            } else {
                l[i][j] = s / l[j][j];
            }
        }
    }
    Some(l)
}

fn solve(l: &Factor, rhs: impl Fn(usize) -> f64) -> [f64; COUNT] {
    let mut x = [0.0; COUNT];
    for i in 0..COUNT {
        let s: f64 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x[i] = (rhs(i) - s) / l[i][i];
    }
    for i in (0..COUNT).rev() {
        let s: f64 = (i + 1..COUNT).map(|k| l[k][i] * x[k]).sum();
        x[i] = (x[i] - s) / l[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::au::{Au, Side};
    use super::*;
    use crate::synth::shape::{identity, mean_face};

    #[test]
    fn the_field_moves_the_landmarks_as_the_table_says_and_nothing_far_away() {
        let face = identity(3);
        let mut fields = Fields::new(&face, &Displacements::of(0, 0.0));
        for au in [Au::BrowLowerer, Au::LipCornerPuller, Au::OuterBrowRaiser, Au::UpperLidRaiser] {
            fields.set(&Activation { units: vec![(au, 1.0, 1.0)], lids: 0.0 });
            let (r, l) = (au.displacement(Side::Right), au.displacement(Side::Left));
            let largest = (0..COUNT).map(|i| (r[i] + l[i]).norm()).fold(0.0, f32::max);
            for i in 0..COUNT {
                let error = fields.at(face[i]).distance(r[i] + l[i]);
                assert!(error < 0.22 * largest, "{au:?} landmark {i}: {error} of {largest}");
            }
            assert!(fields.at(Iod::new(0.0, 2.1)).norm() < 1e-3 && fields.at(Iod::new(9.0, 9.0)).norm() == 0.0);
        }
    }

    #[test]
    fn tabulated_heights_are_those_of_the_face() {
        let heights = Heights::new();
        for p in identity(5) {
            assert!((heights.at(p) - depth(p)).abs() < 0.003, "{p:?}");
        }
        assert!(heights.at(Iod::new(f32::NAN, 1e9)).is_finite());
    }

    #[test]
    fn no_field_folds_at_the_strengths_of_the_script() {
        let mut fields = Fields::new(&mean_face(), &Displacements::of(0, 0.0));
        for au in Au::ALL {
            let strength = au.limit();
            fields.set(&Activation { units: vec![(au, strength, strength)], lids: 0.0 });
            for k in 0..60 * 70 {
                let p = Iod::new(-1.2 + (k % 60) as f32 * 0.04, -0.9 + (k / 60) as f32 * 0.04);
                let h = 0.02;
                let dx = (fields.at(p + Iod::new(h, 0.0)) - fields.at(p)) * (1.0 / h);
                let dy = (fields.at(p + Iod::new(0.0, h)) - fields.at(p)) * (1.0 / h);
                let det = (1.0 + dx.x) * (1.0 + dy.y) - dx.y * dy.x;
                assert!(det > 0.05, "{au:?} folds at {p:?}: {det}");
            }
        }
    }

    #[test]
    fn a_degenerate_face_gives_a_flat_field() {
        let mut fields = Fields::new(&[Iod::new(f32::NAN, 0.0); COUNT], &Displacements::of(0, 0.0));
        fields.set(&Activation { units: vec![(Au::BrowLowerer, 1.0, 1.0)], lids: 0.0 });
        assert_eq!(fields.at(Iod::new(0.5, -0.4)), Iod::default());
    }
}
