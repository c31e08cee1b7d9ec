//! A generated face with exact truth: skin-like texture, brows, eyes, nose and mouth, moved as a whole and locally,
//! and networks that return the truth with jitter. The tracker's tests, its allocation test and its bench share it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mercam::face::{Anchor, DetectedFace, FaceDetector, FaceError, LandmarkNet};
use mercam::frame::Luma;
use mercam::geometry::{Px, Rect, Roi};
use mercam::landmarks::{COUNT, PerLandmark, iod};
use std::sync::{Arc, Mutex};

/// Texture pixels per inter-ocular distance.
const FINE: f32 = 300.0;
/// The texture covers this many IOD left, right, above and below the origin.
const SPAN: f32 = 2.2;

/// xorshift, so that the tests do not depend on another crate.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 16_777_216.0
    }

    /// Standard normal (Irwin-Hall of 12).
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// 68 landmarks in the face frame.
pub fn shape() -> PerLandmark<[f32; 2]> {
    let mut s = [[0.0; 2]; COUNT];
    for (i, p) in s.iter_mut().enumerate().take(17) {
        let angle = std::f32::consts::PI * i as f32 / 16.0;
        *p = [-1.1 * angle.cos(), -0.05 + 1.75 * angle.sin()];
    }
    for k in 0..5 {
        let t = k as f32 / 4.0;
        let y = -0.34 - 0.13 * (1.0 - (2.0 * t - 1.0).powi(2));
        s[17 + k] = [-0.9 + 0.7 * t, y];
        s[26 - k] = [0.9 - 0.7 * t, y];
    }
    let fixed: [[f32; 2]; 41] = [
        [0.0, 0.0],
        [0.0, 0.25],
        [0.0, 0.5],
        [0.0, 0.72],
        [-0.25, 0.85],
        [-0.13, 0.9],
        [0.0, 0.93],
        [0.13, 0.9],
        [0.25, 0.85],
        [-0.72, 0.0],
        [-0.58, -0.09],
        [-0.42, -0.09],
        [-0.28, 0.01],
        [-0.42, 0.085],
        [-0.58, 0.085],
        [0.28, 0.01],
        [0.42, -0.09],
        [0.58, -0.09],
        [0.72, 0.0],
        [0.58, 0.085],
        [0.42, 0.085],
        [-0.45, 1.3],
        [-0.28, 1.2],
        [-0.1, 1.15],
        [0.0, 1.17],
        [0.1, 1.15],
        [0.28, 1.2],
        [0.45, 1.3],
        [0.28, 1.42],
        [0.1, 1.48],
        [0.0, 1.49],
        [-0.1, 1.48],
        [-0.28, 1.42],
        [-0.38, 1.3],
        [-0.15, 1.26],
        [0.0, 1.27],
        [0.15, 1.26],
        [0.38, 1.3],
        [0.15, 1.33],
        [0.0, 1.34],
        [-0.15, 1.33],
    ];
    s[27..].copy_from_slice(&fixed);
    s
}

/// A local movement: a Gaussian field.
#[derive(Debug, Clone, Copy)]
pub struct Local {
    /// Middle, in the face frame.
    pub at: [f32; 2],
    /// Standard deviation, in IOD.
    pub sigma: f32,
    /// Shift in the middle, in IOD.
    pub shift: [f32; 2],
}

/// Where the face is and what it does.
#[derive(Debug, Clone)]
pub struct Pose {
    /// Midway between the eyes, in pixels.
    pub origin: [f32; 2],
    pub iod: f32,
    pub roll_deg: f32,
    /// Foreshortening along x, about cos(yaw).
    pub squeeze: f32,
    pub local: Vec<Local>,
    /// The light.
    pub gain: f32,
    pub offset: f32,
    /// A flat grey thing in front of the face: left, top, right, bottom in pixels.
    pub hidden: Option<[f32; 4]>,
    /// The face is there.
    pub present: bool,
}

impl Pose {
    pub fn at(x: f32, y: f32, iod: f32) -> Self {
        Self {
            origin: [x, y],
            iod,
            roll_deg: 0.0,
            squeeze: 1.0,
            local: Vec::new(),
            gain: 1.0,
            offset: 0.0,
            hidden: None,
            present: true,
        }
    }

