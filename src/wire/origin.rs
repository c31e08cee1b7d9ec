//! Who sends: a name for the device, and a number for each run of the process, so that an event is known anywhere
//! by device, run and sequence number.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Number of a run of the process: random, so that no two runs of any device share one. In JSON sixteen hexadecimal
/// digits, because many readers round large numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = digits.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| serde::de::Error::custom("a run is sixteen hexadecimal digits"))
    }
}

/// Name of a device: 1 to 64 of `A-Z a-z 0-9 . _ -`, so that it can stand in topics, file names and labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

/// Why a text is no device name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device name: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct BadName(String);

impl FromStr for DeviceName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.len() {
            1..=64 if text.chars().all(good) => Ok(Self(text.to_owned())),
            _ => Err(BadName(text.to_owned())),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DeviceName {
    /// The host's name, with `-` for what a device name cannot hold; `mercam` when it has none.
    pub fn of_host() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let name: String = text.trim().chars().take(64).map(good).collect();
        Self(if name.is_empty() { "mercam".into() } else { name })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who sends, in every event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The device.
    pub device: DeviceName,
    /// This run of the process.
    pub run: RunId,
}

impl Origin {
    /// A new run of a device; without a name, of this host.
    pub fn new(device: Option<&DeviceName>) -> Self {
        let device = device.cloned().unwrap_or_else(DeviceName::of_host);
        Self { device, run: RunId(crate::clock::unique()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_can_stand_in_topics_and_paths() {
        for good in ["kiosk-7", "a", "Hall_2.left"] {
            assert_eq!(good.parse::<DeviceName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "a#", "+", "é", &"x".repeat(65)] {
            assert!(bad.parse::<DeviceName>().unwrap_err().to_string().contains("device name"), "{bad}");
        }
        let host = DeviceName::of_host();
        assert_eq!(host.as_str().parse::<DeviceName>().unwrap(), host);
    }

    #[test]
    fn runs_differ_and_keep_every_bit_in_json() {
        assert_ne!(Origin::new(None).run, Origin::new(None).run);
        let run = RunId(u64::MAX - 1);
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(json, "\"fffffffffffffffe\"");
        assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), run);
        for bad in ["\"12\"", "7", "\"zzzzzzzzzzzzzzzz\"", "\"+123456789abcdef\""] {
            assert!(serde_json::from_str::<RunId>(bad).is_err(), "{bad}");
        }
    }
}
