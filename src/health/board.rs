//! What the board says of itself: temperature, throttling, supply. Read from sysfs; what is not there is not known.

use std::fs;
use std::path::{Path, PathBuf};

/// Bits of the Raspberry Pi firmware's `get_throttled` that hold now (those from 16 on held at some time).
const UNDER_VOLTAGE: u32 = 1;
/// Frequency capped, throttled, soft temperature limit.
const SLOWED: u32 = 0b1110;
/// Where the Raspberry Pi's kernel shows them, in hexadecimal.
const GET_THROTTLED: &str = "devices/platform/soc/soc:firmware/get_throttled";

/// The board's state now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoardState {
    /// Temperature of the hottest part, in degrees Celsius.
    pub temperature_c: Option<f32>,
    /// Whether the clock is lowered because of heat or power. Known on the Raspberry Pi only.
    pub throttled: Option<bool>,
    /// Whether the supply is too weak. Known on the Raspberry Pi only.
    pub under_voltage: Option<bool>,
}

/// Reads the board's state.
#[derive(Debug, Clone)]
pub struct Board {
    sysfs: PathBuf,
}

impl Default for Board {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Board {
    /// The board whose sysfs is here.
    pub fn at(sysfs: impl Into<PathBuf>) -> Self {
        Self { sysfs: sysfs.into() }
    }

    /// Reads it: a few small files.
    pub fn read(&self) -> BoardState {
        let zones = fs::read_dir(self.sysfs.join("class/thermal")).into_iter().flatten().flatten();
        let temperatures = zones
            .filter(|e| e.file_name().to_string_lossy().starts_with("thermal_zone"))
            .filter_map(|e| number(&e.path().join("temp"), 10))
            // Zones that are switched off read as 0 or as absolute zero.
            .map(|milli| milli as f32 / 1000.0)
            .filter(|c| (-40.0..200.0).contains(c) && *c != 0.0);
        let bits = number(&self.sysfs.join(GET_THROTTLED), 16).and_then(|n| u32::try_from(n).ok());
        BoardState {
            temperature_c: temperatures.reduce(f32::max),
            throttled: bits.map(|b| b & SLOWED != 0),
            under_voltage: bits.map(|b| b & UNDER_VOLTAGE != 0),
        }
    }
}

fn number(path: &Path, radix: u32) -> Option<i64> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    i64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), radix).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_hottest_zone_and_the_pi_s_bits_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Board::at(dir.path()).read(), BoardState::default());
        put(dir.path(), "class/thermal/thermal_zone0/temp", "48312\n");
        put(dir.path(), "class/thermal/thermal_zone1/temp", "61000\n");
        put(dir.path(), "class/thermal/thermal_zone2/temp", "-274000\n");
        put(dir.path(), "class/thermal/thermal_zone3/temp", "0\n");
        put(dir.path(), "class/thermal/cooling_device0/temp", "99000\n");
        let state = Board::at(dir.path()).read();
        assert_eq!(state, BoardState { temperature_c: Some(61.0), throttled: None, under_voltage: None });
        for (bits, throttled, under_voltage) in [
            ("0", false, false),
            ("50005\n", true, true),
            ("0x1", false, true),
            ("80008", true, false),
            ("f0000", false, false),
        ] {
            put(dir.path(), GET_THROTTLED, bits);
            let state = Board::at(dir.path()).read();
            assert_eq!((state.throttled, state.under_voltage), (Some(throttled), Some(under_voltage)), "{bits}");
        }
        put(dir.path(), GET_THROTTLED, "unsupported");
        assert_eq!(Board::at(dir.path()).read().throttled, None);
    }
}
