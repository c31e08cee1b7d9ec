//! Portraits that can be made to move: one drawn by rule (nobody's photograph, with landmarks known exactly), or
//! any photo with its landmarks.

mod curve;
mod features;
mod paint;
mod relief;
mod shade;

pub(crate) use curve::{curve, ramp};

use super::field::Field;
use super::light::light;
use super::shape::{identity, mean_face};
use super::texture::{Plane, Texture, Weights};
use crate::capture::CaptureError;
use crate::frame::Luma;
use crate::geometry::{FaceFrame, Iod, Pixels, Px, Similarity};
use crate::landmarks::{self, PerLandmark};
use features::Tones;

/// A neutral face that can be rendered in motion.
#[derive(Debug, Clone)]
pub struct Portrait {
    picture: Picture,
    landmarks: PerLandmark<Iod>,
}

#[derive(Debug, Clone)]
enum Picture {
    Drawn { seed: u64, build: Field },
    Photo { luma: Plane, place: Similarity<FaceFrame, Pixels>, scale: f32 },
}

/// A box in the face frame: left, top, right, bottom in IOD.
pub(crate) type Bounds = [f32; 4];

/// What a drawn person covers.
const PERSON: Bounds = [-2.5, -2.05, 2.5, 12.0];

impl Portrait {
    /// The built-in person that `seed` names.
    pub fn drawn(seed: u64) -> Self {
        let mean = mean_face();
        let build = Field::between(&mean, &identity(seed));
        // Exactly where the drawing puts them, not only nearly.
        let landmarks = mean.map(|p| build.carry(p));
        Self { picture: Picture::Drawn { seed, build }, landmarks }
    }

    /// A photo and its 68 landmarks in iBUG order, in pixels of the photo. The larger the face the better: twice
    /// the size of the output keeps its sharpness.
    ///
    /// # Errors
    /// When landmarks are not finite, the eyes coincide or are closer than 16 pixels, or the picture is too small.
    pub fn from_photo(luma: &Luma, points: &PerLandmark<Px>) -> Result<Self, CaptureError> {
        let bad = |why: String| CaptureError::Malformed { what: "photo for a synthetic source".into(), why };
        if let Some(i) = points.iter().position(|p| !p.is_finite()) {
            return Err(bad(format!("landmark {i} is not a finite point")));
        }
        if luma.width() < 16 || luma.height() < 16 {
            return Err(bad(format!("{} x {} pixels are too few; at least 16 x 16", luma.width(), luma.height())));
        }
        let scale = landmarks::iod(points);
        let to_face = landmarks::face_frame(points).filter(|_| scale >= 16.0);
        let Some((to_face, place)) = to_face.and_then(|f| Some((f, f.inverse()?))) else {
            return Err(bad(format!("the eyes are {scale:.1} pixels apart; at least 16 are needed")));
        };
        let landmarks = points.map(|p| to_face.apply(p));
        Ok(Self { picture: Picture::Photo { luma: Plane::from_luma(luma), place, scale }, landmarks })
    }

    /// The neutral landmarks in the face frame.
    pub const fn landmarks(&self) -> &PerLandmark<Iod> {
        &self.landmarks
    }

    /// How much of the head's motion a point takes part in: all of it on the head, none far away.
    pub(crate) fn follows(&self, p: Iod) -> f32 {
        match &self.picture {
            Picture::Drawn { .. } => 1.0 - ramp(1.85, 2.3, p.y),
            Picture::Photo { .. } => 1.0 - ramp(1.0, 1.9, (p.x / 1.3).hypot((p.y - 0.35) / 1.9)),
        }
    }

    /// Outside this box nothing moves.
    pub(crate) const fn moving(&self) -> Bounds {
        match &self.picture {
            Picture::Drawn { .. } => [-1.55, -2.05, 1.55, 2.3],
            Picture::Photo { .. } => [-2.5, -3.3, 2.5, 4.0],
        }
    }

