//! The whole picture of one person: cloth, neck, ears, shaded skin, features and hair, with coverage.

use super::curve::{bell, bump, curve, mix, ramp};
use super::features::{self, Tones};
use super::relief::head_width;
use crate::synth::random::{Rng, value_noise};

/// Luma, 0 to 1, and coverage, 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) luma: f32,
    pub(super) cover: f32,
}

impl Sample {
    fn over(&mut self, luma: f32, cover: f32) {
        self.luma = mix(self.luma, luma, if self.cover > 0.0 { cover } else { 1.0 });
        self.cover = self.cover.max(cover);
    }
}

/// Height of the hairline over |x|.
const HAIRLINE: [(f32, f32); 6] =
    [(0.0, -1.06), (0.45, -1.02), (0.75, -0.90), (0.96, -0.62), (1.05, -0.22), (1.09, 0.25)];
/// Half width of the hair's outline over y.
const HAIR: [(f32, f32); 10] = [
    (-1.93, 0.0),
    (-1.915, 0.22),
    (-1.87, 0.48),
    (-1.65, 0.90),
    (-1.25, 1.21),
    (-0.75, 1.345),
    (-0.25, 1.33),
    (0.05, 1.26),
    (0.28, 1.17),
    (0.36, 1.05),
];
/// Half width of neck and shoulders over y.
const TORSO: [(f32, f32); 8] =
    [(1.2, 0.70), (1.7, 0.70), (2.05, 0.74), (2.25, 0.88), (2.40, 1.25), (2.55, 1.75), (2.80, 2.15), (3.4, 2.40)];
/// Edge of the clothes over |x|.
const COLLAR: [(f32, f32); 4] = [(0.0, 2.72), (0.35, 2.62), (0.62, 2.42), (0.86, 2.18)];

impl Tones {
    /// The tones of the person that `seed` names.
    pub(super) fn of(seed: u64, edge: f32) -> Self {
        let mut r = Rng::new(seed, 0x70e5);
        Self {
            seed,
            skin: r.range(0.60, 0.74),
            hair: r.range(0.10, 0.28),
            iris: r.range(0.22, 0.42),
            lip: r.range(0.68, 0.78),
            brow: r.range(0.85, 1.2),
            freckles: r.range(0.3, 1.0),
            edge,
        }
    }
}

/// Bare skin without shading: mottling, pores and freckles, so that optical flow has something to hold.
fn skin(t: &Tones, x: f32, y: f32) -> f32 {
    // The lattice is turned by another angle in every octave, so that no grid shows.
    let n = |k: u64, f: f32| {
        let (s, c) = (k as f32 * 1.1).sin_cos();
        value_noise(t.seed ^ k, (c * x - s * y) * f, (s * x + c * y) * f)
    };
    let mottle = 0.020 * n(1, 4.0) + 0.022 * n(2, 9.0) + 0.024 * n(3, 19.0) + 0.026 * n(4, 37.0) + 0.018 * n(5, 63.0);
    let pores = -0.05 * ramp(0.45, 0.95, n(6, 52.0));
    let zone = bump(x.abs() - 0.45, y - 0.4, 0.5, 0.35);
    let freckles = -0.14 * t.freckles * ramp(0.62, 0.9, n(7, 27.0)) * zone;
    let flush = -0.02 * bump(x.abs() - 0.68, y - 0.5, 0.25, 0.2) - 0.03 * bump(x, y - 0.62, 0.15, 0.15);
    let beard = -0.03 * bump(x, y - 1.45, 0.6, 0.35);
    t.skin * (1.0 + mottle + pores + freckles + flush + beard)
}

fn strands(t: &Tones, x: f32, y: f32) -> f32 {
    // Strands run from the parting over the skull: constant along the distance from the crown.
    let (dx, dy) = (x + 0.25, y + 1.95);
    let angle = dx.atan2(dy + 0.55);
    let far = dx.hypot(dy);
    let fine =
        value_noise(t.seed ^ 41, angle * 62.0, far * 3.0) + 0.6 * value_noise(t.seed ^ 42, angle * 125.0, far * 5.0);
    let locks = value_noise(t.seed ^ 43, angle * 15.0, far * 1.6);
    let sheen = bell((far - 0.75 - 0.1 * locks) / 0.28);
    (t.hair * (1.0 + 0.30 * fine + 0.35 * locks) + 0.16 * sheen * (0.6 + 0.4 * fine)).max(0.03)
}

