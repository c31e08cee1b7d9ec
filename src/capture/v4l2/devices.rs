//! Which cameras there are and what they can do.

use super::super::modes::{CameraFormat, Choice, Mode, Wish, choose};
use super::super::rate::{Rate, Size};
use super::name::{UsbName, usb_of};
use std::fmt;
use std::path::{Path, PathBuf};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture as _;
use v4l::{Device, FourCC, Fraction};

/// Sizes tried on cameras that take any size within bounds.
const COMMON_SIZES: [(u32, u32); 8] =
    [(320, 240), (640, 360), (640, 480), (800, 600), (1024, 768), (1280, 720), (1280, 960), (1920, 1080)];

/// A camera and what it can do.
#[derive(Debug, Clone)]
pub struct DeviceInfo {
    /// Device node.
    pub path: PathBuf,
    /// Names of it that stay the same when it is plugged in again or others are.
    pub by_id: Vec<PathBuf>,
    /// What it is, of a USB camera.
    pub usb: Option<UsbName>,
    /// What the maker calls it.
    pub card: String,
    /// Kernel driver; empty when the system does not tell.
    pub driver: String,
    /// Where it is plugged in; empty when the system does not tell.
    pub bus: String,
    /// Everything it can do that mercam reads.
    pub modes: Vec<Mode>,
    /// Pixel formats that mercam does not read.
    pub other_formats: Vec<String>,
    /// The mode that is used when nothing is asked for, with the reason; or why there is none.
    pub choice: Result<Choice, String>,
}

impl fmt::Display for DeviceInfo {
    /// Several lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.path.display(), self.card)?;
        for (what, value) in [("driver", &self.driver), ("bus", &self.bus)] {
            if !value.is_empty() {
                writeln!(f, "  {what:<12} {value}")?;
            }
        }
        for id in &self.by_id {
            writeln!(f, "  {:<12} {}", "stable name", id.display())?;
        }
        if let Some(usb) = &self.usb {
            writeln!(f, "  {:<12} v4l2:{usb}", "USB name")?;
        }
        let mut last: Option<Mode> = None;
        for m in &self.modes {
            let rate = m.rate.map_or("rate unknown".into(), |r| format!("{} fps", (r.hertz() * 100.0).round() / 100.0));
            match last {
                Some(l) if (l.format, l.size) == (m.format, m.size) => write!(f, ", {rate}")?,
                Some(_) => write!(f, "\n  {:<12} {:<9} {rate}", m.format.name(), m.size.to_string())?,
                None => write!(f, "  {:<12} {:<9} {rate}", m.format.name(), m.size.to_string())?,
            }
            last = Some(*m);
        }
        if last.is_some() {
            writeln!(f)?;
        }
        if !self.other_formats.is_empty() {
            writeln!(f, "  {:<12} {}", "not read", self.other_formats.join(", "))?;
        }
        match &self.choice {
            Ok(c) => write!(f, "  {:<12} {} ({})", "chosen", c.mode, c.why),
            Err(why) => write!(f, "  {:<12} {why}", "not usable"),
        }
    }
}

/// Every camera of this machine, in order. Device nodes that deliver no pictures (a USB camera has one for
/// metadata, codecs and outputs have others) are left out; cameras that cannot be opened are listed with
/// the reason.
pub fn list_devices() -> Vec<DeviceInfo> {
    nodes(Path::new("/dev")).into_iter().filter_map(inspect).collect()
}

/// A device node and its stable names.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    pub path: PathBuf,
    pub by_id: Vec<PathBuf>,
}

/// The video nodes below `dev` in the order of their numbers, with the links in `v4l/by-id` that lead to them.
pub fn nodes(dev: &Path) -> Vec<Node> {
    let entries = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut numbered: Vec<(u32, PathBuf)> = entries(dev.to_owned())
        .filter_map(|e| Some((e.file_name().to_str()?.strip_prefix("video")?.parse().ok()?, e.path())))
        .collect();
    numbered.sort();
    let mut links: Vec<(PathBuf, PathBuf)> =
        entries(dev.join("v4l/by-id")).filter_map(|e| Some((e.path().canonicalize().ok()?, e.path()))).collect();
    links.sort();
    let by_id = |path: &Path| {
        let real = path.canonicalize().ok();
        links.iter().filter(|(to, _)| Some(to) == real.as_ref()).map(|(_, from)| from.clone()).collect()
    };
    numbered.into_iter().map(|(_, path)| Node { by_id: by_id(&path), path }).collect()
}

