//! What the host has, for other programs: JSON lines, CSV, and SQL that `sqlite3` and PostgreSQL read.

use crate::event::{Detection, Event};
use crate::wire::Envelope;
use std::io::{self, Write};

/// In what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// The stored lines.
    Jsonl,
    /// One row for each event, with a head line.
    Csv,
    /// A table `event`, and a row for each event; running it again adds only what is new.
    Sql,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this device.
    pub device: Option<String>,
    /// Only of these kinds, as `kind` says on the wire; empty: all.
    pub kinds: Vec<String>,
}

impl Filter {
    fn takes(&self, e: &Envelope) -> bool {
        self.device.as_ref().is_none_or(|d| *d == e.device)
            && (self.kinds.is_empty() || self.kinds.iter().any(|k| k == e.event.kind()))
    }
}

const COLUMNS: [&str; 20] = [
    "device",
    "run",
    "seq",
    "kind",
    "id",
    "face",
    "onset_us",
    "apex_us",
    "offset_us",
    "onset_unix_us",
    "class",
    "probability",
    "component",
    "amplitude",
    "score",
    "rate",
    "quality",
    "iod",
    "reason",
    "model",
];

const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS event (
  device TEXT NOT NULL, run TEXT NOT NULL, seq BIGINT NOT NULL, kind TEXT NOT NULL, id BIGINT, face BIGINT,
  onset_us BIGINT, apex_us BIGINT, offset_us BIGINT, onset_unix_us BIGINT, class TEXT, probability REAL, component TEXT,
  amplitude REAL, score REAL, rate REAL, quality REAL, iod REAL, reason TEXT, model TEXT,
  PRIMARY KEY (device, run, seq));
";

/// A cell of a row.
enum Cell {
    Nothing,
    Number(String),
    Text(String),
}

fn number<N: ToString>(n: &N) -> Cell {
    Cell::Number(n.to_string())
}

fn row(e: &Envelope) -> Vec<Cell> {
    let mut cells = vec![
        Cell::Text(e.device.clone()),
        Cell::Text(e.run.to_string()),
        number(&e.seq),
        Cell::Text(e.event.kind().into()),
    ];
    match &e.event {
        Event::Provisional(d) | Event::Confirmed(d) | Event::Withdrawn(d) => cells.extend(detection(d)),
        Event::FaceAppeared { face, at, .. } | Event::FaceLeft { face, at } => {
            let unix = at.unix_us.as_ref().map_or(Cell::Nothing, number);
            cells.extend([
                Cell::Nothing,
                number(&face.0),
                number(&at.us.as_micros()),
                Cell::Nothing,
                Cell::Nothing,
                unix,
            ]);
        }
        Event::Status(_) => {}
    }
    cells.resize_with(COLUMNS.len(), || Cell::Nothing);
    cells
}

fn detection(d: &Detection) -> [Cell; 16] {
    let probability = d.probabilities.iter().find(|(c, _)| *c == d.class).map_or(Cell::Nothing, |(_, p)| number(p));
    let reason = serde_json::to_value(d.reason).ok().and_then(|v| v.as_str().map(str::to_owned));
    [
        number(&d.id),
        number(&d.face.0),
        number(&d.onset.us.as_micros()),
        number(&d.apex.us.as_micros()),
        d.offset.map_or(Cell::Nothing, |o| number(&o.us.as_micros())),
        d.onset.unix_us.as_ref().map_or(Cell::Nothing, number),
        Cell::Text(d.class.clone()),
        probability,
        Cell::Text(d.component.name().into()),
        number(&d.amplitude),
        number(&d.score),
        number(&d.rate),
        number(&d.quality),
        number(&d.iod),
        reason.map_or(Cell::Nothing, Cell::Text),
        Cell::Text(d.model.id.clone()),
    ]
}

fn csv(cell: &Cell) -> String {
    match cell {
        Cell::Nothing => String::new(),
        Cell::Number(n) => n.clone(),
        Cell::Text(t) => {
            // A spreadsheet takes a cell that begins like this for a formula.
            let guard = if t.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
            let t = format!("{guard}{t}");
            if t.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", t.replace('"', "\"\"")) } else { t }
        }
    }
}

fn sql(cell: &Cell) -> String {
    match cell {
        Cell::Nothing => "NULL".into(),
        Cell::Number(n) => n.clone(),
        // A zero byte would end the text for C programs.
        Cell::Text(t) => format!("'{}'", t.replace('\0', "").replace('\'', "''")),
    }
}

/// Writes events one after the other in a form.
pub struct Exporter<'a, W> {
    format: ExportFormat,
    filter: &'a Filter,
    out: W,
}

impl<'a, W: Write> Exporter<'a, W> {
    /// Begins: writes what comes before the first event.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(format: ExportFormat, filter: &'a Filter, mut out: W) -> io::Result<Self> {
        match format {
            ExportFormat::Jsonl => {}
            ExportFormat::Csv => writeln!(out, "{}", COLUMNS.join(","))?,
            ExportFormat::Sql => out.write_all(TABLE.as_bytes())?,
        }
        Ok(Self { format, filter, out })
    }

    /// Writes events, in SQL as one transaction, and makes them leave.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&mut self, events: &[(Vec<u8>, Envelope)]) -> io::Result<()> {
        if self.format == ExportFormat::Sql {
            self.out.write_all(b"BEGIN;\n")?;
        }
        for (line, envelope) in events.iter().filter(|(_, e)| self.filter.takes(e)) {
            let cells = |write: fn(&Cell) -> String| row(envelope).iter().map(write).collect::<Vec<_>>().join(",");
            match self.format {
                ExportFormat::Jsonl => self.out.write_all(line).and_then(|()| self.out.write_all(b"\n"))?,
                ExportFormat::Csv => writeln!(self.out, "{}", cells(csv))?,
                ExportFormat::Sql => {
                    writeln!(self.out, "INSERT INTO event VALUES ({}) ON CONFLICT DO NOTHING;", cells(sql))?;
                }
            }
        }
        if self.format == ExportFormat::Sql {
            self.out.write_all(b"COMMIT;\n")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cells_cannot_break_out() {
        let text = |t: &str| Cell::Text(t.into());
        assert_eq!(csv(&text("a,\"b\"\n")), "\"a,\"\"b\"\"\n\"");
        assert_eq!(csv(&text("=cmd()")), "'=cmd()");
        assert_eq!(sql(&text("x'); DROP TABLE event; --\0")), "'x''); DROP TABLE event; --'");
        assert_eq!((csv(&Cell::Nothing), sql(&Cell::Nothing)), (String::new(), "NULL".to_owned()));
    }
}
