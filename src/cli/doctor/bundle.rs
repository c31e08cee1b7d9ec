//! The support bundle: the report, the configuration without secrets, a few texts of the system. No picture, no landmark,
//! no event.

use super::super::part::PartFile;
use crate::capture::{CameraName, SourceSpec, list_devices};
use crate::config::Config;
use crate::error::{Error, Result};
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Write};
use std::path::Path;

/// Texts of the system that say what machine it is.
const TEXTS: [&str; 6] = [
    "etc/os-release",
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/version",
    "proc/device-tree/model",
    "sys/devices/platform/soc/soc:firmware/get_throttled",
];
/// Longest text that is taken from one file, in bytes.
const LONGEST: usize = 64 * 1024;
/// Keys of the configuration whose values are left out: secrets, and what names a place or a person.
const PRIVATE: [&str; 7] = ["password", "secret", "token", "key", "user", "device_name", "client_id"];

/// Writes it.
pub fn write(path: &Path, report: &str, config: &Config, root: &Path) -> Result<()> {
    let config = redacted(config)?;
    let (part, file) = PartFile::create(path)?;
    match fill(file, report, &config, root) {
        Ok(()) => part.complete(),
        Err(e) => {
            let why = anyhow::Error::new(e).context(format!("writing {}", part.growing().display()));
            part.discard();
            Err(Error::failure(why))
        }
    }
}

fn fill(out: impl Write, report: &str, config: &str, root: &Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::default()));
    add(&mut archive, "mercam-report/report.json", report.as_bytes())?;
    add(&mut archive, "mercam-report/config.toml", config.as_bytes())?;
    let cameras: Vec<String> = list_devices()
        .into_iter()
        .map(|mut d| {
            d.by_id.clear(); // such names hold the camera's serial number
            d.usb.iter_mut().for_each(|usb| usb.serial = None);
            format!("{d}\n")
        })
        .collect();
    add(&mut archive, "mercam-report/cameras.txt", cameras.join("\n").as_bytes())?;
    for name in TEXTS {
        if let Ok(mut text) = std::fs::read(root.join(name)) {
            text.truncate(LONGEST);
            add(&mut archive, &format!("mercam-report/{}", name.replace('/', "-")), without_serial(&text).as_bytes())?;
        }
    }
    archive.into_inner()?.finish()?.flush()
}

fn add(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}

/// A Raspberry Pi's `/proc/cpuinfo` ends with its serial number.
fn without_serial(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().filter(|l| !l.starts_with("Serial")).map(|l| format!("{l}\n")).collect()
}

/// The configuration in force, with private values left out.
fn redacted(config: &Config) -> Result<String> {
    let mut table = toml::Table::try_from(config).map_err(Error::failure)?;
    if table.contains_key("device") {
        table.insert("device".into(), "(left out)".into());
    }
    // Both kinds of stable names hold the camera's serial number.
    if let SourceSpec::V4l2(camera) = &config.source {
        let named = match &camera.device {
            CameraName::Node(path) => path.to_string_lossy().contains("by-id"),
            CameraName::Usb(usb) => usb.serial.is_some(),
        };
        if named {
            table.insert("source".into(), "(left out)".into());
        }
    }
    redact(&mut table);
    toml::to_string(&table).map_err(Error::failure)
}

fn redact(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        let private = PRIVATE.iter().any(|p| key.contains(p));
        match value {
            toml::Value::Table(inner) => redact(inner),
            toml::Value::Array(items) => items.iter_mut().filter_map(toml::Value::as_table_mut).for_each(redact),
            value if private => *value = "(left out)".into(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read;

    #[test]
    fn the_bundle_holds_texts_and_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/cpuinfo"), "Model\t: Pi\nSerial\t\t: 10000000abcd\n").unwrap();
        let path = dir.path().join("report.tar.gz");
        let mut config = Config { device: Some("kiosk-7".parse().unwrap()), ..Config::default() };
        config.source = "v4l2:046d:0825:5E71A1".parse().unwrap();
        config.sinks.push("file:/var/lib/mercam/events.jsonl".parse().unwrap());
        write(&path, "{\"findings\":[]}", &config, dir.path()).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap()));
        let mut all = String::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            all.push_str(&format!("== {}\n", entry.path().unwrap().display()));
            entry.read_to_string(&mut all).unwrap();
        }
        for part in ["report.json", "config.toml", "cameras.txt", "proc-cpuinfo", "Model\t: Pi", "events.jsonl"] {
            assert!(all.contains(part), "{part} is missing in {all}");
        }
        assert!(!all.contains("kiosk-7") && !all.contains("10000000abcd") && !all.contains("5E71A1"), "{all}");
    }

    #[test]
    fn private_values_are_left_out_wherever_they_are() {
        let mut table: toml::Table =
            toml::from_str("[[sink]]\nkind = \"mqtt\"\npassword = \"p\"\nusername = \"u\"\n[a]\napi_token = 5\n")
                .unwrap();
        redact(&mut table);
        let text = toml::to_string(&table).unwrap();
        assert_eq!(text.matches("(left out)").count(), 3, "{text}");
        assert!(text.contains("mqtt"));
    }
}
