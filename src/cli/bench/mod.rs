//! `mercam bench`: how long each station takes on a source: on one thread, or at a camera's pace; with `--sink`, what a sink
//! carries.

mod sinks;

use super::{output, plan};
use crate::capture::{SourceSpec, Step};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::face::stage::FaceWork;
use crate::frame::{Content, Frame, Luma};
use crate::health::memory;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::timings::{StageTimes, Timed};
use crate::sinks::SinkSpec;
use crate::time::Timestamp;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  mercam bench --source y4m:clip.y4m
  mercam bench --sink file:/tmp/events.jsonl --sink tcp:127.0.0.1:7420 --sink mqtt:broker
  mercam bench --sink 'serial:/dev/ttyUSB0?format=binary&acks=true' --events 500

The events of --sink are made up and numbered as a run of their own: give it a peer that may have them.";

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to time it on; a clip of a real face says most
    #[arg(short, long, value_name = "URI", default_value = "synthetic:?render=pixels&pace=fast&duration=10")]
    source: SourceSpec,
    /// Stop after this many frames
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    frames: u64,
    /// Frames that are run before the timing starts
    #[arg(long, value_name = "N", default_value_t = 20)]
    warm_up: u64,
    /// Time this sink in place of the line: how many detections per second its peer gets; may be given again
    #[arg(short = 'o', long = "sink", value_name = "URI", conflicts_with_all = ["source", "frames", "warm_up", "real_time"])]
    sinks: Vec<SinkSpec>,
    /// With --sink: how many detections each sink gets
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "sinks")]
    events: u64,
    /// Let the frames come at their own times, as from a camera: the face networks then run beside the frame loop, and
    /// the report says how long a camera's frame waits for its analysis
    #[arg(long)]
    real_time: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: plan::ConfigArgs,
}

