//! How a camera is named: by its device node, or by what it is (USB vendor, product, serial number), which stays the
//! same when it is plugged in elsewhere or others are.

use super::devices;
use std::fmt;
use std::path::{Path, PathBuf};

/// A camera's name in a source string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CameraName {
    /// `/dev/video0`, `/dev/v4l/by-id/...`
    Node(PathBuf),
    /// `046d:0825`, `046d:0825:SERIAL`
    Usb(UsbName),
}

/// What a USB device says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsbName {
    /// Number of the maker.
    pub vendor: u16,
    /// Number of the product.
    pub product: u16,
    /// Serial number, of those that have one.
    pub serial: Option<String>,
}

impl CameraName {
    /// Reads a name: `VVVV:PPPP` or `VVVV:PPPP:SERIAL` in hexadecimal is a USB camera, anything else a device node.
    pub fn parse(text: &str) -> Self {
        usb_name(text).map_or_else(|| Self::Node(text.into()), Self::Usb)
    }
}

fn usb_name(text: &str) -> Option<UsbName> {
    let mut parts = text.splitn(3, ':');
    let mut number = || {
        let part = parts.next()?;
        (part.len() == 4).then(|| u16::from_str_radix(part, 16).ok()).flatten()
    };
    let (vendor, product) = (number()?, number()?);
    let serial = parts.next().map(str::to_owned);
    (serial.as_deref() != Some("")).then_some(UsbName { vendor, product, serial })
}

impl fmt::Display for UsbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        self.serial.as_ref().map_or(Ok(()), |serial| write!(f, ":{serial}"))
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(path) => write!(f, "{}", path.display()),
            Self::Usb(usb) => usb.fmt(f),
        }
    }
}

/// The USB device that a video node belongs to: its folder in sysfs and its name; `None` when it is none.
pub fn usb_of(sysfs: &Path, node: &Path) -> Option<(PathBuf, UsbName)> {
    let interface = sysfs.join("class/video4linux").join(node.file_name()?).join("device").canonicalize().ok()?;
    let device = interface.parent()?;
    let text = |file: &str| std::fs::read_to_string(device.join(file)).ok().map(|t| t.trim().to_owned());
    let number = |file: &str| u16::from_str_radix(&text(file)?, 16).ok();
    let serial = text("serial").filter(|s| !s.is_empty());
    let name = UsbName { vendor: number("idVendor")?, product: number("idProduct")?, serial };
    Some((device.to_owned(), name))
}

