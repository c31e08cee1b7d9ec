//! The annotation sheets of the long-video datasets, saved as CSV: CAS(ME)^2, SAMM Long Videos, CAS(ME)^3, and the
//! derived tables of the spotting literature (onset and offset frames per subject and video).
//!
//! Columns are known by their names, wherever they stand; text above the header (SAMM) is passed over. The sheet of
//! CAS(ME)^2 has no header: its nine columns are subject, video, onset, apex, offset, action units, emotion, type,
//! self-report. Separators are commas, semicolons or tabs. Known quirks follow the MEGC: an offset of 0 means the apex;
//! SAMM's rows with onset 0 are left out; an apex of 0 or -1, or `/`, is unknown.

use super::recognition::class_of_emotion;
use super::{Span, Truth, TruthKind};
use crate::time::Timestamp;

/// One row of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Subject as written; empty where the sheet has none.
    pub subject: String,
    /// Video as written; for SAMM the first two parts of the file name.
    pub video: String,
    /// Onset frame.
    pub onset: i64,
    /// Apex frame, where it is known.
    pub apex: Option<i64>,
    /// Offset frame.
    pub offset: i64,
    /// Micro-expression; else a longer one.
    pub micro: bool,
    /// Class of the three-class protocol, where the sheet names an emotion that has one.
    pub class: Option<&'static str>,
}

/// A sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Usable rows.
    pub rows: Vec<Row>,
    /// Rows that were left out, by line, and why.
    pub left_out: Vec<String>,
    /// Frames per second of the dataset, where the layout tells.
    pub fps: Option<f64>,
}

/// Why a sheet cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// No header was found, and it is not the sheet of CAS(ME)^2 either.
    #[error(
        "no header with onset and offset columns in the first {0} lines, and not the nine columns of CAS(ME)^2 either; \
         save the dataset's annotation sheet as CSV"
    )]
    NoHeader(usize),
    /// A quotation mark is never closed.
    #[error("line {0}: a quotation mark is not closed")]
    Quote(usize),
    /// Nothing usable is left.
    #[error("no usable row ({0} left out{1})")]
    Empty(usize, String),
}

/// How far down a header is looked for.
const HEADER_LINES: usize = 24;

/// Where the columns stand.
#[derive(Debug, Default, Clone, Copy)]
struct Columns {
    subject: Option<usize>,
    video: Option<usize>,
    onset: usize,
    apex: Option<usize>,
    offset: usize,
    kind: Option<usize>,
    emotion: Option<usize>,
    samm: bool,
    casme3: bool,
}

impl Columns {
    const CASME2_SQUARED: Self = Self {
        subject: Some(0),
        video: Some(1),
        onset: 2,
        apex: Some(3),
        offset: 4,
        kind: Some(7),
        emotion: Some(6),
        samm: false,
        casme3: false,
    };

    fn of_header(cells: &[String]) -> Option<Self> {
        let names: Vec<String> = cells
            .iter()
            .map(|c| c.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
            .collect();
        let find = |known: &[&str]| known.iter().find_map(|k| names.iter().position(|n| n == k));
        Some(Self {
            subject: find(&["subject", "sub", "subjectid"]),
            video: find(&["filename", "video", "videoname", "videoclip", "clip", "foldname"]),
            onset: find(&["onset", "onsetframe", "onsetf", "startframe", "start"])?,
            apex: find(&["apex", "apexframe", "apexf", "apexf1"]),
            offset: find(&["offset", "offsetframe", "offsetf", "endframe", "end"])?,
            kind: find(&["type", "expressiontype", "typeidx", "micro"]),
            emotion: find(&["estimatedemotion", "emotion", "label", "class"]),
            samm: names.iter().any(|n| n == "inducementcode"),
            casme3: names.iter().any(|n| n == "expressiontype"),
        })
    }
}

/// A line of cells with its number, from 1.
type Line = (usize, Vec<String>);

/// Splits text into lines of cells.
fn cells(text: &str, separator: char) -> Result<Vec<Line>, SheetError> {
    let mut lines = Vec::new();
    let (mut line, mut start, mut now) = (Vec::new(), 1, 1);
    let (mut cell, mut quoted) = (String::new(), None);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        now += usize::from(c == '\n');
        match (c, quoted) {
            ('"', Some(_)) if rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            ('"', Some(_)) => quoted = None,
            ('"', None) if cell.trim().is_empty() => quoted = Some(now),
            (c, None) if c == separator => line.push(std::mem::take(&mut cell)),
            ('\n', None) => {
                line.push(std::mem::take(&mut cell));
                lines.push((start, std::mem::take(&mut line)));
                start = now;
            }
            (c, _) => cell.push(c),
        }
    }
    if let Some(at) = quoted {
        return Err(SheetError::Quote(at));
    }
    line.push(cell);
    lines.push((start, line));
    for (_, line) in &mut lines {
        line.iter_mut().for_each(|c| *c = c.trim().to_string());
    }
    lines.retain(|(_, l)| l.iter().any(|c| !c.is_empty()));
    Ok(lines)
}

