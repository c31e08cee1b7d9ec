//! `mercam bench --sink`: how many events a sink brings to its peer, until the peer has them.

use crate::cli::output;
use crate::cli::plan;
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::event::{Detection, Event, ModelRef, Moment, Relation};
use crate::frame::FaceId;
use crate::landmarks::Component;
use crate::pipeline::channel::Policy;
use crate::pipeline::delivery::Delivery;
use crate::pipeline::shutdown::Shutdown;
use crate::sinks::SinkSpec;
use crate::time::Timestamp;
use crate::wire::{Envelope, Format, Origin, encode_body, encode_record, json};
use serde::Serialize;
use std::time::Duration;

/// Events that may wait in front of the sink, as in a run.
const QUEUE: usize = 64;
/// A sink whose peer is away for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    events: u64,
    bytes_per_event: Sizes,
    sinks: Vec<Line>,
}

/// A confirmed detection in each form of the wire format.
#[derive(Debug, Serialize)]
struct Sizes {
    json: usize,
    text: usize,
    binary: usize,
    record: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    sink: String,
    seconds: f64,
    events_per_s: f64,
    /// Events per second over those of the first sink.
    ratio: f64,
    delivered: u64,
    lost: u64,
}

/// Times the sinks, one after the other.
pub fn run(specs: &[SinkSpec], events: u64, as_json: bool) -> Result<()> {
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut lines: Vec<Line> = Vec::new();
    for spec in specs {
        let sinks = plan::open_sinks(std::slice::from_ref(spec))?;
        let mut line = time(spec.to_string(), sinks, events, &stop)?;
        line.ratio = line.events_per_s / lines.first().map_or(line.events_per_s, |l| l.events_per_s).max(1e-9);
        lines.push(line);
        if stop.requested() {
            break;
        }
    }
    let report = Report { events, bytes_per_event: sizes()?, sinks: lines };
    let text = if as_json { serde_json::to_string(&report).map_err(Error::failure)? + "\n" } else { table(&report) };
    // Sinks that write to standard output have it for themselves.
    if specs.iter().any(|s| matches!(s, SinkSpec::Stdout(_) | SinkSpec::Human(_))) {
        use std::io::Write;
        return std::io::stderr().write_all(text.as_bytes()).map_err(Error::failure);
    }
    output::print(&text)
}

