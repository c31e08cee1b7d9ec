//! Closing eyes: the lids slide over the ball instead of squeezing it.
//!
//! A lid's margin runs through its landmarks. When the eye closes, the upper margin goes down to the line where
//! the lids meet and the lower one comes up a little; the skin above follows, rigid near the margin (with the
//! lashes) and stretched higher up; what lies between the margins stays where it is.

use super::portrait::curve;
use crate::geometry::Iod;
use crate::landmarks::PerLandmark;

/// Where the lids meet: share of the way from the upper to the lower margin.
const MEET: f32 = 0.86;
/// Rigid strip beside a margin, in IOD.
const RIGID_STRIP: f32 = 0.030;
/// How far above the upper margin, and below the lower one, skin is stretched, in IOD.
const ABOVE: f32 = 0.16;
const BELOW: f32 = 0.10;
/// The lashes reach this far over the margin, in IOD.
const LASHES: f32 = 0.013;

/// One eye of a neutral face.
#[derive(Debug, Clone)]
pub(crate) struct Eye {
    upper: [(f32, f32); 4],
    lower: [(f32, f32); 4],
    landmarks: [usize; 4],
}

/// What is seen at a point: the point of the neutral picture, and where the margin's soft edge passes, a second
/// point with its share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) point: Iod,
    pub(crate) other: Option<(Iod, f32)>,
}

impl Eye {
    /// Both eyes of a face, right (left in the picture) first.
    pub(crate) fn both(face: &PerLandmark<Iod>) -> [Self; 2] {
        [Self::new(face, [36, 37, 38, 39], [36, 41, 40, 39]), Self::new(face, [42, 43, 44, 45], [42, 47, 46, 45])]
    }

    fn new(face: &PerLandmark<Iod>, upper: [usize; 4], lower: [usize; 4]) -> Self {
        let at = |ids: [usize; 4]| ids.map(|i| (face[i].x, face[i].y));
        Self { upper: at(upper), lower: at(lower), landmarks: [upper[1], upper[2], lower[1], lower[2]] }
    }

    /// The open margins at `x` and the line where they meet.
    fn margins(&self, x: f32) -> (f32, f32, f32) {
        let (top, low) = (curve(&self.upper, x), curve(&self.lower, x));
        let low = low.max(top);
        (top, low, top + MEET * (low - top))
    }

    /// Moves this eye's lid landmarks to where they are when it is closed by `closure`.
    pub(crate) fn close(&self, closure: f32, points: &mut PerLandmark<Iod>) {
        for (k, &i) in self.landmarks.iter().enumerate() {
            let Some(p) = points.get_mut(i) else { continue };
            let (top, low, meet) = self.margins(p.x);
            p.y += closure * if k < 2 { meet - top } else { meet - low };
        }
    }

    /// What is seen at `p` of the face frame when the eye is closed by `closure`; `None` outside the eye.
    /// `soft` is the half width of the margin's edge in IOD.
    pub(crate) fn seen(&self, p: Iod, closure: f32, soft: f32) -> Option<Seen> {
        let (Some(first), Some(last)) = (self.upper.first(), self.upper.last()) else { return None };
        if !(first.0..=last.0).contains(&p.x) {
            return None;
        }
        let (top, low, meet) = self.margins(p.x);
        if p.y < top - ABOVE || p.y > low + BELOW {
            return None;
        }
        let (down, up) = (closure * (meet - top), closure * (low - meet));
        let (upper, lower) = (top + down, low - up);
        // The skin's displacement falls from the rigid strip to the end of the stretched region.
        let above = |y: f32| {
            let (start, end) = (top - ABOVE, upper - RIGID_STRIP);
            if y >= end { y - down } else { start + (y - start) * (end - down - start) / (end - start).max(1e-6) }
        };
        let below = |y: f32| {
            let (start, end) = (lower + RIGID_STRIP, low + BELOW);
            if y <= start { y + up } else { end - (end - y) * (end - start - up) / (end - start).max(1e-6) }
        };
        let edge = (upper + LASHES).min(lower.max(upper));
        let skin_above = Iod::new(p.x, above(p.y));
        let under = if p.y > lower - LASHES * 0.5 { Iod::new(p.x, below(p.y)) } else { p };
        let share = ((p.y - edge) / (2.0 * soft.max(1e-4)) + 0.5).clamp(0.0, 1.0);
        Some(if share <= 0.0 {
            Seen { point: skin_above, other: None }
        } else if share >= 1.0 {
            Seen { point: under, other: None }
        } else {
            Seen { point: skin_above, other: Some((under, share)) }
        })
    }

    /// The box in which [`Eye::seen`] can answer: left, top, right, bottom.
    pub(crate) fn bounds(&self) -> [f32; 4] {
        let ys = self.upper.iter().chain(&self.lower).map(|p| p.1);
        let (top, low) = ys.fold((f32::MAX, f32::MIN), |(a, b), y| (a.min(y), b.max(y)));
        [self.upper[0].0, top - ABOVE - 0.05, self.upper[3].0, low + BELOW + 0.05]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::synth::shape::mean_face;

    #[test]
    fn an_open_eye_shows_everything_where_it_is() {
        for eye in Eye::both(&mean_face()) {
            for k in 0..400 {
                let [l, t, r, b] = eye.bounds();
                let p = Iod::new(l + (r - l) * (k % 20) as f32 / 19.0, t + (b - t) * (k / 20) as f32 / 19.0);
                if let Some(seen) = eye.seen(p, 0.0, 0.004) {
                    assert!(seen.point.distance(p) < 1e-5, "{p:?} {seen:?}");
                    assert!(seen.other.is_none_or(|(q, _)| q.distance(p) < 1e-5));
                }
            }
        }
    }

    #[test]
    fn a_closed_eye_shows_lid_where_the_iris_was() {
        let face = mean_face();
        let [right, _] = Eye::both(&face);
        let seen = right.seen(Iod::new(-0.5, 0.0), 1.0, 0.004).unwrap();
        assert!(seen.point.y < -0.08, "{seen:?}");
        let mut points = face;
        right.close(1.0, &mut points);
        assert!((points[37].y - points[41].y).abs() < 0.02 && (points[38].y - points[40].y).abs() < 0.02);
        assert!(points[37].y > face[37].y + 0.1 && points[41].y < face[41].y);
        assert_eq!(points[43], face[43]);
    }

    #[test]
    fn the_margin_carries_its_picture_along() {
        let face = mean_face();
        let [right, _] = Eye::both(&face);
        for closure in [0.2, 0.5, 0.9] {
            let mut points = face;
            right.close(closure, &mut points);
            let seen = right.seen(points[37], closure, 0.004).unwrap();
            assert!(seen.point.distance(face[37]) < 1e-4, "{closure}: {seen:?}");
        }
    }
}
