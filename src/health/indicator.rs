//! A light that is on while a camera is in use: a LED or a pin that the kernel shows in sysfs.
//!
//! It goes on before the camera is opened and off after it is closed. If the process is killed it stays on, which errs on
//! the right side.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After a pin is exported udev needs a moment until we may use it.
const UDEV: (u32, Duration) = (20, Duration::from_millis(50));

/// The light that tells that a camera is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndicatorConfig {
    /// `led:NAME` (a name below `/sys/class/leds`) or `gpio:NUMBER` (a pin of `/sys/class/gpio`). Empty (default): none.
    pub light: String,
    /// Whether a pin is low while the light is on. Default false.
    pub active_low: bool,
    /// Whether no camera is opened when the light cannot be switched on. Default true.
    pub required: bool,
    /// Where sysfs is mounted. Default `/sys`.
    pub sysfs: PathBuf,
}

impl Default for IndicatorConfig {
    fn default() -> Self {
        Self { light: String::new(), active_low: false, required: true, sysfs: "/sys".into() }
    }
}

/// What is wrong with the light.
#[derive(Debug, thiserror::Error)]
pub enum IndicatorError {
    /// The configuration makes no sense.
    #[error("indicator.light = \"{0}\": write led:NAME or gpio:NUMBER, or nothing for none")]
    Config(String),
    /// It cannot be switched on.
    #[error("the indicator {light} cannot be switched on, so the camera stays closed: {why}")]
    Unavailable {
        /// Which one.
        light: String,
        /// Why not, with the mend.
        why: String,
    },
}

impl IndicatorConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`IndicatorError::Config`].
    pub fn check(&self) -> Result<(), IndicatorError> {
        if self.light.is_empty() { Ok(()) } else { self.place().map(|_| ()) }
    }

    /// Switches the light on; it goes off when what is returned is dropped. Nothing where none is configured.
    ///
    /// # Errors
    /// When it cannot be switched on and is required; otherwise that is a warning.
    pub fn on(&self) -> Result<Option<Light>, IndicatorError> {
        if self.light.is_empty() {
            return Ok(None);
        }
        let place = self.place()?;
        let switched = match &place {
            Place::Led(dir) => led_on(dir),
            Place::Gpio(dir, number) => gpio_on(dir, *number, self.active_low),
        };
        match switched {
            Ok(level) => Ok(Some(Light { level, name: self.light.clone() })),
            Err(e) if self.required => {
                Err(IndicatorError::Unavailable { light: self.light.clone(), why: self.explain(&place, &e) })
            }
            Err(e) => {
                log::warn!("the indicator {} cannot be switched on: {}", self.light, self.explain(&place, &e));
                Ok(None)
            }
        }
    }

    fn place(&self) -> Result<Place, IndicatorError> {
        let wrong = || IndicatorError::Config(self.light.clone());
        match self.light.split_once(':') {
            // A name with a slash would lead out of the folder.
            Some(("led", name)) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
                Ok(Place::Led(self.sysfs.join("class/leds").join(name)))
            }
            Some(("gpio", number)) => {
                let number = number.parse().map_err(|_| wrong())?;
                Ok(Place::Gpio(self.sysfs.join("class/gpio"), number))
            }
            _ => Err(wrong()),
        }
    }

    fn explain(&self, place: &Place, e: &io::Error) -> String {
        match (place, e.kind()) {
            (Place::Led(dir), io::ErrorKind::NotFound) => {
                let there = fs::read_dir(self.sysfs.join("class/leds")).into_iter().flatten().flatten();
                let mut names: Vec<_> = there.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
                names.sort();
                match names.is_empty() {
                    true => format!("there is no {}, and no other LED", dir.display()),
                    false => format!("there is no such LED; there are {}", names.join(", ")),
                }
            }
            (Place::Gpio(dir, _), io::ErrorKind::NotFound) => {
                format!("{}: this kernel shows no pins; name it as a LED (dtoverlay=gpio-led)", dir.display())
            }
            (_, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => format!(
                "{e}: the service needs indicator.conf, and the right to write comes from the udev rule 60-mercam.rules (LEDs whose name begins with mercam); see docs/guide/kiosk.md"
            ),
            (Place::Gpio(_, number), io::ErrorKind::InvalidInput) => {
                format!("pin {number}: {e}; is that the kernel's number (the chip's base and the pin)?")
            }
            _ => e.to_string(),
        }
    }
}

enum Place {
    Led(PathBuf),
    /// Folder of all pins, and the pin.
    Gpio(PathBuf, u32),
}

/// A light that is on.
#[derive(Debug)]
pub struct Light {
    /// The file that a 0 switches off.
    level: PathBuf,
    name: String,
}