    fn field(&self, p: [f32; 2]) -> [f32; 2] {
        let mut d = [0.0; 2];
        for l in &self.local {
            let r2 = ((p[0] - l.at[0]).powi(2) + (p[1] - l.at[1]).powi(2)) / (l.sigma * l.sigma);
            if r2 < 25.0 {
                let k = (-0.5 * r2).exp();
                d[0] += k * l.shift[0];
                d[1] += k * l.shift[1];
            }
        }
        d
    }

    fn to_picture(&self, p: [f32; 2]) -> Px {
        let d = self.field(p);
        let (x, y) = ((p[0] + d[0]) * self.squeeze * self.iod, (p[1] + d[1]) * self.iod);
        let (s, c) = self.roll_deg.to_radians().sin_cos();
        Px::new(self.origin[0] + c * x - s * y, self.origin[1] + s * x + c * y)
    }

    fn to_face(&self, x: f32, y: f32) -> [f32; 2] {
        let (s, c) = self.roll_deg.to_radians().sin_cos();
        let (dx, dy) = (x - self.origin[0], y - self.origin[1]);
        let moved = [(c * dx + s * dy) / (self.iod * self.squeeze), (c * dy - s * dx) / self.iod];
        let mut p = moved;
        if !self.local.is_empty() {
            for _ in 0..4 {
                let d = self.field(p);
                p = [moved[0] - d[0], moved[1] - d[1]];
            }
        }
        p
    }

    /// The true landmarks.
    pub fn truth(&self) -> PerLandmark<Px> {
        shape().map(|p| self.to_picture(p))
    }
}

/// The texture of one generated face, and a background.
pub struct FacePicture {
    side: usize,
    fine: Vec<f32>,
    back: Vec<f32>,
    back_side: usize,
}

fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    (h ^ (h >> 15)) as f32 / 4_294_967_296.0 - 0.5
}

/// Smooth noise of about `wave` pixels.
fn noise(x: f32, y: f32, wave: f32, seed: u32) -> f32 {
    let (x, y) = (x / wave, y / wave);
    let (xi, yi) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(x - xi), ease(y - yi));
    let (i, j) = (xi as i32, yi as i32);
    let a = hash(i, j, seed) * (1.0 - u) + hash(i + 1, j, seed) * u;
    let b = hash(i, j + 1, seed) * (1.0 - u) + hash(i + 1, j + 1, seed) * u;
    a * (1.0 - v) + b * v
}

/// 1 inside (negative distance), 0 outside, soft over `width`.
fn soft(distance: f32, width: f32) -> f32 {
    1.0 / (1.0 + (distance / width * 4.0).exp())
}

fn ellipse(p: [f32; 2], c: [f32; 2], r: [f32; 2]) -> f32 {
    (((p[0] - c[0]) / r[0]).hypot((p[1] - c[1]) / r[1]) - 1.0) * r[0].min(r[1])
}

