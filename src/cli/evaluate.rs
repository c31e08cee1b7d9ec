//! `mercam evaluate`: detections held against truth.

use super::{output, plan};
use crate::capture::SourceSpec;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::evaluate::load::{self, LoadError, SheetWish};
use crate::evaluate::matching::MEGC_IOU;
use crate::evaluate::play::{PlayError, Wish, play};
use crate::evaluate::{Clip, Report, Truth, plot};
use crate::pipeline::shutdown::Shutdown;
use crate::synth::{Pace, SyntheticConfig};
use crate::time::Timestamp;
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HELP: &str = "\
Truth is what `mercam synth` wrote beside a video, or an annotation sheet of CAS(ME)^2, SAMM Long Videos or CAS(ME)^3
saved as CSV. Detections come from a file that `mercam run --sink file:FILE` wrote, from a folder with one such file for
each video of the sheet (VIDEO.jsonl), from another spotter's table of intervals (.csv), or from the line itself, which
is run when --source is given. A `synthetic:` source brings its own truth.

A detection is right when its intersection over union with an event is 0.5 or more, one to one; all clips count as one
long video (the MEGC rule). STRS is F1 of micro spotting times F1 of recognition on what was found.

Examples:
  mercam evaluate --source 'synthetic:?seed=1&fps=100' --duration 60s
  mercam evaluate --truth clip.truth.json --source y4m:clip.y4m --plot clip.html
  mercam evaluate --truth clip.truth.json --detections events.jsonl --json -
  mercam evaluate --truth CASME3_part_A.csv --detections events/ --json scores.json
  mercam evaluate --truth SAMM_LV.csv --video 006_1 --source 'images:samm/006_1?fps=200'";

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Truth file (.json) or annotation sheet (.csv); may be given again, once for each --detections
    #[arg(short, long, value_name = "FILE")]
    truth: Vec<PathBuf>,
    /// What was detected: events (.jsonl), a folder of them, or a table of intervals (.csv)
    #[arg(long, value_name = "PATH", conflicts_with = "source")]
    detections: Vec<PathBuf>,
    /// Run the line on this source, as in `mercam run`
    #[arg(short, long, value_name = "URI")]
    source: Option<SourceSpec>,
    /// Stop after this much source time, as in 20s or 5m
    #[arg(short, long, value_name = "TIME", value_parser = plan::parse_duration, requires = "source")]
    duration: Option<Duration>,
    /// Frames per second of an annotation sheet (known for the datasets named below)
    #[arg(long, value_name = "FPS")]
    fps: Option<f64>,
    /// Number of the frame that is at 0 s in an annotation sheet
    #[arg(long, value_name = "N", default_value_t = 1)]
    first_frame: i64,
    /// Only this video of an annotation sheet: VIDEO or SUBJECT_VIDEO
    #[arg(long, value_name = "NAME")]
    video: Option<String>,
    /// Length of each video of an annotation sheet; without it the last event is the end
    #[arg(long, value_name = "TIME", value_parser = plan::parse_duration)]
    length: Option<Duration>,
    /// Least intersection over union of a right detection
    #[arg(long, value_name = "SHARE", default_value_t = MEGC_IOU)]
    iou: f64,
    /// Write the figures as JSON; - for standard output, in place of the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with traces, truth and detections on one time axis
    #[arg(long, value_name = "FILE.html")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    config: plan::ConfigArgs,
}

/// Evaluates.
pub fn run(args: &Args) -> Result<()> {
    let config = args.config.resolve()?;
    if !(args.iou > 0.0 && args.iou <= 1.0) {
        return Err(Error::usage(anyhow!("--iou is {}; it must be above 0 and at most 1", args.iou)));
    }
    let clips = match &args.source {
        Some(source) => vec![played(args, source, &config)?],
        None => recorded(args)?,
    };
    report(&clips, args.iou, args.json.as_deref(), args.plot.as_deref())
}

/// Prints and writes what is known of some clips.
pub(super) fn report(clips: &[Clip], iou: f64, json: Option<&Path>, plot: Option<&Path>) -> Result<()> {
    let report = Report::new(clips, iou);
    if let Some(path) = plot {
        write(path, &plot::html(clips, &report))?;
    }
    let text = serde_json::to_string_pretty(&report).map_err(Error::failure)? + "\n";
    match json {
        Some(path) if path == Path::new("-") => return output::print(&text),
        Some(path) => write(path, &text)?,
        None => {}
    }
    let tables = report.tables();
    let shown: Vec<String> = tables.iter().map(|(title, rows)| format!("{title}\n{}", output::table(rows))).collect();
    output::print(&shown.join("\n"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display())).map_err(Error::unavailable)
}

