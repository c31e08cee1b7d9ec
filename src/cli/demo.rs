//! `mercam demo`: the whole line on a built-in face, with the truth beside each detection.

use super::run::run_error;
use super::{models, output, plan};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::health::logger::{self, LogLevel};
use crate::pipeline::aside::Aside;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::{self, Plan};
use crate::sinks::{HumanConfig, Sink, SinkError};
use crate::synth::{Label, Pace, Render, Script, SyntheticConfig};
use crate::time::Timestamp;
use crate::wire::{Envelope, Origin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Length of the show
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = plan::parse_duration)]
    duration: Duration,
    /// Another face, another script
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Frames per second of the built-in camera
    #[arg(long, value_name = "FPS", default_value_t = 60.0)]
    fps: f64,
    /// As fast as the machine can, instead of in real time
    #[arg(long)]
    fast: bool,
    /// Landmarks instead of pictures: needs no face networks
    #[arg(long)]
    landmarks: bool,
    /// How much to log to standard error
    #[arg(short, long, value_name = "LEVEL", default_value = "warn")]
    log: LogLevel,
}

/// Shows it.
pub fn run(args: &Args) -> Result<()> {
    logger::start(LogLevel::Info);
    let config = Config::default();
    let pictures = !args.landmarks && networks_are_there(&config);
    logger::start(args.log);
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let synthetic = SyntheticConfig {
        seed: args.seed,
        fps: args.fps,
        duration: Some(args.duration.as_secs_f64()),
        render: if pictures { Render::Pixels } else { Render::Landmarks },
        pace: if args.fast { Pace::Fast } else { Pace::Steady },
        ..SyntheticConfig::default()
    };
    let mut script = synthetic.script(0);
    script.extend_to(Timestamp::from_secs(args.duration.as_secs_f64()));
    let script = Arc::new(script);
    output::print(&opening(args, pictures))?;

    let tally = Tally::default();
    let shown = Arc::clone(&script);
    let human = HumanConfig::default().build().map_err(plan::sink_error)?;
    let human =
        human.with_truth(move |onset, offset| shown.truth_at(onset, offset).map(|e| label(&e.label).to_string()));
    let plan = Plan {
        source: Box::new(synthetic.build().map_err(plan::capture_error)?),
        analyser: plan::build_analyser(&config, pictures, false)?,
        origin: Origin::new(None),
        sinks: vec![Box::new(human), Box::new(tally.clone())],
        limit: None,
        config: config.pipeline,
        aside: Aside::default(),
    };
    let report = pipeline::run(plan, &stop).map_err(run_error)?;
    let end = Timestamp::from_secs(report.reader.frames as f64 / args.fps);
    output::print(&tally.summary(&script, end))
}

/// Gets the networks; without them the show goes on with landmarks, and says why.
fn networks_are_there(config: &Config) -> bool {
    match models::ensure(&config.face.networks()) {
        Ok(()) => true,
        Err(e) => {
            log::warn!("the face networks cannot be had, so the demo shows landmarks instead of pictures: {e}");
            false
        }
    }
}

fn opening(args: &Args, pictures: bool) -> String {
    let what = if pictures {
        "A drawn face (nobody's) is rendered, found, tracked and analysed like a camera picture"
    } else {
        "A synthetic face plays as landmarks, without pictures, through spotting and recognition"
    };
    format!(
        "{what}: {:.0} s at {} frames/s.\nIt makes micro-expressions among blinks, longer expressions and head motion. \
         After the first seconds,\nin which the neutral face is learnt, each detection is printed with its true label. \
         Ctrl-C ends.\n\n",
        args.duration.as_secs_f64(),
        args.fps
    )
}

const fn label(label: &Label) -> &'static str {
    match label {
        Label::Micro { class } => class.name(),
        Label::Macro => "macro-expression",
        Label::Blink => "blink",
        Label::Talking => "talking",
    }
}

/// Remembers the confirmed detections, for the summary.
#[derive(Debug, Clone, Default)]
struct Tally(Arc<Mutex<Vec<(Timestamp, Timestamp, String)>>>);

impl Sink for Tally {
    fn name(&self) -> &str {
        "summary"
    }

    fn send(&mut self, event: &Envelope) -> std::result::Result<(), SinkError> {
        if let Event::Confirmed(d) = &event.event
            && let Some(offset) = d.offset
        {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((d.onset.us, offset.us, d.class.clone()));
        }
        Ok(())
    }

    fn flush(&mut self) -> std::result::Result<(), SinkError> {
        Ok(())
    }
}

impl Tally {
    /// Holds the detections against the truth up to `end`.
    fn summary(&self, script: &Script, end: Timestamp) -> String {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: Vec<_> = script.truth().iter().filter(|e| e.class().is_some() && e.offset <= end).collect();
        let mut hit = vec![false; shown.len()];
        let (mut right, mut false_alarms) = (0, 0);
        for (onset, offset, class) in found.iter() {
            let best = (0..shown.len())
                .max_by(|&a, &b| shown[a].overlap_ms(*onset, *offset).total_cmp(&shown[b].overlap_ms(*onset, *offset)));
            match best.filter(|&i| shown[i].overlap_ms(*onset, *offset) > 0.0 && !hit[i]) {
                Some(i) => {
                    hit[i] = true;
                    right += usize::from(shown[i].class().is_some_and(|c| c.name() == class));
                }
                None => false_alarms += 1,
            }
        }
        let detected = hit.iter().filter(|h| **h).count();
        format!(
            "\n{} micro-expressions were shown: {detected} detected, {right} of them with the right class; {false_alarms} \
             false alarms.\nThe model knows synthetic movement only, as this is: see LIMITATIONS.md.\n",
            shown.len()
        )
    }
}