/// What one node can do; `None` when it is no camera.
fn inspect(node: Node) -> Option<DeviceInfo> {
    let system = Path::new("/sys/class/video4linux").join(node.path.file_name()?);
    let card = std::fs::read(system.join("name")).unwrap_or_default();
    let mut info = DeviceInfo {
        card: String::from_utf8_lossy(&card).trim().to_owned(),
        driver: link_name(&system.join("device/driver")),
        bus: link_name(&system.join("device")),
        usb: usb_of(Path::new("/sys"), &node.path).map(|(_, name)| name),
        path: node.path,
        by_id: node.by_id,
        modes: Vec::new(),
        other_formats: Vec::new(),
        choice: Err(String::new()),
    };
    let device = match super::check_node(&info.path).and_then(|()| Device::with_path(&info.path)) {
        Ok(device) => device,
        Err(e) => {
            // The error's text begins with the device, which is printed already.
            if let super::CaptureError::Unavailable { why, .. } = super::explain(&e, &info.path, "opening it") {
                info.choice = Err(why);
            }
            return Some(info);
        }
    };
    (info.modes, info.other_formats) = read_modes(&device);
    // The crate panics on names that are not UTF-8 (the kernel cuts long ones), so ask only where it is safe.
    if std::str::from_utf8(&card).is_ok()
        && let Ok(caps) = device.query_caps()
    {
        if info.modes.is_empty() && info.other_formats.is_empty() {
            if !caps.capabilities.contains(v4l::capability::Flags::VIDEO_CAPTURE_MPLANE) {
                return None;
            }
            info.choice = Err("it needs the multi-planar interface, which mercam does not speak: on a Raspberry Pi use rpicam-vid --codec yuv420 -o - and raw:-".into());
        }
        (info.card, info.driver, info.bus) = (caps.card, caps.driver, caps.bus);
    } else if info.modes.is_empty() && info.other_formats.is_empty() {
        return None;
    }
    if !info.modes.is_empty() || !info.other_formats.is_empty() {
        info.choice = choose(&info.modes, &Wish::default());
    }
    Some(info)
}

/// Name of what a link in sysfs leads to.
fn link_name(link: &Path) -> String {
    let target = std::fs::canonicalize(link).ok();
    target.and_then(|t| t.file_name().map(|n| n.to_string_lossy().into_owned())).unwrap_or_default()
}

/// Every mode that mercam reads, and the names of the formats that it does not read.
pub fn read_modes(device: &Device) -> (Vec<Mode>, Vec<String>) {
    let (mut modes, mut others) = (Vec::new(), Vec::new());
    for description in device.enum_formats().unwrap_or_default() {
        let name = description.fourcc.str().map(|n| n.trim().to_owned()).unwrap_or_else(|_| "?".into());
        match CameraFormat::from_name(&name) {
            Some(format) => read_sizes(device, format, description.fourcc, &mut modes),
            None => others.push(name),
        }
    }
    (modes, others)
}

fn read_sizes(device: &Device, format: CameraFormat, fourcc: FourCC, modes: &mut Vec<Mode>) {
    let mut sizes: Vec<Size> = Vec::new();
    match device.enum_framesizes(fourcc) {
        Ok(listed) => {
            for s in listed {
                match s.size {
                    FrameSizeEnum::Discrete(d) => sizes.extend(Size::new(d.width, d.height)),
                    FrameSizeEnum::Stepwise(s) => sizes.extend(sizes_between(
                        (s.min_width, s.max_width, s.step_width),
                        (s.min_height, s.max_height, s.step_height),
                    )),
                }
            }
        }
        // The driver does not list sizes: it has the one that is set.
        Err(_) => sizes.extend(device.format().ok().and_then(|f| Size::new(f.width, f.height))),
    }
    for size in sizes {
        let mut rates: Vec<Option<Rate>> = Vec::new();
        for i in device.enum_frameintervals(fourcc, size.width, size.height).unwrap_or_default() {
            rates.push(match i.interval {
                FrameIntervalEnum::Discrete(f) => rate(f),
                // The shortest interval is the highest rate; drivers take every longer one too.
                FrameIntervalEnum::Stepwise(s) => rate(s.min),
            });
        }
        if rates.is_empty() {
            let current = device.params().ok().and_then(|p| rate(p.interval));
            rates.push(current);
        }
        modes.extend(rates.into_iter().map(|rate| Mode { format, size, rate }));
    }
}

