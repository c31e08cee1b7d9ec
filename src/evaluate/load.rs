//! Truth and detections from files, brought together clip by clip.

use super::detections::{self, EventsError};
use super::megc::{self, Row, SheetError};
use super::truth::{self, TruthError};
use super::{Clip, Expression, Found};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// How frame numbers of an annotation sheet become time, and which rows are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetWish {
    /// Frames per second, in place of the one of the dataset.
    pub fps: Option<f64>,
    /// Number of the frame that is at 0 s.
    pub first_frame: i64,
    /// Only this video: `VIDEO` or `SUBJECT_VIDEO`.
    pub video: Option<String>,
    /// Length of each video in seconds, where it is known; else its last event counts as its end.
    pub seconds: Option<f64>,
}

impl Default for SheetWish {
    fn default() -> Self {
        Self { fps: None, first_frame: 1, video: None, seconds: None }
    }
}

/// Why files cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is not there or cannot be read.
    #[error("{1}: {0}")]
    Missing(std::io::Error, PathBuf),
    /// A truth file is none.
    #[error("{1}: {0}")]
    Truth(TruthError, PathBuf),
    /// An annotation sheet is none.
    #[error("{1}: {0}")]
    Sheet(SheetError, PathBuf),
    /// A file of events is none.
    #[error("{1}: {0}")]
    Events(EventsError, PathBuf),
    /// The call cannot be carried out.
    #[error("{0}")]
    Call(String),
}

/// Whether a file is an annotation sheet.
fn is_sheet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv") || e.eq_ignore_ascii_case("tsv"))
}

