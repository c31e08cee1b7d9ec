//! `images:DIR`: the still pictures of a directory (PNG, JPEG, binary PGM) as a video, in natural order.

use super::luma::bt601;
use super::rate::{MAX_SIDE, Rate, Size};
use super::{CaptureError, Source, Step, pgm, take_luma};
use crate::frame::{Content, Frame, Luma};
use image::DynamicImage;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Frame rate when none is given.
const DEFAULT_FPS: u32 = 30;

/// Options of a picture directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagesSpec {
    /// The directory.
    pub directory: PathBuf,
    /// Frames per second; 30 when absent, with a warning, because file names carry no time.
    pub fps: Option<Rate>,
}

impl ImagesSpec {
    /// Lists the directory. Sub-directories, hidden files and files of other kinds are left out.
    ///
    /// # Errors
    /// [`CaptureError::Unavailable`] when the directory cannot be read or holds no picture.
    pub fn build(&self) -> Result<ImagesSource, CaptureError> {
        let unavailable =
            |why: String| CaptureError::Unavailable { what: format!("images:{}", self.directory.display()), why };
        let entries = std::fs::read_dir(&self.directory).map_err(|e| unavailable(e.to_string()))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| unavailable(e.to_string()))?.path();
            if kind(&path).is_some() && path.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(unavailable("there is no .png, .jpg, .jpeg or .pgm picture in this directory".into()));
        }
        files.sort_by(|a, b| natural(&name(a), &name(b)));
        let fps = match self.fps.or(Rate::new(DEFAULT_FPS, 1)) {
            Some(fps) => fps,
            None => return Err(CaptureError::Spec("the default frame rate is out of range".into())),
        };
        if self.fps.is_none() && files.len() > 1 {
            log::warn!(
                "images:{}: no frame rate given, taking {DEFAULT_FPS}: every duration depends on it, so say it with ?fps=N",
                self.directory.display()
            );
        }
        Ok(ImagesSource { directory: self.directory.clone(), files, fps, done: 0, size: None })
    }
}

/// The pictures of a directory.
#[derive(Debug)]
pub struct ImagesSource {
    directory: PathBuf,
    files: Vec<PathBuf>,
    fps: Rate,
    done: usize,
    size: Option<Size>,
}

impl Source for ImagesSource {
    fn name(&self) -> String {
        format!("images:{}", self.directory.display())
    }

    fn is_live(&self) -> bool {
        false
    }

    fn next(&mut self, frame: &mut Frame, _timeout: Duration) -> Result<Step, CaptureError> {
        let Some(path) = self.files.get(self.done) else { return Ok(Step::End) };
        let malformed = |why: String| CaptureError::Malformed { what: path.display().to_string(), why };
        let mut luma = take_luma(frame);
        load(path, &mut luma)?;
        let size = Size::new(luma.width(), luma.height())
            .ok_or_else(|| malformed(format!("{}x{} pixels are too many or none", luma.width(), luma.height())))?;
        match self.size {
            Some(first) if first != size => {
                return Err(malformed(format!("it is {size} pixels, the pictures before it are {first}")));
            }
            _ => self.size = Some(size),
        }
        frame.content = Content::Picture(luma);
        (frame.time, frame.sequence, frame.lost_before) = (self.fps.time_of(self.done as u64), self.done as u64, 0);
        self.done += 1;
        Ok(Step::Frame)
    }
}

/// Reads the luma of one picture file.
fn load(path: &Path, luma: &mut Luma) -> Result<(), CaptureError> {
    let malformed = |why: String| CaptureError::Malformed { what: path.display().to_string(), why };
    let bytes = std::fs::read(path)
        .map_err(|e| CaptureError::Broken { what: path.display().to_string(), why: e.to_string() })?;
    if kind(path) == Some("pgm") {
        *luma = pgm::decode(&bytes).map_err(malformed)?;
        return Ok(());
    }
    let mut reader = image::ImageReader::new(std::io::Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|e| malformed(e.to_string()))?;
    let mut limits = image::Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    reader.limits(limits);
    to_luma(&reader.decode().map_err(|e| malformed(e.to_string()))?, luma);
    Ok(())
}

/// Grey pictures as they are, colour by BT.601; transparency is ignored.
fn to_luma(picture: &DynamicImage, luma: &mut Luma) {
    luma.resize(picture.width(), picture.height());
    let out = luma.pixels_mut();
    match picture {
        DynamicImage::ImageLuma8(grey) => out.iter_mut().zip(grey.as_raw()).for_each(|(to, &y)| *to = y),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
            out.iter_mut().zip(picture.to_luma8().as_raw()).for_each(|(to, &y)| *to = y);
        }
        _ => {
            let rgb = picture.to_rgb8();
            for (to, pixel) in out.iter_mut().zip(rgb.pixels()) {
                let [r, g, b] = pixel.0;
                *to = bt601(r, g, b);
            }
        }
    }
}

