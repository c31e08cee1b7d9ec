//! Exposure, gain and power-line frequency: what the user asked for, put into force on a camera and read back.
//!
//! Only single controls are asked for by number: the crate's list of all controls panics on types that it does not know.

use super::super::exposure::{Exposure, Gain, PowerLine};
use super::super::rate::Rate;
use rustix::io::Errno;
use std::io;
use v4l::Device;
use v4l::control::{Control, Value};

// Numbers of <linux/v4l2-controls.h>: user class, camera class, image source class.
const GAIN: u32 = 0x0098_0913;
const AUTOGAIN: u32 = 0x0098_0912;
const POWER_LINE_FREQUENCY: u32 = 0x0098_0918;
const EXPOSURE_AUTO: u32 = 0x009a_0901;
const EXPOSURE_ABSOLUTE: u32 = 0x009a_0902;
/// Whether automatic exposure may lengthen the frames (`exposure_dynamic_framerate`).
const EXPOSURE_AUTO_PRIORITY: u32 = 0x009a_0903;
const ANALOGUE_GAIN: u32 = 0x009e_0903;

/// Values of [`EXPOSURE_AUTO`]. Which of the automatic ones a camera has differs; USB cameras have "aperture priority".
const MANUAL: i64 = 1;
const AUTOMATIC: [i64; 2] = [3, 0];
/// [`EXPOSURE_ABSOLUTE`] counts in steps of 100 us.
const EXPOSURE_STEP_US: i64 = 100;

/// What the user asked for; what is not set stays as the camera has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Controls {
    /// How long a frame is exposed.
    pub exposure: Option<Exposure>,
    /// How much the sensor amplifies.
    pub gain: Option<Gain>,
    /// Against the flicker of lamps.
    pub power_line: Option<PowerLine>,
}

/// A camera's controls by their numbers.
pub trait Knobs {
    /// Reads one.
    fn get(&self, id: u32) -> io::Result<i64>;
    /// Sets one.
    fn set(&self, id: u32, value: i64) -> io::Result<()>;

    /// Whether the camera has it.
    fn has(&self, id: u32) -> bool {
        self.get(id).is_ok()
    }
}

