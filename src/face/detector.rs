//! BlazeFace as face detector.
//!
//! Network: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019),
//! short-range model: 128 x 128 pixels, 896 anchors, each with a score, a box and six points, of which the
//! first two are the subject's right and left eye. A face is found when it takes about a tenth or more of the
//! square's side, so wide pictures can also be scanned in overlapping squares.

use serde::{Deserialize, Serialize};

use super::crop::SquareCrop;
use super::mesh::sigmoid;
use super::models::{NetId, Store};
use super::network::Network;
use super::{DetectedFace, FaceDetector, FaceError};
use crate::frame::Luma;
use crate::geometry::{Px, Rect, Roi};

/// Side of the network's input.
const SIZE: usize = 128;
/// Numbers per anchor: box centre, box size, six points.
const NUMBERS: usize = 16;
/// Part of the square's side that a face has to take for the network to find it reliably.
const VISIBLE: f32 = 0.15;
/// Overlap of neighbouring squares, as a part of their side: faces up to this size lie in one of them whole.
const OVERLAP: f32 = 0.4;
/// From one scale of squares to the next, so that no face falls between what two of them see.
const SCALE_STEP: f32 = 2.5;

/// How faces are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Lowest score that counts as a face (0 to 1; default 0.5).
    pub min_score: f32,
    /// From this overlap on (area of the intersection over area of the union, 0 to 1; default 0.3) two
    /// detections are the same face.
    pub same_face: f32,
    /// Width in pixels of the smallest face that has to be found. 0 (default): one look at the whole picture,
    /// which finds faces from about a seventh of its longer side on. Smaller faces cost more looks, each as
    /// long as the first.
    pub min_face: f32,
    /// Side of the landmark network's square relative to the face's box (no unit; default 1.5; 1.1 to 3).
    pub margin: f32,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self { min_score: 0.5, same_face: 0.3, min_face: 0.0, margin: 1.5 }
    }
}

impl DetectorConfig {
    /// Loads the network from the cache.
    ///
    /// # Errors
    /// When it is not there or cannot be used (the message has the mend), or the configuration makes no sense.
    pub fn build(&self, store: &Store) -> Result<BlazeFace, FaceError> {
        let check = |name: &str, value: f32, low: f32, high: f32| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(FaceError::Model(format!("face.detector.{name}: {value} is not in {low} to {high}")))
        };
        check("min_score", self.min_score, 0.01, 1.0)?;
        check("same_face", self.same_face, 0.0, 1.0)?;
        check("min_face", self.min_face, 0.0, 100_000.0)?;
        check("margin", self.margin, 1.1, 3.0)?;
        let id = NetId::BlazeFaceShort;
        Ok(BlazeFace {
            config: self.clone(),
            network: Network::load(id, &store.ready(id)?)?,
            crop: SquareCrop::default(),
            candidates: Vec::new(),
        })
    }
}

/// BlazeFace, ready to run.
#[derive(Debug)]
pub struct BlazeFace {
    config: DetectorConfig,
    network: Network,
    crop: SquareCrop,
    candidates: Vec<Candidate>,
}

/// What one anchor says, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    score: f32,
    centre: Px,
    size: Px,
    right_eye: Px,
    left_eye: Px,
}

/// An upright square of the picture, in pixel edges.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Square {
    x: f32,
    y: f32,
    side: f32,
}

impl FaceDetector for BlazeFace {
    fn detect(&mut self, picture: &Luma, found: &mut Vec<DetectedFace>) -> Result<(), FaceError> {
        found.clear();
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        if picture.pixels().is_empty() {
            return Ok(());
        }
        let whole = w.max(h);
        self.look(picture, Square { x: (w - whole) / 2.0, y: (h - whole) / 2.0, side: whole }, found)?;
        if self.config.min_face > 0.0 {
            let smallest = (self.config.min_face / VISIBLE).max(SIZE as f32 / 2.0);
            let mut side = whole;
            while side > smallest * 1.2 {
                side = (side / SCALE_STEP).max(smallest);
                for (y, x) in starts(h, side).flat_map(|y| starts(w, side).map(move |x| (y, x))) {
                    self.look(picture, Square { x, y, side }, found)?;
                }
            }
        }
        found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        Ok(())
    }
}