impl Args {
    fn sheet_wish(&self) -> SheetWish {
        SheetWish {
            fps: self.fps,
            first_frame: self.first_frame,
            video: self.video.clone(),
            seconds: self.length.map(|l| l.as_secs_f64()),
        }
    }
}

fn load_error(e: LoadError) -> Error {
    match e {
        LoadError::Missing(..) => Error::unavailable(e),
        LoadError::Call(_) => Error::usage(e),
        _ => Error::failure(e),
    }
}

/// Clips with truth and detections from files.
fn recorded(args: &Args) -> Result<Vec<Clip>> {
    if args.truth.is_empty() || args.truth.len() != args.detections.len() {
        return Err(Error::usage(anyhow!(
            "{} truth files and {} of detections; give --truth and --detections in pairs, or --source to run the line",
            args.truth.len(),
            args.detections.len()
        )));
    }
    let wish = args.sheet_wish();
    let mut all = Vec::new();
    for (truth, detections) in args.truth.iter().zip(&args.detections) {
        let mut clips = load::truth(truth, &wish).map_err(load_error)?;
        load::detections(detections, &mut clips, &wish).map_err(load_error)?;
        all.append(&mut clips);
    }
    Ok(all)
}

/// One clip with truth from a file or from the source itself, and detections of the line.
fn played(args: &Args, spec: &SourceSpec, config: &Config) -> Result<Clip> {
    let (spec, mut clip) = match (&args.truth[..], spec) {
        ([path], _) => {
            let clips = load::truth(path, &args.sheet_wish()).map_err(load_error)?;
            let n = clips.len();
            let Ok([clip]) = <[Clip; 1]>::try_from(clips) else {
                return Err(Error::usage(anyhow!("{n} videos are in it; choose one with --video: {}", path.display())));
            };
            (spec.clone(), clip)
        }
        ([], SourceSpec::Synthetic(s)) => synthetic(&s.options, args.duration)?,
        ([], _) => return Err(Error::usage(anyhow!("only a synthetic: source knows its truth; give --truth FILE"))),
        _ => return Err(Error::usage(anyhow!("one source goes with one --truth"))),
    };
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut source = plan::open_source(&spec)?;
    let mut analyser = plan::build_analyser(config, spec.delivers_pictures(), source.is_live())?;
    let bar = ProgressBar::new((clip.seconds * 10.0) as u64);
    let style = ProgressStyle::with_template("{bar:40} {percent} % of {msg}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(source.name());
    let wish = Wish { limit: args.duration, traces: args.plot.is_some().then_some(config.analysis.movement) };
    let played = play(source.as_mut(), &mut analyser, wish, &mut |t| {
        bar.set_position((t.as_secs() * 10.0) as u64);
        !stop.requested()
    });
    bar.finish_and_clear();
    let played = played.map_err(play_error)?;
    clip.take(played);
    Ok(clip)
}

/// A play error with its exit code.
pub(super) fn play_error(e: PlayError) -> Error {
    match e {
        PlayError::Capture(e) => plan::capture_error(e),
        PlayError::Setting(e) => Error::config(e),
        other => Error::failure(other),
    }
}

/// A synthetic source as fast as it can, and its truth.
fn synthetic(
    options: &std::collections::BTreeMap<String, String>,
    limit: Option<Duration>,
) -> Result<(SourceSpec, Clip)> {
    let mut options = options.clone();
    options.insert("pace".into(), "fast".into());
    let synthetic = SyntheticConfig::from_options(&options).map_err(plan::capture_error)?;
    debug_assert_eq!(synthetic.pace, Pace::Fast);
    let Some(seconds) = [synthetic.duration, limit.map(|l| l.as_secs_f64())].into_iter().flatten().reduce(f64::min)
    else {
        return Err(Error::usage(anyhow!("the source has no end; say --duration, as in --duration 60s")));
    };
    let end = Timestamp::from_secs(seconds);
    let mut clip =
        Clip { name: format!("synthetic {}", synthetic.seed), seconds, fps: Some(synthetic.fps), ..Clip::default() };
    for face in 0..synthetic.faces {
        let mut script = synthetic.script(face);
        script.extend_to(end);
        let iod = Some(synthetic.placed_iod());
        clip.truth.extend(script.truth().iter().filter(|e| e.offset <= end).filter_map(|e| Truth::of(e, iod)));
    }
    clip.truth.sort_by_key(|t| (t.span.onset(), t.span.offset()));
    let spec = SourceSpec::Synthetic(crate::capture::SyntheticSpec { options });
    Ok((spec, clip))
}
