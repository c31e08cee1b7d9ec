//! `v4l2:DEVICE`: cameras of Video4Linux, through the `v4l` crate, which only this folder touches.

mod controls;
mod devices;
mod name;
mod queue;

pub use controls::Controls;
pub use devices::{DeviceInfo, list_devices};
pub use name::{CameraName, UsbName};

use super::CaptureError;
use super::live::{LiveSource, Opened, Opener};
use super::modes::{CameraFormat, Mode, Wish, choose};
use super::rate::{Rate, Size};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use v4l::video::Capture as _;
use v4l::{Device, FourCC, Fraction};

/// The kernel's number for devices of V4L2.
const VIDEO_MAJOR: u32 = 81;

/// Options of a V4L2 camera.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct V4l2Spec {
    /// Device node, such as `/dev/video0`, or better a name that stays.
    pub device: CameraName,
    /// Size, rate and format asked for.
    pub wish: Wish,
    /// Exposure, gain and power-line frequency asked for.
    pub controls: Controls,
}

/// A V4L2 camera as a source.
pub type V4l2Source = LiveSource<Camera>;

impl V4l2Spec {
    /// Opens the camera in the mode that [`choose`] picks and starts it.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when it is not there, busy, forbidden or has no fitting mode.
    pub fn build(&self) -> Result<V4l2Source, CaptureError> {
        LiveSource::new(Camera { spec: self.clone() })
    }
}

/// Opens one V4L2 device.
#[derive(Debug)]
pub struct Camera {
    spec: V4l2Spec,
}

impl Opener for Camera {
    fn name(&self) -> String {
        format!("v4l2:{}", self.spec.device)
    }

    fn open(&mut self) -> Result<Opened, CaptureError> {
        let unavailable = |why: String| CaptureError::Unavailable { what: self.name(), why };
        // Looked for at each opening: a camera that was plugged in again may have another number.
        let path = &match &self.spec.device {
            CameraName::Node(path) => path.clone(),
            CameraName::Usb(usb) => name::find(Path::new("/sys"), Path::new("/dev"), usb).map_err(unavailable)?,
        };
        let fail = |doing: &'static str| move |e: io::Error| explain(&e, path, doing);
        check_node(path).map_err(fail("opening it"))?;
        let device = Device::with_path(path).map_err(fail("opening it"))?;
        let choice = choose(&devices::read_modes(&device).0, &self.spec.wish).map_err(unavailable)?;
        if choice.compromise {
            log::warn!("{}: using {}: {}", self.name(), choice.mode, choice.why);
        } else {
            log::debug!("{}: using {}: {}", self.name(), choice.mode, choice.why);
        }
        let (mode, stride) =
            set_mode(&device, choice.mode).map_err(fail("setting its format"))?.map_err(unavailable)?;
        if mode != choice.mode {
            log::warn!("{}: asked for {}, the driver gives {mode}", self.name(), choice.mode);
        }
        self.spec.controls.apply(&device, mode.rate, &self.name()).map_err(unavailable)?;
        let queue = queue::Queue::start(device).map_err(fail("starting it"))?;
        Ok(Opened { grabber: Box::new(queue), mode, stride })
    }

    fn now_us(&self) -> i64 {
        crate::clock::monotonic_us()
    }
}

