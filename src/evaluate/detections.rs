//! Detections that were written before: what `mercam run --sink file:FILE` left behind.

use super::{Expression, Found, Span};
use crate::event::{Detection, Event, Rejection};
use crate::time::Timestamp;
use crate::wire::json;
use std::io::BufRead;

/// What a file of events says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Confirmed detections in the order of the file.
    pub found: Vec<Found>,
    /// The counts of the last status event.
    pub rejected: Vec<(Rejection, u64)>,
}

/// Why a file of events cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A line is no event.
    #[error("line {line}: {why}; expected are the JSON lines that `mercam run --sink file:FILE` writes")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl Found {
    /// A confirmed detection; `told` is the time of the frame with which it was confirmed, where that is known. `None`
    /// when it has no offset, or its times are out of order.
    pub fn of(d: &Detection, told: Option<Timestamp>) -> Option<Self> {
        Some(Self {
            expression: Expression::Micro,
            span: Span::new(d.onset.us, d.offset?.us)?,
            apex: Some(d.apex.us),
            class: d.class.clone(),
            score: d.score,
            component: Some(d.component),
            told,
        })
    }
}

/// Reads JSON lines of events. Empty lines are passed over.
///
/// # Errors
/// The first line that is no event, by number.
pub fn read(lines: impl BufRead) -> Result<Recorded, EventsError> {
    let mut recorded = Recorded::default();
    for (k, line) in lines.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| EventsError::Line { line: k + 1, why };
        let envelope = json::decode(line.as_bytes()).map_err(|e| wrong(e.to_string()))?;
        match envelope.event {
            Event::Confirmed(d) => {
                let found = Found::of(&d, None);
                recorded.found.push(found.ok_or_else(|| wrong("a confirmed detection without a span".into()))?);
            }
            Event::Status(s) => recorded.rejected = s.rejected,
            _ => {}
        }
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::Envelope;

    const LINE: &str = r#"{"v":1,"seq":1,"kind":"confirmed","id":2,"face":1,"onset":{"us":4310000},"apex":{"us":4480000},
        "offset":{"us":4655000},"class":"positive","probabilities":{"positive":0.95},"actions":{"mouth":1.4},
        "relations":[],"amplitude":0.024,"component":"mouth","score":9.1,"rate":100.0,"quality":0.96,"iod":91.2,
        "model":{"id":"dere-grl","precision":"int8","sha256":"0"}}"#;

    #[test]
    fn confirmed_detections_are_taken_and_others_passed_over() {
        let one = LINE.replace('\n', "");
        let open = one.replace("confirmed", "provisional");
        let status =
            Event::Status(crate::event::Status { rejected: vec![(Rejection::Blink, 4)], ..Default::default() });
        let status = serde_json::to_string(&Envelope::new(2, status)).unwrap();
        let r = read(format!("{open}\n\n{one}\n{status}\n").as_bytes()).unwrap();
        assert_eq!((r.found.len(), r.rejected), (1, vec![(Rejection::Blink, 4)]));
        let f = &r.found[0];
        assert_eq!((f.span.onset().as_micros(), f.span.offset().as_micros()), (4_310_000, 4_655_000));
        assert_eq!((f.class.as_str(), f.score, f.told), ("positive", 9.1, None));
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let e = read(&b"\n{\"v\":1}\n"[..]).unwrap_err().to_string();
        assert!(e.contains("line 2") && e.contains("mercam run"), "{e}");
        let without = LINE.replace('\n', "").replace(r#""offset":{"us":4655000},"#, "");
        let e = read(without.as_bytes()).unwrap_err().to_string();
        assert!(e.contains("line 1") && e.contains("span"), "{e}");
    }
}