impl BlazeFace {
    /// Adds the faces in one square to those found so far.
    fn look(&mut self, picture: &Luma, square: Square, found: &mut Vec<DetectedFace>) -> Result<(), FaceError> {
        let crop = &mut self.crop;
        self.network.run(|input| {
            crop.cut(picture, square.x, square.y, square.side, SIZE, input);
            input.iter_mut().for_each(|v| *v = *v / 127.5 - 1.0);
        })?;
        let (numbers, scores) = (self.network.output(0)?, self.network.output(1)?);
        self.candidates.clear();
        for ((anchor, numbers), score) in anchors().zip(numbers.as_chunks::<NUMBERS>().0).zip(scores) {
            let score = sigmoid(*score);
            if score >= self.config.min_score {
                self.candidates.push(candidate(anchor, numbers, score, square));
            }
        }
        let bounds = Px::new(picture.width() as f32, picture.height() as f32);
        while let Some(face) = take_best(&mut self.candidates, self.config.same_face) {
            let new = detected(&face, self.config.margin);
            if !new.roi.centre.is_finite() || new.roi.side <= 0.0 || is_cut(&face, square, bounds) {
                continue;
            }
            // A face that another look has found already: the better score stays.
            match found.iter_mut().find(|f| same(&f.bounds, &new.bounds, self.config.same_face)) {
                Some(old) if old.score < new.score => *old = new,
                Some(_) => {}
                None => found.push(new),
            }
        }
        Ok(())
    }
}

/// Where the squares of one scale begin along an axis of this length: evenly spread, the last one at the end.
fn starts(length: f32, side: f32) -> impl Iterator<Item = f32> + Clone {
    let n = if length <= side { 1 } else { ((length - side) / (side * (1.0 - OVERLAP))).ceil() as usize + 1 };
    (0..n).map(move |i| if n == 1 { (length - side) / 2.0 } else { (length - side) * i as f32 / (n - 1) as f32 })
}

/// The anchors' centres, as parts of the square: two at each place of a 16 x 16 grid, six of an 8 x 8 grid.
fn anchors() -> impl Iterator<Item = (f32, f32)> {
    [(16u8, 2usize), (8, 6)].into_iter().flat_map(|(n, each)| {
        (0..n).flat_map(move |y| {
            (0..n).flat_map(move |x| {
                let at = |i: u8| (f32::from(i) + 0.5) / f32::from(n);
                std::iter::repeat_n((at(x), at(y)), each)
            })
        })
    })
}

/// The network's numbers are in its input's pixels, relative to the anchor.
fn candidate(anchor: (f32, f32), n: &[f32; NUMBERS], score: f32, square: Square) -> Candidate {
    let scale = square.side / SIZE as f32;
    // Half a pixel: from pixel edges to pixel centres.
    let point = |x: f32, y: f32| {
        Px::new(
            square.x + anchor.0 * square.side + x * scale - 0.5,
            square.y + anchor.1 * square.side + y * scale - 0.5,
        )
    };
    Candidate {
        score,
        centre: point(n[0], n[1]),
        size: Px::new(n[2].max(0.0) * scale, n[3].max(0.0) * scale),
        right_eye: point(n[4], n[5]),
        left_eye: point(n[6], n[7]),
    }
}

fn rect(c: &Candidate) -> Rect {
    Rect { x: c.centre.x - c.size.x / 2.0, y: c.centre.y - c.size.y / 2.0, width: c.size.x, height: c.size.y }
}

/// Removes the best candidate and all that overlap it; returns their mean, weighted by score (BlazeFace paper,
/// section 4.2: steadier than taking the best alone).
fn take_best(candidates: &mut Vec<Candidate>, same_face: f32) -> Option<Candidate> {
    let (i, _) = candidates.iter().enumerate().max_by(|(_, a), (_, b)| a.score.total_cmp(&b.score))?;
    let best = candidates.swap_remove(i);
    let around = rect(&best);
    let zero = Px::default();
    let mut sum = Candidate { score: 0.0, centre: zero, size: zero, right_eye: zero, left_eye: zero };
    let mut add = |c: &Candidate| {
        sum.score += c.score;
        sum.centre += c.centre * c.score;
        sum.size += c.size * c.score;
        sum.right_eye += c.right_eye * c.score;
        sum.left_eye += c.left_eye * c.score;
    };
    add(&best);
    candidates.retain(|c| {
        let other = around.iou(&rect(c)) <= same_face;
        if !other {
            add(c);
        }
        other
    });
    let k = 1.0 / sum.score;
    Some(Candidate {
        score: best.score,
        centre: sum.centre * k,
        size: sum.size * k,
        right_eye: sum.right_eye * k,
        left_eye: sum.left_eye * k,
    })
}

fn detected(c: &Candidate, margin: f32) -> DetectedFace {
    let eyes = c.left_eye - c.right_eye;
    DetectedFace {
        bounds: rect(c),
        score: c.score,
        roi: Roi { centre: c.centre, side: c.size.x.max(c.size.y) * margin, angle: eyes.y.atan2(eyes.x) },
    }
}

