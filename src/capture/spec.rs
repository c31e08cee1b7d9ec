//! One string that says where frames come from: `scheme:what?option=value&option=value`.

use super::guess::{SCHEMES, example, examples, guess};
use super::images::ImagesSpec;
use super::input::Origin;
use super::modes::Wish;
use super::options::{Options, decode, encode, print, spec};
use super::raw::RawSpec;
use super::replay::ReplaySpec;
use super::v4l2::{CameraName, Controls, V4l2Spec};
use super::y4m::Y4mSpec;
use super::{CaptureError, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where frames come from, read from and printed as one string:
///
/// * `v4l2:/dev/video0?size=640x480&fps=60&format=YUYV`, or just `/dev/video0`, `/dev/v4l/by-id/...`; `v4l2:046d:0825`
/// * `y4m:FILE`, `y4m:-` (standard input), `?fps=` in place of the stream's rate
/// * `raw:-?format=yuv420&size=640x480&fps=90`, `stride=` where rows are padded
/// * `images:DIR?fps=100`
/// * `replay:FILE`
/// * `synthetic:?seed=1`
///
/// In a file name `?`, `&`, `=` and `%` may be written `%3F`, `%26`, `%3D`, `%25`; only `?` has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SourceSpec {
    /// A camera.
    V4l2(V4l2Spec),
    /// Uncompressed video with a header.
    Y4m(Y4mSpec),
    /// Uncompressed video without a header.
    Raw(RawSpec),
    /// Still pictures.
    Images(ImagesSpec),
    /// Recorded landmarks.
    Replay(ReplaySpec),
    /// A built-in face that makes labelled expressions.
    Synthetic(SyntheticSpec),
}

/// Options of the synthetic source, which checks them itself when it is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SyntheticSpec {
    /// Option names and values.
    pub options: BTreeMap<String, String>,
}

impl SyntheticSpec {
    /// Builds the synthetic source.
    ///
    /// # Errors
    /// [`CaptureError::Spec`] when an option is unknown or wrong.
    pub fn build(&self) -> Result<Box<dyn Source>, CaptureError> {
        crate::synth::source(&self.options)
    }
}

impl Default for SourceSpec {
    /// The first camera.
    fn default() -> Self {
        let device = CameraName::Node("/dev/video0".into());
        Self::V4l2(V4l2Spec { device, wish: Wish::default(), controls: Controls::default() })
    }
}

impl SourceSpec {
    /// Whether the frames are pictures, in which the face stage has to look for faces; landmarks otherwise.
    pub fn delivers_pictures(&self) -> bool {
        match self {
            Self::V4l2(_) | Self::Y4m(_) | Self::Raw(_) | Self::Images(_) => true,
            Self::Replay(_) => false,
            Self::Synthetic(s) => s.options.get("render").is_some_and(|r| r == "pixels"),
        }
    }

    /// Whether somebody is filmed now: a camera, or a pipe from one.
    pub fn is_camera(&self) -> bool {
        matches!(self, Self::V4l2(_)) || matches!(self, Self::Raw(raw) if raw.live)
    }

    /// Opens the source.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when the device or file cannot be opened, [`CaptureError::Spec`] when
    /// options contradict one another.
    pub fn build(&self) -> Result<Box<dyn Source>, CaptureError> {
        Ok(match self {
            Self::V4l2(s) => Box::new(s.build()?),
            Self::Y4m(s) => Box::new(s.build()?),
            Self::Raw(s) => Box::new(s.build()?),
            Self::Images(s) => Box::new(s.build()?),
            Self::Replay(s) => Box::new(s.build()?),
            Self::Synthetic(s) => s.build()?,
        })
    }

    fn parse(text: &str) -> Result<Self, CaptureError> {
        if text.trim().is_empty() {
            return Err(spec(format!("no source given; the kinds are {}", examples())));
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(spec(format!("the source holds the control character {c:?}")));
        }
        let (place, options) = text.split_once('?').unwrap_or((text, ""));
        match place.split_once(':') {
            Some((scheme, rest)) if SCHEMES.contains(&scheme) => Self::of_scheme(scheme, rest, options),
            _ if place == "synthetic" => Self::of_scheme(place, "", options),
            _ if place.starts_with("/dev/video") || place.starts_with("/dev/v4l/") => {
                Self::of_scheme("v4l2", place, options)
            }
            _ => {
                let scheme = guess(Path::new(&decode(place)))?;
                log::info!("taking {place} for {scheme}:{place}");
                Self::of_scheme(scheme, place, options)
            }
        }
    }

