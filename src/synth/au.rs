//! Action units: where each of the 68 landmarks goes, in inter-ocular distances, at full strength.
//!
//! The displacements are those of the design page's table of 20 action units over 12 groups of landmarks, measured
//! on an open face model and compared with real micro-expressions (CASME II and SAMM): directions agree (cosine
//! .87 to .97) for AU 1, 2, 4, 5, 7, 9, 10, 12 and 17. Real micro-expressions reach only a fraction of the full
//! strength: see [`Au::real_fraction`].

use super::random::{Rng, hash};
use crate::geometry::Iod;
use crate::landmarks::{COUNT, MIRROR, PerLandmark};
use serde::{Deserialize, Serialize};

/// An action unit of the Facial Action Coding System (Ekman and Friesen 1978) that mercam can synthesise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum Au {
    /// AU1, inner brow raiser.
    InnerBrowRaiser = 1,
    /// AU2, outer brow raiser.
    OuterBrowRaiser = 2,
    /// AU4, brow lowerer.
    BrowLowerer = 4,
    /// AU5, upper lid raiser.
    UpperLidRaiser = 5,
    /// AU6, cheek raiser.
    CheekRaiser = 6,
    /// AU7, lid tightener.
    LidTightener = 7,
    /// AU9, nose wrinkler.
    NoseWrinkler = 9,
    /// AU10, upper lip raiser.
    UpperLipRaiser = 10,
    /// AU12, lip corner puller.
    LipCornerPuller = 12,
    /// AU14, dimpler.
    Dimpler = 14,
    /// AU15, lip corner depressor.
    LipCornerDepressor = 15,
    /// AU16, lower lip depressor.
    LowerLipDepressor = 16,
    /// AU17, chin raiser.
    ChinRaiser = 17,
    /// AU18, lip pucker.
    LipPucker = 18,
    /// AU20, lip stretcher.
    LipStretcher = 20,
    /// AU22, lip funneler.
    LipFunneler = 22,
    /// AU24, lip presser.
    LipPresser = 24,
    /// AU26, jaw drop.
    JawDrop = 26,
    /// AU28, lip suck.
    LipSuck = 28,
}

/// Displacements of the 12 groups of one side, (outward, up) in IOD at full strength, in this order: inner, middle
/// and outer brow; upper and lower lid; nose wing; upper lip middle and side; lip corner; lower lip side and
/// middle; chin.
type Groups = [(f32, f32); 12];

const O: (f32, f32) = (0.0, 0.0);