/// From the first event until nothing waits any more, in the channel or in the sink, and it has flushed.
fn time(sink: String, sinks: Vec<Box<dyn crate::sinks::Sink>>, events: u64, stop: &Shutdown) -> Result<Line> {
    let mut delivery = Delivery::start(sinks, Origin::new(None), QUEUE, Policy::Block).map_err(Error::failure)?;
    let clock = Stopwatch::start();
    let mut sent = 0;
    while sent < events && !stop.requested() && !delivery.abandoned() {
        delivery.send(Event::Confirmed(detection(sent)));
        sent += 1;
    }
    let (mut least, mut since) = (u64::MAX, Stopwatch::start());
    loop {
        let waiting = delivery.waiting().iter().map(|w| w.1).sum::<u64>();
        if waiting == 0 || stop.requested() || since.elapsed() > PATIENCE {
            break;
        }
        if waiting < least {
            (least, since) = (waiting, Stopwatch::start());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let reports = delivery.finish();
    let seconds = clock.elapsed().as_secs_f64();
    let delivered = reports.iter().map(|r| r.sent.saturating_sub(r.waiting)).sum::<u64>();
    let events_per_s = delivered as f64 / seconds.max(1e-9);
    Ok(Line { sink, seconds, events_per_s, ratio: 1.0, delivered, lost: sent.saturating_sub(delivered) })
}

/// One of the usual size.
fn detection(id: u64) -> Detection {
    let at = |us: i64| Moment { us: Timestamp::from_micros(us), unix_us: Some(1_764_000_000_000_000 + us) };
    let strength = |k: usize| [0.7, 0.65, 0.013, 0.25, 0.21, 0.05].get(k).copied().unwrap_or(0.0);
    let relation = |from, to, weight| Relation { from, to, weight };
    let start = id as i64 * 500_000;
    Detection {
        id,
        face: FaceId(3),
        onset: at(start),
        apex: at(start + 84_000),
        offset: Some(at(start + 206_500)),
        class: "surprise".into(),
        probabilities: vec![
            ("negative".into(), 0.0417),
            ("positive".into(), 0.112),
            ("surprise".into(), 0.833),
            ("none".into(), 0.0133),
        ],
        actions: Component::ALL.into_iter().enumerate().map(|(k, c)| (c, strength(k))).collect(),
        relations: vec![
            relation(Component::Mouth, Component::LeftBrow, 0.31),
            relation(Component::RightBrow, Component::LeftBrow, 0.28),
            relation(Component::Nose, Component::Mouth, 0.22),
        ],
        amplitude: 0.0312,
        component: Component::RightBrow,
        score: 7.25,
        rate: 59.8,
        quality: 0.93,
        iod: 92.5,
        reason: None,
        model: ModelRef {
            id: "dere-grl-synthetic-3".into(),
            precision: "int8".into(),
            sha256: "0123456789abcdef".into(),
        },
    }
}

fn sizes() -> Result<Sizes> {
    let envelope = Envelope::from_origin(&Origin::new(None), 1000, Event::Confirmed(detection(1000)));
    let wrong = |e| Error::failure(anyhow::Error::new(e));
    let (mut line, mut text, mut binary, mut record) = (vec![], vec![], vec![], vec![]);
    json::encode(&envelope, &mut line).map_err(wrong)?;
    Format::Text.encode(&envelope, &mut text).map_err(wrong)?;
    Format::Binary.encode(&envelope, &mut binary).map_err(wrong)?;
    let body = encode_body(&envelope).map_err(wrong)?;
    encode_record(u64::MAX, 1000, Some(999), &body, &mut record).map_err(wrong)?;
    Ok(Sizes { json: line.len() + 1, text: text.len(), binary: binary.len(), record: record.len() })
}

fn table(report: &Report) -> String {
    let mut rows = vec![["sink", "events/s", "ratio", "seconds", "delivered", "lost"].map(String::from).to_vec()];
    for l in &report.sinks {
        let (rate, ratio) = (format!("{:.0}", l.events_per_s), format!("{:.2}", l.ratio));
        let counts = [rate, ratio, format!("{:.2}", l.seconds), l.delivered.to_string(), l.lost.to_string()];
        rows.push([l.sink.clone()].into_iter().chain(counts).collect());
    }
    let s = &report.bytes_per_event;
    let bytes = format!(
        "\nbytes of such a detection: {} as a JSON line, {} as text with its CRC, {} binary, {} binary to be acknowledged\n",
        s.json, s.text, s.binary, s.record
    );
    let per_s = |bytes: usize| 11_520 / bytes.max(1);
    let line = format!(
        "a line of 115200 baud carries {} of them per second as text, {} binary\n",
        per_s(s.text),
        per_s(s.binary)
    );
    let what = "until they are acknowledged or, where nobody does that, until the system has taken them";
    format!("{} events through each sink, {what}\n\n{}{bytes}{line}", report.events, output::table(&rows))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sink_is_timed_until_all_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let spec: SinkSpec = format!("file:{}", path.display()).parse().unwrap();
        let line = time("file".into(), vec![spec.build().unwrap()], 500, &Shutdown::new()).unwrap();
        assert_eq!((line.delivered, line.lost), (500, 0));
        let written = std::fs::read(path).unwrap();
        assert_eq!(written.split(|b| *b == b'\n').filter(|l| json::decode(l).is_ok()).count(), 500);
        let s = sizes().unwrap();
        assert!(s.binary < s.record && s.record * 2 < s.json && s.json < s.text, "{s:?}");
    }
}
