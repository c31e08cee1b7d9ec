//! What lies on the skin: eyes, brows and lips, painted at (x, y) of the mean face.

use super::curve::{bell, bump, curve, mix, ramp};
use super::relief::MOUTH_LINE;
use crate::synth::random::value_noise;

/// Upper lid margin over the distance from the middle line (landmarks 39, 38, 37, 36).
const UPPER_LID: [(f32, f32); 4] = [(0.27, 0.03), (0.40, -0.085), (0.60, -0.08), (0.74, 0.005)];
/// Lower lid margin (39, 40, 41, 36).
const LOWER_LID: [(f32, f32); 4] = [(0.27, 0.03), (0.40, 0.065), (0.59, 0.065), (0.74, 0.005)];
/// Middle of the brow (21 to 17).
const BROW: [(f32, f32); 5] = [(0.21, -0.315), (0.40, -0.365), (0.60, -0.39), (0.79, -0.355), (0.95, -0.24)];
/// Upper edge of the upper lip (51 to 48).
const UPPER_LIP: [(f32, f32); 4] = [(0.0, 1.095), (0.10, 1.075), (0.26, 1.125), (0.41, 1.208)];
/// Lower edge of the lower lip (57 to 48).
const LOWER_LIP: [(f32, f32); 4] = [(0.0, 1.405), (0.12, 1.39), (0.27, 1.325), (0.41, 1.214)];

/// Tones of one person; luma from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tones {
    pub(super) seed: u64,
    pub(super) skin: f32,
    pub(super) hair: f32,
    pub(super) iris: f32,
    pub(super) lip: f32,
    pub(super) brow: f32,
    pub(super) freckles: f32,
    /// Width of a soft edge: about one texture pixel, in IOD.
    pub(super) edge: f32,
}

/// The open eye over the skin tone `skin` (already shaded).
pub(super) fn eye(t: &Tones, x: f32, y: f32, skin: f32) -> f32 {
    let ax = x.abs();
    if !(0.18..0.86).contains(&ax) || !(-0.25..0.2).contains(&y) {
        return skin;
    }
    let (top, low) = (curve(&UPPER_LID, ax), curve(&LOWER_LID, ax));
    let within = ramp(0.255, 0.28, ax) * (1.0 - ramp(0.72, 0.75, ax));
    let open = ramp(-t.edge, t.edge, y - top) * (1.0 - ramp(-t.edge, t.edge, y - low)) * within;

    // The ball: sclera, iris, pupil, the shadow of the upper lid, the light's reflection.
    let (dx, dy) = (ax - 0.503, y + 0.012);
    let r = dx.hypot(dy);
    let sclera = 0.80 - 0.9 * (ax - 0.503).powi(2) * 4.0 + 0.02 * value_noise(t.seed ^ 11, x * 40.0, y * 40.0);
    let angle = dy.atan2(dx);
    let fibres = 0.06 * value_noise(t.seed ^ 12, angle * 9.0 + if x > 0.0 { 40.0 } else { 0.0 }, r * 30.0);
    let iris = t.iris * mix(0.75, 1.25, ramp(0.03, 0.085, r)) + fibres;
    let iris = mix(iris, 0.10, ramp(0.080, 0.098, r));
    let iris = mix(0.03, iris, ramp(0.036, 0.044, r));
    let mut ball = mix(iris, sclera, ramp(0.093, 0.103, r));
    ball = mix(0.58, ball, ramp(0.275, 0.33, ax)); // caruncle
    ball *= mix(0.52, 1.0, ramp(0.0, 0.065, y - top));
    let glint = bump(x - 0.503 * x.signum() + 0.032, y + 0.050, 0.016, 0.016);
    ball = mix(ball, 0.98, (1.4 * glint).min(1.0));

    // The lids: crease, margin with lashes, the lower margin's wet edge.
    let crease = top - mix(0.030, 0.062, bell((ax - 0.53) / 0.17));
    let mut lid = skin;
    let along = ramp(0.27, 0.36, ax) * (1.0 - ramp(0.74, 0.84, ax));
    lid *= 1.0 - 0.30 * bell((y - crease) / 0.013) * along;
    lid *= 1.0 - 0.10 * bell((y - low - 0.075 - 0.02 * (ax - 0.3)) / 0.018) * along;
    lid = mix(lid, lid * 1.08, bell((y - low - 0.012) / 0.010) * along);
    let mut out = mix(lid, ball, open);
    let lash = value_noise(t.seed ^ 13, x * 95.0, y * 12.0) * 0.006;
    let upper = bell((y - top + 0.006 + lash) / (0.011 + 0.006 * ramp(0.4, 0.72, ax))) * ramp(0.25, 0.36, ax);
    out = mix(out, 0.10, 0.88 * upper * (1.0 - ramp(0.75, 0.82, ax)));
    let under = bell((y - low - 0.004) / 0.008) * ramp(0.34, 0.5, ax) * (1.0 - ramp(0.72, 0.78, ax));
    mix(out, 0.25, 0.40 * under)
}

