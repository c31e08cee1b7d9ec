//! Faces with exact truth in landmark space: a rough 3-D face of its own (not the one that the movement stage
//! assumes), action units, blinks, talking, head motion, tracker noise, lost frames.

use mercam::frame::{Face, FaceId};
use mercam::geometry::{Px, Rect};
use mercam::landmarks::COUNT;
use mercam::time::Timestamp;
use std::f32::consts::TAU;

/// SplitMix64 and what is drawn from it.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1u64 << 24) as f32)
    }
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (self.uniform(1e-7, 1.0), self.uniform(0.0, 1.0));
        (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
    }
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.next() as usize % all.len()]
    }
}

/// Right half and middle line of a face: landmark, x, y, depth, in IOD.
const HALF: [(usize, f32, f32, f32); 39] = [
    (0, -1.11, 0.08, -0.82),
    (1, -1.10, 0.33, -0.79),
    (2, -1.07, 0.60, -0.76),
    (3, -1.00, 0.86, -0.70),
    (4, -0.86, 1.12, -0.60),
    (5, -0.66, 1.36, -0.42),
    (6, -0.44, 1.55, -0.20),
    (7, -0.22, 1.68, 0.02),
    (8, 0.0, 1.72, 0.10),
    (17, -0.92, -0.22, -0.22),
    (18, -0.79, -0.36, -0.10),
    (19, -0.60, -0.41, 0.02),
    (20, -0.40, -0.38, 0.11),
    (21, -0.20, -0.31, 0.20),
    (27, 0.0, -0.03, 0.22),
    (28, 0.0, 0.17, 0.36),
    (29, 0.0, 0.37, 0.48),
    (30, 0.0, 0.57, 0.62),
    (31, -0.23, 0.70, 0.33),
    (32, -0.12, 0.75, 0.39),
    (33, 0.0, 0.78, 0.43),
    (36, -0.72, 0.01, -0.12),
    (37, -0.60, -0.08, -0.03),
    (38, -0.41, -0.08, 0.01),
    (39, -0.28, 0.02, -0.01),
    (40, -0.41, 0.06, 0.0),
    (41, -0.59, 0.06, -0.03),
    (48, -0.40, 1.13, 0.09),
    (49, -0.25, 1.06, 0.28),
    (50, -0.10, 1.02, 0.39),
    (51, 0.0, 1.04, 0.41),
    (57, 0.0, 1.34, 0.37),
    (58, -0.12, 1.33, 0.35),
    (59, -0.27, 1.26, 0.26),
    (60, -0.35, 1.13, 0.11),
    (61, -0.13, 1.12, 0.36),
    (62, 0.0, 1.13, 0.38),
    (66, 0.0, 1.17, 0.36),
    (67, -0.13, 1.16, 0.35),
];

/// The twelve point groups in which the displacement of an action unit is given, right half and middle line.
const GROUPS: [&[usize]; 12] = [
    &[21],
    &[19, 20],
    &[17, 18],
    &[37, 38],
    &[40, 41],
    &[31],
    &[51, 62],
    &[49, 50, 61],
    &[48, 60],
    &[58, 59, 67],
    &[57, 66],
    &[7, 8],
];

/// Displacement of an action unit per group: outward and up.
pub struct Unit {
    pub name: &'static str,
    pub moves: [(f32, f32); 12],
}

const O: (f32, f32) = (0.0, 0.0);

/// Action units that micro-expressions show, at full strength, in IOD.
pub const UNITS: [Unit; 8] = [
    Unit { name: "AU1+2", moves: [(0.024, 0.147), (0.039, 0.161), (0.023, 0.127), O, O, O, O, O, O, O, O, O] },
    Unit { name: "AU4", moves: [(-0.045, -0.044), (-0.071, -0.059), (-0.046, -0.028), O, O, O, O, O, O, O, O, O] },
    Unit {
        name: "AU9",
        moves: [
            (-0.011, -0.053),
            (-0.014, -0.035),
            (-0.007, -0.015),
            O,
            (-0.001, 0.017),
            (0.009, 0.094),
            (0.004, 0.124),
            (0.010, 0.146),
            (0.001, 0.121),
            (-0.003, 0.033),
            O,
            O,
        ],
    },
    Unit {
        name: "AU10",
        moves: [O, O, O, O, O, (0.024, 0.073), (0.011, 0.127), (0.034, 0.134), (0.024, 0.105), (0.001, 0.014), O, O],
    },
    Unit {
        name: "AU12",
        moves: [
            O,
            O,
            O,
            O,
            (0.0, 0.008),
            (0.029, 0.027),
            (0.021, 0.058),
            (0.087, 0.096),
            (0.098, 0.112),
            (0.070, 0.109),
            (0.023, 0.072),
            (0.006, 0.052),
        ],
    },
    Unit {
        name: "AU14",
        moves: [
            O,
            O,
            O,
            O,
            O,
            (0.010, -0.001),
            (0.007, 0.001),
            (0.030, -0.007),
            (0.038, 0.004),
            (0.04, 0.068),
            (0.013, 0.033),
            O,
        ],
    },
    Unit { name: "AU5", moves: [O, O, O, (0.005, 0.046), (0.003, 0.004), O, O, O, O, O, O, O] },
    Unit { name: "AU17", moves: [O, O, O, O, O, O, O, O, O, (0.012, 0.085), (0.003, 0.110), (-0.005, 0.072)] },
];

