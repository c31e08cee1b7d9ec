//! `mercam run`: the product.

use super::plan::{self, ConfigArgs};
use super::reload;
use crate::capture::SourceSpec;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::health::board::Board;
use crate::health::supervisor::{Supervisor, Watched};
use crate::health::vitals::Vitals;
use crate::pipeline::aside::{Aside, Recorder};
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::{self, Plan, Report, RunError};
use crate::sinks::SinkSpec;
use crate::wire::Origin;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  mercam run --source /dev/video0 --sink stdout
  mercam run --source 'v4l2:046d:0825?fps=60&exposure=keep_rate&power_line=50'
  mercam run --source y4m:clip.y4m --sink file:events.jsonl --sink log
  ffmpeg -i talk.mp4 -f yuv4mpegpipe - | mercam run --source y4m:- --sink stdout
  rpicam-vid -t 0 --codec yuv420 --width 640 --height 480 --framerate 90 -o - \\
    | mercam run --source 'raw:-?format=yuv420&size=640x480&fps=90&live=true' --sink serial:/dev/ttyUSB0
  mercam run --source synthetic: --sink stdout --duration 20s

Configuration comes from the file, then the environment (MERCAM_SOURCE, MERCAM_ANALYSIS__SPOTTING__REFRACTORY_MS ...),
then flags; the later one wins. The first Ctrl-C drains and flushes, the second ends at once. SIGHUP reads the
configuration again and puts thresholds, sinks and the log level in force without a stop.";

/// Arguments of `run`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where frames come from: v4l2:DEVICE, v4l2:VENDOR:PRODUCT, y4m:FILE, y4m:-, raw:-?.., images:DIR, replay:FILE, synthetic:
    #[arg(short, long, value_name = "URI")]
    source: Option<SourceSpec>,
    /// Where events go: log, stdout, file:PATH, csv:PATH, serial:DEVICE?baud=115200, tcp:HOST:PORT, unix:PATH, udp:HOST:PORT,
    /// mqtt:HOST; may be given again
    #[arg(short = 'o', long = "sink", value_name = "URI", env = "MERCAM_SINK", value_delimiter = ';')]
    sinks: Vec<SinkSpec>,
    /// Stop after this much source time, as in 20s or 5m
    #[arg(short, long, value_name = "TIME", value_parser = plan::parse_duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Args {
    /// The configuration with the flags laid on top.
    pub(super) fn resolve(&self) -> Result<Config> {
        let mut config = self.config.resolve()?;
        if let Some(source) = &self.source {
            config.source = source.clone();
        }
        if !self.sinks.is_empty() {
            config.sinks.clone_from(&self.sinks);
        }
        Ok(config)
    }
}

/// Runs until the source ends or the stop is asked for.
pub fn run(args: &Args) -> Result<()> {
    Session::prepare(args.resolve()?, args, None)?.run().map(|_| ())
}

/// A run of which everything is built and nothing has begun.
pub(super) struct Session {
    plan: Plan,
    stop: Shutdown,
    watched: Watched,
}

impl Session {
    /// Builds it.
    pub(super) fn prepare(config: Config, args: &Args, recorder: Option<Recorder>) -> Result<Self> {
        config.health.check().map_err(|why| Error::config(anyhow::anyhow!(why)))?;
        config.indicator.check().map_err(Error::config)?;
        let stop = Shutdown::on_signals().map_err(Error::failure)?;
        let source = plan::open_source(&config.source, &config.indicator)?;
        let sinks = plan::open_sinks(&config.sinks)?;
        let live = source.is_live();
        let analyser = plan::build_analyser(&config, config.source.delivers_pictures(), live)?;
        let model = analyser.model();
        log::info!("model {} ({}, {}); source {}", model.id, model.precision, model.sha256, source.name());
        let metrics = plan::open_metrics(&config)?;
        let (sender, changes) = crossbeam_channel::bounded(1);
        let vitals = Vitals::default();
        let watched = Watched {
            vitals: vitals.clone(),
            source: source.name(),
            live,
            stop: stop.clone(),
            config: config.health,
            min_rate: config.analysis.spotting.min_rate,
            board: Board::default(),
            reload: Some(reload::on_hangup(args.clone(), config.clone(), sender)),
        };
        let plan = Plan {
            source,
            analyser,
            origin: Origin::new(config.device.as_ref()),
            sinks,
            limit: args.duration,
            config: config.pipeline,
            aside: Aside { vitals, recorder, metrics, changes },
        };
        Ok(Self { plan, stop, watched })
    }

    /// Runs until the source ends or the stop is asked for.
    pub(super) fn run(self) -> Result<Report> {
        let supervisor = Supervisor::start(self.watched).map_err(Error::failure)?;
        let report = pipeline::run(self.plan, &self.stop);
        drop(supervisor);
        let report = report.map_err(run_error)?;
        summarise(&report);
        Ok(report)
    }
}

/// A run's error with its exit code.
pub fn run_error(e: RunError) -> Error {
    match e {
        RunError::Capture(e) => plan::capture_error(e),
        other => Error::failure(other),
    }
}

/// Says at the end what was done and what was lost.
fn summarise(report: &Report) {
    let s = &report.status;
    log::info!("{} frames analysed, {} lost, {:.1} frames/s of source time at the end", s.frames, s.lost, s.rate);
    for sink in &report.sinks {
        let waits = match sink.waiting {
            0 => String::new(),
            n => format!(", {n} wait for the next run"),
        };
        log::info!("{} events sent, {} failed, {} dropped{waits}: {}", sink.sent, sink.failed, sink.dropped, sink.name);
    }
    let seen = s.rejected.iter().filter(|(_, n)| *n > 0);
    let why: Vec<String> = seen.map(|(reason, n)| format!("{reason:?} {n}")).collect();
    if !why.is_empty() {
        log::info!("movements rejected: {}", why.join(", "));
    }
}