/// A frame number; spreadsheets write whole numbers as `5562.0`, too.
fn frame(cell: Option<&String>) -> Option<i64> {
    let value: f64 = cell?.parse().ok()?;
    (value.is_finite() && value.abs() < 1e12).then_some(value.round() as i64)
}

/// The video of a SAMM file name: `006_1_2` is event 2 of video `006_1`.
fn samm_video(name: &str) -> String {
    name.split('_').take(2).collect::<Vec<_>>().join("_")
}

/// Reads a sheet.
///
/// # Errors
/// When no columns can be told, or no row is left.
pub fn parse(text: &str) -> Result<Sheet, SheetError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut unclosed = None;
    for separator in [',', ';', '\t'] {
        match cells(text, separator) {
            Ok(lines) => {
                let top = lines.iter().take(HEADER_LINES).enumerate();
                if let Some((h, columns)) = top.filter_map(|(h, (_, c))| Some((h, Columns::of_header(c)?))).next() {
                    return sheet(columns, lines.get(h + 1..).unwrap_or(&[]), false);
                }
                let nine = |c: &[String]| c.len() >= 8 && (2..5).all(|i| frame(c.get(i)).is_some());
                if lines.first().is_some_and(|(_, c)| nine(c)) {
                    return sheet(Columns::CASME2_SQUARED, &lines, true);
                }
            }
            Err(e) => unclosed = Some(e),
        }
    }
    Err(unclosed.unwrap_or(SheetError::NoHeader(HEADER_LINES)))
}

fn sheet(columns: Columns, rows: &[Line], bare: bool) -> Result<Sheet, SheetError> {
    let mut sheet = Sheet {
        rows: Vec::with_capacity(rows.len()),
        left_out: Vec::new(),
        fps: if columns.samm { Some(200.0) } else { (bare || columns.casme3).then_some(30.0) },
    };
    for (line, cells) in rows {
        match row(cells, &columns) {
            Ok(row) => sheet.rows.push(row),
            Err(why) => sheet.left_out.push(format!("line {line}: {why}")),
        }
    }
    if sheet.rows.is_empty() {
        let first = sheet.left_out.first().map_or(String::new(), |why| format!("; {why}"));
        return Err(SheetError::Empty(sheet.left_out.len(), first));
    }
    Ok(sheet)
}

fn row(cells: &[String], c: &Columns) -> Result<Row, String> {
    let text = |i: Option<usize>| i.and_then(|i| cells.get(i)).map_or("", String::as_str);
    let onset = frame(cells.get(c.onset)).ok_or_else(|| format!("onset `{}` is no number", text(Some(c.onset))))?;
    let apex = c.apex.and_then(|a| frame(cells.get(a))).filter(|a| *a > 0);
    if c.samm && onset <= 0 {
        return Err("the onset is not in the video".into());
    }
    let offset = frame(cells.get(c.offset)).filter(|o| *o > 0).or(apex);
    let offset =
        offset.ok_or_else(|| format!("offset `{}` is no frame, and no apex is given", text(Some(c.offset))))?;
    if offset < onset {
        return Err(format!("offset {offset} is before onset {onset}"));
    }
    let kind = text(c.kind).to_ascii_lowercase();
    let micro = match kind.as_str() {
        "" => true,
        k if k.contains("micro") => true,
        k if k.contains("macro") => false,
        "1" => false,
        "2" => true,
        other => return Err(format!("type `{other}` is neither micro (2) nor macro (1)")),
    };
    let video = text(c.video);
    Ok(Row {
        subject: text(c.subject).to_string(),
        video: if c.samm { samm_video(video) } else { video.to_string() },
        onset,
        apex: apex.filter(|a| (onset..=offset).contains(a)),
        offset,
        micro,
        class: class_of_emotion(text(c.emotion)),
    })
}

impl Row {
    /// The event, in the time of a video whose frame number `first` is at 0 s.
    pub fn truth(&self, fps: f64, first: i64) -> Option<Truth> {
        let at = |frame: i64| Timestamp::from_secs(frame.saturating_sub(first) as f64 / fps);
        Some(Truth {
            kind: if self.micro { TruthKind::Micro } else { TruthKind::Macro },
            span: Span::new(at(self.onset), at(self.offset))?,
            apex: self.apex.map(at),
            class: self.class.map(str::to_owned),
            peak_px: None,
        })
    }