    /// The light of the picture for an output with `iod` pixels between the eyes that shows `view` of the face frame: twice as
    /// fine as the output and blurred to what the output can hold.
    pub(crate) fn texture(&self, iod: f32, view: Bounds, weights: &Weights) -> Texture {
        let per_iod = 2.0 * iod;
        let [l, t, r, b] = match &self.picture {
            Picture::Drawn { .. } => {
                std::array::from_fn(|i| if i < 2 { view[i].max(PERSON[i]) } else { view[i].min(PERSON[i]) })
            }
            Picture::Photo { .. } => view,
        };
        let size = |low: f32, high: f32| ((high - low).clamp(0.1, 100.0) * per_iod).ceil() as usize + 1;
        let (width, height) = (size(l, r), size(t, b));
        let at = |i: usize, j: usize| Iod::new(l + i as f32 / per_iod, t + j as f32 / per_iod);
        let mut luma = Plane::filled(width, height, 0.0);
        let cover = match &self.picture {
            Picture::Photo { luma: photo, place, scale } => {
                let mut photo = photo.clone();
                photo.blur(0.5 * scale / iod);
                for (k, v) in luma.data.iter_mut().enumerate() {
                    let p = place.apply(at(k % width, k / width));
                    *v = photo.sample(weights, p.x, p.y);
                }
                None
            }
            Picture::Drawn { seed, build } => {
                let mut cover = Plane::filled(width, height, 0.0);
                let shade = shade::shading(width, height, 1.0 / per_iod, |i, j| build.back(at(i, j)));
                let tones = Tones::of(*seed, 0.9 / per_iod);
                for (k, ((v, c), s)) in luma.data.iter_mut().zip(&mut cover.data).zip(&shade).enumerate() {
                    let p = build.back(at(k % width, k / width));
                    let sample = paint::person(&tones, p.x, p.y, *s);
                    // Premultiplied, so that both can be blurred and sampled alike.
                    *v = light(255.0 * sample.luma.clamp(0.0, 1.0)) * sample.cover;
                    *c = sample.cover;
                }
                luma.blur(1.0);
                cover.blur(1.0);
                Some(cover)
            }
        };
        Texture::new(luma, cover, per_iod, [l, t])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::synth::light::grey;

    #[test]
    fn a_drawn_person_has_dark_pupils_at_the_eyes_and_a_dark_mouth_line() {
        let portrait = Portrait::drawn(1);
        let weights = Weights::new();
        let texture = portrait.texture(40.0, [-2.5, -2.0, 2.5, 3.0], &weights);
        let at = |p: Iod| grey(texture.sample(&weights, p, light(128.0)));
        let cheek = at(Iod::new(-0.5, 0.45));
        assert!(cheek > 110.0, "{cheek}");
        assert!(at(Iod::new(-0.5, -0.005)) < 60.0 && at(Iod::new(0.5, -0.005)) < 60.0);
        let l = portrait.landmarks();
        assert!(at((l[62] + l[66]) * 0.5) < 0.7 * cheek);
        assert!((at(Iod::new(-2.4, -1.9)) - 128.0).abs() < 0.02, "background shows beside the head");
    }

    #[test]
    fn a_photo_is_placed_by_its_eyes_and_bad_landmarks_are_refused() {
        let luma = Luma::from_vec(200, 200, (0..40_000u32).map(|k| ((k % 200) as u8) / 2 + 60).collect()).unwrap();
        let points: PerLandmark<Px> = mean_face().map(|p| Px::new(100.0 + 50.0 * p.x, 70.0 + 50.0 * p.y));
        let portrait = Portrait::from_photo(&luma, &points).unwrap();
        assert!(portrait.landmarks()[30].distance(mean_face()[30]) < 1e-3);
        let weights = Weights::new();
        let texture = portrait.texture(40.0, [-1.5, -1.0, 1.5, 2.0], &weights);
        let value = grey(texture.sample(&weights, Iod::new(0.5, 0.3), 0.0));
        assert!((value - (60.0 + 125.0 / 2.0)).abs() < 1.0, "{value}");
        let mut bad = points;
        bad[7] = Px::new(f32::NAN, 0.0);
        assert!(Portrait::from_photo(&luma, &bad).unwrap_err().to_string().contains("landmark 7"));
        assert!(Portrait::from_photo(&luma, &[Px::new(1.0, 1.0); 68]).unwrap_err().to_string().contains("apart"));
        assert!(Portrait::from_photo(&Luma::new(3, 3), &points).is_err());
    }
}