/// The kind of a picture by its extension; `None` for hidden files and everything that is no picture.
fn kind(path: &Path) -> Option<&'static str> {
    if name(path).starts_with('.') {
        return None;
    }
    let extension = path.extension()?.to_str()?;
    ["png", "jpg", "jpeg", "pgm"].into_iter().find(|k| k.eq_ignore_ascii_case(extension))
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Order in which people number files: runs of digits compare as numbers, so `img2` comes before `img10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (la, lb) = (digits(left), digits(right));
        let order = if la > 0 && lb > 0 {
            let (na, ra) = left.split_at(la);
            let (nb, rb) = right.split_at(lb);
            (left, right) = (ra, rb);
            let (na, nb) = (na.trim_start_matches('0'), nb.trim_start_matches('0'));
            na.len().cmp(&nb.len()).then_with(|| na.cmp(nb))
        } else {
            let (mut ca, mut cb) = (left.chars(), right.chars());
            match (ca.next(), cb.next()) {
                // 007 and 7 are the same number; the names still need a fixed order.
                (None, None) => return a.cmp(b),
                (x, y) => {
                    (left, right) = (ca.as_str(), cb.as_str());
                    x.cmp(&y)
                }
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Number of digits at the beginning.
fn digits(s: &str) -> usize {
    s.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::capture::testing::collect;
    use proptest::prelude::*;

    fn source(directory: &Path) -> Result<ImagesSource, CaptureError> {
        ImagesSpec { directory: directory.to_owned(), fps: Rate::new(100, 1) }.build()
    }

    #[test]
    fn pictures_of_three_kinds_come_in_natural_order() {
        let dir = tempfile::tempdir().unwrap();
        let at = |n: &str| dir.path().join(n);
        image::RgbImage::from_pixel(8, 8, image::Rgb([255, 0, 0])).save(at("img10.png")).unwrap();
        image::GrayImage::from_pixel(8, 8, image::Luma([50])).save(at("img2.png")).unwrap();
        image::GrayImage::from_pixel(8, 8, image::Luma([200])).save(at("img3.JPG")).unwrap();
        let mut pgm = b"P5 8 8 255\n".to_vec();
        pgm.extend([9; 64]);
        std::fs::write(at("img1.pgm"), &pgm).unwrap();
        std::fs::write(at(".img0.png"), "hidden").unwrap();
        std::fs::write(at("notes.txt"), "no picture").unwrap();
        std::fs::create_dir(at("img4.png")).unwrap();
        let (frames, end) = collect(&mut source(dir.path()).unwrap());
        end.unwrap();
        let values: Vec<u8> = frames
            .iter()
            .map(|f| match &f.content {
                Content::Picture(p) => p.pixels()[9],
                Content::Faces(_) => panic!("no picture"),
            })
            .collect();
        assert_eq!(values, [9, 50, 200, 77]);
        assert_eq!(frames[3].time.as_micros(), 30_000);
    }

    #[test]
    fn a_change_of_size_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        image::GrayImage::new(8, 8).save(dir.path().join("a.png")).unwrap();
        image::GrayImage::new(9, 8).save(dir.path().join("b.png")).unwrap();
        let e = collect(&mut source(dir.path()).unwrap()).1.unwrap_err().to_string();
        assert!(e.contains("b.png") && e.contains("9x8") && e.contains("8x8"), "{e}");
    }

    #[test]
    fn an_empty_or_missing_directory_and_damaged_pictures_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(source(dir.path()).unwrap_err().to_string().contains("no .png"));
        assert!(source(&dir.path().join("none")).unwrap_err().to_string().contains("none"));
        std::fs::write(dir.path().join("x.png"), [0x89, b'P', b'N', b'G', 0, 0]).unwrap();
        let e = collect(&mut source(dir.path()).unwrap()).1.unwrap_err();
        assert!(matches!(&e, CaptureError::Malformed { what, .. } if what.contains("x.png")), "{e}");
    }

    proptest! {
        #[test]
        fn natural_order_is_a_total_order(a in "[a-c0-9.]{0,6}", b in "[a-c0-9.]{0,6}", c in "[a-c0-9.]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            prop_assert_eq!(natural(&a, &b).is_eq(), a == b);
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }

        #[test]
        fn numbers_order_by_value(a in 0u32..100_000, b in 0u32..100_000) {
            prop_assert_eq!(natural(&format!("f{a}.png"), &format!("f{b}.png")), a.cmp(&b));
        }
    }
}
