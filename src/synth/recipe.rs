//! Recipes: sets of films as a TOML file, so that a set is made again from its file alone.
//!
//! ```toml
//! about = "Two drawn people at 100 frames/s"
//!
//! [[take]]
//! name = "drawn 100"
//! face = "drawn"
//! seeds = [9001, 9002]
//!
//! [take.synthetic]
//! fps = 100
//! duration = 60
//! script = { macros = 0.6, talking = 0.15 }
//! camera = { jpeg = 90 }
//! ```

use super::cast::Actor;
use super::clip::{ClipSource, FollowError, Followed};
use super::config::{Pace, Render, SyntheticConfig};
use super::film::Film;
use super::portrait::Portrait;
use crate::capture::{CaptureError, SourceSpec};
use crate::face::config::FaceConfig;
use crate::face::detector::DetectorConfig;
use crate::face::models::Store;
use crate::face::{FaceDetector, FaceError, LandmarkNet};
use crate::frame::Luma;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// A set of films.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the set is for, in a sentence.
    #[serde(default)]
    pub about: String,
    /// People for the takes whose face is `cast`; empty once the recipe has been read, because each of those takes has
    /// then become one for each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cast: Vec<Actor>,
    /// The films, several of a kind in each take.
    #[serde(rename = "take")]
    pub takes: Vec<Take>,
}

/// Films of one kind, one for each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Take {
    /// Its name in tables; takes of one name are reported together.
    pub name: String,
    /// `drawn` (the built-in face), `landmarks` (the same without pictures), `photo:FILE` (the
    /// clearest face of a photo; `#2` for the second from the left), `clip:URI` (a film of one person, as in
    /// `clip:y4m:FILE`), or in a recipe with a cast `cast` (a take for each of them). Default `drawn`.
    pub face: FaceSpec,
    /// One film for each; a seed names the script, the motion and all noise. Default `[1]`.
    pub seeds: Vec<u64>,
    /// The films' settings: those of the synthetic source. `render` and `pace` follow from the kind of face; in a clip
    /// `fps`, `duration`, size, `iod`, `faces`, `motion`, blinks and talking are the clip's own.
    pub synthetic: SyntheticConfig,
}

impl Default for Take {
    fn default() -> Self {
        Self { name: "film".into(), face: FaceSpec::Drawn, seeds: vec![1], synthetic: SyntheticConfig::default() }
    }
}

/// Whose face it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FaceSpec {
    /// Drawn by rule; the seed names the person.
    Drawn,
    /// The same as landmarks, without pictures.
    Landmarks,
    /// In a photo: the file, and which face from the left, from 1; 0 for the one that the detector is surest of.
    Photo(PathBuf, usize),
    /// In a film: its source.
    Clip(String),
    /// Each of the recipe's cast.
    Cast,
}

impl FromStr for FaceSpec {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "drawn" => Ok(Self::Drawn),
            None if text == "landmarks" => Ok(Self::Landmarks),
            None if text == "cast" => Ok(Self::Cast),
            Some(("photo", file)) if !file.is_empty() => match file.rsplit_once('#') {
                Some((file, n)) => match n.parse() {
                    Ok(n) if n >= 1 => Ok(Self::Photo(file.into(), n)),
                    _ => Err(format!("face `{text}`: `#{n}` is not the number of a face, from 1")),
                },
                None => Ok(Self::Photo(file.into(), 0)),
            },
            Some(("clip", uri)) if !uri.is_empty() => Ok(Self::Clip(uri.into())),
            _ => {
                Err(format!("face `{text}`: drawn, landmarks, photo:FILE, photo:FILE#2 or clip:URI, as clip:y4m:FILE"))
            }
        }
    }
}

impl fmt::Display for FaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn => f.write_str("drawn"),
            Self::Landmarks => f.write_str("landmarks"),
            Self::Photo(file, 0) => write!(f, "photo:{}", file.display()),
            Self::Photo(file, n) => write!(f, "photo:{}#{n}", file.display()),
            Self::Clip(uri) => write!(f, "clip:{uri}"),
            Self::Cast => f.write_str("cast"),
        }
    }
}

impl TryFrom<String> for FaceSpec {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FaceSpec> for String {
    fn from(face: FaceSpec) -> Self {
        face.to_string()
    }
}

impl FaceSpec {
    /// Whether finding or following the face takes the face networks.
    pub const fn needs_networks(&self) -> bool {
        matches!(self, Self::Photo(..) | Self::Clip(_))
    }

