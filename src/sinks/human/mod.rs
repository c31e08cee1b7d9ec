//! `human`: detections as a person wants to read them, with their reasons; what `mercam demo` shows.

use super::{Sink, SinkError, describe, stdout};
use crate::event::{Detection, Event, Stage};
use crate::time::Timestamp;
use crate::wire::Envelope;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write};

/// Cells of a full bar.
const BAR: usize = 10;
/// Relations shown for a detection.
const RELATIONS: usize = 4;

/// The `human` sink, on standard output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HumanConfig {
    /// Colours: `auto` (on a terminal, unless `NO_COLOR` is set), `always` or `never`. Default `auto`.
    pub colour: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// On a terminal, unless the environment variable `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl HumanConfig {
    /// The sink on the process's standard output.
    ///
    /// # Errors
    /// When there is no standard output.
    pub fn build(&self) -> Result<Human, SinkError> {
        let out = stdout::standard_output()?;
        let colour = match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        Ok(Human::new(out, colour))
    }
}

/// Knows what was really shown: for sources that are labelled.
pub trait Truth: Send {
    /// The true label of what happened between `onset` and `offset`, source time; `None` when nothing did.
    fn truth(&self, onset: Timestamp, offset: Timestamp) -> Option<String>;
}

impl<F: Fn(Timestamp, Timestamp) -> Option<String> + Send> Truth for F {
    fn truth(&self, onset: Timestamp, offset: Timestamp) -> Option<String> {
        self(onset, offset)
    }
}

/// Writes a block for each confirmed detection and a line for everything else but the status.
pub struct Human {
    out: Box<dyn Write + Send>,
    colour: bool,
    truth: Option<Box<dyn Truth>>,
}

impl Human {
    /// A sink that writes to `out`, with terminal colours or without.
    pub fn new(out: impl Write + Send + 'static, colour: bool) -> Self {
        Self { out: Box::new(out), colour, truth: None }
    }

    /// Prints the true label beside each confirmed detection.
    #[must_use]
    pub fn with_truth(mut self, truth: impl Truth + 'static) -> Self {
        self.truth = Some(Box::new(truth));
        self
    }

    fn paint<'a>(&self, style: Style, text: &'a str) -> Painted<'a> {
        Painted { style: self.colour.then_some(style), text }
    }

    /// The text of an event; nothing for those that are not shown.
    fn text(&self, event: &Event) -> Result<String, fmt::Error> {
        let mut s = String::new();
        match event {
            Event::Status(_) => {}
            Event::Confirmed(d) => self.confirmed(&mut s, d)?,
            other => {
                let style = match other.as_detection() {
                    Some((Stage::Withdrawn, _)) => Style::Yellow,
                    _ => Style::Dim,
                };
                writeln!(s, "{}", self.paint(style, &describe::one_line(other)))?;
            }
        }
        Ok(s)
    }

    fn confirmed(&self, s: &mut String, d: &Detection) -> fmt::Result {
        let p = describe::certainty(d);
        let class = describe::printable(&d.class);
        let head = format!("face {} #{} {class}", d.face.0, d.id);
        write!(s, "{} {} {:3.0} %", self.paint(Style::Bold, &head), self.paint(Style::Green, &bar(p)), p * 100.0)?;
        if let (Some(truth), Some(offset)) = (&self.truth, d.offset) {
            match truth.truth(d.onset.us, offset.us) {
                Some(label) if label == d.class => {
                    write!(s, "   {}", self.paint(Style::Green, &format!("true label: {class} (right)")))?;
                }
                Some(label) => {
                    let text = format!("true label: {} (wrong)", describe::printable(&label));
                    write!(s, "   {}", self.paint(Style::Red, &text))?;
                }
                None => write!(s, "   {}", self.paint(Style::Red, "true label: none (false alarm)"))?,
            }
        }
        s.push('\n');
        let ms = |t: Timestamp| t.as_micros() as f64 / 1e3;
        write!(s, "  onset {:.0} ms  apex {:.0} ms", ms(d.onset.us), ms(d.apex.us))?;
        if let Some(o) = d.offset {
            write!(s, "  offset {:.0} ms  duration {:.0} ms", ms(o.us), o.us.ms_since(d.onset.us))?;
        }
        write!(s, "\n  moved  {} {:.3} IOD ({:.1} px)", d.component.name(), d.amplitude, d.amplitude * d.iod)?;
        writeln!(s, ", {:.1} times its noise, {:.1} frames/s, quality {:.2}", d.score, d.rate, d.quality)?;
        let mut actions: Vec<_> = d.actions.iter().collect();
        actions.sort_by(|a, b| b.1.total_cmp(&a.1));
        let strongest = actions.first().map_or(0.0, |a| a.1).max(f32::MIN_POSITIVE);
        for (i, (component, strength)) in actions.iter().enumerate() {
            let lead = if i == 0 { "actions" } else { "" };
            let drawn = bar(strength / strongest);
            writeln!(s, "  {lead:<10}{:<11}{strength:6.2} {}", component.name(), self.paint(Style::Cyan, &drawn))?;
        }
        for (i, r) in d.relations.iter().take(RELATIONS).enumerate() {
            let lead = if i == 0 { "relations" } else { "" };
            writeln!(s, "  {lead:<10}{} -> {} {:.2}", r.from.name(), r.to.name(), r.weight)?;
        }
        Ok(())
    }
}

impl Sink for Human {
    fn name(&self) -> &str {
        "human"
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        // Writing into a string cannot fail.
        let text = self.text(&event.event).unwrap_or_default();
        if text.is_empty() {
            return Ok(());
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|e| SinkError::from_io("human", &e))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush().map_err(|e| SinkError::from_io("human", &e))
    }
}

/// A bar of [`BAR`] cells, filled by `share` (0 to 1; anything else is brought there).
fn bar(share: f32) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f32).round() as usize;
    (0..BAR).map(|i| if i < full { '\u{2588}' } else { '\u{2591}' }).collect()
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

struct Painted<'a> {
    style: Option<Style>,
    text: &'a str,
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.style {
            None => return f.write_str(self.text),
            Some(Style::Bold) => 1,
            Some(Style::Dim) => 2,
            Some(Style::Red) => 31,
            Some(Style::Green) => 32,
            Some(Style::Yellow) => 33,
            Some(Style::Cyan) => 36,
        };
        write!(f, "\x1b[{code}m{}\x1b[0m", self.text)
    }
}