/// Grey value of the face at a place of the face frame.
fn paint(p: [f32; 2], seed: u32) -> f32 {
    let [x, y] = p;
    let n = |wave: f32, k: u32| noise(x, y, wave, seed.wrapping_add(k * 7919));
    // skin: shading, blotches, pores
    let mut grey = 150.0 + 14.0 * n(0.5, 1) + 9.0 * n(0.16, 2) + 9.0 * n(0.07, 3) + 8.0 * n(0.035, 4);
    grey -= 18.0 * x * x + 5.0 * (y - 0.5) * (y - 0.5);
    let side = x.abs();
    // brows, with hair
    let t = ((side - 0.2) / 0.7).clamp(0.0, 1.0);
    let ridge = -0.34 - 0.13 * (1.0 - (2.0 * t - 1.0).powi(2));
    let along = if (0.2..0.9).contains(&side) { 0.0 } else { (side - 0.55).abs() - 0.35 };
    let brow = soft((y - ridge).abs() - 0.055 + along.max(0.0), 0.05);
    grey -= brow * (65.0 + 50.0 * noise(x * 1.3 + y * 0.6, y * 0.4, 0.03, seed ^ 0xB0));
    // eyes
    let eye = [side - 0.5, y];
    let open = soft(eye[1].abs() - 0.09 * (1.0 - (eye[0] / 0.23).powi(2)).max(0.0) + 0.004, 0.02);
    grey += open * (30.0 + 8.0 * n(0.05, 9));
    grey -= open * soft(ellipse(eye, [0.0, -0.01], [0.1, 0.1]), 0.02) * 115.0;
    grey += open * soft(ellipse(eye, [0.03, -0.04], [0.02, 0.02]), 0.02) * 80.0;
    let lash =
        soft((eye[1] + 0.09 * (1.0 - (eye[0] / 0.23).powi(2))).abs() - 0.012, 0.02) * soft(eye[0].abs() - 0.22, 0.05);
    grey -= lash * 60.0;
    grey -= soft((eye[1] - 0.085 * (1.0 - (eye[0] / 0.23).powi(2))).abs() - 0.005, 0.02)
        * soft(eye[0].abs() - 0.2, 0.05)
        * 25.0;
    grey -= soft((eye[1] + 0.15 - 0.3 * eye[0] * eye[0]).abs() - 0.008, 0.03) * soft(eye[0].abs() - 0.2, 0.08) * 18.0;
    // nose
    grey += soft(side - 0.05, 0.12) * soft((y - 0.4).abs() - 0.35, 0.2) * 14.0;
    grey -= soft(ellipse([side, y], [0.12, 0.9], [0.055, 0.03]), 0.03) * 70.0;
    grey -= soft((ellipse([side, y], [0.16, 0.83], [0.1, 0.09])).abs() - 0.005, 0.03) * soft(0.18 - side, 0.06) * 30.0;
    grey -= soft((y - 0.95 + 0.1 * side).abs() - 0.01, 0.05) * soft(side - 0.22, 0.08) * 18.0;
    // mouth
    let lips = soft(ellipse([side, y], [0.0, 1.32], [0.45, 0.17 - 0.02 * (side * 12.0).cos()]), 0.03);
    grey -= lips * (24.0 + 14.0 * noise(x, y * 0.3, 0.04, seed ^ 0x11));
    grey -= soft((y - 1.3 - 0.01 * (side * 9.0).cos()).abs() - 0.012, 0.025) * soft(side - 0.42, 0.05) * 60.0;
    grey
}

impl FacePicture {
    pub fn new(seed: u32) -> Self {
        let side = (2.0 * SPAN * FINE) as usize;
        let mut fine = vec![0.0; side * side];
        for v in 0..side {
            for u in 0..side {
                let p = [(u as f32 + 0.5) / FINE - SPAN, (v as f32 + 0.5) / FINE - SPAN + 0.6];
                fine[v * side + u] = paint(p, seed);
            }
        }
        let back_side = 700;
        let mut back = vec![0.0; back_side * back_side];
        for v in 0..back_side {
            for u in 0..back_side {
                let (x, y) = (u as f32, v as f32);
                back[v * back_side + u] = 90.0 + 60.0 * noise(x, y, 60.0, 5) + 30.0 * noise(x, y, 9.0, 6);
            }
        }
        Self { side, fine, back, back_side }
    }

    fn sample(&self, p: [f32; 2]) -> f32 {
        let (x, y) = ((p[0] + SPAN) * FINE - 0.5, (p[1] - 0.6 + SPAN) * FINE - 0.5);
        let (xf, yf) = (x.floor(), y.floor());
        // three texture pixels and more per picture pixel: between them a line is enough
        let last = self.side as i32 - 1;
        let at = |i: i32, j: i32| self.fine[j.clamp(0, last) as usize * self.side + i.clamp(0, last) as usize];
        let (i, j, u, v) = (xf as i32, yf as i32, x - xf, y - yf);
        (at(i, j) * (1.0 - u) + at(i + 1, j) * u) * (1.0 - v) + (at(i, j + 1) * (1.0 - u) + at(i + 1, j + 1) * u) * v
    }

