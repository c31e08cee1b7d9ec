//! Exposure, gain and power-line frequency as a source's options write them.

use super::CaptureError;
use super::options::spec;
use std::fmt;
use std::str::FromStr;

/// Longest exposure that makes sense: a second, in microseconds.
const LONGEST_US: u32 = 1_000_000;
/// Shortest: the smallest step of V4L2, in microseconds.
const SHORTEST_US: u32 = 100;

/// How long a frame is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// As the camera likes; in the dark it may take fewer frames.
    Auto,
    /// As the camera likes, but never longer than a frame.
    KeepRate,
    /// So many microseconds.
    Time(u32),
}

impl FromStr for Exposure {
    type Err = CaptureError;

    fn from_str(text: &str) -> Result<Self, CaptureError> {
        let time = || {
            let (number, scale) = match (text.strip_suffix("ms"), text.strip_suffix("us")) {
                (Some(ms), _) => (ms, 1000.0),
                (_, Some(us)) => (us, 1.0),
                _ => return None,
            };
            let us = number.parse::<f64>().ok()? * scale;
            (us >= f64::from(SHORTEST_US) && us <= f64::from(LONGEST_US)).then_some(us.round() as u32)
        };
        match text {
            "auto" => Ok(Self::Auto),
            "keep_rate" => Ok(Self::KeepRate),
            _ => time().map(Self::Time).ok_or_else(|| {
                spec(format!(
                    "\"{text}\" is no exposure: write auto, keep_rate (automatic, but never longer than a frame) or a time from 100us to 1000ms, such as 10ms"
                ))
            }),
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::KeepRate => f.write_str("keep_rate"),
            Self::Time(us) if us % 1000 == 0 => write!(f, "{}ms", us / 1000),
            Self::Time(us) => write!(f, "{us}us"),
        }
    }
}

/// How much the sensor amplifies, in the camera's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gain {
    /// As the camera likes.
    Auto,
    /// So much.
    Value(u32),
}

impl FromStr for Gain {
    type Err = CaptureError;

    fn from_str(text: &str) -> Result<Self, CaptureError> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Value).map_err(|_| {
                spec(format!("\"{text}\" is no gain: write auto or a whole number in the camera's own unit"))
            }),
        }
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Value(value) => value.fmt(f),
        }
    }
}

/// The frequency of the mains, with which lamps flicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerLine {
    /// Nothing is done against it.
    Off,
    /// 50 Hz.
    Hz50,
    /// 60 Hz.
    Hz60,
    /// The camera finds out.
    Auto,
}

impl PowerLine {
    /// Every one, in the order of V4L2's menu.
    const ALL: [(Self, &str); 4] = [(Self::Off, "off"), (Self::Hz50, "50"), (Self::Hz60, "60"), (Self::Auto, "auto")];

    /// Number in V4L2's menu.
    pub const fn menu_index(self) -> i64 {
        self as i64
    }
}

impl FromStr for PowerLine {
    type Err = CaptureError;

    fn from_str(text: &str) -> Result<Self, CaptureError> {
        let known = Self::ALL.iter().find(|(_, name)| *name == text);
        known
            .map(|k| k.0)
            .ok_or_else(|| spec(format!("\"{text}\" is no power-line frequency: write off, 50, 60 or auto")))
    }
}

impl fmt::Display for PowerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(p, _)| p == self).map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn they_are_printed_as_they_are_read() {
        for text in ["auto", "keep_rate", "10ms", "8300us", "1000ms"] {
            assert_eq!(text.parse::<Exposure>().unwrap().to_string(), text);
        }
        assert_eq!("2.5ms".parse::<Exposure>().unwrap(), Exposure::Time(2500));
        for text in ["auto", "0", "64"] {
            assert_eq!(text.parse::<Gain>().unwrap().to_string(), text);
        }
        for (index, text) in ["off", "50", "60", "auto"].into_iter().enumerate() {
            let read = text.parse::<PowerLine>().unwrap();
            assert_eq!((read.to_string().as_str(), read.menu_index()), (text, index as i64));
        }
    }

    #[test]
    fn what_is_none_is_answered_with_what_could_be_written() {
        for bad in ["", "10", "fast", "0ms", "2000ms", "-1ms", "NaNms", "ms", "infms"] {
            let e = bad.parse::<Exposure>().unwrap_err().to_string();
            assert!(e.contains("keep_rate") && e.contains("10ms"), "{bad}: {e}");
        }
        assert!("-1".parse::<Gain>().unwrap_err().to_string().contains("auto or a whole number"));
        assert!("55".parse::<PowerLine>().unwrap_err().to_string().contains("off, 50, 60 or auto"));
    }
}