/// Closing of both eyes at full strength (AU45).
const BLINK: Unit = Unit { name: "AU45", moves: [O, O, O, (-0.01, -0.118), (-0.01, 0.003), O, O, O, O, O, O, O] };
/// Opening of the mouth by the jaw (AU26), a fifth of full strength.
const JAW: Unit = Unit {
    name: "AU26",
    moves: [O, O, O, O, O, O, (0.0, -0.01), (0.0, -0.01), (-0.005, -0.02), (0.0, -0.08), (0.0, -0.10), (0.0, -0.06)],
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Both,
    Right,
    Left,
}

/// x and y of every landmark's displacement, y down, in IOD.
pub type Field = [[f32; 2]; COUNT];

/// Displacement field of a unit.
pub fn field(unit: &Unit, side: Side) -> Field {
    let mut f = [[0.0; 2]; COUNT];
    for (group, (outward, up)) in GROUPS.iter().zip(unit.moves) {
        for &i in *group {
            let m = mercam::landmarks::MIRROR[i];
            let middle = if m == i { 0.0 } else { 1.0 };
            let share = if m == i && side != Side::Both { 0.5 } else { 1.0 };
            if side != Side::Left || m == i {
                f[i] = [-outward * middle * share, -up * share];
            }
            if side != Side::Right || m == i {
                f[m] = [outward * middle * share, -up * share];
            }
        }
    }
    f
}

fn scaled(f: &Field, largest: f32) -> Field {
    let top = f.iter().map(|d| d[0].hypot(d[1])).fold(1e-9, f32::max);
    f.map(|d| d.map(|v| v * largest / top))
}

/// A movement with its times in seconds: minimum-jerk rise, rest at the top, minimum-jerk fall to `left`.
#[derive(Clone)]
pub struct Act {
    pub field: Field,
    pub onset: f32,
    pub apex: f32,
    pub leave: f32,
    pub offset: f32,
    pub left: f32,
}

impl Act {
    fn height(&self, t: f32, course: Course) -> f32 {
        let rise = course.at((t - self.onset) / (self.apex - self.onset));
        rise - (1.0 - self.left) * course.at((t - self.leave) / (self.offset - self.leave))
    }
}

/// A movement along a field whose largest displacement is `amplitude`, with onset, apex and offset in seconds.
pub fn act(field: &Field, amplitude: f32, (onset, apex, offset): (f32, f32, f32)) -> Act {
    Act { field: scaled(field, amplitude), onset, apex, leave: apex, offset, left: 0.0 }
}

/// How a clip is made.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub seed: u64,
    pub seconds: f32,
    pub fps: f32,
    pub iod: f32,
    pub noise: f32,
    /// Head: speed in IOD/s, roll in degrees/s, yaw and pitch in degrees (all typical).
    pub speed: f32,
    pub roll: f32,
    pub turn: f32,
    /// Share of frames lost.
    pub lost: f32,
    /// Wander of each landmark, independent of the others, with a memory of 0.3 s; RMS in pixels per axis.
    pub wander: f32,
    /// Time course of the movements.
    pub course: Course,
}

/// How a movement rises from 0 to 1 and, backwards, falls.
#[derive(Clone, Copy, PartialEq)]
pub enum Course {
    /// Minimum jerk, what the spotter assumes.
    Smooth,
    /// A straight line.
    Straight,
    /// Quick at first, then slowing down.
    Slowing,
}

impl Course {
    pub fn at(self, t: f32) -> f32 {
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Smooth => t * t * t * (10.0 - 15.0 * t + 6.0 * t * t),
            Self::Straight => t,
            Self::Slowing => (1.0 - (-4.0 * t).exp()) / (1.0 - (-4.0f32).exp()),
        }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 60.0,
            fps: 100.0,
            iod: 80.0,
            noise: 0.05,
            speed: 0.05,
            roll: 1.0,
            turn: 0.7,
            lost: 0.0,
            wander: 0.0,
            course: Course::Smooth,
        }
    }
}

