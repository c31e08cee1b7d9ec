//! `csv`: one row for each event, for spreadsheets and data frames.
//!
//! The columns `face_id`, `timestamp`, `confidence`, `success` and the `_r` intensities mean what they mean in the
//! tables of OpenFace 2 (Baltrušaitis et al., 2018), with the six facial components in place of action units. What
//! OpenFace writes for each frame, the landmarks, `mercam extract --out FILE.csv --columns openface` writes, with their
//! movement: no landmark reaches a sink.

use super::file::{RotatingFile, Rotation};
use super::{Sink, SinkError, describe};
use crate::event::{Detection, Event, Moment, Rejection, Stage};
use crate::geometry::Rect;
use crate::wire::{self, Envelope};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::PathBuf;

/// The columns.
const HEADER: &str = "\
seq,kind,id,face_id,timestamp,unix_time,success,confidence,class,probability,\
onset,apex,offset,duration_ms,\
right_brow_r,left_brow_r,nose_r,right_eye_r,left_eye_r,mouth_r,\
component,amplitude_iod,score,rate,iod_px,reason,probabilities,relations,model,precision,\
x,y,width,height,frames,lost,faces,rejected,dropped,waiting,temperature_c,throttled,under_voltage,device,run\n";

/// How many columns those are.
const COLUMNS: usize = 45;

/// The `csv` sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvConfig {
    /// The file, made when it is not there. Its directory must be there; a file that is there must begin with these
    /// columns. No default.
    pub path: PathBuf,
    /// Size in bytes that the file does not grow beyond: the full one is renamed to `PATH.1`, the one before to
    /// `PATH.2`, and so on; each begins with the line of column names. 0: no limit. Default 67108864 (64 MiB).
    pub max_bytes: u64,
    /// How many full files are kept; the oldest is removed. Default 3.
    pub keep: u32,
    /// Bytes that the file and the kept ones may take together; the oldest are removed. 0 (default): as many as
    /// `max_bytes` and `keep` allow.
    pub max_total_bytes: u64,
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self { path: PathBuf::new(), max_bytes: 64 << 20, keep: 3, max_total_bytes: 0 }
    }
}

impl CsvConfig {
    fn rotation(&self) -> Rotation {
        let Self { path, max_bytes, keep, max_total_bytes } = self.clone();
        Rotation { path, max_bytes, keep, max_total_bytes }
    }

    /// Checks the values alone, without touching the file.
    ///
    /// # Errors
    /// [`SinkError::Spec`] when the path is missing or the sizes contradict each other.
    pub fn validate(&self) -> Result<(), SinkError> {
        self.rotation().validate("csv", "/var/log/mercam.csv")
    }

    /// Opens the file and makes the sink.
    ///
    /// # Errors
    /// When the path is missing, the file cannot be opened for appending, or it begins with other columns.
    pub fn build(&self) -> Result<CsvSink, SinkError> {
        self.validate()?;
        let name = format!("csv:{}", self.path.display());
        let file = RotatingFile::open(&name, self.rotation(), HEADER)?;
        Ok(CsvSink { name, file, row: Row::default(), trouble: None })
    }
}

/// Appends rows to a file.
#[derive(Debug)]
pub struct CsvSink {
    name: String,
    file: RotatingFile,
    row: Row,
    trouble: Option<String>,
}

impl Sink for CsvSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        wire::check(&event.event).map_err(|why| SinkError::event(&self.name, event, why))?;
        self.row.fill(event);
        let result = self.file.append(self.row.text.as_bytes());
        self.trouble = result.as_ref().err().map(ToString::to_string);
        result
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.file.sync()
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// A row being written, cell by cell.
#[derive(Debug, Default)]
struct Row {
    text: String,
    cells: usize,
}

impl Row {
    /// Writes the row of an event.
    fn fill(&mut self, envelope: &Envelope) {
        self.text.clear();
        self.cells = 0;
        self.put(envelope.seq);
        self.put(envelope.event.kind());
        match &envelope.event {
            Event::Provisional(d) => self.detection(Stage::Provisional, d),
            Event::Confirmed(d) => self.detection(Stage::Confirmed, d),
            Event::Withdrawn(d) => self.detection(Stage::Withdrawn, d),
            Event::FaceAppeared { face, at, bounds, .. } => {
                self.face(face.0, at);
                self.skip_to("x");
                let Rect { x, y, width, height } = bounds;
                [x, y, width, height].into_iter().for_each(|v| self.put(v));
            }
            Event::FaceLeft { face, at } => self.face(face.0, at),
            Event::Status(s) => {
                self.skip_to("rate");
                self.put(s.rate);
                self.skip_to("frames");
                self.put(s.frames);
                self.put(s.lost);
                self.put(s.faces);
                self.put(pairs(s.rejected.iter().map(|(r, n)| (r.name(), n))));
                self.put(pairs(s.dropped.iter().map(|(c, n)| (c.as_str(), n))));
                self.put(pairs(s.waiting.iter().map(|(c, n)| (c.as_str(), n))));
                self.put(s.temperature_c.map_or(String::new(), |t| t.to_string()));
                self.put(flag(s.throttled));
                self.put(flag(s.under_voltage));
            }
        }
        self.skip_to("device");
        self.put(&envelope.device);
        self.put(envelope.run);
        self.text.push('\n');
    }