    /// The picture of a pose: every pixel is the mean of `fineness` x `fineness` samples of the moved face.
    pub fn render(&self, pose: &Pose, width: u32, height: u32, sigma: f32, random: &mut Random) -> Luma {
        let mut picture = Luma::new(width, height);
        let fineness = if pose.iod < 60.0 { 3 } else { 2 };
        for y in 0..height {
            for x in 0..width {
                let mut sum = 0.0;
                for s in 0..fineness * fineness {
                    let fx = x as f32 + ((s % fineness) as f32 + 0.5) / fineness as f32 - 0.5;
                    let fy = y as f32 + ((s / fineness) as f32 + 0.5) / fineness as f32 - 0.5;
                    sum += self.scene(pose, fx, fy);
                }
                let grey = sum / (fineness * fineness) as f32 * pose.gain + pose.offset + sigma * random.normal();
                picture.pixels_mut()[(y * width + x) as usize] = grey.round().clamp(0.0, 255.0) as u8;
            }
        }
        picture
    }

    fn scene(&self, pose: &Pose, x: f32, y: f32) -> f32 {
        if pose.hidden.is_some_and(|h| x >= h[0] && y >= h[1] && x < h[2] && y < h[3]) {
            return 120.0 + 20.0 * noise(x, y, 14.0, 77);
        }
        let (u, v) = (x.max(0.0) as usize % self.back_side, y.max(0.0) as usize % self.back_side);
        let back = self.back[v * self.back_side + u];
        if !pose.present {
            return back;
        }
        let p = pose.to_face(x, y);
        let edge = soft(ellipse(p, [0.0, 0.35], [1.25, 1.55]), 0.05);
        if edge < 0.002 { back } else { edge * self.sample(p) + (1.0 - edge) * back }
    }
}

/// What the networks see: set by the test for every picture.
#[derive(Debug, Default)]
pub struct World {
    pub truth: Vec<PerLandmark<Px>>,
    pub detections: usize,
    pub looks: usize,
}

pub type Shared = Arc<Mutex<World>>;

/// A detector that knows the truth.
pub struct FakeDetector(pub Shared);
/// A landmark network that knows the truth, and adds jitter.
pub struct FakeNet {
    pub world: Shared,
    /// Standard deviation of the jitter per axis, in pixels.
    pub jitter: f32,
    /// A constant error of each landmark, in pixels (standard deviation).
    pub bias: f32,
    pub random: Random,
}

pub fn roi_of(points: &PerLandmark<Px>) -> Roi {
    let bounds = Rect::around(points.iter().copied());
    Roi { centre: bounds.centre(), side: bounds.width.max(bounds.height) * 1.5, angle: 0.0 }
}

impl FaceDetector for FakeDetector {
    fn detect(&mut self, _: &Luma, found: &mut Vec<DetectedFace>) -> Result<(), FaceError> {
        let mut world = self.0.lock().unwrap();
        world.detections += 1;
        found.clear();
        found.extend(world.truth.iter().map(|points| {
            let bounds = Rect::around(points.iter().copied());
            DetectedFace { bounds, score: 0.9, roi: roi_of(points) }
        }));
        Ok(())
    }
}

impl LandmarkNet for FakeNet {
    fn landmarks(&mut self, _: &Luma, roi: &Roi) -> Result<Anchor, FaceError> {
        let mut world = self.world.lock().unwrap();
        world.looks += 1;
        let looks = world.looks;
        let distance = |p: &PerLandmark<Px>| Rect::around(p.iter().copied()).centre().distance(roi.centre);
        let nearest = world.truth.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let seen = nearest.filter(|p| distance(p) < 1.0 * iod(p));
        Ok(match seen {
            None => Anchor { points: [roi.centre; COUNT], presence: 0.02, roi: *roi },
            Some(p) => {
                let mut fixed = Random(0x5EED);
                let points = p.map(|p| {
                    // the first two looks, which start a track, are calm
                    let jitter = if looks > 2 { self.jitter } else { 0.0 };
                    let error = |r: &mut Random, k: f32| Px::new(r.normal() * k, r.normal() * k);
                    p + error(&mut fixed, self.bias) + error(&mut self.random, jitter)
                });
                Anchor { points, presence: 0.98, roi: roi_of(p) }
            }
        })
    }
}