/// One frame.
pub struct Step {
    pub time: Timestamp,
    pub lost_before: u32,
    pub face: Face,
}

/// A slow random motion: a sum of sines between 0.1 and 0.6 Hz with unit RMS speed or unit RMS height.
struct Sway {
    parts: [(f32, f32, f32); 4],
}

impl Sway {
    fn new(rng: &mut Rng, unit_speed: bool) -> Self {
        let mut parts = [(0.0, 0.0, 0.0); 4];
        for p in &mut parts {
            let omega = TAU * rng.uniform(0.1, 0.6);
            let size = std::f32::consts::SQRT_2 / 2.0 / if unit_speed { omega } else { 1.0 };
            *p = (omega, rng.uniform(0.0, TAU), size);
        }
        Self { parts }
    }
    fn at(&self, t: f32) -> f32 {
        self.parts.iter().map(|(w, p, a)| a * (w * t + p).sin()).sum()
    }
}

/// A person in front of the camera.
pub struct Person {
    rest: [[f32; 3]; COUNT],
    sways: [Sway; 5],
    wander: [[f32; 2]; COUNT],
    last: f32,
    recipe: Recipe,
    rng: Rng,
    pub acts: Vec<Act>,
    pub id: FaceId,
}

impl Person {
    pub fn new(recipe: Recipe) -> Self {
        let mut rng = Rng(recipe.seed.wrapping_mul(7919).wrapping_add(17));
        let mut rest = [[0.0f32; 3]; COUNT];
        let (wide, long, deep) = (1.0 + 0.03 * rng.normal(), 1.0 + 0.05 * rng.normal(), 1.0 + 0.12 * rng.normal());
        for &(i, x, y, z) in &HALF {
            let own = [0.015 * rng.normal(), 0.015 * rng.normal(), 0.025 * rng.normal()];
            let m = mercam::landmarks::MIRROR[i];
            let side = if m == i { 0.0 } else { own[0] };
            rest[i] = [x * wide - side, y * long + own[1], z * deep + own[2]];
            if m != i {
                rest[m] = [-x * wide + side, y * long + own[1], z * deep + own[2]];
            }
        }
        let sways = [true, true, true, false, false].map(|speed| Sway::new(&mut rng, speed));
        Self { rest, sways, wander: [[0.0; 2]; COUNT], last: -10.0, recipe, rng, acts: Vec::new(), id: FaceId(7) }
    }

    /// The same person with the head turned aside by `yaw` radians.
    pub fn turned(mut self, yaw: f32) -> Self {
        let (s, c) = yaw.sin_cos();
        for p in &mut self.rest {
            *p = [p[0] * c + p[2] * s, p[1], p[2] * c - p[0] * s];
        }
        self
    }

    /// Micro-expressions of random units, every 2-4 s; they are returned as well.
    pub fn micros(&mut self, low: f32, high: f32) -> Vec<Act> {
        let mut t = 2.5;
        let mut all = Vec::new();
        while t < self.recipe.seconds - 2.0 {
            let unit = &UNITS[self.rng.next() as usize % UNITS.len()];
            let side = *self.rng.pick(&[Side::Both, Side::Both, Side::Both, Side::Right, Side::Left]);
            let amplitude = self.rng.uniform(low, high);
            let total = (5.89 + 0.3 * self.rng.normal()).exp().clamp(80.0, 480.0) / 1e3;
            let share = self.rng.uniform(0.3, 0.7);
            let apex = t + total * share;
            let field = scaled(&field(unit, side), amplitude);
            all.push(Act { field, onset: t, apex, leave: apex, offset: t + total, left: 0.0 });
            t += self.rng.uniform(2.0, 4.0);
        }
        self.acts.extend(all.iter().cloned());
        all
    }

    /// Blinks of 300-500 ms every 2-5 s.
    pub fn blinks(&mut self) -> usize {
        let (mut t, mut n) = (2.0, 0);
        while t < self.recipe.seconds - 1.0 {
            let total = self.rng.uniform(0.3, 0.5);
            let apex = t + 0.35 * total;
            let leave = apex + 0.15 * total;
            let field = field(&BLINK, Side::Both);
            self.acts.push(Act { field, onset: t, apex, leave, offset: t + total, left: 0.0 });
            t += self.rng.uniform(2.0, 5.0);
            n += 1;
        }
        n
    }