/// Whether a face reaches over an edge of the square that lies inside the picture: its box is then a guess, and
/// another square has it whole.
fn is_cut(c: &Candidate, square: Square, picture: Px) -> bool {
    let r = rect(c);
    let slack = 0.02 * square.side;
    let (right, bottom) = (square.x + square.side, square.y + square.side);
    (square.x > 1.0 && r.x < square.x - slack)
        || (square.y > 1.0 && r.y < square.y - slack)
        || (right < picture.x - 1.0 && r.x + r.width > right + slack)
        || (bottom < picture.y - 1.0 && r.y + r.height > bottom + slack)
}

/// Whether two boxes found in different looks are one face: they overlap, or one lies in the other.
fn same(a: &Rect, b: &Rect, same_face: f32) -> bool {
    let inside = |p: Px, r: &Rect| p.x > r.x && p.y > r.y && p.x < r.x + r.width && p.y < r.y + r.height;
    a.iou(b) > same_face || inside(a.centre(), b) && inside(b.centre(), a)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(score: f32, x: f32, width: f32) -> Candidate {
        let centre = Px::new(x, 50.0);
        Candidate {
            score,
            centre,
            size: Px::new(width, width),
            right_eye: centre + Px::new(-width / 4.0, -10.0),
            left_eye: centre + Px::new(width / 4.0, -10.0),
        }
    }

    #[test]
    fn there_are_896_anchors_inside_the_square() {
        assert_eq!(anchors().count(), 896);
        assert_eq!(anchors().next(), Some((1.0 / 32.0, 1.0 / 32.0)));
        assert_eq!(anchors().nth(512), Some((1.0 / 16.0, 1.0 / 16.0)));
        assert!(anchors().all(|(x, y)| x > 0.0 && x < 1.0 && y > 0.0 && y < 1.0));
    }

    #[test]
    fn overlapping_candidates_become_one_weighted_face() {
        let mut candidates = vec![at(0.6, 104.0, 40.0), at(0.9, 100.0, 40.0), at(0.7, 200.0, 40.0)];
        let face = take_best(&mut candidates, 0.3).unwrap();
        assert!((face.score - 0.9).abs() < 1e-6 && (face.centre.x - 101.6).abs() < 1e-3, "{face:?}");
        assert_eq!(take_best(&mut candidates, 0.3).unwrap().centre.x.round(), 200.0);
        assert!(take_best(&mut candidates, 0.3).is_none());
    }

    #[test]
    fn candidates_that_are_not_finite_come_to_an_end() {
        let mut candidates = vec![at(0.9, f32::NAN, 40.0), at(0.8, f32::NAN, f32::NAN)];
        let mut n = 0;
        while take_best(&mut candidates, 0.3).is_some() && n < 10 {
            n += 1;
        }
        assert!(n <= 2, "each candidate is taken once");
    }

    #[test]
    fn the_numbers_are_relative_to_the_anchor_and_in_input_pixels() {
        let mut n = [0.0; NUMBERS];
        (n[0], n[2], n[3]) = (6.4, 32.0, 16.0);
        let c = candidate((0.5, 0.25), &n, 0.9, Square { x: 0.0, y: -80.0, side: 640.0 });
        assert!(c.centre.distance(Px::new(320.0 + 32.0 - 0.5, 80.0 - 0.5)) < 1e-3, "{c:?}");
        assert_eq!((c.size.x, c.size.y), (160.0, 80.0));
    }

    #[test]
    fn squares_cover_the_axis_and_overlap() {
        let all: Vec<f32> = starts(1000.0, 300.0).collect();
        assert!(all[0] == 0.0 && (all[all.len() - 1] - 700.0).abs() < 1e-3);
        assert!(all.windows(2).all(|w| w[1] - w[0] <= 300.0 * (1.0 - OVERLAP) + 1e-3));
        assert_eq!(starts(200.0, 300.0).collect::<Vec<_>>(), [-50.0]);
    }

    #[test]
    fn faces_cut_by_an_inner_edge_are_left_to_the_next_square() {
        let picture = Px::new(1000.0, 100.0);
        let square = Square { x: 300.0, y: 0.0, side: 300.0 };
        assert!(is_cut(&at(0.9, 590.0, 60.0), square, picture));
        assert!(!is_cut(&at(0.9, 500.0, 60.0), square, picture));
        let last = Square { x: 700.0, ..square };
        assert!(!is_cut(&at(0.9, 990.0, 60.0), last, picture));
    }
}