/// The action units in order, each with its table row.
#[rustfmt::skip]
const TABLE: [(Au, Groups); 19] = [
    (Au::InnerBrowRaiser, [(0.008, 0.084), (0.004, 0.043), (-0.001, 0.022), O, O, (0.0, 0.005), O, O, O, O, O, O]),
    (Au::OuterBrowRaiser, [(0.016, 0.063), (0.035, 0.118), (0.024, 0.105), (0.001, 0.007), O, O, O, O, O, O, O, O]),
    (Au::BrowLowerer, [(-0.045, -0.044), (-0.071, -0.059), (-0.046, -0.028), O, O, O, O, O, O, O, O, O]),
    (Au::UpperLidRaiser, [O, O, O, (0.005, 0.046), (0.003, 0.004), O, O, O, O, O, O, O]),
    (Au::CheekRaiser, [O, (0.0, -0.007), (-0.001, -0.007), O, (-0.007, 0.035), (0.008, 0.011), (0.003, 0.010),
        (0.013, 0.016), (0.012, 0.016), (0.004, 0.009), (0.001, 0.005), (0.003, 0.011)]),
    (Au::LidTightener, [O, O, O, O, (-0.011, 0.029), O, O, O, O, O, O, O]),
    (Au::NoseWrinkler, [(-0.011, -0.053), (-0.014, -0.035), (-0.007, -0.015), O, (-0.001, 0.017), (0.009, 0.094),
        (0.004, 0.124), (0.010, 0.146), (0.001, 0.121), (-0.003, 0.033), (0.0, 0.012), (0.0, 0.017)]),
    (Au::UpperLipRaiser, [O, O, O, O, O, (0.024, 0.073), (0.011, 0.127), (0.034, 0.134), (0.024, 0.105),
        (0.001, 0.014), (0.0, 0.006), (0.0, 0.004)]),
    (Au::LipCornerPuller, [O, O, O, O, (0.0, 0.008), (0.029, 0.027), (0.021, 0.058), (0.087, 0.096), (0.098, 0.112),
        (0.070, 0.109), (0.023, 0.072), (0.006, 0.052)]),
    (Au::Dimpler, [O, O, O, O, O, (0.010, -0.001), (0.007, 0.001), (0.030, -0.007), (0.038, 0.004), (0.040, 0.068),
        (0.013, 0.033), (0.0, 0.018)]),
    (Au::LipCornerDepressor, [O, O, O, O, O, (0.001, -0.016), (0.002, -0.018), (0.013, -0.033), (0.017, -0.038),
        (0.017, -0.023), (0.003, -0.005), O]),
    (Au::LowerLipDepressor, [O, O, O, O, O, O, O, O, O, (0.016, -0.059), (0.007, -0.094), (0.004, -0.028)]),
    (Au::ChinRaiser, [O, O, O, O, O, O, O, O, O, (0.012, 0.085), (0.003, 0.110), (-0.005, 0.072)]),
    (Au::LipPucker, [O, O, O, O, O, (-0.008, 0.0), (-0.005, 0.050), (-0.032, 0.032), (-0.057, -0.006),
        (-0.048, 0.004), (-0.014, -0.027), (-0.007, 0.019)]),
    (Au::LipStretcher, [O, O, O, O, O, (0.010, -0.006), (0.012, -0.013), (0.048, -0.018), (0.078, -0.019),
        (0.070, -0.014), (0.018, 0.010), (0.011, 0.011)]),
    (Au::LipFunneler, [O, O, O, O, O, (-0.002, 0.010), (0.001, 0.082), (-0.006, 0.036), (-0.049, -0.003),
        (-0.023, -0.067), (-0.003, -0.128), (-0.002, -0.022)]),
    (Au::LipPresser, [O, O, O, O, O, O, (-0.006, -0.020), (-0.015, -0.001), (-0.012, 0.015), (0.0, 0.044),
        (-0.001, 0.047), (-0.004, 0.042)]),
    (Au::JawDrop, [O, O, O, O, O, (0.002, -0.034), (0.002, -0.039), (-0.005, -0.073), (-0.005, -0.086),
        (-0.001, -0.396), (0.006, -0.503), (0.011, -0.309)]),
    (Au::LipSuck, [O, O, O, O, O, (0.007, -0.046), (0.0, -0.082), (-0.001, -0.064), (0.015, 0.045), (-0.005, 0.073),
        (-0.010, 0.137), O]),
];

/// How the groups make up the landmarks of the right half (left in the picture) and of the middle line:
/// landmark, then group and weight. A landmark between two groups takes a part of each.
#[rustfmt::skip]
const MEMBERS: [(usize, &[(usize, f32)]); 26] = [
    (5, &[(11, 0.35)]), (6, &[(11, 0.65)]), (7, &[(11, 0.9)]), (8, &[(11, 1.0)]),
    (17, &[(2, 1.0)]), (18, &[(2, 0.5), (1, 0.5)]), (19, &[(1, 1.0)]), (20, &[(1, 0.5), (0, 0.5)]), (21, &[(0, 1.0)]),
    (31, &[(5, 1.0)]),
    (37, &[(3, 1.0)]), (38, &[(3, 1.0)]), (40, &[(4, 1.0)]), (41, &[(4, 1.0)]),
    (48, &[(8, 1.0)]), (49, &[(7, 1.0)]), (50, &[(7, 0.35), (6, 0.65)]), (51, &[(6, 1.0)]),
    (57, &[(10, 1.0)]), (58, &[(10, 0.65), (9, 0.35)]), (59, &[(9, 1.0)]),
    (60, &[(8, 1.0)]), (61, &[(7, 0.35), (6, 0.65)]), (62, &[(6, 1.0)]),
    (66, &[(10, 1.0)]), (67, &[(10, 0.65), (9, 0.35)]),
];

/// A side of the subject's face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The subject's right: left in the picture.
    Right,
    /// The subject's left: right in the picture.
    Left,
}

impl Au {
    /// Every action unit of the table, in the order of their numbers.
    pub const ALL: [Self; 19] = {
        let mut all = [Self::InnerBrowRaiser; 19];
        let mut i = 0;
        while i < 19 {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// Its number in the coding system.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its place in [`Au::ALL`].
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|&a| a == self).unwrap_or(0)
    }