    /// Macro-expressions of 1-2 s (and some of up to 4 s) every 4-6 s, three to eight times as strong.
    pub fn macros(&mut self) -> Vec<Act> {
        let mut t = 2.5;
        let mut all = Vec::new();
        while t < self.recipe.seconds - 5.0 {
            let unit = &UNITS[self.rng.next() as usize % UNITS.len()];
            let amplitude = self.rng.uniform(0.05, 0.15);
            let total =
                if self.rng.uniform(0.0, 1.0) < 0.7 { self.rng.uniform(1.0, 2.0) } else { self.rng.uniform(2.0, 4.0) };
            let apex = t + total * self.rng.uniform(0.25, 0.45);
            let leave = apex + (t + total - apex) * self.rng.uniform(0.0, 0.4);
            let field = scaled(&field(unit, Side::Both), amplitude);
            all.push(Act { field, onset: t, apex, leave, offset: t + total, left: 0.0 });
            t += total + self.rng.uniform(2.0, 3.0);
        }
        self.acts.extend(all.iter().cloned());
        all
    }

    /// Syllables of 150-300 ms without pause for 3-6 s, then 2 s of silence.
    pub fn talk(&mut self) {
        let mut t = 2.0;
        while t < self.recipe.seconds - 8.0 {
            let end = t + self.rng.uniform(3.0, 6.0);
            while t < end {
                let total = self.rng.uniform(0.15, 0.3);
                let apex = t + 0.45 * total;
                let field = scaled(&field(&JAW, Side::Both), self.rng.uniform(0.03, 0.12));
                self.acts.push(Act { field, onset: t, apex, leave: apex, offset: t + total, left: 0.0 });
                t += total * self.rng.uniform(0.8, 1.2);
            }
            t += 2.0;
        }
    }

    /// All frames.
    pub fn film(mut self) -> Vec<Step> {
        let r = self.recipe;
        let frames = (r.seconds * r.fps) as u64;
        let mut steps = Vec::new();
        let mut lost = 0;
        for k in 0..frames {
            if self.rng.uniform(0.0, 1.0) < r.lost {
                lost += 1;
                continue;
            }
            let t = k as f32 / r.fps;
            let time = Timestamp::from_micros((k as f64 / f64::from(r.fps) * 1e6) as i64);
            steps.push(Step { time, lost_before: std::mem::take(&mut lost), face: self.face(t) });
        }
        steps
    }

    /// The face at a time, as a tracker measures it.
    pub fn face(&mut self, t: f32) -> Face {
        let r = self.recipe;
        let [x, y, roll, yaw, pitch] = [0, 1, 2, 3, 4].map(|k| self.sways[k].at(t));
        let (sr, cr) = (r.roll * roll).to_radians().sin_cos();
        let (sy, cy) = (r.turn * yaw).to_radians().sin_cos();
        let (sp, cp) = (r.turn * pitch).to_radians().sin_cos();
        let mut moved = [[0.0f32; 2]; COUNT];
        for act in &self.acts {
            let h = act.height(t, r.course);
            if h != 0.0 {
                for (m, d) in moved.iter_mut().zip(&act.field) {
                    *m = [m[0] + h * d[0], m[1] + h * d[1]];
                }
            }
        }
        let keep = (-(t - self.last).max(0.0) / 0.3).exp();
        self.last = t;
        for w in self.wander.iter_mut().flatten() {
            *w = keep * *w + (1.0 - keep * keep).sqrt() * self.rng.normal();
        }
        let mut landmarks = [Px::default(); COUNT];
        for i in 0..COUNT {
            let [px, py, z] = self.rest[i];
            let (px, py) = (px + moved[i][0], py + moved[i][1]);
            let (x1, z1) = (px * cy + z * sy, z * cy - px * sy);
            let (y1, z2) = (py * cp - z1 * sp, py * sp + z1 * cp);
            // Weak perspective with some true perspective: the camera is 12 IOD (75 cm) away.
            let k = r.iod * 12.0 / (12.0 - z2);
            let (u, v) = (k * (cr * x1 - sr * y1), k * (sr * x1 + cr * y1));
            let place = [320.0 + r.iod * r.speed * x, 200.0 + r.iod * r.speed * y];
            landmarks[i] = Px::new(
                place[0] + u + r.wander * self.wander[i][0] + r.noise * self.rng.normal(),
                place[1] + v + r.wander * self.wander[i][1] + r.noise * self.rng.normal(),
            );
        }
        Face { id: self.id, bounds: Rect::around(landmarks), landmarks, confidence: [1.0; COUNT] }
    }
}
