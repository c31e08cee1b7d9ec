//! The face as a height field over the face frame: skull, brow ridge, sockets, nose, lips and chin.
//! Only shading uses it, so its numbers aim at the look of a face.

use super::curve::{bell, bump, curve, mix, ramp};

/// Half width of the bare head over y.
const HEAD: [(f32, f32); 15] = [
    (-1.80, 0.0),
    (-1.72, 0.42),
    (-1.50, 0.78),
    (-1.10, 1.03),
    (-0.60, 1.14),
    (0.02, 1.13),
    (0.31, 1.12),
    (0.60, 1.085),
    (0.89, 1.01),
    (1.16, 0.87),
    (1.40, 0.68),
    (1.60, 0.465),
    (1.715, 0.27),
    (1.765, 0.14),
    (1.788, 0.0),
];

/// Half width of the head at height `y`.
pub(super) fn head_width(y: f32) -> f32 {
    curve(&HEAD, y).max(0.0)
}

/// The line between the lips over |x|.
pub(super) const MOUTH_LINE: [(f32, f32); 4] = [(0.0, 1.212), (0.13, 1.205), (0.355, 1.21), (0.41, 1.212)];

/// Height of the surface at (x, y), in IOD.
pub(super) fn height(x: f32, y: f32) -> f32 {
    let ax = x.abs();
    let w = head_width(y).max(1e-3);
    let across = (1.0 - (ax / w).min(1.0).powf(2.6)).sqrt();
    let along = (1.0 - ((y - 0.05) / 1.80).abs().min(1.0).powf(4.0)).sqrt();
    let mut z = 1.05 * across * along;

    // Brow ridge, forehead, sockets, lids.
    z += 0.06 * bell((y + 0.27 - 0.06 * ax) / 0.12) * (1.0 - ramp(0.75, 1.05, ax));
    z += 0.05 * bump(ax - 0.3, y + 0.85, 0.4, 0.3);
    z -= 0.13 * bump(ax - 0.47, y + 0.03, 0.30, 0.16);
    z -= 0.09 * bump(ax - 0.21, y + 0.0, 0.09, 0.16);
    z += 0.10 * bump(ax - 0.5, y + 0.005, 0.20, 0.105);
    z -= 0.020 * bump(ax - 0.46, y - 0.22, 0.22, 0.06);

    // Nose: ridge, tip, wings, nostrils.
    let down = ramp(-0.25, 0.66, y);
    let ridge = mix(0.06, 0.33, down.powf(1.25)) * (1.0 - ramp(0.58, 0.93, y)) * ramp(-0.5, -0.05, y);
    let sigma = mix(0.085, 0.125, down);
    z += ridge * bell(ax / sigma);
    z += 0.075 * bump(ax, y - 0.655, 0.105, 0.10);
    z += 0.13 * bump(ax - 0.178, y - 0.735, 0.060, 0.075);
    z -= 0.05 * bump(ax - 0.285, y - 0.74, 0.045, 0.10);
    z -= 0.05 * bump(ax - 0.095, y - 0.815, 0.055, 0.026);

    // Cheeks and the fold from nose to mouth.
    z += 0.075 * bump(ax - 0.70, y - 0.45, 0.24, 0.20);
    let fold = 0.27 + 0.42 * (y - 0.70).max(0.0).powf(0.9);
    z -= 0.030 * bell((ax - fold) / 0.045) * ramp(0.66, 0.82, y) * (1.0 - ramp(1.0, 1.28, y));
    z -= 0.05 * bump(ax - 0.72, y - 1.02, 0.20, 0.22);

    // Mouth: muzzle, philtrum, lips, the groove under them, chin.
    z += 0.09 * bump(ax, y - 1.16, 0.36, 0.26);
    z -= 0.022 * bump(ax, y - 0.955, 0.035, 0.09);
    z += 0.016 * bump(ax - 0.075, y - 0.96, 0.03, 0.09);
    let line = curve(&MOUTH_LINE, ax);
    let lips = 1.0 - ramp(0.22, 0.43, ax);
    z += 0.060 * bell((y - line + 0.065) / 0.050) * lips;
    z += 0.075 * bell((y - line - 0.095) / 0.062) * lips;
    z -= 0.050 * bell((y - line) / 0.022) * (1.0 - ramp(0.36, 0.44, ax));
    z -= 0.045 * bump(ax - 0.44, y - 1.22, 0.045, 0.06);
    z -= 0.055 * bump(ax, y - 1.475, 0.20, 0.05);
    z += 0.085 * bump(ax, y - 1.645, 0.19, 0.10);
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nose_stands_out_and_the_sockets_lie_back() {
        assert!(height(0.0, 0.63) > height(0.45, 0.63) + 0.2);
        assert!(height(0.25, 0.0) < height(0.0, -0.6));
        assert!(head_width(3.0) == 0.0 && height(0.0, 5.0).is_finite());
    }
}
