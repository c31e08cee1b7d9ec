//! Prometheus' text format, version 0.0.4.

use super::histogram::{BOUNDS_US, StageHistogram};
use crate::event::Status;
use crate::health::board::BoardState;
use crate::health::memory::resident_kib;
use std::fmt::{Display, Write};
use std::time::Duration;

/// The state of one sink.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// The sink's name.
    pub sink: String,
    /// Events that it took.
    pub sent: u64,
    /// Events that it could not deliver.
    pub failed: u64,
    /// Events beyond its budget.
    pub over_budget: u64,
    /// Events that it took and gave up later.
    pub given_up: u64,
    /// Events that gave way in front of it.
    pub dropped: u64,
    /// Events in its channel.
    pub queued: u64,
    /// Events in its spool.
    pub spooled: u64,
    /// It delivers, as far as it knows.
    pub up: bool,
}

/// The state of the line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// The line's own counters.
    pub status: Status,
    /// The sinks.
    pub sinks: Vec<Sample>,
    /// The stations' times.
    pub stages: Vec<StageHistogram>,
    /// Events by kind; filled in when it is published.
    pub emitted: Vec<(&'static str, u64)>,
}

/// The text being written.
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}"); // a string takes all
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }
}

impl Snapshot {
    /// The page. `frame_age`: time since the last new frame.
    pub(super) fn render(&self, board: &BoardState, frame_age: Option<Duration>) -> String {
        let mut p = Page(String::with_capacity(8192));
        let s = &self.status;
        p.metric("mercam_build_info", "gauge", "Always 1; the labels say what runs.");
        let model = s.model.as_ref().map_or(("", ""), |m| (m.id.as_str(), m.precision.as_str()));
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("model", model.0), ("precision", model.1)];
        p.value("mercam_build_info", &labels, 1);
        p.single("mercam_frames_total", "counter", "Frames analysed.", s.frames);
        p.single("mercam_frames_lost_total", "counter", "Frames lost before the analysis.", s.lost);
        p.single("mercam_frame_rate", "gauge", "Frames per second of source time, measured.", s.rate);
        if let Some(age) = frame_age {
            let help = "Time since the last new frame, to about a second.";
            p.single("mercam_frame_age_seconds", "gauge", help, age.as_secs_f64());
        }
        p.single("mercam_faces", "gauge", "Faces followed now.", s.faces);
        p.metric("mercam_movements_rejected_total", "counter", "Movements that were no micro-expression, by reason.");
        for (reason, n) in &s.rejected {
            p.value("mercam_movements_rejected_total", &[("reason", reason.name())], n);
        }
        p.metric("mercam_events_total", "counter", "Events made, by kind.");
        for (kind, n) in &self.emitted {
            p.value("mercam_events_total", &[("kind", kind)], n);
        }
        self.sinks(&mut p);
        self.stages(&mut p);
        if let Some(t) = board.temperature_c {
            p.single("mercam_board_temperature_celsius", "gauge", "Hottest part of the board.", t);
        }
        for (name, help, value) in [
            ("mercam_board_throttled", "1 while the board lowers its clock.", board.throttled),
            ("mercam_board_under_voltage", "1 while the supply is too weak.", board.under_voltage),
        ] {
            if let Some(v) = value {
                p.single(name, "gauge", help, u8::from(v));
            }
        }
        if let Some((now, _)) = resident_kib() {
            p.single("process_resident_memory_bytes", "gauge", "Resident memory.", now * 1024);
        }
        p.0
    }

    fn sinks(&self, p: &mut Page) {
        p.metric("mercam_sink_events_total", "counter", "Events that a sink took.");
        for s in &self.sinks {
            p.value("mercam_sink_events_total", &[("sink", &s.sink)], s.sent);
        }
        p.metric("mercam_sink_lost_total", "counter", "Events that a sink's reader will never get, by reason.");
        for s in &self.sinks {
            for (reason, n) in [
                ("queue_full", s.dropped),
                ("failed", s.failed),
                ("over_budget", s.over_budget),
                ("given_up", s.given_up),
            ] {
                p.value("mercam_sink_lost_total", &[("sink", &s.sink), ("reason", reason)], n);
            }
        }
        p.metric("mercam_sink_up", "gauge", "1 while a sink delivers, as far as it knows.");
        for s in &self.sinks {
            p.value("mercam_sink_up", &[("sink", &s.sink)], u8::from(s.up));
        }
        p.metric("mercam_sink_queued_events", "gauge", "Events in a sink's channel.");
        for s in &self.sinks {
            p.value("mercam_sink_queued_events", &[("sink", &s.sink)], s.queued);
        }
        p.metric("mercam_sink_spooled_events", "gauge", "Events in a sink's spool, not acknowledged yet.");
        for s in &self.sinks {
            p.value("mercam_sink_spooled_events", &[("sink", &s.sink)], s.spooled);
        }
    }

    fn stages(&self, p: &mut Page) {
        const NAME: &str = "mercam_stage_seconds";
        p.metric(NAME, "histogram", "Time that a station takes for a frame.");
        for s in &self.stages {
            for (n, bound) in s.cumulative.iter().zip(BOUNDS_US) {
                let le = format!("{}", bound as f64 / 1e6);
                p.value("mercam_stage_seconds_bucket", &[("stage", s.stage), ("le", &le)], n);
            }
            p.value("mercam_stage_seconds_bucket", &[("stage", s.stage), ("le", "+Inf")], s.count);
            p.value("mercam_stage_seconds_sum", &[("stage", s.stage)], s.sum_s);
            p.value("mercam_stage_seconds_count", &[("stage", s.stage)], s.count);
        }
    }
}