/// Sets format and rate; gives the mode and stride that the driver settled on.
fn set_mode(device: &Device, mode: Mode) -> io::Result<Result<(Mode, usize), String>> {
    // Stride and size are 0 here, so the driver computes them; values read before would be kept.
    let wanted = v4l::Format::new(mode.size.width, mode.size.height, FourCC::new(mode.format.fourcc()));
    let got = device.set_format(&wanted)?;
    let format = got.fourcc.str().ok().and_then(|name| CameraFormat::from_name(name.trim_end()));
    let (Some(format), Some(size)) = (format, Size::new(got.width, got.height)) else {
        return Ok(Err(format!(
            "asked for {mode}, the driver gives {} {}x{}, which mercam does not read; try another ?format= or ?size=",
            got.fourcc, got.width, got.height
        )));
    };
    if !matches!(got.field_order, v4l::format::FieldOrder::Any | v4l::format::FieldOrder::Progressive) {
        log::warn!("the camera sends interlaced pictures ({}), which tear fast movement apart", got.field_order);
    }
    let rate = match mode.rate {
        Some(rate) => {
            let (num, den) = rate.parts();
            device.set_params(&v4l::video::capture::Parameters::new(Fraction::new(den, num)))
        }
        None => device.params(),
    };
    // Drivers without a settable rate refuse both calls, and that is no reason not to use them.
    let rate = rate.ok().and_then(|p| Rate::new(p.interval.denominator, p.interval.numerator)).or(mode.rate);
    let row = match format {
        CameraFormat::Plain(f) => f.row_bytes(size.width),
        CameraFormat::Mjpeg => 0,
    };
    Ok(Ok((Mode { format, size, rate }, row.max(got.stride as usize))))
}

/// Whether this is a device of V4L2, before any driver is asked.
fn check_node(path: &Path) -> io::Result<()> {
    let node = std::fs::metadata(path)?;
    if node.file_type().is_char_device() && rustix::fs::major(node.rdev()) == VIDEO_MAJOR {
        Ok(())
    } else {
        Err(io::Error::from(rustix::io::Errno::NOTTY))
    }
}

/// What a system error on a camera means and what to do about it.
fn explain(e: &io::Error, path: &Path, doing: &str) -> CaptureError {
    use rustix::io::Errno as E;
    let why = match e.raw_os_error().map(E::from_raw_os_error) {
        Some(E::NOENT) => {
            let there: Vec<_> = devices::nodes(Path::new("/dev")).into_iter().map(|n| n.path.display().to_string()).collect();
            if there.is_empty() {
                "there is no such device, and no other camera: is it plugged in?".to_owned()
            } else {
                format!("there is no such device; there are {} (mercam devices tells more)", there.join(", "))
            }
        }
        Some(E::ACCESS | E::PERM) => {
            "you may not use this device: add yourself to the group that owns it (usually: sudo usermod -aG video $USER) and log in again".to_owned()
        }
        Some(E::BUSY) => {
            format!("another program is using the camera: find it with fuser -v {}", path.display())
        }
        Some(E::NODEV | E::NXIO) => "the camera was unplugged".to_owned(),
        Some(E::NOTTY | E::ISDIR) => "this is no camera device; mercam devices lists those that are".to_owned(),
        _ => format!("{doing} failed: {e}"),
    };
    CaptureError::Unavailable { what: format!("v4l2:{}", path.display()), why }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn build(device: &str) -> CaptureError {
        let device = CameraName::parse(device);
        V4l2Spec { device, wish: Wish::default(), controls: Controls::default() }.build().err().unwrap()
    }

    #[test]
    fn what_is_no_camera_is_refused_before_any_call_to_a_driver() {
        let message = build("/nonexistent/video7").to_string();
        assert!(message.starts_with("v4l2:/nonexistent/video7: there is no such device"), "{message}");
        assert!(build("/dev").to_string().contains("no camera device"));
        // A character device, but not of V4L2.
        assert!(build("/dev/null").to_string().contains("no camera device"));
    }

    #[test]
    fn each_errno_has_its_mend() {
        use rustix::io::Errno as E;
        for (errno, mend) in [
            (E::ACCESS, "usermod -aG video"),
            (E::BUSY, "fuser -v /dev/video0"),
            (E::NODEV, "unplugged"),
            (E::NOTTY, "no camera device"),
            (E::INVAL, "starting it failed"),
        ] {
            let e = explain(&errno.into(), Path::new("/dev/video0"), "starting it").to_string();
            assert!(e.contains(mend), "{e}");
        }
    }
}