impl Knobs for Device {
    fn get(&self, id: u32) -> io::Result<i64> {
        match self.control(id)?.value {
            Value::Integer(v) => Ok(v),
            Value::Boolean(b) => Ok(i64::from(b)),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn set(&self, id: u32, value: i64) -> io::Result<()> {
        self.set_control(Control { id, value: Value::Integer(value) })
    }
}

impl Controls {
    /// Puts them into force; `rate` is the one that the camera is set to. What the camera makes of a value that it does
    /// not have exactly is a warning.
    ///
    /// # Errors
    /// What the camera cannot do, with the mend.
    pub fn apply(&self, camera: &impl Knobs, rate: Option<Rate>, name: &str) -> Result<(), String> {
        if let Some(exposure) = self.exposure {
            set_exposure(camera, exposure, rate, name)?;
        }
        if let Some(gain) = self.gain {
            set_gain(camera, gain, name)?;
        }
        if let Some(power_line) = self.power_line {
            let value = power_line.menu_index();
            camera.set(POWER_LINE_FREQUENCY, value).map_err(|e| match errno(&e) {
                _ if !camera.has(POWER_LINE_FREQUENCY) => lacks("power_line", "power-line frequency"),
                Some(Errno::INVAL | Errno::RANGE) => {
                    format!("power_line={power_line}: the camera does not have this one")
                }
                _ => format!("power_line={power_line}: {e}"),
            })?;
        }
        Ok(())
    }
}

fn set_exposure(camera: &impl Knobs, exposure: Exposure, rate: Option<Rate>, name: &str) -> Result<(), String> {
    let refused = |e: io::Error| format!("exposure={exposure}: the camera refuses it: {e}");
    match exposure {
        Exposure::Auto | Exposure::KeepRate => {
            if camera.has(EXPOSURE_AUTO) {
                let set = AUTOMATIC.iter().map(|&mode| camera.set(EXPOSURE_AUTO, mode));
                if set.into_iter().all(|set| set.is_err()) {
                    return Err(format!(
                        "exposure={exposure}: the camera has no automatic exposure; give a time, as in exposure=10ms"
                    ));
                }
            }
            if camera.has(EXPOSURE_AUTO_PRIORITY) {
                camera.set(EXPOSURE_AUTO_PRIORITY, i64::from(exposure == Exposure::Auto)).map_err(refused)
            } else if !camera.has(EXPOSURE_AUTO) {
                Err(lacks("exposure", "automatic exposure"))
            } else {
                if exposure == Exposure::KeepRate {
                    log::warn!(
                        "{name}: the camera does not say whether automatic exposure may lengthen its frames, so keep_rate cannot be promised"
                    );
                }
                Ok(())
            }
        }
        Exposure::Time(us) => {
            let longest = rate.map(Rate::interval_us);
            if let (Some(longest), Some(rate)) = (longest.filter(|&l| f64::from(us) > l), rate) {
                let ms = longest / 1000.0;
                return Err(format!(
                    "exposure={exposure} is longer than a frame at {rate} fps ({ms:.1} ms): the camera would slow down"
                ));
            }
            if !camera.has(EXPOSURE_ABSOLUTE) {
                return Err(lacks("exposure", "exposure time"));
            }
            if camera.has(EXPOSURE_AUTO) {
                camera.set(EXPOSURE_AUTO, MANUAL).map_err(refused)?;
            }
            camera.set(EXPOSURE_ABSOLUTE, (i64::from(us) / EXPOSURE_STEP_US).max(1)).map_err(refused)?;
            let got = camera.get(EXPOSURE_ABSOLUTE).map_err(refused)?.saturating_mul(EXPOSURE_STEP_US);
            if got.abs_diff(i64::from(us)) > EXPOSURE_STEP_US as u64 {
                log::warn!("{name}: asked for exposure={exposure}, the camera takes {:.1} ms", got as f64 / 1000.0);
            }
            Ok(())
        }
    }
}

fn set_gain(camera: &impl Knobs, gain: Gain, name: &str) -> Result<(), String> {
    let refused = |e: io::Error| format!("gain={gain}: the camera refuses it: {e}");
    match gain {
        Gain::Auto if camera.has(AUTOGAIN) => camera.set(AUTOGAIN, 1).map_err(refused),
        Gain::Auto => Err(lacks("gain", "automatic gain")),
        Gain::Value(value) => {
            let Some(id) = [GAIN, ANALOGUE_GAIN].into_iter().find(|&id| camera.has(id)) else {
                return Err(lacks("gain", "gain"));
            };
            if camera.has(AUTOGAIN) {
                camera.set(AUTOGAIN, 0).map_err(refused)?;
            }
            camera.set(id, i64::from(value)).map_err(refused)?;
            let got = camera.get(id).map_err(refused)?;
            if got != i64::from(value) {
                log::warn!("{name}: asked for gain={value}, the camera takes {got}");
            }
            Ok(())
        }
    }
}

/// Whether the camera lengthens its frames by itself when it is dark; `None` when it does not say.
pub fn lengthens(camera: &impl Knobs) -> Option<bool> {
    let automatic = camera.get(EXPOSURE_AUTO).ok().map(|mode| AUTOMATIC.contains(&mode));
    let allowed = camera.get(EXPOSURE_AUTO_PRIORITY).ok().map(|v| v != 0);
    match (automatic, allowed) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (_, Some(true)) => Some(true),
        _ => None,
    }
}

fn lacks(option: &str, what: &str) -> String {
    format!("the camera has no control for its {what}: leave {option}= away")
}

fn errno(e: &io::Error) -> Option<Errno> {
    e.raw_os_error().map(Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    /// A camera with these controls: number, value, lowest and highest value. Beyond them integers are clamped, as
    /// drivers do; menus refuse.
    struct Fake(RefCell<BTreeMap<u32, (i64, i64, i64)>>);

    impl Fake {
        fn new(knobs: &[(u32, i64, i64, i64)]) -> Self {
            Self(RefCell::new(knobs.iter().map(|&(id, v, min, max)| (id, (v, min, max))).collect()))
        }

        fn usb() -> Self {
            Self::new(&[
                (EXPOSURE_AUTO, 3, 0, 3),
                (EXPOSURE_AUTO_PRIORITY, 1, 0, 1),
                (EXPOSURE_ABSOLUTE, 250, 3, 2047),
                (GAIN, 64, 0, 255),
                (POWER_LINE_FREQUENCY, 2, 0, 2),
            ])
        }

        fn value(&self, id: u32) -> i64 {
            self.0.borrow()[&id].0
        }
    }

    impl Knobs for Fake {
        fn get(&self, id: u32) -> io::Result<i64> {
            self.0.borrow().get(&id).map(|k| k.0).ok_or(Errno::INVAL.into())
        }

        fn set(&self, id: u32, value: i64) -> io::Result<()> {
            let mut knobs = self.0.borrow_mut();
            let Some((old, min, max)) = knobs.get_mut(&id) else { return Err(Errno::INVAL.into()) };
            // A USB camera's menu has holes: of the exposure modes only 1 and 3.
            let hole = id == EXPOSURE_AUTO && ![1, 3].contains(&value);
            if hole || id == POWER_LINE_FREQUENCY && value > *max {
                return Err(Errno::RANGE.into());
            }
            *old = value.clamp(*min, *max);
            Ok(())
        }
    }

    fn apply(camera: &Fake, option: &str, value: &str) -> Result<(), String> {
        let controls = match option {
            "exposure" => Controls { exposure: Some(value.parse().unwrap()), ..Controls::default() },
            "gain" => Controls { gain: Some(value.parse().unwrap()), ..Controls::default() },
            _ => Controls { power_line: Some(value.parse().unwrap()), ..Controls::default() },
        };
        controls.apply(camera, Rate::new(30, 1), "camera")
    }

    #[test]
    fn a_usb_camera_takes_what_is_asked_for() {
        let camera = Fake::usb();
        apply(&camera, "exposure", "10ms").unwrap();
        assert_eq!((camera.value(EXPOSURE_AUTO), camera.value(EXPOSURE_ABSOLUTE)), (MANUAL, 100));
        apply(&camera, "exposure", "keep_rate").unwrap();
        assert_eq!((camera.value(EXPOSURE_AUTO), camera.value(EXPOSURE_AUTO_PRIORITY)), (3, 0));
        apply(&camera, "exposure", "auto").unwrap();
        assert_eq!((camera.value(EXPOSURE_AUTO), camera.value(EXPOSURE_AUTO_PRIORITY)), (3, 1));
        apply(&camera, "gain", "12").unwrap();
        assert_eq!(camera.value(GAIN), 12);
        apply(&camera, "power_line", "50").unwrap();
        assert_eq!(camera.value(POWER_LINE_FREQUENCY), 1);
        // Clamped by the driver: a warning, not an error.
        apply(&camera, "gain", "999").unwrap();
        assert_eq!(camera.value(GAIN), 255);
    }

    #[test]
    fn what_a_camera_cannot_do_is_said_with_the_option() {
        let bare = Fake::new(&[]);
        for (option, value, words) in [
            ("exposure", "10ms", "no control for its exposure time: leave exposure= away"),
            ("exposure", "auto", "no control for its automatic exposure"),
            ("gain", "auto", "no control for its automatic gain"),
            ("gain", "3", "no control for its gain: leave gain= away"),
            ("power_line", "60", "no control for its power-line frequency"),
        ] {
            let e = apply(&bare, option, value).unwrap_err();
            assert!(e.contains(words), "{e}");
        }
        let e = apply(&Fake::usb(), "power_line", "auto").unwrap_err();
        assert_eq!(e, "power_line=auto: the camera does not have this one");
        let e = apply(&Fake::usb(), "exposure", "40ms").unwrap_err();
        assert_eq!(e, "exposure=40ms is longer than a frame at 30 fps (33.3 ms): the camera would slow down");
    }

    #[test]
    fn whether_the_exposure_may_slow_the_camera_down_is_known_from_its_controls() {
        let camera = Fake::usb();
        assert_eq!(lengthens(&camera), Some(true));
        apply(&camera, "exposure", "keep_rate").unwrap();
        assert_eq!(lengthens(&camera), Some(false));
        apply(&camera, "exposure", "5ms").unwrap();
        assert_eq!(lengthens(&camera), Some(false));
        assert_eq!(lengthens(&Fake::new(&[])), None);
    }
}