    fn of_scheme(scheme: &str, place: &str, options: &str) -> Result<Self, CaptureError> {
        let place = decode(place);
        let need = |what: &str| {
            if place.is_empty() {
                Err(spec(format!("{scheme}: no {what} given; for example {}", example(scheme))))
            } else {
                Ok(())
            }
        };
        let origin = || if place == "-" { Origin::Stdin } else { Origin::File(PathBuf::from(&place)) };
        Ok(match scheme {
            "v4l2" => {
                need("device")?;
                let known = ["size", "fps", "format", "exposure", "gain", "power_line"];
                let mut o = Options::parse("v4l2", options, &known)?;
                let wish = Wish { size: o.take("size")?, fps: o.take("fps")?, format: o.take("format")? };
                let controls = Controls {
                    exposure: o.take("exposure")?,
                    gain: o.take("gain")?,
                    power_line: o.take("power_line")?,
                };
                Self::V4l2(V4l2Spec { device: CameraName::parse(&place), wish, controls })
            }
            "y4m" => {
                need("file")?;
                let mut o = Options::parse("y4m", options, &["fps"])?;
                Self::Y4m(Y4mSpec { origin: origin(), fps: o.take("fps")? })
            }
            "raw" => {
                need("file")?;
                let mut o = Options::parse("raw", options, &["format", "size", "fps", "stride", "live"])?;
                Self::Raw(RawSpec {
                    origin: origin(),
                    format: o.need("format", "yuv420")?,
                    size: o.need("size", "640x480")?,
                    fps: o.need("fps", "90")?,
                    stride: o.take::<Stride>("stride")?.map(|s| s.0),
                    live: o.take::<Switch>("live")?.is_some_and(|s| s.0),
                })
            }
            "images" => {
                need("directory")?;
                let mut o = Options::parse("images", options, &["fps"])?;
                Self::Images(ImagesSpec { directory: place.into(), fps: o.take("fps")? })
            }
            "replay" => {
                need("file")?;
                if !options.is_empty() {
                    return Err(spec("replay: it has no options: everything is in the recording".into()));
                }
                Self::Replay(ReplaySpec { origin: origin() })
            }
            _ => {
                if !place.is_empty() {
                    return Err(spec(format!(
                        "synthetic: options go behind a question mark, as in synthetic:?{place}"
                    )));
                }
                Self::Synthetic(SyntheticSpec { options: Options::parse("synthetic", options, &[])?.rest() })
            }
        })
    }
}

impl FromStr for SourceSpec {
    type Err = CaptureError;

    /// Reads a source string. A bare file name is looked at on disk to find its kind; nothing is opened
    /// otherwise.
    fn from_str(text: &str) -> Result<Self, CaptureError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SourceSpec {
    type Error = CaptureError;
    fn try_from(text: String) -> Result<Self, CaptureError> {
        text.parse()
    }
}

impl From<SourceSpec> for String {
    fn from(spec: SourceSpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn text<T: ToString>(value: Option<T>) -> Option<String> {
            value.map(|v| v.to_string())
        }
        let path = |p: &Path| encode(&p.to_string_lossy());
        let origin = |o: &Origin| encode(&o.to_string());
        match self {
            Self::V4l2(s) => {
                write!(f, "v4l2:{}", encode(&s.device.to_string()))?;
                let Wish { size, fps, format } = s.wish;
                let Controls { exposure, gain, power_line } = s.controls;
                print(
                    f,
                    &[
                        ("size", text(size)),
                        ("fps", text(fps)),
                        ("format", format.map(|m| m.name().into())),
                        ("exposure", text(exposure)),
                        ("gain", text(gain)),
                        ("power_line", text(power_line)),
                    ],
                )
            }
            Self::Y4m(s) => {
                write!(f, "y4m:{}", origin(&s.origin))?;
                print(f, &[("fps", text(s.fps))])
            }
            Self::Raw(s) => {
                write!(f, "raw:{}", origin(&s.origin))?;
                print(
                    f,
                    &[
                        ("format", Some(s.format.name().into())),
                        ("size", text(Some(s.size))),
                        ("fps", text(Some(s.fps))),
                        ("stride", text(s.stride)),
                        ("live", s.live.then(|| "true".into())),
                    ],
                )
            }
            Self::Images(s) => {
                write!(f, "images:{}", path(&s.directory))?;
                print(f, &[("fps", text(s.fps))])
            }
            Self::Replay(s) => write!(f, "replay:{}", origin(&s.origin)),
            Self::Synthetic(s) => {
                f.write_str("synthetic:")?;
                let options: Vec<_> = s.options.iter().map(|(k, v)| (k.as_str(), Some(v.clone()))).collect();
                print(f, &options)
            }
        }
    }
}

/// Bytes from row to row.
struct Stride(u32);

impl FromStr for Stride {
    type Err = CaptureError;

    fn from_str(s: &str) -> Result<Self, CaptureError> {
        s.parse().map(Self).map_err(|_| spec(format!("\"{s}\" is no number of bytes")))
    }
}

/// Yes or no.
struct Switch(bool);

impl FromStr for Switch {
    type Err = CaptureError;