/// The node of the camera of that name.
///
/// A camera has several nodes (pictures, metadata); the driver numbers those of one function, and the first one
/// delivers the pictures.
///
/// # Errors
/// What there is instead, or that several fit.
pub fn find(sysfs: &Path, dev: &Path, wanted: &UsbName) -> Result<PathBuf, String> {
    let first = |node: &Path| {
        let index = sysfs.join("class/video4linux").join(node.file_name().unwrap_or_default()).join("index");
        std::fs::read_to_string(index).map_or(true, |i| i.trim() == "0")
    };
    let mut seen: Vec<(PathBuf, UsbName, PathBuf)> = Vec::new();
    for node in devices::nodes(dev).into_iter().map(|n| n.path).filter(|n| first(n)) {
        // A second function of the same device (an infra-red sensor, say) is left to its own name in /dev/v4l/by-id.
        if let Some((device, name)) = usb_of(sysfs, &node)
            && !seen.iter().any(|(d, ..)| *d == device)
        {
            seen.push((device, name, node));
        }
    }
    let fits = |(_, n, _): &&(PathBuf, UsbName, PathBuf)| {
        (n.vendor, n.product) == (wanted.vendor, wanted.product)
            && (wanted.serial.is_none() || n.serial == wanted.serial)
    };
    let mut fitting = seen.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some((.., node)), None) => Ok(node.clone()),
        (Some((_, a, one)), Some((_, b, other))) => Err(format!(
            "several cameras are called so, {} ({a}) and {} ({b}): add the serial number where they have different ones, or name the socket, as in v4l2:/dev/v4l/by-path/...",
            one.display(),
            other.display()
        )),
        (None, _) if seen.is_empty() => {
            Err("there is no such camera, and no other USB camera: is it plugged in?".into())
        }
        (None, _) => {
            let names: Vec<_> = seen.iter().map(|(_, n, node)| format!("{n} ({})", node.display())).collect();
            Err(format!("there is no such camera; there are {} (mercam devices tells more)", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A tree as the kernel makes it: `(node, index, USB device, interface, vendor, product, serial)`.
    fn machine(root: &Path, cameras: &[(&str, &str, &str, &str, &str, &str, &str)]) -> (PathBuf, PathBuf) {
        let (sysfs, dev) = (root.join("sys"), root.join("dev"));
        fs::create_dir_all(sysfs.join("class/video4linux")).unwrap();
        fs::create_dir_all(&dev).unwrap();
        for (node, index, usb, interface, vendor, product, serial) in cameras {
            let device = sysfs.join("devices/usb1").join(usb);
            let entry = device.join(interface).join("video4linux").join(node);
            fs::create_dir_all(&entry).unwrap();
            fs::write(entry.join("index"), format!("{index}\n")).unwrap();
            if !entry.join("device").exists() {
                symlink("../..", entry.join("device")).unwrap();
            }
            symlink(&entry, sysfs.join("class/video4linux").join(node)).unwrap();
            for (file, text) in [("idVendor", vendor), ("idProduct", product), ("serial", serial)] {
                if !text.is_empty() {
                    fs::write(device.join(file), format!("{text}\n")).unwrap();
                }
            }
            fs::write(dev.join(node), "").unwrap();
        }
        (sysfs, dev)
    }

    fn usb(text: &str) -> UsbName {
        match CameraName::parse(text) {
            CameraName::Usb(name) => name,
            CameraName::Node(path) => panic!("{} is a node", path.display()),
        }
    }

    #[test]
    fn names_are_printed_as_they_are_read() {
        for text in ["/dev/video0", "046d:0825", "1e4e:0109:SN:1 2", "46d:825", "046d", "046d:0825:", "zzzz:0000"] {
            assert_eq!(CameraName::parse(text).to_string(), text);
        }
        assert!(matches!(CameraName::parse("046d:0825:"), CameraName::Node(_)));
        assert_eq!(usb("1e4e:0109:SN:1").serial.as_deref(), Some("SN:1"));
    }

    #[test]
    fn a_camera_is_found_wherever_it_is_plugged_in() {
        let dir = tempfile::tempdir().unwrap();
        let (sysfs, dev) = machine(
            &dir.path().canonicalize().unwrap(),
            &[
                ("video0", "0", "1-1", "1-1:1.0", "046d", "0825", ""),
                ("video1", "1", "1-1", "1-1:1.0", "046d", "0825", ""), // its metadata
                ("video2", "0", "1-2", "1-2:1.0", "04f2", "b6d9", "0001"),
                ("video4", "0", "1-2", "1-2:1.2", "04f2", "b6d9", "0001"), // its infra-red sensor
                ("video6", "0", "1-3", "1-3:1.0", "1e4e", "0109", "A1"),
                ("video8", "0", "1-4", "1-4:1.0", "1e4e", "0109", "B2"),
            ],
        );
        let find = |name: &str| find(&sysfs, &dev, &usb(name));
        assert_eq!(find("046d:0825").unwrap(), dev.join("video0"));
        assert_eq!(find("04F2:b6d9").unwrap(), dev.join("video2"));
        assert_eq!(find("1e4e:0109:B2").unwrap(), dev.join("video8"));
        let e = find("1e4e:0109").unwrap_err();
        assert!(e.contains("several") && e.contains("1e4e:0109:A1") && e.contains("by-path"), "{e}");
        let e = find("dead:beef").unwrap_err();
        assert!(e.contains("046d:0825 (") && e.contains("04f2:b6d9:0001"), "{e}");
    }

    #[test]
    fn without_usb_cameras_nothing_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (sysfs, dev) = machine(dir.path(), &[("video0", "0", "vivid.0", "x", "", "", "")]);
        assert!(find(&sysfs, &dev, &usb("046d:0825")).unwrap_err().contains("no other USB camera"));
        assert!(find(Path::new("/nonexistent"), &dev, &usb("046d:0825")).is_err());
    }
}