/// The brow over `skin`: hairs along its line, thinner towards the temple.
pub(super) fn brow(t: &Tones, x: f32, y: f32, skin: f32) -> f32 {
    let ax = x.abs();
    if !(0.12..1.05).contains(&ax) || !(-0.55..-0.1).contains(&y) {
        return skin;
    }
    let middle = curve(&BROW, ax) + 0.012;
    let half = curve(&[(0.18, 0.040), (0.30, 0.052), (0.60, 0.048), (0.80, 0.036), (0.97, 0.012)], ax) * t.brow;
    let ends = ramp(0.16, 0.27, ax) * (1.0 - ramp(0.88, 0.98, ax));
    // Hairs stand up near the nose and lie along the brow outside: shear the noise lattice accordingly.
    let lean = mix(1.1, 0.25, ramp(0.2, 0.6, ax));
    let side = if x > 0.0 { 500.0 } else { 0.0 };
    let (u, v) = (ax + lean * (y - middle), (y - middle) - 0.25 * (ax - 0.5));
    let hairs = 0.74
        + 0.42 * value_noise(t.seed ^ 21, u * 24.0 + side, v * 80.0)
        + 0.22 * value_noise(t.seed ^ 22, u * 50.0 + side, v * 45.0);
    let ragged = 0.012 * value_noise(t.seed ^ 23, ax * 38.0 + side, 0.5);
    let band = 1.0 - ramp(half * 0.55, half + 0.022, (y - middle + ragged).abs());
    mix(skin, t.hair * 0.8 + 0.03, (band * ends * hairs.clamp(0.3, 1.0)).min(0.92))
}

/// The lips over `skin`.
pub(super) fn lips(t: &Tones, x: f32, y: f32, skin: f32) -> f32 {
    let ax = x.abs();
    if ax > 0.5 || !(1.0..1.5).contains(&y) {
        return skin;
    }
    let (top, low, line) = (curve(&UPPER_LIP, ax), curve(&LOWER_LIP, ax), curve(&MOUTH_LINE, ax));
    let soft = 2.0 * t.edge + 0.006;
    let within = 1.0 - ramp(0.38, 0.42, ax);
    let on = ramp(-soft, soft, y - top) * (1.0 - ramp(-soft * 1.6, soft * 1.6, y - low)) * within;
    let side = if y < line { 0.90 } else { 1.0 };
    let creases = 1.0 + 0.055 * value_noise(t.seed ^ 31, x * 46.0, y * 5.0 + if y < line { 9.0 } else { 0.0 });
    let shine = 0.10 * bump(ax - 0.05, y - line - 0.085, 0.12, 0.022);
    let mut out = mix(skin, skin * t.lip * side * creases + shine, on);
    let corner = 1.0 - ramp(0.36, 0.435, ax);
    let width = mix(0.011, 0.007, ramp(0.1, 0.4, ax));
    out = mix(out, 0.13, 0.90 * bell((y - line) / width) * corner);
    mix(out, out * 0.75, bump(ax - 0.415, y - 1.213, 0.022, 0.026))
}

/// Nostrils over `skin`.
pub(super) fn nostrils(x: f32, y: f32, skin: f32) -> f32 {
    let ax = x.abs();
    let hole = bump(ax - 0.105 - 0.3 * (y - 0.80), y - 0.800, 0.046, 0.020);
    let wing = bell((ax - 0.232 - 0.02 * bell((y - 0.74) / 0.05)) / 0.014) * bump(0.0, y - 0.745, 1.0, 0.055);
    let under = bump(ax, y - 0.845, 0.11, 0.018);
    let dark = mix(skin, 0.12, (1.1 * hole).min(0.88));
    dark * (1.0 - 0.28 * wing) * (1.0 - 0.16 * under)
}
