//! Grey levels and light: pictures are stored with a gamma, but light is what mixes when a picture is resampled,
//! blurred by motion or lit more brightly.

use std::sync::LazyLock;

/// The usual exponent of cameras and screens, close to sRGB and BT.709 taken as a whole.
const GAMMA: f32 = 2.2;
const STEPS: usize = 4096;

struct Tables {
    light: [f32; 256],
    grey: Vec<f32>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    light: std::array::from_fn(|v| light(v as f32)),
    // By the root of the light, so that dark greys have as many entries as bright ones.
    grey: (0..=STEPS).map(|k| 255.0 * (k as f32 / STEPS as f32).powf(2.0 / GAMMA)).collect(),
});

/// The light of a grey level, both 0 to 255.
pub(crate) fn light(grey: f32) -> f32 {
    255.0 * (grey.max(0.0) / 255.0).powf(GAMMA)
}

/// The light of a stored grey level.
#[inline]
pub(crate) fn light_of(grey: u8) -> f32 {
    TABLES.light[usize::from(grey)]
}

/// The grey level of some light, at most 255.
#[inline]
pub(crate) fn grey(light: f32) -> f32 {
    let place = (light.max(0.0) / 255.0).sqrt().min(1.0) * STEPS as f32;
    let k = (place as i32 as usize).min(STEPS - 1);
    let (a, b) = (TABLES.grey[k], TABLES.grey[k + 1]);
    a + (b - a) * (place - k as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_and_grey_are_each_others_way_back() {
        for v in 0..=255u8 {
            let back = grey(light_of(v));
            assert!((back - f32::from(v)).abs() < 0.02, "{v}: {back}");
        }
        assert!(grey(f32::NAN) == 0.0 && grey(-5.0) == 0.0 && grey(1e9) <= 255.0);
        assert!((light(127.5) - 55.5).abs() < 0.1, "half the grey is a fifth of the light");
    }
}
