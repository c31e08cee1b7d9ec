//! `mercam evaluate`: detections held against truth.

use super::{output, plan, synth};
use crate::capture::SourceSpec;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::evaluate::load::{self, LoadError, SheetWish};
use crate::evaluate::matching::MEGC_IOU;
use crate::evaluate::play::{PlayError, Wish, play};
use crate::evaluate::set::SetReport;
use crate::evaluate::text::Table;
use crate::evaluate::{Clip, Report, Truth, curve, plot};
use crate::face::models::Store;
use crate::health::indicator::IndicatorConfig;
use crate::pipeline::shutdown::Shutdown;
use crate::precision::{self, MeasureError, measure};
use crate::synth::recipe::{Recipe, Take};
use crate::synth::{Film, SyntheticConfig};
use crate::time::Timestamp;
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const HELP: &str = "\
Truth is what `mercam synth` wrote beside a video, or an annotation sheet of CAS(ME)^2, SAMM Long Videos or CAS(ME)^3
saved as CSV. Detections come from a file that `mercam run --sink file:FILE` wrote, from a folder with one such file for
each video of the sheet (VIDEO.jsonl), from another spotter's table of intervals (.csv), or from the line itself, which
is run when --source is given. A `synthetic:` source brings its own truth. With --recipe the line is run on every film
of a set (see `mercam synth --help`), and the figures are told by take. With --tracking the landmarks themselves are
held against the exact movement of the skin, beside those of the landmark network alone.

A detection is right when its intersection over union with an event is 0.5 or more, one to one; all clips count as one
long video (the MEGC rule). STRS is F1 of micro spotting times F1 of recognition on what was found.

Examples:
  mercam evaluate --source 'synthetic:?seed=1&fps=100' --duration 60s
  mercam evaluate --truth clip.truth.json --source y4m:clip.y4m --plot clip.html
  mercam evaluate --truth clip.truth.json --detections events.jsonl --json -
  mercam evaluate --truth CASME3_part_A.csv --detections events/ --json scores.json
  mercam evaluate --recipe tests/recipes/held_back.toml --json held_back.json
  mercam evaluate --recipe tests/recipes/detectability.toml --curve 0.5
  mercam evaluate --tracking --recipe tests/recipes/tracking.toml --data target/fixtures
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
    /// Run the line on the films of this recipe (TOML)
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["source", "truth", "detections"])]
    recipe: Option<PathBuf>,
    /// Tell how precisely landmarks follow in the films of the recipe, instead of what is spotted
    #[arg(long, requires = "recipe", conflicts_with_all = ["curve", "plot"])]
    tracking: bool,
    /// Folder in which relative paths of the recipe begin [default: the recipe's own]
    #[arg(long, value_name = "DIR", requires = "recipe")]
    data: Option<PathBuf>,
    /// Only this take of the recipe, by name; may be given again
    #[arg(long, value_name = "NAME", requires = "recipe")]
    take: Vec<String>,
    /// Only so many seeds of each take: a quick look
    #[arg(long, value_name = "N", requires = "recipe")]
    seeds: Option<usize>,
    /// Films that are evaluated at the same time
    #[arg(long, value_name = "N", default_value_t = 1, requires = "recipe")]
    jobs: usize,
    /// Also tell the recall by pixels of movement, at no more than this many false alarms per minute
    #[arg(long, value_name = "PER_MINUTE")]
    curve: Option<f64>,
    /// Print the tables as Markdown
    #[arg(long)]
    markdown: bool,
    /// Stop after this much source time, as in 20s or 5m
    #[arg(short, long, value_name = "TIME", value_parser = plan::parse_duration, conflicts_with_all = ["detections", "recipe"])]
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
    if let Some(rate) = args.curve
        && !(0.0..1e6).contains(&rate)
    {
        return Err(Error::usage(anyhow!("--curve is {rate}; it must be false alarms per minute, 0 or more")));
    }
    if let (Some(path), true) = (&args.recipe, args.tracking) {
        return tracking(args, path, &config);
    }
    if let Some(path) = &args.recipe {
        let (recipe, clips) =
            films(args, path, &config, &|take, seed, film, show| spotted(args, take, seed, film, &config, show))?;
        let set = SetReport::new(&recipe.about, &clips, args.iou, args.curve);
        let json = serde_json::to_string_pretty(&set).map_err(Error::failure)? + "\n";
        let mut tables = vec![set.summary()];
        tables.extend(set.curves.as_deref().map(|c| curve_table(c, args.curve)));
        tables.extend(set.all.tables());
        return args.tell(&clips, &set.all, &json, &tables);
    }
    let clips = match &args.source {
        Some(source) => vec![played(args, source, &config)?],
        None => recorded(args)?,
    };
    let report = Report::new(&clips, args.iou);
    let json = serde_json::to_string_pretty(&report).map_err(Error::failure)? + "\n";
    let mut tables = report.tables();
    if args.curve.is_some() {
        let curves = curve::curves(&clips, args.iou, args.curve.unwrap_or_default());
        tables.push(curve_table(&curves, args.curve));
    }
    args.tell(&clips, &report, &json, &tables)
}