    /// `SUBJECT_VIDEO`, or the video alone where it begins with its subject or there is none.
    pub fn clip(&self) -> String {
        if self.subject.is_empty() || self.video.starts_with(&self.subject) {
            self.video.clone()
        } else {
            format!("{}_{}", self.subject, self.video)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_headless_sheet_of_casme_squared() {
        let text = "1,anger1_1,557,572,580,4+7,negative,macro-expression,anger\n\
                    1,disgust2_3,245,252,0,\"4,7\",disgust,micro-expression,disgust\n\
                    2,happy1_1,100,0,0,12,happiness,micro-expression,happy\n";
        let sheet = parse(text).unwrap();
        assert_eq!((sheet.rows.len(), sheet.fps), (2, Some(30.0)));
        let macro_ = &sheet.rows[0];
        assert_eq!((macro_.clip().as_str(), macro_.onset, macro_.micro), ("1_anger1_1", 557, false));
        let micro = &sheet.rows[1];
        assert_eq!((micro.offset, micro.micro, micro.class), (252, true, Some("negative")));
        assert!(sheet.left_out[0].starts_with("line 3"), "{:?}", sheet.left_out);
        let t = micro.truth(30.0, 1).unwrap();
        assert_eq!(t.span.onset(), Timestamp::from_secs(244.0 / 30.0));
    }

    #[test]
    fn samm_has_text_above_its_header_and_events_named_after_videos() {
        let text = "SAMM Long Videos;;;;;;;;;\nThis sheet gives ...;;;;;;;;;\n\n\
                    Subject;Filename;Inducement Code;Onset;Apex;Offset;Duration;Type;Action Units;Notes\n\
                    006;006_1_2;1;562;-1;600;39;Micro - 1/2;R12;\n\
                    006;006_1_3;1;0;10;60;61;Macro;4;\n\
                    007;007_6_1;6;2647;2700;2900;254;Macro;4;\n";
        let sheet = parse(text).unwrap();
        assert_eq!((sheet.fps, sheet.rows.len(), sheet.left_out.len()), (Some(200.0), 2, 1));
        let r = &sheet.rows[0];
        assert_eq!((r.video.as_str(), r.clip().as_str(), r.apex, r.micro), ("006_1", "006_1", None, true));
        assert!(!sheet.rows[1].micro && sheet.left_out[0].contains("line 6"));
    }

    #[test]
    fn casme_cubed_and_the_derived_tables() {
        let text = "Subject,Filename,Onset,Apex,Offset,AU,Objective class,Expression type,emotion\n\
                    spNO.1,a,100,103,115,4,VII,Micro-expression,surprise\n\
                    spNO.1,b,749,2647,700,4,VII,Micro-expression,others\n";
        let sheet = parse(text).unwrap();
        assert_eq!((sheet.fps, sheet.rows.len()), (Some(30.0), 1));
        assert_eq!((sheet.rows[0].clip().as_str(), sheet.rows[0].class), ("spNO.1_a", Some("surprise")));
        assert!(sheet.left_out[0].contains("before onset"));
        let derived = "subject,video,type_idx,startFrame,endFrame,frame_num,length\ns15,s15_0101,2,10,22,3000,12\n\
                       s15,s15_0101,1,100.0,160.0,3000,60\n";
        let sheet = parse(derived).unwrap();
        assert_eq!((sheet.fps, sheet.rows[0].micro, sheet.rows[1].micro), (None, true, false));
        assert_eq!((sheet.rows[1].onset, sheet.rows[0].clip().as_str()), (100, "s15_0101"));
    }

    #[test]
    fn what_is_no_sheet_is_refused_with_the_reason() {
        assert_eq!(parse("a,b\n1,2\n"), Err(SheetError::NoHeader(HEADER_LINES)));
        assert_eq!(parse("onset,offset\n\"1,2\n"), Err(SheetError::Quote(2)));
        let e = parse("onset,offset\nx,2\n").unwrap_err().to_string();
        assert!(e.contains("line 2") && e.contains("`x`"), "{e}");
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(onset|offset|apex|[0-9,;\"\t\n.eE+-]|\\PC){0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn cells_come_back_whatever_is_in_them(a in "[^\r]{0,20}", b in 1i64..1000) {
            let text = format!("filename,onset,offset\n\"{}\",{b},{}\n", a.replace('"', "\"\""), b + 5);
            let sheet = parse(&text).unwrap();
            prop_assert_eq!(sheet.rows[0].video.as_str(), a.trim());
            prop_assert_eq!(sheet.rows[0].onset, b);
        }
    }
}