/// Frames per second from an interval in seconds.
fn rate(interval: Fraction) -> Option<Rate> {
    Rate::new(interval.denominator, interval.numerator)
}

/// The common sizes that a camera with a range of sizes can do, and its largest.
fn sizes_between(width: (u32, u32, u32), height: (u32, u32, u32)) -> Vec<Size> {
    let fits =
        |v: u32, (min, max, step): (u32, u32, u32)| v >= min && v <= max && (v - min).is_multiple_of(step.max(1));
    let mut sizes: Vec<Size> = COMMON_SIZES
        .into_iter()
        .filter(|&(w, h)| fits(w, width) && fits(h, height))
        .filter_map(|(w, h)| Size::new(w, h))
        .collect();
    let largest = Size::new(width.1, height.1);
    sizes.extend(largest.filter(|l| !sizes.contains(l)));
    sizes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn nodes_are_listed_in_order_with_their_stable_names() {
        let dir = tempfile::tempdir().unwrap();
        let dev = dir.path().canonicalize().unwrap();
        for name in ["video10", "video2", "video", "videox", "null"] {
            std::fs::write(dev.join(name), "").unwrap();
        }
        std::fs::create_dir_all(dev.join("v4l/by-id")).unwrap();
        std::os::unix::fs::symlink("../../video10", dev.join("v4l/by-id/usb-Maker_Cam-index0")).unwrap();
        std::os::unix::fs::symlink("../../video11", dev.join("v4l/by-id/usb-gone")).unwrap();
        let found = nodes(&dev);
        assert_eq!(found.iter().map(|n| n.path.clone()).collect::<Vec<_>>(), [dev.join("video2"), dev.join("video10")]);
        assert!(found[0].by_id.is_empty());
        assert_eq!(found[1].by_id, [dev.join("v4l/by-id/usb-Maker_Cam-index0")]);
        assert!(nodes(&dev.join("none")).is_empty());
    }

    #[test]
    fn a_range_of_sizes_gives_the_common_ones_and_the_largest() {
        let sizes = sizes_between((48, 1296, 8), (32, 972, 4));
        let names: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["320x240", "640x360", "640x480", "800x600", "1024x768", "1280x720", "1280x960", "1296x972"]);
        assert_eq!(sizes_between((640, 640, 0), (480, 480, 0)).len(), 1);
        assert!(sizes_between((1, 100_000, 1), (1, 100_000, 1)).iter().all(|s| s.width <= 1920));
    }

    #[test]
    fn a_device_prints_what_it_can_do_and_what_would_be_used() {
        let mode = |format, size: &str, fps| Mode {
            format: CameraFormat::from_name(format).unwrap(),
            size: size.parse().unwrap(),
            rate: Rate::new(fps, 1),
        };
        let modes = vec![mode("YUYV", "640x480", 30), mode("YUYV", "640x480", 15), mode("MJPG", "640x480", 60)];
        let info = DeviceInfo {
            path: "/dev/video0".into(),
            by_id: vec!["/dev/v4l/by-id/usb-x".into()],
            usb: Some(UsbName { vendor: 0x46d, product: 0x825, serial: None }),
            card: "Test Cam".into(),
            driver: "uvcvideo".into(),
            bus: String::new(),
            choice: choose(&modes, &Wish::default()),
            modes,
            other_formats: vec!["H264".into()],
        };
        let text = info.to_string();
        for part in [
            "/dev/video0  Test Cam",
            "usb-x",
            "USB name     v4l2:046d:0825",
            "640x480   30 fps, 15 fps",
            "H264",
            "chosen       MJPG 640x480 at 60 fps",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("bus"), "{text}");
    }
}
