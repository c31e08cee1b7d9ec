//! A photo of a face at a chosen size, with a local movement that is known exactly.

use mercam::frame::Luma;
use mercam::geometry::Px;
use mercam::landmarks::{PerLandmark, iod, left_eye, right_eye};

/// A small movement: `shift` at `at`, a Gaussian of `sigma` pixels around it.
#[derive(Debug, Clone, Copy)]
pub struct Bump {
    pub at: Px,
    pub sigma: f32,
    pub shift: Px,
}

impl Bump {
    /// How far the skin at `p` moves.
    pub fn at(&self, p: Px) -> Px {
        self.shift * (-0.5 * (p.distance(self.at) / self.sigma).powi(2)).exp()
    }

    /// Where the skin that is seen at `q` was.
    fn back(&self, q: Px) -> Px {
        // The movement is much smaller than sigma, so a few steps are exact.
        (0..4).fold(q, |p, _| q - self.at(p))
    }
}

/// Camera noise.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

/// A photo, cut and scaled so that the eyes are as far apart as wanted and the face is in the middle.
#[derive(Debug)]
pub struct Scene {
    photo: Luma,
    /// Photo pixels per picture pixel, and the photo's place of the picture's first pixel.
    scale: f32,
    origin: Px,
    size: (u32, u32),
}

impl Scene {
    pub fn new(photo: &Luma, landmarks: &PerLandmark<Px>, wanted: f32, width: u32, height: u32) -> Self {
        let scale = iod(landmarks) / wanted;
        let eyes = (right_eye(landmarks) + left_eye(landmarks)) * 0.5;
        let origin = eyes - Px::new(width as f32 * 0.5, height as f32 * 0.4) * scale;
        Self { photo: photo.clone(), scale, origin, size: (width, height) }
    }

    /// The scene with one movement, or none. Both go through the same resampling: otherwise "blurred" would mean
    /// "moved".
    pub fn picture(&self, bump: Option<&Bump>, noise: f32, random: &mut Random) -> Luma {
        let (width, height) = self.size;
        let mut picture = Luma::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let q = Px::new(x as f32, y as f32);
                let p = bump.map_or(q, |b| b.back(q));
                let value = self.bicubic(self.origin + p * self.scale) + noise * random.normal();
                picture.pixels_mut()[(y * width + x) as usize] = value.round().clamp(0.0, 255.0) as u8;
            }
        }
        picture
    }

    /// Catmull and Rom 1974; beyond the photo's edge that of the edge.
    fn bicubic(&self, p: Px) -> f32 {
        let weights = |t: f32| {
            let (t2, t3) = (t * t, t * t * t);
            [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2]
        };
        let (i, j) = (p.x.floor(), p.y.floor());
        let (wx, wy) = (weights(p.x - i), weights(p.y - j));
        let (w, h) = (self.photo.width() as i32, self.photo.height() as i32);
        let mut sum = 0.0;
        for (r, ky) in wy.iter().enumerate() {
            let row = self.photo.row((j as i32 - 1 + r as i32).clamp(0, h - 1) as u32);
            for (c, kx) in wx.iter().enumerate() {
                sum += ky * kx * f32::from(row[(i as i32 - 1 + c as i32).clamp(0, w - 1) as usize]);
            }
        }
        sum
    }
}
