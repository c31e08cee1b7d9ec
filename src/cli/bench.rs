//! `mercam bench`: how long each station takes on a source, on one thread.

use super::{output, plan};
use crate::capture::{SourceSpec, Step};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::frame::{Content, Frame, Luma};
use crate::health::memory;
use crate::pipeline::analyser::Analyser;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::timings::{StageTimes, Timed};
use crate::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
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
    #[command(flatten)]
    config: plan::ConfigArgs,
}

/// Times the line.
pub fn run(args: &Args) -> Result<()> {
    let config = args.config.resolve()?;
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut source = plan::open_source(&args.source)?;
    let mut analyser = plan::build_analyser(&config, args.source.delivers_pictures(), source.is_live())?;
    let bar = progress(args.frames);
    let mut times = StageTimes::default();
    let mut frame =
        Frame { time: Timestamp::default(), sequence: 0, lost_before: 0, content: Content::Picture(Luma::default()) };
    let (mut events, mut done, mut size) = (Vec::with_capacity(64), 0u64, None);
    let mut analysis_time = Duration::ZERO;
    while !stop.requested() && done < args.frames + args.warm_up {
        let mut watch = Stopwatch::start();
        match source.next(&mut frame, Duration::from_secs(1)).map_err(plan::capture_error)? {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        let read = watch.lap();
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
    output::print(&report(&source.name(), size, timed, analysis_time, &times, &analyser))
}

fn progress(frames: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left");
    let bar = ProgressBar::new(frames);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn report(
    source: &str,
    size: Option<(u32, u32)>,
    frames: u64,
    spent: Duration,
    outer: &StageTimes,
    analyser: &Analyser,
) -> String {
    let mut rows = vec![["station", "runs", "p50 ms", "p99 ms", "max ms"].map(String::from).to_vec()];
    for station in Timed::ALL {
        let Some(h) = outer.of(station).or_else(|| analyser.times().of(station)) else { continue };
        let ms = |us: u64| format!("{:.3}", us as f64 / 1e3);
        rows.push(vec![
            station.name().into(),
            h.len().to_string(),
            ms(h.value_at_quantile(0.5)),
            ms(h.value_at_quantile(0.99)),
            ms(h.max()),
        ]);
    }
    let mut text = source.to_string();
    if let Some((w, h)) = size {
        text.push_str(&format!(", {w}x{h}"));
    }
    text.push_str(&format!(", {frames} frames, one thread, {}\n\n", std::env::consts::ARCH));
    text.push_str(&output::table(&rows));
    let status = analyser.status();
    text.push_str(&format!(
        "\nanalysis alone: {:.1} frames/s; faces at the end: {}\n",
        frames as f64 / spent.as_secs_f64().max(1e-9),
        status.faces
    ));
    if let Some(stage) = analyser.face_stage() {
        let w = stage.work();
        for (what, runs, ns) in [
            ("face detector", w.detector_runs, w.detector_ns),
            ("landmark network", w.net_runs, w.net_ns),
            ("Lucas-Kanade", w.lk_runs, w.lk_ns),
        ] {
            let mean = ns as f64 / 1e6 / runs.max(1) as f64;
            text.push_str(&format!("{what}: {runs} runs in {} pictures, {mean:.2} ms each\n", w.pictures));
        }
    }
    if let Some((now, top)) = memory::resident_kib() {
        text.push_str(&format!(
            "resident memory: {:.1} MiB, at most {:.1} MiB\n",
            now as f64 / 1024.0,
            top as f64 / 1024.0
        ));
    }
    text
}
