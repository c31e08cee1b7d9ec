//! Which of a camera's modes to use: a pure choice from a list, so that it can be tested and explained.

use super::CaptureError;
use super::luma::PixelFormat;
use super::options::spec;
use super::rate::{Rate, Size};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// The size from which faces at arm's length are large enough (an inter-ocular distance of about 60 pixels).
pub const SUFFICIENT: Size = Size { width: 640, height: 480 };

/// A pixel format that a camera sends and mercam reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CameraFormat {
    /// Uncompressed.
    Plain(PixelFormat),
    /// One JPEG per frame.
    Mjpeg,
}

impl CameraFormat {
    /// Every format, the cheapest to read first.
    pub const ALL: [Self; 12] = [
        Self::Plain(PixelFormat::Grey),
        Self::Plain(PixelFormat::Yuv420),
        Self::Plain(PixelFormat::Nv12),
        Self::Plain(PixelFormat::Nv21),
        Self::Plain(PixelFormat::Yuyv),
        Self::Plain(PixelFormat::Uyvy),
        Self::Plain(PixelFormat::Y10),
        Self::Plain(PixelFormat::Y12),
        Self::Plain(PixelFormat::Y16),
        Self::Plain(PixelFormat::Rgb24),
        Self::Plain(PixelFormat::Bgr24),
        Self::Mjpeg,
    ];

    /// The four characters by which V4L2 knows it.
    pub const fn fourcc(self) -> &'static [u8; 4] {
        match self {
            Self::Plain(PixelFormat::Grey) => b"GREY",
            Self::Plain(PixelFormat::Yuv420) => b"YU12",
            Self::Plain(PixelFormat::Nv12) => b"NV12",
            Self::Plain(PixelFormat::Nv21) => b"NV21",
            Self::Plain(PixelFormat::Yuyv) => b"YUYV",
            Self::Plain(PixelFormat::Uyvy) => b"UYVY",
            Self::Plain(PixelFormat::Rgb24) => b"RGB3",
            Self::Plain(PixelFormat::Bgr24) => b"BGR3",
            Self::Plain(PixelFormat::Y10) => b"Y10 ",
            Self::Plain(PixelFormat::Y12) => b"Y12 ",
            Self::Plain(PixelFormat::Y16) => b"Y16 ",
            Self::Mjpeg => b"MJPG",
        }
    }

    /// The four characters as text, without the space at the end that some have.
    pub fn name(self) -> &'static str {
        std::str::from_utf8(self.fourcc()).unwrap_or("").trim_end()
    }

    /// The format of that name, in either case; `None` when mercam does not read it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// How cheap it is to get luma out of it; larger is better.
    const fn cheapness(self) -> u8 {
        match self {
            Self::Plain(PixelFormat::Grey) => 4,
            Self::Plain(PixelFormat::Yuv420 | PixelFormat::Nv12 | PixelFormat::Nv21) => 3,
            Self::Plain(_) => 2,
            Self::Mjpeg => 1,
        }
    }
}

impl FromStr for CameraFormat {
    type Err = CaptureError;

    fn from_str(name: &str) -> Result<Self, CaptureError> {
        Self::from_name(name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            spec(format!("mercam does not read the camera format \"{name}\"; it reads {}", known.join(", ")))
        })
    }
}

/// One thing a camera can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Pixel format.
    pub format: CameraFormat,
    /// Picture size.
    pub size: Size,
    /// Frame rate; `None` when the camera does not say.
    pub rate: Option<Rate>,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format.name(), self.size)?;
        match self.rate {
            Some(r) => write!(f, " at {} fps", (r.hertz() * 100.0).round() / 100.0),
            None => f.write_str(" at a rate that the camera does not tell"),
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Wish {
    /// Exactly this size.
    pub size: Option<Size>,
    /// At least this rate, or the next lower one with a warning.
    pub fps: Option<Rate>,
    /// Exactly this format.
    pub format: Option<CameraFormat>,
}

/// A mode and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The mode.
    pub mode: Mode,
    /// The reason, for the user.
    pub why: String,
    /// Whether it falls short of the wish.
    pub compromise: bool,
}

