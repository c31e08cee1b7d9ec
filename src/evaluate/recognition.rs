//! Recognition on the micro-expressions that were found: UF1, UAR and the recognition part of STRS.

use super::stats::harmonic;
use serde::Serialize;

/// The classes of the three-class protocol of MEGC2019.
pub const CLASSES: [&str; 3] = ["negative", "positive", "surprise"];

/// How one class was recognised.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassRow {
    /// The class.
    pub class: &'static str,
    /// Micro-expressions of this class that were found.
    pub truth: usize,
    /// Found ones that were taken for this class.
    pub taken: usize,
    /// Of these rightly.
    pub right: usize,
}

/// Recognition on true positives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recognition {
    /// Found micro-expressions whose class is known.
    pub n: usize,
    /// Of these with the right class.
    pub right: usize,
    /// Unweighted F1: mean over the three classes of 2TP / (2TP + FP + FN). A class that does not occur counts as 0, as
    /// in the guideline: look at the rows where there are few.
    pub uf1: f64,
    /// Unweighted average recall over the three classes.
    pub uar: f64,
    /// F1 of the mean precision and the mean recall over the classes: what STRS multiplies with (MEAN, 2023).
    pub f1: f64,
    /// One row for each class.
    pub classes: Vec<ClassRow>,
    /// `confusion[truth][taken]`; the last column is for anything else.
    pub confusion: [[usize; 4]; 3],
}

impl Recognition {
    /// From pairs of the true and the given class; a truth that is none of the three classes is left out.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let place = |c: &str| CLASSES.iter().position(|k| *k == c);
        let mut confusion = [[0usize; 4]; 3];
        for (truth, taken) in pairs {
            if let Some(row) = place(truth).and_then(|t| confusion.get_mut(t)) {
                row[place(taken).unwrap_or(3)] += 1;
            }
        }
        let mut classes = Vec::with_capacity(3);
        let (mut uf1, mut recall, mut precision) = (0.0, 0.0, 0.0);
        for (k, class) in CLASSES.into_iter().enumerate() {
            let truth: usize = confusion[k].iter().sum();
            let taken: usize = confusion.iter().map(|row| row[k]).sum();
            let right = confusion[k][k];
            let ratio = |a: usize, b: usize| a as f64 / b.max(1) as f64;
            uf1 += ratio(2 * right, truth + taken) / 3.0;
            recall += ratio(right, truth) / 3.0;
            precision += ratio(right, taken) / 3.0;
            classes.push(ClassRow { class, truth, taken, right });
        }
        Self {
            n: classes.iter().map(|c| c.truth).sum(),
            right: classes.iter().map(|c| c.right).sum(),
            uf1,
            uar: recall,
            f1: harmonic(precision, recall),
            classes,
            confusion,
        }
    }
}

/// The class of the three-class protocol for an emotion of the annotation sheets; `None` for `others` and the like.
pub fn class_of_emotion(emotion: &str) -> Option<&'static str> {
    match emotion.trim().to_ascii_lowercase().as_str() {
        "happiness" | "happy" | "positive" => Some("positive"),
        "surprise" => Some("surprise"),
        "disgust" | "anger" | "fear" | "sadness" | "sad" | "contempt" | "repression" | "negative" => Some("negative"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_by_hand() {
        // Truth n n n n p p s; taken n n p other p n s.
        let truth = ["negative", "negative", "negative", "negative", "positive", "positive", "surprise", "others"];
        let taken = ["negative", "negative", "positive", "none", "positive", "negative", "surprise", "negative"];
        let r = Recognition::new(truth.into_iter().zip(taken));
        assert_eq!((r.n, r.right), (7, 4));
        // negative: TP 2, FP 1, FN 2 -> 4/7; positive: TP 1, FP 1, FN 1 -> 1/2; surprise: 1.
        assert!((r.uf1 - (4.0 / 7.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        assert!((r.uar - (0.5 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        let (p, q) = ((2.0 / 3.0 + 0.5 + 1.0) / 3.0, 2.0 / 3.0);
        assert!((r.f1 - 2.0 * p * q / (p + q)).abs() < 1e-12);
        assert_eq!(r.confusion[0], [2, 1, 0, 1]);
    }

    #[test]
    fn nothing_found_is_zero_and_a_missing_class_counts_as_zero() {
        let none = Recognition::new([]);
        assert_eq!((none.n, none.uf1, none.uar, none.f1), (0, 0.0, 0.0, 0.0));
        let one = Recognition::new([("positive", "positive")]);
        assert!((one.uf1 - 1.0 / 3.0).abs() < 1e-12 && (one.uar - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn emotions_have_the_classes_of_the_protocol() {
        assert_eq!(class_of_emotion(" Happiness"), Some("positive"));
        assert_eq!(class_of_emotion("repression"), Some("negative"));
        assert_eq!(class_of_emotion("surprise"), Some("surprise"));
        assert_eq!(class_of_emotion("others"), None);
    }
}