    fn from_str(s: &str) -> Result<Self, CaptureError> {
        s.parse().map(Self).map_err(|_| spec(format!("\"{s}\" is neither: write true or false")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> SourceSpec {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn refuse(text: &str) -> String {
        text.parse::<SourceSpec>().err().unwrap_or_else(|| panic!("{text} was accepted")).to_string()
    }

    #[test]
    fn every_kind_is_read_and_printed() {
        for text in [
            "v4l2:/dev/video0",
            "v4l2:/dev/v4l/by-id/usb-Maker_Cam-video-index0?size=640x480&fps=60&format=YUYV",
            "v4l2:046d:0825",
            "v4l2:046d:0825:4E1A?exposure=8300us&gain=auto&power_line=50",
            "y4m:-",
            "y4m:some dir/clip.y4m?fps=30000/1001",
            "raw:-?format=yuv420&size=640x480&fps=90",
            "raw:x.yuv?format=nv12&size=1296x972&fps=2997/100&stride=1344",
            "raw:-?format=yuv420&size=640x480&fps=90&live=true",
            "images:frames?fps=100",
            "replay:run.jsonl",
            "synthetic:",
            "synthetic:?duration=20&fps=100&render=pixels&seed=1",
            "y4m:odd%3Fname%25.y4m",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn short_forms_are_understood() {
        assert_eq!(parse("/dev/video2").to_string(), "v4l2:/dev/video2");
        assert_eq!(parse("/dev/v4l/by-id/usb-x?fps=60").to_string(), "v4l2:/dev/v4l/by-id/usb-x?fps=60");
        assert_eq!(parse("synthetic").to_string(), "synthetic:");
        assert_eq!(parse("clip.y4m").to_string(), "y4m:clip.y4m");
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).unwrap();
            dir.path().join(name).display().to_string()
        };
        assert!(matches!(parse(&dir.path().display().to_string()), SourceSpec::Images(_)));
        assert!(matches!(parse(&file("a", b"YUV4MPEG2 W1")), SourceSpec::Y4m(_)));
        assert!(matches!(parse(&file("b", b"{\"mercam\":\"landmarks\"")), SourceSpec::Replay(_)));
        assert!(refuse(&file("c.mp4", b"ftyp")).contains("ffmpeg -i"));
        assert!(refuse(&file("d.bin", b"????")).contains("say its kind"));
    }

    #[test]
    fn mistakes_are_answered_with_the_mend() {
        for (text, answer) in [
            ("", "no source given"),
            ("v4l:/dev/video0", "did you mean \"v4l2\"?"),
            ("v4l3", "did you mean \"v4l2\"?"),
            ("replya:x", "did you mean \"replay\"?"),
            ("rtsp://host/stream", "no network connection"),
            ("libcamera:0", "rpicam-vid"),
            ("0", "/dev/video0"),
            ("-", "y4m:-"),
            ("nowhere.mp4", "nor a file"),
            ("y4m:", "y4m: no file given"),
            ("v4l2:", "v4l2: no device given"),
            ("v4l2:/dev/video0?fpps=3", "did you mean \"fps\"?"),
            ("v4l2:/dev/video0?format=H264", "GREY, YU12"),
            ("v4l2:/dev/video0?size=big", "WIDTHxHEIGHT"),
            ("v4l2:/dev/video0?exposure=10", "v4l2: exposure: \"10\" is no exposure: write auto, keep_rate"),
            ("v4l2:/dev/video0?power_line=55", "off, 50, 60 or auto"),
            ("v4l2:/dev/vid\0eo0", "control character"),
            ("raw:-?format=yuv420&fps=9", "size=640x480"),
            ("raw:-?format=yuv42&size=6x4&fps=9", "did you mean \"yuv420\"?"),
            ("raw:-?format=grey&size=6x4&fps=9&stride=wide", "no number of bytes"),
            ("raw:-?format=grey&size=6x4&fps=9&live=perhaps", "write true or false"),
            ("046d:0825", "v4l2:046d:0825"),
            ("replay:x?fps=3", "has no options"),
            ("synthetic:seed=1", "synthetic:?seed=1"),
        ] {
            let e = refuse(text);
            assert!(e.contains(answer), "{text}: {e}");
        }
    }

    #[test]
    fn it_is_a_string_in_configuration_files() {
        #[derive(Deserialize, Serialize)]
        struct Config {
            source: SourceSpec,
        }
        let config: Config = toml::from_str("source = \"y4m:-\"").unwrap();
        assert_eq!(config.source, parse("y4m:-"));
        assert_eq!(toml::to_string(&config).unwrap().trim(), "source = \"y4m:-\"");
        let e = toml::from_str::<Config>("source = \"y5m:-\"").err().unwrap().to_string();
        assert!(e.contains("did you mean \"y4m\"?"), "{e}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(v4l2|y4m|raw|images|replay|synthetic|:|\\?|&|=|%|size|fps|-|\\PC){0,12}") {
            if let Ok(s) = text.parse::<SourceSpec>() {
                prop_assert_eq!(s.to_string().parse::<SourceSpec>().unwrap(), s);
            }
        }

        #[test]
        fn any_file_name_survives_printing(name in "[^\\p{C}]{1,20}") {
            let s = SourceSpec::Y4m(Y4mSpec { origin: Origin::File(name.clone().into()), fps: None });
            let back = s.to_string().parse::<SourceSpec>().unwrap();
            prop_assert_eq!(back, if name == "-" { SourceSpec::Y4m(Y4mSpec { origin: Origin::Stdin, fps: None }) } else { s });
        }
    }
}