    /// Whether the film has pictures.
    pub const fn has_pictures(&self) -> bool {
        !matches!(self, Self::Landmarks)
    }
}

/// Why a film cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The recipe is no TOML, or has a key that is none.
    #[error("{0}")]
    Recipe(#[from] toml::de::Error),
    /// The recipe names nothing to make.
    #[error("{0}")]
    Empty(String),
    /// A setting, or a file of the take.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A photo cannot be read.
    #[error("{1}: {0}")]
    Photo(image::ImageError, PathBuf),
    /// There are fewer faces in a photo.
    #[error("{1}: {0} faces were found in this photo, and number {2} is asked for")]
    NoFace(usize, PathBuf, usize),
    /// The face stage.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// A clip.
    #[error("{1}: {0}")]
    Follow(FollowError, String),
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// With line and key where it is wrong.
    pub fn from_toml(text: &str) -> Result<Self, OpenError> {
        let mut recipe: Self = toml::from_str(text)?;
        if recipe.takes.is_empty() {
            return Err(OpenError::Empty("the recipe has no [[take]]".into()));
        }
        if let Some(t) = recipe.takes.iter().find(|t| t.seeds.is_empty()) {
            return Err(OpenError::Empty(format!("take `{}` has no seeds", t.name)));
        }
        if let Some(t) = recipe.takes.iter().find(|t| t.face == FaceSpec::Cast && recipe.cast.is_empty()) {
            return Err(OpenError::Empty(format!("take `{}` is for the cast, and the recipe has no [[cast]]", t.name)));
        }
        let cast = std::mem::take(&mut recipe.cast);
        let takes = std::mem::take(&mut recipe.takes);
        recipe.takes = takes.into_iter().flat_map(|t| super::cast::each(t, &cast)).collect();
        Ok(recipe)
    }
}

/// Width in pixels of the smallest face that is looked for in a photo.
const SMALLEST_FACE: f32 = 40.0;

/// Opens films, and remembers the photos and clips that were looked at.
#[derive(Debug)]
pub struct Opener {
    face: FaceConfig,
    folder: PathBuf,
    photos: BTreeMap<FaceSpec, Portrait>,
    clips: BTreeMap<String, Arc<Followed>>,
}

impl Opener {
    /// Faces are found with `face`; relative paths of the takes begin in `folder`.
    pub fn new(face: FaceConfig, folder: &Path) -> Self {
        Self { face, folder: folder.into(), photos: BTreeMap::new(), clips: BTreeMap::new() }
    }

    /// The film of a take with one of its seeds. `tick` is called while a clip is looked through, with its time.
    ///
    /// # Errors
    /// When a setting is out of range, a file is missing, or no face is found.
    pub fn open(&mut self, take: &Take, seed: u64, tick: &mut dyn FnMut(Timestamp)) -> Result<Film, OpenError> {
        let render = if take.face.has_pictures() { Render::Pixels } else { Render::Landmarks };
        let config = SyntheticConfig { seed, render, pace: Pace::Fast, ..take.synthetic.clone() };
        match &take.face {
            FaceSpec::Drawn | FaceSpec::Landmarks => Ok(Film::made(config.build()?, &config)?),
            FaceSpec::Photo(file, number) => {
                let config = SyntheticConfig { faces: 1, ..config };
                let portrait = match self.photos.get(&take.face) {
                    Some(known) => known.clone(),
                    None => {
                        let found = self.portrait(file, *number)?;
                        self.photos.insert(take.face.clone(), found.clone());
                        found
                    }
                };
                Ok(Film::made(config.build_with(&portrait)?, &config)?)
            }
            FaceSpec::Cast => {
                Err(OpenError::Empty("face `cast` says something in a recipe with a [[cast]] only".into()))
            }
            FaceSpec::Clip(uri) => {
                let spec = self.clip_spec(uri)?;
                let followed = match self.clips.get(uri) {
                    Some(known) => Arc::clone(known),
                    None => {
                        let mut stage = self.face.build(&Store::default(), false)?;
                        let followed = Followed::new(spec.build()?.as_mut(), &mut stage, tick);
                        let followed = Arc::new(followed.map_err(|e| OpenError::Follow(e, uri.clone()))?);
                        self.clips.insert(uri.clone(), Arc::clone(&followed));
                        followed
                    }
                };
                Ok(Film::clip(ClipSource::new(spec.build()?, followed, &config)?))
            }
        }
    }

