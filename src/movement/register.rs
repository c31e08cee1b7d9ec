//! Registration of a face on its rigid landmarks: similarity, and a turn of the head by rough depth.
//!
//! Iteratively re-weighted least squares (Tukey's biweight, Holland and Welsch 1977) over a Gauss-Newton
//! step for the two angles; the similarity itself has a closed form.

use crate::geometry::{FaceFrame, Iod, Pixels, Px, Similarity};
use crate::landmarks::{PerLandmark, RIGID};

/// Turn of the head out of the picture plane, in radians, against the face that it is registered to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Pose {
    pub yaw: f32,
    pub pitch: f32,
}

impl Pose {
    /// Where a landmark at `p` with depth `z` goes, and its depth afterwards.
    fn turn(self, p: Iod, z: f32) -> (Iod, f32) {
        let ((sy, cy), (sp, cp)) = (self.yaw.sin_cos(), self.pitch.sin_cos());
        let z1 = z * cy - p.x * sy;
        (Iod::new(p.x * cy + z * sy, p.y * cp - z1 * sp), p.y * sp + z1 * cp)
    }

    /// The place of a landmark after the turn.
    pub fn place(self, p: Iod, z: f32) -> Iod {
        self.turn(p, z).0
    }

    /// The depth of a landmark after the turn.
    pub fn turned_depth(self, p: Iod, z: f32) -> f32 {
        self.turn(p, z).1
    }

    /// Where a landmark seen at `p` after the turn was before it, given its depth before it.
    pub fn inverse_place(self, p: Iod, z: f32) -> Iod {
        let mut before = p;
        for _ in 0..3 {
            before = before + (p - self.place(before, z));
        }
        before
    }

    /// The larger of the two angles, in degrees.
    pub fn degrees(self) -> f32 {
        self.yaw.abs().max(self.pitch.abs()).to_degrees()
    }
}

/// What a face is registered to.
pub(super) struct Fit<'a> {
    /// Places of the landmarks.
    pub reference: &'a PerLandmark<Iod>,
    /// Where the brows were last, while the eye corners could be seen, and how far the corners are trusted now, 0 to 1:
    /// in a blink the brows stand in for them.
    pub brows: Option<(&'a PerLandmark<Iod>, f32)>,
    /// Depth of the landmarks towards the camera, in IOD.
    pub depth: &'a PerLandmark<f32>,
    /// Expected error of a rigid landmark, in IOD.
    pub noise: f32,
    /// Expected size of a turn, in radians.
    pub pose_spread: f32,
}

/// A registered face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration {
    /// From the picture to the face frame.
    pub to_face: Similarity<Pixels, FaceFrame>,
    /// The turn of the head that was found.
    pub pose: Pose,
    /// RMS distance of the rigid landmarks from the reference after the similarity alone, in IOD.
    pub residual: f32,
}

/// Rounds of re-weighting.
const ROUNDS: usize = 4;
/// Fewest rigid landmarks that can carry the six unknowns with something left to check.
const FEWEST: usize = 6;
/// Tukey's constant: 95 % efficiency for normal errors.
const TUKEY: f32 = 4.685;
/// Landmarks of the brows, which stand in for the eye corners while these cannot be found (in a blink): the nose alone
/// is too narrow to tell roll and size.
const BROWS: [usize; 10] = [17, 18, 19, 20, 21, 22, 23, 24, 25, 26];
/// The eye corners among the rigid landmarks.
pub(super) const CORNERS: [usize; 4] = [36, 39, 42, 45];
/// Weight of a brow landmark that stands in.
const STAND_IN: f32 = 0.4;
const N: usize = RIGID.len() + BROWS.len();