    fn face(&mut self, face: u32, at: &Moment) {
        self.empty();
        self.put(face);
        self.moment(at);
    }

    /// `timestamp` and `unix_time`.
    fn moment(&mut self, at: &Moment) {
        self.seconds(at);
        match at.unix_us {
            Some(us) => self.put(format_args!("{}.{:06}", us.div_euclid(1_000_000), us.rem_euclid(1_000_000))),
            None => self.empty(),
        }
    }

    fn seconds(&mut self, at: &Moment) {
        self.put(format_args!("{:.6}", at.us.as_secs()));
    }

    fn detection(&mut self, stage: Stage, d: &Detection) {
        self.put(d.id);
        self.put(d.face.0);
        self.moment(&d.apex);
        self.put(u8::from(stage == Stage::Confirmed));
        self.put(d.quality);
        self.put(&d.class);
        self.put(describe::certainty(d));
        self.seconds(&d.onset);
        self.seconds(&d.apex);
        match &d.offset {
            Some(o) => {
                self.seconds(o);
                self.put(format_args!("{:.3}", o.us.ms_since(d.onset.us)));
            }
            None => self.skip_to("right_brow_r"),
        }
        for column in HEADER.split(',').filter_map(|c| c.strip_suffix("_r")) {
            match d.actions.iter().find(|(c, _)| c.name() == column) {
                Some((_, strength)) => self.put(strength),
                None => self.empty(),
            }
        }
        self.put(d.component.name());
        [d.amplitude, d.score, d.rate, d.iod].iter().for_each(|v| self.put(v));
        self.put(d.reason.map_or("", Rejection::name));
        self.put(pairs(d.probabilities.iter().map(|(c, p)| (c.as_str(), p))));
        let relations = d.relations.iter().map(|r| (format!("{}>{}", r.from.name(), r.to.name()), r.weight));
        self.put(pairs(relations));
        self.put(&d.model.id);
        self.put(&d.model.precision);
    }

    fn empty(&mut self) {
        self.put("");
    }

    /// Leaves cells empty up to a column.
    fn skip_to(&mut self, column: &str) {
        let at = HEADER.trim_end().split(',').position(|c| c == column).unwrap_or(COLUMNS);
        while self.cells < at {
            self.empty();
        }
    }

    /// Writes the next cell, in quotes where RFC 4180 asks for them. Line ends become spaces: a row is a line.
    fn put(&mut self, value: impl Display) {
        if self.cells > 0 {
            self.text.push(',');
        }
        self.cells += 1;
        let value = value.to_string();
        if value.contains([',', '"', '\n', '\r']) {
            self.text.push('"');
            self.text.push_str(&value.replace('"', "\"\"").replace(['\n', '\r'], " "));
            self.text.push('"');
        } else {
            self.text.push_str(&value);
        }
    }
}

/// 1, 0, or nothing when it is not known.
const fn flag(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "1",
        Some(false) => "0",
        None => "",
    }
}

/// `name=value` pairs with a space between them. Spaces and equals signs in a name become underscores.
fn pairs<N: AsRef<str>, V: Display>(of: impl Iterator<Item = (N, V)>) -> String {
    let text = of.map(|(n, v)| format!("{}={v}", n.as_ref().replace([' ', '='], "_")));
    text.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::Component;

    #[test]
    fn the_header_names_every_cell() {
        assert_eq!(HEADER.trim_end().split(',').count(), COLUMNS);
        let components: Vec<_> = HEADER.split(',').filter_map(|c| c.strip_suffix("_r")).collect();
        assert_eq!(components, Component::ALL.map(Component::name));
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut row = Row::default();
        ["plain", "a,b", "say \"x\"", "two\nlines"].into_iter().for_each(|v| row.put(v));
        assert_eq!(row.text, "plain,\"a,b\",\"say \"\"x\"\"\",\"two lines\"");
        assert_eq!(pairs([("a b=c", 1)].into_iter()), "a_b_c=1");
    }
}