    /// Amplitude of real micro-expressions at the apex as a fraction of the full strength, mean over the
    /// clips of CASME II and SAMM that carry it; `None` where it was not measured or not reliable (fewer than
    /// ten clips, or a direction that disagrees with the table).
    pub const fn real_fraction(self) -> Option<f32> {
        Some(match self {
            Self::InnerBrowRaiser => 0.204,
            Self::OuterBrowRaiser => 0.087,
            Self::BrowLowerer => 0.185,
            Self::UpperLidRaiser => 0.423,
            Self::LidTightener => 0.057,
            Self::NoseWrinkler => 0.127,
            Self::UpperLipRaiser => 0.053,
            Self::LipCornerPuller => 0.113,
            Self::Dimpler => 0.137,
            Self::ChinRaiser => 0.087,
            _ => return None,
        })
    }

    /// Median strength that the script draws around: 0.15 of the full strength, 0.40 for the upper lid, whose
    /// full range is small (the design's synthesis rule; landmarks of real clips underrate what the skin did).
    pub const fn median_strength(self) -> f32 {
        match self {
            Self::UpperLidRaiser => 0.40,
            _ => 0.15,
        }
    }

    /// Strongest use in a script: up to here the warp of a picture does not fold, at full strength the lips would
    /// pass each other.
    pub(crate) const fn limit(self) -> f32 {
        match self {
            Self::UpperLidRaiser => 1.0,
            Self::JawDrop | Self::LipSuck => 0.25,
            _ => 0.6,
        }
    }

    /// Share of micro-expressions in which it shows on one side only (annotations of CASME II and CAS(ME)^3).
    pub const fn one_sided_share(self) -> f32 {
        match self {
            Self::InnerBrowRaiser | Self::Dimpler => 0.16,
            Self::OuterBrowRaiser => 0.34,
            Self::UpperLipRaiser => 0.50,
            Self::LipCornerPuller => 0.33,
            Self::LidTightener => 0.10,
            _ => 0.03,
        }
    }

    /// Displacement of every landmark at full strength, in the face frame, when the unit acts on `side` only.
    /// A point on the middle line moves half as far and not sideways; both sides together move it fully.
    pub fn displacement(self, side: Side) -> PerLandmark<Iod> {
        self.displaced(side, |_, way| way)
    }

    /// The same by a face of its own, in which each group of landmarks goes where `own` turns it.
    fn displaced(self, side: Side, own: impl Fn(usize, (f32, f32)) -> (f32, f32)) -> PerLandmark<Iod> {
        let mut out = [Iod::default(); COUNT];
        let Some((_, groups)) = TABLE.iter().find(|(au, _)| *au == self) else { return out };
        for (landmark, parts) in MEMBERS {
            let (mut outward, mut up) = (0.0, 0.0);
            for &(group, weight) in parts {
                if let Some((x, y)) = groups.get(group).map(|&way| own(group, way)) {
                    outward += weight * x;
                    up += weight * y;
                }
            }
            let middle = MIRROR.get(landmark) == Some(&landmark);
            let place = match side {
                Side::Right => landmark,
                Side::Left => MIRROR.get(landmark).copied().unwrap_or(landmark),
            };
            let away = if side == Side::Right { -1.0 } else { 1.0 };
            if let Some(p) = out.get_mut(place) {
                *p = if middle { Iod::new(0.0, -0.5 * up) } else { Iod::new(away * outward, -up) };
            }
        }
        out
    }
}

impl From<Au> for u8 {
    fn from(au: Au) -> Self {
        au.number()
    }
}

impl TryFrom<u8> for Au {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|a| a.number() == number)
            .ok_or_else(|| format!("no displacement table for AU{number}"))
    }
}

/// How strongly each action unit acts on each side, 1 being full strength; only those that act are listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activation {
    /// Action unit, right strength, left strength.
    pub units: Vec<(Au, f32, f32)>,
    /// How far the eyes are closed, 0 open to 1 closed.
    pub lids: f32,
}

impl Activation {
    /// Nothing acts; keeps the memory.
    pub fn clear(&mut self) {
        self.units.clear();
        self.lids = 0.0;
    }
}

/// The displacement of all landmarks by every action unit on every side, ready to be summed.
#[derive(Debug, Clone)]
pub(crate) struct Displacements(Vec<[PerLandmark<Iod>; 2]>);