/// Registers `points` to a reference, starting from the pose of the frame before. `None` when fewer than six
/// rigid landmarks are usable or the numbers are degenerate.
pub(super) fn register(
    points: &PerLandmark<Px>,
    confidence: &PerLandmark<f32>,
    fit: &Fit,
    start: Pose,
) -> Option<Registration> {
    let mut seen = [Px::default(); N];
    let mut wanted = [(Iod::default(), 0f32); N];
    let mut trust = [0f32; N];
    for (k, &i) in RIGID.iter().enumerate() {
        let (p, c) = (points.get(i)?, confidence.get(i)?);
        seen[k] = *p;
        wanted[k] = (*fit.reference.get(i)?, *fit.depth.get(i)?);
        trust[k] = if p.is_finite() && c.is_finite() { c.clamp(0.0, 1.0) } else { 0.0 };
    }
    if let Some((brows, corners)) = fit.brows {
        for (k, &i) in RIGID.iter().enumerate() {
            if CORNERS.contains(&i) {
                trust[k] *= corners;
            }
        }
        for (k, &i) in (RIGID.len()..N).zip(&BROWS) {
            let (p, c) = (points.get(i)?, confidence.get(i)?);
            seen[k] = *p;
            wanted[k] = (*brows.get(i)?, *fit.depth.get(i)?);
            let usable = p.is_finite() && c.is_finite();
            trust[k] = if usable { STAND_IN * (1.0 - corners) * c.clamp(0.0, 1.0) } else { 0.0 };
        }
    }
    if trust.iter().filter(|&&w| w > 0.05).count() < FEWEST {
        return None;
    }
    let mut weight = trust;
    let mut pose = start;
    let ridge = f64::from(fit.noise / fit.pose_spread).powi(2);
    for _ in 0..ROUNDS {
        let places = wanted.map(|(p, z)| pose.place(p, z));
        let to_face = fit_similarity(&seen, &places, &weight)?;
        let step = turn_step(&seen, &wanted, &weight, &to_face, pose, ridge)?;
        pose.yaw = (pose.yaw + step.yaw).clamp(-1.0, 1.0);
        pose.pitch = (pose.pitch + step.pitch).clamp(-1.0, 1.0);
        let places = wanted.map(|(p, z)| pose.place(p, z));
        let to_face = fit_similarity(&seen, &places, &weight)?;
        let mut error = [0f32; N];
        for k in 0..N {
            error[k] = if trust[k] > 0.0 { to_face.apply(seen[k]).distance(places[k]) } else { 0.0 };
        }
        let reach = TUKEY * spread(&error, &trust).max(fit.noise);
        for k in 0..N {
            let u = (error[k] / reach).min(1.0);
            weight[k] = trust[k] * (1.0 - u * u).powi(2);
        }
    }
    let places = wanted.map(|(p, z)| pose.place(p, z));
    let to_face = fit_similarity(&seen, &places, &weight)?;
    let flat = wanted.map(|(p, _)| p);
    let similarity = fit_similarity(&seen, &flat, &weight)?;
    let (mut square, mut total) = (0f32, 0f32);
    for k in 0..N {
        if weight[k] > 0.0 {
            square += weight[k] * similarity.apply(seen[k]).distance(flat[k]).powi(2);
            total += weight[k];
        }
    }
    let finite = pose.yaw.is_finite() && pose.pitch.is_finite() && to_face.scale() > 1e-6;
    finite.then(|| Registration { to_face, pose, residual: (square / total.max(1e-6)).sqrt() })
}

fn fit_similarity(seen: &[Px; N], places: &[Iod; N], weight: &[f32; N]) -> Option<Similarity<Pixels, FaceFrame>> {
    let pairs = seen.iter().zip(places).zip(weight);
    Similarity::fit(pairs.filter(|(_, w)| **w > 0.0).map(|((p, q), w)| (*p, *q, *w)))
}

/// Robust spread of the errors of the trusted points: median length over the median of a Rayleigh distribution.
fn spread(error: &[f32; N], trust: &[f32; N]) -> f32 {
    let mut sorted = [0f32; N];
    let mut n = 0;
    for (e, _) in error.iter().zip(trust).filter(|(_, t)| **t > 0.0) {
        sorted[n] = *e;
        n += 1;
    }
    let sorted = &mut sorted[..n];
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(n / 2).map_or(0.0, |m| m / 1.177)
}

/// The Gauss-Newton step of the two angles with the similarity's four numbers free, and a prior that
/// draws the angles towards zero.
fn turn_step(
    seen: &[Px; N],
    wanted: &[(Iod, f32); N],
    weight: &[f32; N],
    to_face: &Similarity<Pixels, FaceFrame>,
    pose: Pose,
    ridge: f64,
) -> Option<Pose> {
    let (mut a, mut b) = ([[0f64; 6]; 6], [0f64; 6]);
    let sin_pitch = pose.pitch.sin();
    for k in 0..N {
        if weight[k] <= 0.0 {
            continue;
        }
        let (m, z) = pose.turn(wanted[k].0, wanted[k].1);
        // Depth after the yaw alone, from the turned place and depth.
        let z1 = z * pose.pitch.cos() - m.y * sin_pitch;
        let e = to_face.apply(seen[k]) - m;
        let rows = [[-m.x, m.y, -1.0, 0.0, z1, 0.0], [-m.y, -m.x, 0.0, -1.0, m.x * sin_pitch, -z]];
        for (row, e) in rows.iter().zip([e.x, e.y]) {
            for i in 0..6 {
                let w = f64::from(weight[k]) * f64::from(row[i]);
                b[i] += w * f64::from(e);
                for j in 0..6 {
                    a[i][j] += w * f64::from(row[j]);
                }
            }
        }
    }
    a[4][4] += ridge;
    a[5][5] += ridge;
    b[4] -= ridge * f64::from(pose.yaw);
    b[5] -= ridge * f64::from(pose.pitch);
    let x = solve(a, b)?;
    let bounded = |v: f64| (v as f32).clamp(-0.2, 0.2);
    Some(Pose { yaw: bounded(x[4]), pitch: bounded(x[5]) })
}