impl Drop for Light {
    fn drop(&mut self) {
        if let Err(e) = fs::write(&self.level, "0") {
            log::warn!("the indicator {} cannot be switched off: {e}", self.name);
        }
    }
}

/// Switches a LED on; gives the file that switches it off.
fn led_on(dir: &Path) -> io::Result<PathBuf> {
    // What else moves the light (the disk, a heartbeat) must let go of it. LEDs without triggers have no such file.
    match write_existing(&dir.join("trigger"), "none") {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let brightest = fs::read_to_string(dir.join("max_brightness")).unwrap_or_default();
    let brightest = brightest.trim();
    let level = dir.join("brightness");
    write_existing(&level, if brightest.is_empty() { "1" } else { brightest })?;
    Ok(level)
}

/// Makes a pin an output and switches it on; gives the file that switches it off.
fn gpio_on(dir: &Path, number: u32, active_low: bool) -> io::Result<PathBuf> {
    let pin = dir.join(format!("gpio{number}"));
    if !pin.exists() {
        write_existing(&dir.join("export"), &number.to_string())?;
    }
    let set = || {
        write_existing(&pin.join("active_low"), if active_low { "1" } else { "0" })?;
        write_existing(&pin.join("direction"), "out")?;
        write_existing(&pin.join("value"), "1")
    };
    let mut tries = 0;
    loop {
        match set() {
            Ok(()) => return Ok(pin.join("value")),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied && tries < UDEV.0 => {
                tries += 1;
                std::thread::sleep(UDEV.1);
            }
            Err(e) => return Err(e),
        }
    }
}

/// Writes a file that is there already: sysfs makes none.
fn write_existing(path: &Path, text: &str) -> io::Result<()> {
    use io::Write as _;
    fs::OpenOptions::new().write(true).truncate(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn config(dir: &tempfile::TempDir, light: &str) -> IndicatorConfig {
        IndicatorConfig { light: light.into(), sysfs: dir.path().into(), ..IndicatorConfig::default() }
    }

    #[test]
    fn a_led_is_taken_from_its_trigger_and_goes_off_at_the_end() {
        let dir = tree(&[
            ("class/leds/mercam/trigger", "[mmc0] none"),
            ("class/leds/mercam/max_brightness", "255\n"),
            ("class/leds/mercam/brightness", "0"),
        ]);
        let read = |file: &str| fs::read_to_string(dir.path().join("class/leds/mercam").join(file)).unwrap();
        let light = config(&dir, "led:mercam").on().unwrap().unwrap();
        assert_eq!((read("trigger").as_str(), read("brightness").as_str()), ("none", "255"));
        drop(light);
        assert_eq!(read("brightness"), "0");
    }

    #[test]
    fn a_pin_becomes_an_output() {
        let dir = tree(&[
            ("class/gpio/export", ""),
            ("class/gpio/gpio17/active_low", "0"),
            ("class/gpio/gpio17/direction", "in"),
            ("class/gpio/gpio17/value", "0"),
        ]);
        let read = |file: &str| fs::read_to_string(dir.path().join("class/gpio/gpio17").join(file)).unwrap();
        let light = IndicatorConfig { active_low: true, ..config(&dir, "gpio:17") }.on().unwrap();
        assert_eq!([read("active_low"), read("direction"), read("value")], ["1", "out", "1"]);
        drop(light);
        assert_eq!(read("value"), "0");
    }

    #[test]
    fn a_light_that_is_not_there_keeps_the_camera_closed_unless_it_may() {
        let dir = tree(&[("class/leds/ACT/brightness", "0"), ("class/leds/PWR/brightness", "0")]);
        let missing = config(&dir, "led:mercam");
        let e = missing.on().unwrap_err().to_string();
        assert!(e.contains("led:mercam cannot be switched on") && e.contains("there are ACT, PWR"), "{e}");
        assert!(IndicatorConfig { required: false, ..missing }.on().unwrap().is_none());
        let e = config(&dir, "gpio:4").on().unwrap_err().to_string();
        assert!(e.contains("shows no pins"), "{e}");
        assert!(config(&dir, "").on().unwrap().is_none());
    }

    #[test]
    fn what_is_no_light_is_refused() {
        let dir = tree(&[]);
        for wrong in ["mercam", "led:", "led:../../block", "led:.", "gpio:x", "gpio:-1", "pin:3"] {
            let e = config(&dir, wrong).check().unwrap_err().to_string();
            assert!(e.contains("led:NAME or gpio:NUMBER"), "{e}");
        }
        config(&dir, "led:mercam").check().unwrap();
        config(&dir, "").check().unwrap();
    }
}