fn curve_table(curves: &[curve::Curve], rate: Option<f64>) -> Table {
    let rate = rate.unwrap_or_default();
    (
        format!("Recall by the largest movement of a landmark, at no more than {rate} false alarms per minute"),
        curve::table(curves),
    )
}

impl Args {
    /// Prints and writes what is known.
    fn tell(&self, clips: &[Clip], report: &Report, json: &str, tables: &[Table]) -> Result<()> {
        if let Some(path) = &self.plot {
            write(path, &plot::html(clips, report))?;
        }
        self.show(json, tables)
    }

    /// Writes the JSON and prints the tables.
    fn show(&self, json: &str, tables: &[Table]) -> Result<()> {
        match &self.json {
            Some(path) if path == Path::new("-") => return output::print(json),
            Some(path) => write(path, json)?,
            None => {}
        }
        let shown: Vec<String> = tables
            .iter()
            .map(|(title, rows)| match self.markdown {
                true => format!("{title}:\n\n{}", markdown(rows)),
                false => format!("{title}\n{}", output::table(rows)),
            })
            .collect();
        output::print(&shown.join("\n"))
    }
}

/// Rows as a Markdown table.
fn markdown(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(|c| c.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = String::new();
    for (k, row) in rows.iter().enumerate() {
        text.push_str(&line(row));
        if k == 0 {
            text.push_str(&format!("|{}\n", "---|".repeat(row.len())));
        }
    }
    text
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
    let mut source = plan::open_source(&spec, &IndicatorConfig::default())?;
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
fn play_error(e: PlayError) -> Error {
    match e {
        PlayError::Capture(e) => plan::capture_error(e),
        PlayError::Setting(e) => Error::config(e),
        other => Error::failure(other),
    }
}

/// What is made of a film: take, seed, film, and a call that shows how far it is and says whether to go on.
type Work<'a, T> = dyn Fn(&Take, u64, &mut Film, &dyn Fn(f64) -> bool) -> Result<T> + Sync + 'a;

/// Does the work on each film of a recipe, several at a time, and gives the results in the recipe's order.
fn films<T: Send>(args: &Args, path: &Path, config: &Config, work: &Work<'_, T>) -> Result<(Recipe, Vec<T>)> {
    let (mut recipe, folder) = synth::read_recipe(path, args.data.as_ref())?;
    if let Some(unknown) = args.take.iter().find(|name| recipe.takes.iter().all(|t| t.name != **name)) {
        let mut names: Vec<&str> = recipe.takes.iter().map(|t| t.name.as_str()).collect();
        names.dedup();
        return Err(Error::usage(anyhow!("no take is named `{unknown}`; the recipe has: {}", names.join(", "))));
    }
    recipe.takes.retain(|t| args.take.is_empty() || args.take.contains(&t.name));
    let most = args.seeds.unwrap_or(usize::MAX).max(1);
    recipe.takes.iter_mut().for_each(|t| t.seeds.truncate(most));
    let todo: Vec<(&Take, u64)> = recipe.takes.iter().flat_map(|t| t.seeds.iter().map(move |s| (t, *s))).collect();
    if todo.iter().any(|(t, _)| t.face.has_pictures()) {
        super::models::ensure(&config.face.networks())?;
    }
    let opener = Mutex::new(synth::opener(&folder, &recipe.takes, &config.face)?);
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let bar = ProgressBar::new(1000 * todo.len() as u64);
    let style = ProgressStyle::with_template("{bar:40} {percent} % {msg}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.clamp(1, 64) {
            scope.spawn(|| {
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(take, seed)) = todo.get(k) else { return };
                    let show = |share: f64| {
                        bar.set_position((1000.0 * (done.load(Ordering::Relaxed) as f64 + share)) as u64);
                        !stop.requested()
                    };
                    let name = format!("{}, seed {seed}", take.name);
                    bar.set_message(name.clone());
                    let film = {
                        let mut opener = opener.lock().unwrap_or_else(PoisonError::into_inner);
                        opener.open(take, seed, &mut |_| {}).map_err(|e| synth::open_error(e).context(name))
                    };
                    let result = film.and_then(|mut film| work(take, seed, &mut film, &show));
                    let failed = result.is_err();
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((k, result));
                    done.fetch_add(1, Ordering::Relaxed);
                    if failed {
                        next.store(todo.len(), Ordering::Relaxed); // nobody begins another one
                        return;
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|r| r.0);
    let results = results.into_iter().map(|r| r.1).collect::<Result<Vec<T>>>()?;
    Ok((recipe, results))
}

/// One film through the line.
fn spotted(
    args: &Args,
    take: &Take,
    seed: u64,
    film: &mut Film,
    config: &Config,
    show: &dyn Fn(f64) -> bool,
) -> Result<Clip> {
    let name = format!("{}, seed {seed}", take.name);
    let mut clip = Clip::of(film, &take.name, name.clone());
    let mut analyser = plan::build_analyser(config, take.face.has_pictures(), false)?;
    let wish = Wish { limit: None, traces: args.plot.is_some().then_some(config.analysis.movement) };
    let seconds = film.seconds();
    let played = play(film, &mut analyser, wish, &mut |t| show((t.as_secs() / seconds).min(1.0)));
    let played = played.map_err(|e| play_error(e).context(name))?;
    let unseen = 1.0 - played.with_face as f64 / played.frames.max(1) as f64;
    if unseen > 0.05 {
        log::warn!("{}: no face was followed in {:.0} % of the frames", clip.name, 100.0 * unseen);
    }
    clip.take(played);
    Ok(clip)
}

/// How precisely landmarks follow in the films of a recipe.
fn tracking(args: &Args, path: &Path, config: &Config) -> Result<()> {
    let (recipe, courses) = films(args, path, config, &|take, seed, film, show| {
        let store = Store::default();
        let mut stage = config.face.build(&store, false).map_err(Error::failure)?;
        let mut net = config.face.landmarks.build(&store).map_err(Error::failure)?;
        let seconds = film.seconds();
        let course = measure(film, &mut stage, &mut net, &mut |t| show((t.as_secs() / seconds).min(1.0)));
        course.map(|c| (take.name.clone(), c)).map_err(|e| {
            match e {
                MeasureError::Capture(e) => plan::capture_error(e),
                MeasureError::NoTruth => Error::usage(e),
                other => Error::failure(other),
            }
            .context(format!("{}, seed {seed}", take.name))
        })
    })?;
    let mut takes: Vec<precision::Take> = Vec::new();
    for (name, course) in &courses {
        if takes.iter().all(|t| t.name != *name) {
            takes.push(precision::Take::new(name));
        }
        takes.iter_mut().filter(|t| t.name == *name).for_each(|t| t.add(course));
    }
    let report = precision::Report::new(&recipe.about, &takes, config.face.tracking.tracker.contour);
    let json = serde_json::to_string_pretty(&report).map_err(Error::failure)? + "\n";
    args.show(&json, &report.tables())
}

/// A synthetic source as fast as it can, and its truth.
fn synthetic(
    options: &std::collections::BTreeMap<String, String>,
    limit: Option<Duration>,
) -> Result<(SourceSpec, Clip)> {
    let mut options = options.clone();
    options.insert("pace".into(), "fast".into());
    let synthetic = SyntheticConfig::from_options(&options).map_err(plan::capture_error)?;
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