/// Solves a symmetric positive definite system by Cholesky's decomposition.
fn solve(mut a: [[f64; 6]; 6], mut b: [f64; 6]) -> Option<[f64; 6]> {
    for i in 0..6 {
        for j in 0..=i {
            let s = a[i][j] - a[i].iter().zip(&a[j]).take(j).map(|(p, q)| p * q).sum::<f64>();
            if i == j {
                if !(s.is_finite() && s > 1e-12) {
                    return None;
                }
                a[i][i] = s.sqrt();
            } else {
                a[i][j] = s / a[j][j];
            }
        }
    }
    for i in 0..6 {
        for k in 0..i {
            b[i] -= a[i][k] * b[k];
        }
        b[i] /= a[i][i];
    }
    for i in (0..6).rev() {
        for k in i + 1..6 {
            b[i] -= a[k][i] * b[k];
        }
        b[i] /= a[i][i];
    }
    b.iter().all(|v| v.is_finite()).then_some(b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::landmarks::COUNT;

    /// A reference, its depth, and its picture after a turn, with a similarity to pixels.
    fn scene(pose: Pose) -> (PerLandmark<Iod>, PerLandmark<f32>, PerLandmark<Px>) {
        let mut reference = [Iod::default(); COUNT];
        let mut depth = [0.0; COUNT];
        for (k, (p, z)) in reference.iter_mut().zip(&mut depth).enumerate() {
            let a = k as f32 * 2.4;
            *p = Iod::new(0.7 * a.cos(), 0.4 + 0.5 * a.sin());
            *z = 0.3 * (1.7 * a).cos();
        }
        let to_picture = Similarity::<FaceFrame, Pixels>::new(79.0, 12.0, 300.0, 200.0);
        let mut seen = [Px::default(); COUNT];
        for (s, (p, z)) in seen.iter_mut().zip(reference.iter().zip(&depth)) {
            *s = to_picture.apply(pose.place(*p, *z));
        }
        (reference, depth, seen)
    }

    #[test]
    fn a_turn_is_found_and_one_wrong_landmark_does_not_matter() {
        let truth = Pose { yaw: 0.12, pitch: -0.08 };
        let (reference, depth, mut seen) = scene(truth);
        seen[RIGID[2]] = Px::new(seen[RIGID[2]].x + 9.0, seen[RIGID[2]].y - 6.0);
        let fit = Fit { reference: &reference, brows: None, depth: &depth, noise: 0.002, pose_spread: 0.3 };
        let found = register(&seen, &[1.0; COUNT], &fit, Pose::default()).unwrap();
        assert!(
            (found.pose.yaw - truth.yaw).abs() < 2e-3 && (found.pose.pitch - truth.pitch).abs() < 2e-3,
            "{found:?}"
        );
        let i = RIGID[5];
        assert!(found.to_face.apply(seen[i]).distance(truth.place(reference[i], depth[i])) < 1e-3);
        assert!(found.residual > 0.005, "the turn shows in the residual of the similarity alone");
    }

    /// In a blink the eye corners are lost and what is reported for them is wrong: the brows hold roll and size.
    #[test]
    fn brows_stand_in_for_eye_corners_that_are_not_trusted() {
        let (reference, depth, mut seen) = scene(Pose::default());
        for i in CORNERS {
            seen[i] = Px::new(seen[i].x + 2.0, seen[i].y + 5.0);
        }
        let error = |brows| {
            let fit = Fit { reference: &reference, brows, depth: &depth, noise: 0.002, pose_spread: 0.14 };
            let found = register(&seen, &[1.0; COUNT], &fit, Pose::default()).unwrap();
            let off = |&i: &usize| found.to_face.apply(seen[i]).distance(found.pose.place(reference[i], depth[i]));
            BROWS.iter().map(off).fold(0.0, f32::max)
        };
        let (with, without) = (error(Some((&reference, 0.0))), error(None));
        assert!(with < 1e-3 && without > 0.005, "largest error {with} with the brows, {without} without");
    }

    #[test]
    fn too_few_rigid_landmarks_or_all_in_one_place_are_refused() {
        let (reference, depth, seen) = scene(Pose::default());
        let fit = Fit { reference: &reference, brows: None, depth: &depth, noise: 0.002, pose_spread: 0.1 };
        let mut confidence = [1.0; COUNT];
        RIGID.iter().take(6).for_each(|&i| confidence[i] = 0.0);
        assert!(register(&seen, &confidence, &fit, Pose::default()).is_none());
        assert!(register(&[Px::new(3.0, 3.0); COUNT], &[1.0; COUNT], &fit, Pose::default()).is_none());
        assert!(register(&[Px::new(f32::NAN, 3.0); COUNT], &[1.0; COUNT], &fit, Pose::default()).is_none());
    }
}
