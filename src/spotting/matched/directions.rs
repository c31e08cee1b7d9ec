//! The directions in which facial muscles move landmarks, region by region.
//!
//! A face that talks moves all the time; what tells a micro-expression from the rest is that it goes where muscles pull.
//! The directions are those of the action units (published displacements, see [`crate::synth::Au`]), on both sides or on
//! one. Only directions count, lengths do not.

use crate::geometry::Iod;
use crate::landmarks::{Component, PerLandmark};
use crate::synth::{Au, Side};

/// Most numbers of a region: x and y of its landmarks.
pub(super) const MOST: usize = 44;
/// Most directions of a region.
pub(super) const MOST_WAYS: usize = 20;
/// Directions with a larger cosine than this are one.
const SAME: f32 = 0.985;
/// A unit that moves a region by less than this, in IOD at full strength, does not act there.
const LEAST: f32 = 0.02;

/// Landmarks that muscles move together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    Brows,
    Lids,
    Mouth,
}

impl Region {
    pub const ALL: [Self; 3] = [Self::Brows, Self::Lids, Self::Mouth];

    pub const fn landmarks(self) -> &'static [usize] {
        match self {
            Self::Brows => &[17, 18, 19, 20, 21, 22, 23, 24, 25, 26],
            Self::Lids => &[37, 38, 40, 41, 43, 44, 46, 47],
            Self::Mouth => &[31, 35, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67],
        }
    }

    /// Units, and combinations of them, that act in the region (those of real micro-expressions: `synth::class`), and
    /// whether they are seen on one side alone.
    const fn units(self) -> &'static [(&'static [Au], bool)] {
        match self {
            Self::Brows => &[
                (&[Au::InnerBrowRaiser], true),
                (&[Au::OuterBrowRaiser], true),
                (&[Au::InnerBrowRaiser, Au::OuterBrowRaiser], true),
                (&[Au::BrowLowerer], true),
                (&[Au::BrowLowerer, Au::NoseWrinkler], false),
            ],
            Self::Lids => &[
                (&[Au::UpperLidRaiser], false),
                (&[Au::LidTightener], true),
                (&[Au::CheekRaiser], true),
                (&[Au::NoseWrinkler], false),
            ],
            Self::Mouth => &[
                (&[Au::LipCornerPuller], true),
                (&[Au::CheekRaiser, Au::LipCornerPuller], false),
                (&[Au::Dimpler], true),
                (&[Au::UpperLipRaiser], true),
                (&[Au::LipPresser], false),
                (&[Au::ChinRaiser], false),
                (&[Au::LipCornerDepressor], false),
                (&[Au::NoseWrinkler], false),
                (&[Au::LipCornerPuller, Au::LipPresser], false),
                (&[Au::UpperLipRaiser, Au::LipCornerPuller], false),
                (&[Au::Dimpler, Au::LipPresser], false),
            ],
        }
    }

    /// The facial component that a movement of the region belongs to, by where it is largest.
    pub fn component(self, moved: &PerLandmark<Iod>) -> Component {
        let size = |c: Component| moved.get(c.landmarks()).unwrap_or(&[]).iter().map(|p| p.x * p.x + p.y * p.y).sum();
        let larger = |a: Component, b: Component| {
            let (x, y): (f32, f32) = (size(a), size(b));
            if x >= y { a } else { b }
        };
        match self {
            Self::Brows => larger(Component::RightBrow, Component::LeftBrow),
            Self::Lids => larger(Component::RightEye, Component::LeftEye),
            Self::Mouth => Component::Mouth,
        }
    }
}

/// Numbers of one region, x and y of its landmarks; beyond them zero.
pub(super) type Vector = [f32; MOST];

/// Unit vectors in which a region moves.
#[derive(Debug)]
pub(super) struct Directions {
    pub ways: Vec<Vector>,
}

impl Directions {
    pub fn of(region: Region) -> Self {
        let mut ways: Vec<Vector> = Vec::with_capacity(MOST_WAYS);
        for &(units, alone) in region.units() {
            let sides: &[&[Side]] = match alone {
                true => &[&[Side::Right, Side::Left], &[Side::Right], &[Side::Left]],
                false => &[&[Side::Right, Side::Left]],
            };
            for sides in sides {
                let mut way = [0.0; MOST];
                for (&unit, &side) in units.iter().flat_map(|u| sides.iter().map(move |s| (u, s))) {
                    add(&mut way, region, &unit.displacement(side));
                }
                let length = dot(&way, &way).sqrt();
                if length < LEAST || ways.len() == MOST_WAYS {
                    continue;
                }
                way.iter_mut().for_each(|v| *v /= length);
                if ways.iter().all(|w| dot(w, &way).abs() < SAME) {
                    ways.push(way);
                }
            }
        }
        Self { ways }
    }
}

fn add(way: &mut Vector, region: Region, moved: &PerLandmark<Iod>) {
    let points = region.landmarks().iter().filter_map(|&i| moved.get(i));
    for (xy, p) in way.chunks_exact_mut(2).zip(points) {
        if let [x, y] = xy {
            (*x, *y) = (*x + p.x, *y + p.y);
        }
    }
}

/// The numbers of a region, taken from all landmarks.
pub(super) fn pick(region: Region, points: &PerLandmark<Iod>) -> Vector {
    let mut out = [0.0; MOST];
    add(&mut out, region, points);
    out
}

pub(super) fn dot(a: &Vector, b: &Vector) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::MIRROR;

    #[test]
    fn every_region_fits_and_has_several_directions() {
        for region in Region::ALL {
            let d = Directions::of(region);
            assert!(2 * region.landmarks().len() <= MOST);
            assert!((3..=MOST_WAYS).contains(&d.ways.len()), "{region:?}: {}", d.ways.len());
            assert!(d.ways.iter().all(|w| (dot(w, w) - 1.0).abs() < 1e-4));
        }
    }

    #[test]
    fn a_mirrored_direction_is_one_as_well() {
        for region in Region::ALL {
            let all = Directions::of(region).ways;
            let place = |i: usize| region.landmarks().iter().position(|&k| k == i).unwrap_or(0);
            for way in &all {
                let mut mirrored = [0.0; MOST];
                for (k, &i) in region.landmarks().iter().enumerate() {
                    let m = place(MIRROR[i]);
                    (mirrored[2 * m], mirrored[2 * m + 1]) = (-way[2 * k], way[2 * k + 1]);
                }
                assert!(all.iter().any(|w| dot(w, &mirrored) > 0.98), "{region:?} {way:?}");
            }
        }
    }
}