/// Times the line.
pub fn run(args: &Args) -> Result<()> {
    if !args.sinks.is_empty() {
        return sinks::run(&args.sinks, args.events, args.json);
    }
    let config = args.config.resolve()?;
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut source = plan::open_source(&args.source, &config.indicator)?;
    let live = source.is_live() || args.real_time;
    let mut analyser = plan::build_analyser(&config, args.source.delivers_pictures(), live)?;
    let (since_first, mut first) = (Stopwatch::start(), None);
    let bar = progress(args.frames);
    let mut times = StageTimes::default();
    let mut frame =
        Frame { time: Timestamp::default(), sequence: 0, lost_before: 0, content: Content::Picture(Luma::default()) };
    let (mut events, mut done, mut size) = (Vec::with_capacity(64), 0u64, None);
    let (mut analysis_time, mut with_face) = (Duration::ZERO, 0);
    while !stop.requested() && done < args.frames + args.warm_up {
        let mut watch = Stopwatch::start();
        match source.next(&mut frame, Duration::from_secs(1)).map_err(plan::capture_error)? {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        let read = watch.lap();
        if args.real_time {
            let (at, elapsed) = *first.get_or_insert((frame.time, since_first.elapsed()));
            let due = elapsed + Duration::from_micros(u64::try_from(frame.time.micros_since(at)).unwrap_or(0));
            std::thread::sleep(due.saturating_sub(since_first.elapsed()));
            let _ = watch.lap(); // the wait is nobody's work
        }
        if done == args.warm_up {
            analyser.reset_times();
        }
        analyser.process(&frame, &mut events).map_err(Error::failure)?;
        let spent = watch.lap();
        events.clear();
        if done >= args.warm_up {
            times.add(Timed::Source, read);
            times.add(Timed::Frame, spent);
            analysis_time += spent;
            with_face += u64::from(!analyser.faces().is_empty());
            bar.inc(1);
        }
        if let Content::Picture(p) = &frame.content {
            size = Some((p.width(), p.height()));
        }
        done += 1;
    }
    bar.finish_and_clear();
    let timed = done.saturating_sub(args.warm_up);
    if timed == 0 {
        return Err(Error::failure(anyhow::anyhow!(
            "only {done} frames came, all of them warm-up; give a longer source or a smaller --warm-up: {}",
            source.name()
        )));
    }
    let report = Report {
        source: source.name(),
        size,
        frames: timed,
        frames_with_face: with_face,
        fps: timed as f64 / analysis_time.as_secs_f64().max(1e-9),
        arch: std::env::consts::ARCH,
        threads: if live { "at the camera's pace, networks as `face.tracking.networks` says" } else { "one thread" },
        stations: Timed::ALL
            .iter()
            .filter_map(|&s| Line::of(s, times.of(s).or_else(|| analyser.times().of(s))?))
            .collect(),
        work: analyser.face_stage().map_or_else(Vec::new, |stage| work(&stage.work())),
        resident_kib: memory::resident_kib().map(|(now, most)| Resident { now, most }),
    };
    output::print(&if args.json { report.json()? } else { report.table() })
}

fn progress(frames: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left");
    let bar = ProgressBar::new(frames);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<(u32, u32)>,
    frames: u64,
    frames_with_face: u64,
    /// Frames per second of the analysis alone, on one thread.
    fps: f64,
    arch: &'static str,
    /// What the figures are of.
    threads: &'static str,
    stations: Vec<Line>,
    work: Vec<Work>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_kib: Option<Resident>,
}

/// One station of the line.
#[derive(Debug, Serialize)]
struct Line {
    station: &'static str,
    #[serde(skip)]
    name: &'static str,
    runs: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Line {
    fn of(station: Timed, times: &Histogram<u64>) -> Option<Self> {
        let ms = |us: u64| us as f64 / 1e3;
        (!times.is_empty()).then(|| Self {
            station: station.key(),
            name: station.name(),
            runs: times.len(),
            p50_ms: ms(times.value_at_quantile(0.5)),
            p99_ms: ms(times.value_at_quantile(0.99)),
            max_ms: ms(times.max()),
        })
    }
}

/// One kind of work of the face station, warm-up included.
#[derive(Debug, Serialize)]
struct Work {
    what: &'static str,
    runs: u64,
    pictures: u64,
    mean_ms: f64,
}

fn work(of: &FaceWork) -> Vec<Work> {
    [
        ("face detector", of.detector_runs, of.detector_ns),
        ("landmark network", of.net_runs, of.net_ns),
        ("Lucas-Kanade", of.lk_runs, of.lk_ns),
    ]
    .map(|(what, runs, ns)| Work { what, runs, pictures: of.pictures, mean_ms: ns as f64 / 1e6 / runs.max(1) as f64 })
    .into()
}

/// Resident memory in KiB.
#[derive(Debug, Serialize)]
struct Resident {
    now: u64,
    most: u64,
}

impl Report {
    fn json(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(|e| Error::failure(anyhow::Error::new(e)))?;
        Ok(text + "\n")
    }

    fn table(&self) -> String {
        let mut rows = vec![["station", "runs", "p50 ms", "p99 ms", "max ms"].map(String::from).to_vec()];
        for l in &self.stations {
            let ms = |v: f64| format!("{v:.3}");
            rows.push(vec![l.name.into(), l.runs.to_string(), ms(l.p50_ms), ms(l.p99_ms), ms(l.max_ms)]);
        }
        let mut text = self.source.clone();
        if let Some((w, h)) = self.size {
            text.push_str(&format!(", {w}x{h}"));
        }
        text.push_str(&format!(", {} frames, {}, {}\n\n", self.frames, self.threads, self.arch));
        text.push_str(&output::table(&rows));
        text.push_str(&format!(
            "\nanalysis alone: {:.1} frames/s; a face in {} of {} frames\n",
            self.fps, self.frames_with_face, self.frames
        ));
        for w in &self.work {
            text.push_str(&format!(
                "{}: {} runs in {} pictures, {:.2} ms each\n",
                w.what, w.runs, w.pictures, w.mean_ms
            ));
        }
        if let Some(r) = &self.resident_kib {
            let mib = |kib: u64| kib as f64 / 1024.0;
            text.push_str(&format!("resident memory: {:.1} MiB, at most {:.1} MiB\n", mib(r.now), mib(r.most)));
        }
        text
    }
}