fn text(path: &Path) -> Result<String, LoadError> {
    let bytes = std::fs::read(path).map_err(|e| LoadError::Missing(e, path.to_owned()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sheet(path: &Path, wish: &SheetWish) -> Result<(Vec<Row>, f64), LoadError> {
    let sheet = megc::parse(&text(path)?).map_err(|e| LoadError::Sheet(e, path.to_owned()))?;
    for why in &sheet.left_out {
        log::warn!("left out, {why}: {}", path.display());
    }
    let fps = wish.fps.or(sheet.fps).filter(|f| (1.0..=10_000.0).contains(f)).ok_or_else(|| {
        LoadError::Call(format!("{}: frames per second of this sheet are not known; say --fps N", path.display()))
    })?;
    let meant = |r: &Row| wish.video.as_ref().is_none_or(|v| *v == r.video || *v == r.clip());
    let rows: Vec<Row> = sheet.rows.into_iter().filter(meant).collect();
    if rows.is_empty() {
        let video = wish.video.as_deref().unwrap_or_default();
        return Err(LoadError::Call(format!("no row of video {video}: {}", path.display())));
    }
    Ok((rows, fps))
}

/// The clips of a truth file (one) or of an annotation sheet (one for each video), without detections.
///
/// # Errors
/// When the file is not there or is neither.
pub fn truth(path: &Path, wish: &SheetWish) -> Result<Vec<Clip>, LoadError> {
    if !is_sheet(path) {
        let mut clip = truth::parse(&text(path)?).map_err(|e| LoadError::Truth(e, path.to_owned()))?;
        if clip.name.is_empty() {
            clip.name = stem(path);
        }
        return Ok(vec![clip]);
    }
    let (rows, fps) = sheet(path, wish)?;
    let mut clips: BTreeMap<String, Clip> = BTreeMap::new();
    for row in rows {
        let clip = clips.entry(row.clip()).or_default();
        (clip.name, clip.fps) = (row.clip(), Some(fps));
        clip.truth.extend(row.truth(fps, wish.first_frame));
    }
    let mut clips: Vec<Clip> = clips.into_values().collect();
    for clip in &mut clips {
        clip.truth.sort_by_key(|t| (t.span.onset(), t.span.offset()));
        clip.seconds = wish.seconds.unwrap_or(clip.last_seconds());
    }
    Ok(clips)
}

/// The name of a file without its folder and endings: `a` for `x/a.truth.json`.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_string()
}

fn events(path: &Path, clip: &mut Clip) -> Result<(), LoadError> {
    let file = File::open(path).map_err(|e| LoadError::Missing(e, path.to_owned()))?;
    let recorded = detections::read(BufReader::new(file)).map_err(|e| LoadError::Events(e, path.to_owned()))?;
    (clip.found, clip.rejected) = (recorded.found, recorded.rejected);
    clip.seconds = clip.seconds.max(clip.last_seconds());
    Ok(())
}

/// Gives clips their detections out of `path`: a file of events (for one clip), a folder with a file of events for each
/// clip (`CLIP.jsonl`), or a table of intervals like an annotation sheet (another spotter's).
///
/// A file in the folder that belongs to no clip is a clip without annotated expressions.
///
/// # Errors
/// When a file is missing or cannot be read, or one file of events meets several clips.
pub fn detections(path: &Path, clips: &mut Vec<Clip>, wish: &SheetWish) -> Result<(), LoadError> {
    if path.is_dir() {
        return folder(path, clips);
    }
    if is_sheet(path) {
        let (rows, fps) = sheet(path, wish)?;
        for row in rows {
            let name = row.clip();
            let Some(clip) = clips.iter_mut().find(|c| c.name == name) else {
                return Err(LoadError::Call(format!("the truth has no video {name}: {}", path.display())));
            };
            clip.found.extend(found(&row, fps, wish.first_frame));
        }
        for clip in clips {
            clip.seconds = clip.seconds.max(clip.last_seconds());
        }
        return Ok(());
    }
    match &mut clips[..] {
        [clip] => events(path, clip),
        _ => Err(LoadError::Call(format!(
            "the truth has {} videos and there is one file of detections; choose one with --video, or give a folder \
             with one file VIDEO.jsonl for each: {}",
            clips.len(),
            path.display()
        ))),
    }
}

/// The row of another spotter's table as a detection.
fn found(row: &Row, fps: f64, first: i64) -> Option<Found> {
    let truth = row.truth(fps, first)?;
    Some(Found {
        expression: if row.micro { Expression::Micro } else { Expression::Macro },
        span: truth.span,
        apex: truth.apex,
        class: truth.class.unwrap_or_default(),
        score: 0.0,
        component: None,
        told: None::<Timestamp>,
    })
}

fn folder(path: &Path, clips: &mut Vec<Clip>) -> Result<(), LoadError> {
    let missing = |e| LoadError::Missing(e, path.to_owned());
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(path).map_err(missing)? {
        let file = entry.map_err(missing)?.path();
        if file.extension().is_some_and(|e| e == "jsonl") {
            files.insert(file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), file);
        }
    }
    for clip in clips.iter_mut() {
        let file = files.remove(&clip.name).ok_or_else(|| {
            LoadError::Call(format!("{} has no {}.jsonl, and the truth has that video", path.display(), clip.name))
        })?;
        events(&file, clip)?;
    }
    for (name, file) in files {
        log::info!("the truth has no video {name}: taken as one without expressions");
        let mut clip = Clip { name, ..Clip::default() };
        events(&file, &mut clip)?;
        clips.push(clip);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::evaluate::Report;

    const SHEET: &str = "Subject,Filename,Onset,Apex,Offset,Expression type,emotion\n\
        1,a,31,37,46,Micro-expression,happy\n1,a,301,330,391,Macro-expression,happy\n2,b,61,67,76,Micro-expression,fear\n";

    #[test]
    fn a_sheet_against_a_table_of_another_spotter() {
        let dir = tempfile::tempdir().unwrap();
        let (sheet, table) = (dir.path().join("t.csv"), dir.path().join("p.csv"));
        std::fs::write(&sheet, SHEET).unwrap();
        std::fs::write(
            &table,
            "subject,video,type_idx,startFrame,endFrame\n1,a,2,31,45\n1,a,1,310,391\n2,b,2,400,410\n",
        )
        .unwrap();
        let mut clips = truth(&sheet, &SheetWish::default()).unwrap();
        assert_eq!(clips.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["1_a", "2_b"]);
        let wish = SheetWish { fps: Some(30.0), ..SheetWish::default() };
        detections(&table, &mut clips, &wish).unwrap();
        let r = Report::new(&clips, 0.5);
        assert_eq!((r.micro.truth, r.micro.found, r.micro.right), (2, 2, 1));
        assert_eq!((r.long.truth, r.long.found, r.long.right), (1, 1, 1));
        assert!(detections(&table, &mut clips, &SheetWish::default()).unwrap_err().to_string().contains("--fps"));
    }

    #[test]
    fn a_folder_needs_a_file_for_every_video_and_may_have_more() {
        let dir = tempfile::tempdir().unwrap();
        let sheet = dir.path().join("t.csv");
        std::fs::write(&sheet, SHEET).unwrap();
        let mut clips = truth(&sheet, &SheetWish::default()).unwrap();
        let e = detections(dir.path(), &mut clips.clone(), &SheetWish::default()).unwrap_err().to_string();
        assert!(e.contains("1_a.jsonl"), "{e}");
        for name in ["1_a", "2_b", "quiet"] {
            std::fs::write(dir.path().join(format!("{name}.jsonl")), "").unwrap();
        }
        detections(dir.path(), &mut clips, &SheetWish::default()).unwrap();
        assert_eq!(clips.len(), 3);
        let one = SheetWish { video: Some("2_b".into()), ..SheetWish::default() };
        assert_eq!(truth(&sheet, &one).unwrap().len(), 1);
        let none = SheetWish { video: Some("c".into()), ..SheetWish::default() };
        assert!(truth(&sheet, &none).unwrap_err().to_string().contains("video c"));
    }

    #[test]
    fn one_file_for_several_videos_and_missing_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (sheet, one) = (dir.path().join("t.csv"), dir.path().join("e.jsonl"));
        std::fs::write(&sheet, SHEET).unwrap();
        std::fs::write(&one, "").unwrap();
        let mut clips = truth(&sheet, &SheetWish::default()).unwrap();
        assert!(detections(&one, &mut clips, &SheetWish::default()).unwrap_err().to_string().contains("--video"));
        let e = truth(&dir.path().join("no.json"), &SheetWish::default()).unwrap_err();
        assert!(matches!(e, LoadError::Missing(..)) && e.to_string().contains("no.json"));
    }
}
