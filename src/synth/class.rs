//! The three classes of micro-expressions and the action units that real ones show.

use super::au::Au;
use super::random::Rng;
use serde::{Deserialize, Serialize};

/// Class of a micro-expression in the three-class protocol of MEGC2019.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Anger, disgust, fear, sadness, contempt.
    Negative,
    /// Happiness.
    Positive,
    /// Surprise.
    Surprise,
}

impl Class {
    /// All classes in the usual order.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Positive, Self::Surprise];

    /// The name used in truth files and by the model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Positive => "positive",
            Self::Surprise => "surprise",
        }
    }
}

type Combination = (f32, &'static [Au]);

/// Share among the class's clips in CASME II, SAMM, CAS(ME)^3-A and DFME together (2,510 negative, 424 positive and
/// 674 surprise clips; annotation sheets), for the combinations that are built of tabulated units. Combinations
/// that point to another class (AU12 alone in a negative clip, AU4 alone in a surprise) are left out: they
/// are annotation noise that nobody could tell from the picture.
const NEGATIVE: [Combination; 12] = [
    (0.2729, &[Au::BrowLowerer]),
    (0.1267, &[Au::BrowLowerer, Au::LidTightener]),
    (0.0641, &[Au::Dimpler]),
    (0.0594, &[Au::LidTightener]),
    (0.0482, &[Au::LipPresser]),
    (0.0247, &[Au::ChinRaiser]),
    (0.0179, &[Au::Dimpler, Au::LipPresser]),
    (0.0155, &[Au::UpperLipRaiser]),
    (0.0135, &[Au::BrowLowerer, Au::LidTightener, Au::UpperLipRaiser]),
    (0.0124, &[Au::BrowLowerer, Au::UpperLipRaiser]),
    (0.0116, &[Au::BrowLowerer, Au::NoseWrinkler]),
    (0.0100, &[Au::LipCornerDepressor]),
];
const POSITIVE: [Combination; 6] = [
    (0.2948, &[Au::CheekRaiser, Au::LipCornerPuller]),
    (0.2594, &[Au::LipCornerPuller]),
    (0.0307, &[Au::LipCornerPuller, Au::LipPresser]),
    (0.0142, &[Au::UpperLipRaiser, Au::LipCornerPuller]),
    (0.0142, &[Au::CheekRaiser, Au::LipCornerPuller, Au::LipPresser]),
    (0.0118, &[Au::LidTightener, Au::LipCornerPuller]),
];
const SURPRISE: [Combination; 7] = [
    (0.3546, &[Au::InnerBrowRaiser, Au::OuterBrowRaiser, Au::UpperLidRaiser]),
    (0.2344, &[Au::InnerBrowRaiser, Au::OuterBrowRaiser]),
    (0.1113, &[Au::UpperLidRaiser]),
    (0.0415, &[Au::OuterBrowRaiser]),
    (0.0386, &[Au::InnerBrowRaiser]),
    (0.0104, &[Au::OuterBrowRaiser, Au::UpperLidRaiser]),
    (0.0059, &[Au::InnerBrowRaiser, Au::UpperLidRaiser]),
];
/// Units of macro-expressions (CAS(ME)^3-A, 3,346 events), with the partner a face usually adds.
const MACRO: [Combination; 6] = [
    (0.484, &[Au::Dimpler]),
    (0.245, &[Au::BrowLowerer]),
    (0.115, &[Au::InnerBrowRaiser, Au::OuterBrowRaiser]),
    (0.108, &[Au::LipCornerPuller, Au::CheekRaiser]),
    (0.103, &[Au::LipPresser]),
    (0.038, &[Au::ChinRaiser]),
];

/// Action units of a micro-expression of `class`, drawn with the real shares.
pub(crate) fn draw_units(class: Class, rng: &mut Rng) -> &'static [Au] {
    let table: &[Combination] = match class {
        Class::Negative => &NEGATIVE,
        Class::Positive => &POSITIVE,
        Class::Surprise => &SURPRISE,
    };
    draw(table, rng)
}

/// Exercises that together move every part of the face, with the class that each mostly means.
const DRILL: [(Class, &[Au]); 12] = [
    (Class::Negative, &[Au::BrowLowerer]),
    (Class::Positive, &[Au::LipCornerPuller]),
    (Class::Negative, &[Au::NoseWrinkler]),
    (Class::Surprise, &[Au::UpperLidRaiser]),
    (Class::Negative, &[Au::UpperLipRaiser]),
    (Class::Surprise, &[Au::InnerBrowRaiser, Au::OuterBrowRaiser]),
    (Class::Negative, &[Au::ChinRaiser]),
    (Class::Negative, &[Au::LidTightener]),
    (Class::Negative, &[Au::LipCornerDepressor]),
    (Class::Positive, &[Au::CheekRaiser]),
    (Class::Negative, &[Au::LipStretcher]),
    (Class::Negative, &[Au::LipPresser]),
];

/// Exercise number `k`; after the last one the first comes again.
pub(crate) fn drilled(k: usize) -> (Class, &'static [Au]) {
    DRILL[k % DRILL.len()]
}

/// Action units of a macro-expression, drawn with the real shares.
pub(crate) fn draw_macro_units(rng: &mut Rng) -> &'static [Au] {
    draw(&MACRO, rng)
}

fn draw(table: &[Combination], rng: &mut Rng) -> &'static [Au] {
    table.get(rng.pick(table.iter().map(|c| c.0))).map_or(&[], |c| c.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_come_with_their_shares() {
        let mut rng = Rng::new(3, 9);
        let n = 10_000;
        let alone = (0..n).filter(|_| draw_units(Class::Negative, &mut rng) == [Au::BrowLowerer]).count() as f32;
        let expected = 0.2729 / NEGATIVE.iter().map(|c| c.0).sum::<f32>();
        assert!((alone / n as f32 - expected).abs() < 0.02, "{alone}");
    }

    #[test]
    fn no_combination_belongs_to_two_classes() {
        for a in NEGATIVE {
            assert!(!POSITIVE.iter().chain(&SURPRISE).any(|b| a.1 == b.1));
        }
    }
}