/// The person at (x, y) of the mean face, under shading factor `shade` for the head's skin.
pub(super) fn person(t: &Tones, x: f32, y: f32, shade: f32) -> Sample {
    let ax = x.abs();
    let e = t.edge;
    let mut out = Sample::default();

    // Neck and shoulders.
    if y > 1.1 {
        let wide = curve(&TORSO, y);
        let cover = 1.0 - ramp(wide - e, wide + e, ax);
        if cover > 0.0 {
            let round = (1.0 - (ax / wide).min(1.0).powi(2)).sqrt();
            let chin = head_width((y - 0.16).min(1.78)).max(0.0);
            let under = 1.0 - 0.50 * (1.0 - ramp(1.72, 2.25, y + 0.25 * (ax - chin).max(0.0)));
            let cords = 1.0 - 0.08 * bell((ax - 0.30 + 0.25 * (y - 2.0)) / 0.07)
                + 0.03 * bell((ax - 0.4 + 0.25 * (y - 2.0)) / 0.08);
            let neck = skin(t, x * 0.8, y + 3.0) * (0.50 + 0.42 * round - 0.10 * x) * under * cords;
            let weave =
                0.05 * value_noise(t.seed ^ 51, x * 30.0, y * 30.0) + 0.10 * value_noise(t.seed ^ 52, x * 3.0, y * 1.5);
            let collar = curve(&COLLAR, ax);
            let cloth =
                (0.30 + weave) * (0.75 + 0.25 * round - 0.06 * x) * (1.0 - 0.35 * bell((y - collar - 0.10) / 0.012));
            out.over(mix(neck, cloth, ramp(collar - e, collar + e, y)), cover);
        }
    }

    // Ears.
    let (ex, ey) = ((ax - 1.16) / 0.125, (y - 0.28 - 0.3 * (ax - 1.16)) / 0.34);
    let ear = ex.hypot(ey);
    if ear < 1.3 {
        let inner = 0.72 + 0.28 * bell((ear - 0.85) / 0.16) - 0.22 * bump(ax - 1.14, y - 0.33, 0.05, 0.12);
        let side = if x < 0.0 { 1.0 } else { 0.85 };
        out.over(skin(t, x, y) * inner * 0.80 * side, 1.0 - ramp(1.0 - 6.0 * e, 1.0 + 6.0 * e, ear));
    }

    // The head.
    let wide = head_width(y);
    let cover = 1.0 - ramp(wide - 1.5 * e, wide + 1.5 * e, ax);
    if cover > 0.0 && y < 1.8 {
        let mut s = skin(t, x, y) * shade;
        s = features::nostrils(x, y, s);
        s = features::lips(t, x, y, s);
        s = features::eye(t, x, y, s);
        s = features::brow(t, x, y, s);
        out.over(s, cover);
    }

    // Hair.
    let outline = curve(&HAIR, y)
        + 0.018 * ramp(-1.93, -1.7, y) * value_noise(t.seed ^ 44, y * 22.0, if x > 0.0 { 7.0 } else { 0.0 });
    if y < 0.5 && ax < outline + 0.1 {
        let wave = 0.035 * value_noise(t.seed ^ 45, x * 14.0, 0.0) + 0.02 * value_noise(t.seed ^ 46, x * 40.0, 0.0);
        let line = curve(&HAIRLINE, ax) + wave;
        let beside =
            if ax > 1.0 { ramp(-0.02, 0.05, ax - 1.065 - 0.02 * value_noise(t.seed ^ 47, y * 30.0, x)) } else { 0.0 };
        let above = (1.0 - ramp(line - 0.05, line + 0.05, y)).max(beside * (1.0 - ramp(0.18, 0.36, y)));
        let cover = (1.0 - ramp(outline - 0.03, outline + 0.02, ax)) * above;
        if cover > 0.0 {
            let round = (1.0 - (ax / (outline + 0.06)).min(1.0).powi(2)).sqrt();
            let lit = 0.45 + 0.65 * round - 0.18 * x - 0.1 * ramp(-0.6, 0.2, y);
            out.over(strands(t, x, y) * lit.max(0.2), cover);
        }
        // The hair's shadow on the forehead.
        let shadow = bell((y - line - 0.05) / 0.06) * (1.0 - cover) * ramp(wide, wide - 0.1, ax);
        out.luma *= 1.0 - 0.25 * shadow;
    }
    out
}