    /// The source of a clip, its relative path taken from the folder.
    fn clip_spec(&self, uri: &str) -> Result<SourceSpec, OpenError> {
        let joined = match uri.split_once(':') {
            Some((scheme, path)) if !path.starts_with(['/', '-']) => {
                format!("{scheme}:{}", self.folder.join(path).display())
            }
            _ => uri.to_owned(),
        };
        Ok(joined.parse::<SourceSpec>()?)
    }

    /// The face number `number` from the left of a photo (0: the surest one), with the landmarks that our own networks see.
    fn portrait(&self, file: &Path, number: usize) -> Result<Portrait, OpenError> {
        let path = self.folder.join(file);
        let picture = image::open(&path).map_err(|e| OpenError::Photo(e, path.clone()))?.into_luma8();
        let (width, height) = picture.dimensions();
        let luma = Luma::from_vec(width, height, picture.into_raw())
            .ok_or_else(|| OpenError::NoFace(0, path.clone(), number))?;
        let store = Store::default();
        let mut found = Vec::new();
        // A search, because one look at the whole picture passes over small faces.
        let detector = DetectorConfig { min_face: SMALLEST_FACE, ..DetectorConfig::default() };
        detector.build(&store)?.detect(&luma, &mut found)?;
        let face = if number == 0 {
            found.iter().max_by(|a, b| a.score.total_cmp(&b.score))
        } else {
            found.sort_by(|a, b| a.roi.centre.x.total_cmp(&b.roi.centre.x));
            found.get(number - 1)
        };
        let face = face.ok_or_else(|| OpenError::NoFace(found.len(), path.clone(), number.max(1)))?;
        let mut net = self.face.landmarks.build(&store)?;
        // Twice, as in a track: the second look is where the first one says.
        let first = net.landmarks(&luma, &face.roi)?;
        let points = net.landmarks(&luma, &first.roi)?.points;
        Ok(Portrait::from_photo(&luma, &points)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::capture::{Source, Step, blank_frame};
    use std::time::Duration;

    const RECIPE: &str = r#"
        about = "test"
        [[take]]
        name = "a"
        face = "landmarks"
        seeds = [7, 8]
        synthetic = { fps = 50, duration = 4, script = { lead_ms = 500, gap_min_ms = 400, gap_max_ms = 500 } }
        [[take]]
        face = "photo:group.jpg#3"
    "#;

    #[test]
    fn a_recipe_makes_the_same_film_each_time() {
        let recipe = Recipe::from_toml(RECIPE).unwrap();
        assert_eq!(recipe.takes[1].face, FaceSpec::Photo("group.jpg".into(), 3));
        assert_eq!(Recipe::from_toml(&toml::to_string(&recipe).unwrap()).unwrap(), recipe);
        let play = |seed| {
            let mut film =
                Opener::new(FaceConfig::default(), Path::new(".")).open(&recipe.takes[0], seed, &mut |_| {}).unwrap();
            let (mut frame, mut all) = (blank_frame(), Vec::new());
            while film.next(&mut frame, Duration::ZERO).unwrap() == Step::Frame {
                all.push((frame.time, film.landmarks()[0]));
            }
            (film.events().to_vec(), all)
        };
        assert_eq!(play(7), play(7));
        assert_ne!(play(7), play(8));
        assert_eq!((play(7).1.len(), play(7).0.is_empty()), (200, false));
    }

    #[test]
    fn what_is_wrong_in_a_recipe_is_named() {
        let error = |text: &str| Recipe::from_toml(text).unwrap_err().to_string();
        assert!(error("[[take]]\nsead = [1]").contains("sead"));
        assert!(error("[[take]]\nface = \"fotoh\"").contains("photo:FILE"));
        assert!(error("[[take]]\nface = \"photo:a#0\"").contains("#0"));
        assert!(error("[[take]]\nseeds = []").contains("no seeds"));
        assert!(error("about = \"x\"").contains("take"));
        let open = |take: &Take| {
            let error =
                Opener::new(FaceConfig::default(), Path::new("no/where")).open(take, 1, &mut |_| {}).unwrap_err();
            error.to_string()
        };
        assert!(open(&Take::default()).contains("duration"));
        let clip = Take { face: "clip:y4m:a.y4m".parse().unwrap(), ..Take::default() };
        assert!(open(&Take { face: "photo:a.png".parse().unwrap(), ..Take::default() }).contains("no/where/a.png"));
        assert_eq!(clip.face.to_string(), "clip:y4m:a.y4m");
    }
}