/// Chooses a mode.
///
/// Micro-expressions are short, so the rate counts most once the picture is large enough: among modes of at
/// least 640x480 the highest rate, then the smallest such picture (less work), then the format that is
/// cheapest to read. If every picture is smaller, the largest, then the highest rate. A size or format that
/// was asked for must be met; a rate is met by the lowest that is high enough.
///
/// # Errors
/// A message that says what the camera can do, when nothing matches.
pub fn choose(modes: &[Mode], wish: &Wish) -> Result<Choice, String> {
    let fits = |m: &&Mode| wish.format.is_none_or(|f| f == m.format) && wish.size.is_none_or(|s| s == m.size);
    let fitting: Vec<Mode> = modes.iter().filter(fits).copied().collect();
    if fitting.is_empty() {
        return Err(nothing_fits(modes, wish));
    }
    if let Some(fps) = wish.fps {
        // Cameras call 29.97 what people call 30.
        let enough = |m: &&Mode| m.rate.is_some_and(|r| r.hertz() >= fps.hertz() * 0.98);
        let best = fitting
            .iter()
            .filter(enough)
            .max_by_key(|m| (sufficient(m), Reverse(millihertz(m)), Reverse(m.size.pixels()), m.format.cheapness()));
        if let Some(&mode) = best {
            return Ok(Choice {
                mode,
                why: format!("the lowest rate that reaches the {fps} fps asked for"),
                compromise: false,
            });
        }
    }
    let Some(&mode) = fitting.iter().max_by_key(|m| preference(m)) else {
        return Err(nothing_fits(modes, wish));
    };
    let why = match (wish.fps, sufficient(&mode)) {
        (Some(fps), _) => format!("the camera has no mode with the {fps} fps asked for; this is its fastest that fits"),
        (None, true) => format!("the highest rate at {SUFFICIENT} or more"),
        (None, false) if wish.size.is_some() => "the highest rate at the size asked for".to_owned(),
        (None, false) => format!("the largest picture; the camera has none of {SUFFICIENT}"),
    };
    Ok(Choice { mode, why, compromise: wish.fps.is_some() || (!sufficient(&mode) && wish.size.is_none()) })
}

/// Larger is better; rates in thousandths of a hertz so that they order exactly.
fn preference(m: &Mode) -> (bool, u64, Reverse<usize>, u8) {
    if sufficient(m) {
        (true, millihertz(m), Reverse(m.size.pixels()), m.format.cheapness())
    } else {
        // Area before rate: both in one number, because the tuple's order is that of sufficient modes.
        (false, m.size.pixels() as u64 * 100_000_000 + millihertz(m), Reverse(0), m.format.cheapness())
    }
}

fn sufficient(m: &Mode) -> bool {
    m.size.width >= SUFFICIENT.width && m.size.height >= SUFFICIENT.height
}

fn millihertz(m: &Mode) -> u64 {
    m.rate.map_or(0, |r| (r.hertz() * 1000.0).round() as u64)
}