impl Displacements {
    /// Those of one person: each group of landmarks goes, under each unit, `turn_deg` (standard deviation) beside the
    /// tabled direction, the same on both sides.
    pub(crate) fn of(person: u64, turn_deg: f32) -> Self {
        let turn = |a: Au, group: usize, (x, y): (f32, f32)| {
            let draw = Rng::new(hash(person, u64::from(a.number()), group as u64), 0xd1f7).normal();
            let (sin, cos) = (draw * turn_deg).to_radians().sin_cos();
            (x * cos - y * sin, x * sin + y * cos)
        };
        let sides = |a: Au| [Side::Right, Side::Left].map(|side| a.displaced(side, |group, way| turn(a, group, way)));
        Self(Au::ALL.into_iter().map(sides).collect())
    }

    /// Of each unit, in the order of [`Au::ALL`]: right, left.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &[PerLandmark<Iod>; 2]> {
        self.0.iter()
    }

    /// Adds the movement of the acting units, without the closing of the lids.
    pub(crate) fn add(&self, activation: &Activation, points: &mut PerLandmark<Iod>) {
        for &(au, right, left) in &activation.units {
            let Some([r, l]) = self.0.get(au.index()) else { continue };
            for ((p, &a), &b) in points.iter_mut().zip(r).zip(l) {
                *p += a * right + b * left;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::landmarks::RIGID;

    fn both(au: Au) -> PerLandmark<Iod> {
        let (r, l) = (au.displacement(Side::Right), au.displacement(Side::Left));
        std::array::from_fn(|i| r[i] + l[i])
    }

    #[test]
    fn both_sides_together_are_symmetric_and_leave_the_rigid_landmarks_alone() {
        for au in Au::ALL {
            let d = both(au);
            for i in 0..COUNT {
                let m = d[MIRROR[i]];
                assert!(Iod::new(-m.x, m.y).distance(d[i]) < 1e-6, "{au:?} landmark {i}");
            }
            assert!(RIGID.iter().all(|&i| d[i].norm() == 0.0), "{au:?}");
            assert!(d.iter().any(|p| p.norm() > 0.0), "{au:?}");
        }
    }

    #[test]
    fn directions_are_those_of_the_face() {
        // y runs down: a smile lifts the corners and pulls them apart, a frown lowers and closes the brows.
        let smile = both(Au::LipCornerPuller);
        assert!(smile[48].y < 0.0 && smile[48].x < 0.0 && smile[54].x > 0.0);
        let frown = both(Au::BrowLowerer);
        assert!(frown[19].y > 0.0 && frown[19].x > 0.0 && frown[24].x < 0.0);
        assert!((smile[48].norm() - 0.098f32.hypot(0.112)).abs() < 1e-6);
        assert!((both(Au::ChinRaiser)[8].y + 0.072).abs() < 1e-6);
    }

    #[test]
    fn a_person_s_own_directions_lie_around_the_tabled_ones() {
        let smile = Activation { units: vec![(Au::LipCornerPuller, 1.0, 1.0)], lids: 0.0 };
        let moved = |person, turn| {
            let mut points = [Iod::default(); COUNT];
            Displacements::of(person, turn).add(&smile, &mut points);
            points
        };
        assert_eq!(moved(7, 0.0), both(Au::LipCornerPuller));
        let tabled = both(Au::LipCornerPuller)[48];
        let turns: Vec<f32> = (0..200)
            .map(|person| {
                let own = moved(person, 20.0);
                assert!((own[48].norm() - tabled.norm()).abs() < 1e-5, "only the direction is their own");
                assert!(Iod::new(-own[54].x, own[54].y).distance(own[48]) < 1e-6, "and the same on both sides");
                (own[48].y.atan2(own[48].x) - tabled.y.atan2(tabled.x)).to_degrees()
            })
            .map(|deg| (deg + 540.0).rem_euclid(360.0) - 180.0)
            .collect();
        let sd = (turns.iter().map(|t| t * t).sum::<f32>() / turns.len() as f32).sqrt();
        assert!((14.0..26.0).contains(&sd), "{sd}");
    }

    #[test]
    fn one_side_moves_only_its_own_half() {
        let right = Au::OuterBrowRaiser.displacement(Side::Right);
        assert!(right[19].norm() > 0.1 && right[24].norm() == 0.0);
    }

    #[test]
    fn numbers_and_names_go_both_ways() {
        for au in Au::ALL {
            assert_eq!(Au::try_from(au.number()).unwrap(), au);
            assert_eq!(serde_json::from_str::<Au>(&serde_json::to_string(&au).unwrap()).unwrap(), au);
        }
        assert!(Au::try_from(3).unwrap_err().contains("AU3"));
    }
}