fn nothing_fits(modes: &[Mode], wish: &Wish) -> String {
    if modes.is_empty() {
        let known: Vec<_> = CameraFormat::ALL.iter().map(|f| f.name()).collect();
        return format!("the camera offers none of the pixel formats that mercam reads ({})", known.join(", "));
    }
    let in_format = |m: &&Mode| wish.format.is_none_or(|f| f == m.format);
    if let Some(format) = wish.format
        && !modes.iter().any(|m| m.format == format)
    {
        let mut formats: Vec<_> = modes.iter().map(|m| m.format.name()).collect();
        formats.dedup();
        formats.sort_unstable();
        formats.dedup();
        return format!("the camera does not send {}; it sends {}", format.name(), formats.join(", "));
    }
    let mut sizes: Vec<Size> = modes.iter().filter(in_format).map(|m| m.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
    let wanted = wish.size.map(|s| s.to_string()).unwrap_or_default();
    format!("the camera has no picture of {wanted}; it has {}", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn mode(format: &str, size: &str, fps: u32) -> Mode {
        Mode { format: CameraFormat::from_name(format).unwrap(), size: size.parse().unwrap(), rate: Rate::new(fps, 1) }
    }

    /// A usual USB camera: fast only when compressed.
    fn webcam() -> Vec<Mode> {
        vec![
            mode("YUYV", "640x480", 30),
            mode("YUYV", "1280x720", 10),
            mode("MJPG", "320x240", 120),
            mode("MJPG", "640x480", 120),
            mode("MJPG", "640x480", 60),
            mode("MJPG", "1280x720", 120),
            mode("MJPG", "1920x1080", 30),
        ]
    }

    fn chosen(modes: &[Mode], wish: &Wish) -> String {
        choose(modes, wish).unwrap().mode.to_string()
    }

    #[test]
    fn rate_counts_most_once_the_picture_is_large_enough() {
        assert_eq!(chosen(&webcam(), &Wish::default()), "MJPG 640x480 at 120 fps");
        let c = choose(&webcam(), &Wish::default()).unwrap();
        assert!(c.why.contains("highest rate") && !c.compromise);
    }

    #[test]
    fn at_equal_rate_the_cheapest_format_wins() {
        let modes = ["MJPG", "UYVY", "YUYV", "NV12", "GREY", "YU12"].map(|f| mode(f, "640x480", 60));
        assert_eq!(chosen(&modes, &Wish::default()), "GREY 640x480 at 60 fps");
        assert_eq!(chosen(&modes[..3], &Wish::default()).split(' ').next(), Some("YUYV"));
    }

    #[test]
    fn small_cameras_give_their_largest_picture() {
        let modes = [mode("GREY", "160x120", 200), mode("GREY", "320x240", 30), mode("GREY", "320x240", 60)];
        let c = choose(&modes, &Wish::default()).unwrap();
        assert_eq!(c.mode.to_string(), "GREY 320x240 at 60 fps");
        assert!(c.compromise);
    }

    #[test]
    fn wishes_are_met_exactly_or_refused_with_what_there_is() {
        let size = |s: &str| Wish { size: Some(s.parse().unwrap()), ..Wish::default() };
        assert_eq!(chosen(&webcam(), &size("1920x1080")), "MJPG 1920x1080 at 30 fps");
        assert_eq!(chosen(&webcam(), &size("320x240")), "MJPG 320x240 at 120 fps");
        let e = choose(&webcam(), &size("800x600")).unwrap_err();
        assert!(e.contains("800x600") && e.contains("320x240, 640x480, 1280x720, 1920x1080"), "{e}");
        let grey = Wish { format: CameraFormat::from_name("grey"), ..Wish::default() };
        let e = choose(&webcam(), &grey).unwrap_err();
        assert!(e.contains("does not send GREY; it sends MJPG, YUYV"), "{e}");
        assert!(choose(&[], &Wish::default()).unwrap_err().contains("none of the pixel formats"));
    }

    #[test]
    fn a_rate_is_met_by_the_lowest_that_is_high_enough() {
        let fps = |f: &str| Wish { fps: Some(f.parse().unwrap()), ..Wish::default() };
        assert_eq!(chosen(&webcam(), &fps("50")), "MJPG 640x480 at 60 fps");
        assert_eq!(chosen(&webcam(), &fps("30.1")), "YUYV 640x480 at 30 fps");
        let c = choose(&webcam(), &fps("200")).unwrap();
        assert_eq!(c.mode.to_string(), "MJPG 640x480 at 120 fps");
        assert!(c.compromise && c.why.contains("200"), "{}", c.why);
    }

    #[test]
    fn a_camera_that_tells_no_rates_can_still_be_used() {
        let m = Mode { rate: None, ..mode("YUYV", "640x480", 1) };
        assert!(chosen(&[m], &Wish::default()).contains("does not tell"));
        assert!(choose(&[m], &Wish { fps: Rate::new(60, 1), ..Wish::default() }).unwrap().compromise);
    }

    #[test]
    fn names_are_read_in_either_case() {
        for f in CameraFormat::ALL {
            assert_eq!(CameraFormat::from_name(&f.name().to_lowercase()), Some(f));
        }
        assert_eq!(CameraFormat::from_name("H264"), None);
    }
}
