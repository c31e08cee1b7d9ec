//! `mercam synth`: videos of moving faces with exact truth.

use super::{models, output, plan};
use crate::capture::{LandmarkWriter, Source, Step, blank_frame};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::face::config::FaceConfig;
use crate::frame::{Content, Luma};
use crate::health::logger::{self, LogLevel};
use crate::pipeline::shutdown::Shutdown;
use crate::synth::Film;
use crate::synth::recipe::{FaceSpec, OpenError, Opener, Recipe, Take};
use crate::synth::truth_file::TruthWriter;
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HELP: &str = "\
Writes a y4m video and, beside it, a truth file: every event with onset, apex and offset, action units and class, and
for each frame the landmarks and what acts. `mercam evaluate` scores detections against it.

A face is drawn by rule, or taken from a photo and warped (--face photo:FILE), or filmed: with --face clip:y4m:FILE
micro-expressions are warped into the moving face of a real film. Warping is smooth, done in light and not in grey
levels, and every frame is resampled alike, so no frame is told by its blur.

What can be set, as in --set script.talking=0.2 (all of them: --print-recipe):
  script.strength    strength of micro-expressions; 1 is that of real ones     script.macros   share of slow expressions
  script.min_peak    smallest movement, in inter-ocular distances              script.talking  share of talking
  script.micros      false: only the distractors                               script.blinks   a blink every 3 to 6 s
  motion             head motion; 1 is a quiet real head                       drop            share of lost frames
  camera_noise       grey levels at middle grey                                iod             pixels between the eyes
  camera.jpeg        quality of MJPEG compression; 0 is none                   camera.shutter_ms    motion blur
  camera.flicker     share of the light, at camera.flicker_hz                  camera.light_steps   per minute
  camera.occlusions  hands before the face, per minute                         camera.light_drift   share of the light

Examples:
  mercam synth --out clip.y4m
  mercam synth --face photo:me.jpg --fps 100 --duration 60s --set camera.jpeg=85 --out me.y4m
  mercam synth --face clip:y4m:talk.y4m --set camera_noise=0 --seed 3 --out talk-3.y4m
  mercam synth --recipe set.toml --take 'drawn 100' --seed 9001 --out a.y4m
  mercam synth --print-recipe > mine.toml
  mercam evaluate --truth clip.truth.json --source y4m:clip.y4m --plot clip.html";

/// Arguments of `synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Video to write: FILE.y4m, FILE.jsonl for --face landmarks, or - for y4m on standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "print_recipe")]
    out: Option<PathBuf>,
    /// Truth file to write [default: FILE.truth.json beside the video]
    #[arg(long, value_name = "FILE.json")]
    truth: Option<PathBuf>,
    /// Whose face: drawn, landmarks, photo:FILE, photo:FILE#2 (second from the left), clip:URI
    #[arg(short, long, value_name = "FACE")]
    face: Option<FaceSpec>,
    /// Names the script, the motion, the noise and a drawn face [default: the take's first]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Frames per second [default: 100]
    #[arg(long, value_name = "FPS")]
    fps: Option<f64>,
    /// Length [default: 20s]
    #[arg(short, long, value_name = "TIME", value_parser = plan::parse_duration)]
    duration: Option<Duration>,
    /// Set one key of the film, as in --set camera.jpeg=85; wins over the recipe
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Recipe of a set of films (TOML), of which one is made
    #[arg(short, long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Which take of the recipe, by name [default: the first]
    #[arg(long, value_name = "NAME", requires = "recipe")]
    take: Option<String>,
    /// Folder in which relative paths of the recipe begin [default: the recipe's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print the recipe that is in force, with every key, and make nothing
    #[arg(long)]
    print_recipe: bool,
    /// How much to log to standard error
    #[arg(short, long, value_name = "LEVEL", default_value = "info")]
    log: LogLevel,
}

/// Length of a film when nothing says how long.
const DEFAULT_SECONDS: f64 = 20.0;

/// Makes the video.
pub fn run(args: &Args) -> Result<()> {
    logger::start(args.log);
    let (mut take, folder) = args.take()?;
    let seed = args.seed.or(take.seeds.first().copied()).unwrap_or(1);
    take.seeds = vec![seed];
    if args.print_recipe {
        let recipe = Recipe { takes: vec![take], ..Recipe::default() };
        return output::print(&toml::to_string(&recipe).map_err(Error::failure)?);
    }
    let Some(out) = &args.out else { return Err(Error::usage(anyhow!("say where to with --out FILE.y4m"))) };
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut opener = opener(&folder, std::slice::from_ref(&take), &Config::default().face)?;
    let film = opener.open(&take, seed, &mut |_| {}).map_err(open_error)?;
    let done = write(args, out, &take, seed, film, &stop)?;
    match &done.1 {
        Some(_) if out == Path::new("-") => Ok(()),
        Some(truth) => output::print(&format!(
            "{} frames, {} micro-expressions, {} other events: {}; truth: {}\n",
            done.0.frames,
            done.0.micros,
            done.0.others,
            out.display(),
            truth.display()
        )),
        None => Ok(()),
    }
}

/// Finds faces as the line does by default; gets the networks when a take needs them.
pub(super) fn opener(folder: &Path, takes: &[Take], face: &FaceConfig) -> Result<Opener> {
    if takes.iter().any(|t| t.face.needs_networks()) {
        models::ensure(&face.networks())?;
    }
    Ok(Opener::new(face.clone(), folder))
}

/// An error of opening with its exit code.
pub(super) fn open_error(e: OpenError) -> Error {
    match e {
        OpenError::Recipe(_) | OpenError::Empty(_) => Error::config(e),
        OpenError::Capture(e) => plan::capture_error(e),
        OpenError::Photo(..) => Error::unavailable(e),
        _ => Error::failure(e),
    }
}

/// Reads a recipe, and the folder in which its paths begin.
pub(super) fn read_recipe(path: &Path, data: Option<&PathBuf>) -> Result<(Recipe, PathBuf)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("recipe {}", path.display()));
    let text = text.map_err(Error::unavailable)?;
    let recipe = Recipe::from_toml(&text).map_err(|e| open_error(e).context(format!("recipe {}", path.display())))?;
    let own = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok((recipe, data.cloned().unwrap_or(own)))
}

impl Args {
    /// The take that is meant, with the flags laid on top, and the folder of its files.
    fn take(&self) -> Result<(Take, PathBuf)> {
        let (mut take, folder) = match &self.recipe {
            None => (Take::default(), self.data.clone().unwrap_or_default()),
            Some(path) => {
                let (recipe, folder) = read_recipe(path, self.data.as_ref())?;
                let names: Vec<String> = recipe.takes.iter().map(|t| t.name.clone()).collect();
                let mut meant = recipe.takes;
                meant.retain(|t| self.take.as_ref().is_none_or(|name| *name == t.name));
                // takes of one name are of one cast, each with seeds of its own
                let seeded = self.seed.and_then(|seed| meant.iter().position(|t| t.seeds.contains(&seed)));
                let take = meant.into_iter().nth(seeded.unwrap_or(0)).ok_or_else(|| {
                    let wanted = self.take.as_deref().unwrap_or_default();
                    Error::usage(anyhow!("no take is named `{wanted}`; the recipe has: {}", names.join(", ")))
                })?;
                (take, folder)
            }
        };
        if let Some(face) = &self.face {
            take.face = face.clone();
        }
        if let Some(fps) = self.fps {
            take.synthetic.fps = fps;
        }
        let said = self.duration.map(|d| d.as_secs_f64()).or(take.synthetic.duration);
        take.synthetic.duration = Some(said.unwrap_or(DEFAULT_SECONDS));
        for pair in &self.set {
            set(&mut take, pair).map_err(Error::usage)?;
        }
        Ok((take, folder))
    }
}

/// Sets one key of a take's film.
fn set(take: &mut Take, pair: &str) -> anyhow::Result<()> {
    let (key, value) = pair.split_once('=').ok_or_else(|| anyhow!("--set {pair}: expected KEY=VALUE"))?;
    let mut table = toml::Table::try_from(&take.synthetic)?;
    // A word without quotation marks is text.
    let value: toml::Value = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.into()));
    let mut at = &mut table;
    let (path, last) = key.rsplit_once('.').map_or((None, key), |(path, last)| (Some(path), last));
    for part in path.into_iter().flat_map(|p| p.split('.')) {
        at = at
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| anyhow!("--set {pair}: `{part}` has no keys"))?;
    }
    at.insert(last.into(), value);
    take.synthetic = table.try_into().with_context(|| format!("--set {pair}"))?;
    Ok(())
}

/// What was written.
struct Written {
    frames: u64,
    micros: usize,
    others: usize,
}

/// Where the frames go.
enum Video {
    Y4m(Box<dyn Write>),
    Landmarks(LandmarkWriter<Box<dyn Write>>),
}

/// The name under which a file grows until it is whole.
fn part(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()));
    Ok(BufWriter::new(file.map_err(Error::unavailable)?))
}

/// Writes video and truth; both appear when they are whole.
fn write(
    args: &Args,
    out: &Path,
    take: &Take,
    seed: u64,
    mut film: Film,
    stop: &Shutdown,
) -> Result<(Written, Option<PathBuf>)> {
    let pipe = out == Path::new("-");
    let truth_path = args.truth.clone().or_else(|| (!pipe).then(|| out.with_extension("truth.json")));
    let failed =
        |e: std::io::Error| Error::failure(anyhow::Error::new(e).context(format!("writing {}", out.display())));
    let sink: Box<dyn Write> =
        if pipe { Box::new(BufWriter::new(std::io::stdout())) } else { Box::new(create(&part(out))?) };
    let mut video = if take.face.has_pictures() {
        Video::Y4m(sink)
    } else {
        Video::Landmarks(LandmarkWriter::new(sink, &film.name()).map_err(failed)?)
    };
    let bar = ProgressBar::new((film.seconds() * film.fps()) as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut frame, mut truth, mut frames) = (blank_frame(), None, 0u64);
    let mut last: Option<Luma> = None;
    let name = out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    loop {
        if stop.requested() {
            return Err(Error::failure(anyhow!("stopped; nothing was kept: {}", out.display())));
        }
        match film.next(&mut frame, Duration::from_secs(1)).map_err(plan::capture_error)? {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        let size = match &frame.content {
            Content::Picture(p) => (p.width(), p.height()),
            Content::Faces(_) => (0, 0),
        };
        if frames == 0 {
            if let Video::Y4m(to) = &mut video {
                let (n, d) = rational(film.fps());
                writeln!(to, "YUV4MPEG2 W{} H{} F{n}:{d} Ip A1:1 Cmono", size.0, size.1).map_err(failed)?;
            }
            if let Some(path) = &truth_path {
                let writer = TruthWriter::new(create(&part(path))?, &name, take, seed, &film, size);
                truth = Some(writer.map_err(failed)?);
            }
        }
        match (&mut video, &frame.content) {
            (Video::Y4m(to), Content::Picture(picture)) => {
                // Video files have no gaps: a lost frame is a repeat of the one before it, as recorders do.
                let again = last.as_ref().map_or(0, |_| frame.lost_before);
                for repeated in std::iter::repeat_n(last.as_ref(), again as usize).flatten().chain([picture]) {
                    to.write_all(b"FRAME\n").and_then(|()| to.write_all(repeated.pixels())).map_err(failed)?;
                }
                last.get_or_insert_default().clone_from(picture);
            }
            (Video::Landmarks(to), Content::Faces(faces)) => {
                to.write(frame.time, frame.sequence, frame.lost_before, faces).map_err(failed)?;
            }
            _ => return Err(Error::failure(anyhow!("the film changed its kind: {}", film.name()))),
        }
        if let Some(truth) = &mut truth {
            truth.write(frame.time, frame.sequence, &film).map_err(failed)?;
        }
        frames += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    match &mut video {
        Video::Y4m(to) => to.flush().map_err(failed)?,
        Video::Landmarks(to) => to.flush().map_err(failed)?,
    }
    drop(video);
    if let Some(truth) = truth {
        truth.finish().map_err(failed)?;
    }
    for path in truth_path.iter().map(PathBuf::as_path).chain((!pipe).then_some(out)) {
        std::fs::rename(part(path), path).map_err(failed)?;
    }
    let micros = film.events().iter().filter(|e| e.class().is_some()).count();
    Ok((Written { frames, micros, others: film.events().len() - micros }, truth_path))
}

/// A frame rate as y4m writes it.
fn rational(fps: f64) -> (u64, u64) {
    for d in [1u64, 1001] {
        let n = fps * d as f64;
        // Rates of the 1001 family are multiples of 1000 over it.
        let step = if d == 1 { 1.0 } else { 1000.0 };
        let rounded = (n / step).round() * step;
        if (rounded - n).abs() < 1e-3 * n / 100.0 {
            return (rounded as u64, d);
        }
    }
    ((fps * 1000.0).round() as u64, 1000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_are_written_as_recorders_write_them() {
        assert_eq!(rational(25.0), (25, 1));
        assert_eq!(rational(24.000_01), (24, 1));
        assert_eq!(rational(24_000.0 / 1001.0), (24_000, 1001));
        assert_eq!(rational(59.94005994), (60_000, 1001));
        assert_eq!(rational(12.345), (12_345, 1000));
    }

    #[test]
    fn single_keys_are_set_and_wrong_ones_named() {
        let mut take = Take::default();
        set(&mut take, "camera.jpeg=80").unwrap();
        set(&mut take, "script.micros=false").unwrap();
        set(&mut take, "fps=200").unwrap();
        assert!(take.synthetic.camera.jpeg == 80 && !take.synthetic.script.micros && take.synthetic.fps == 200.0);
        let error = |pair: &str| format!("{:#}", set(&mut Take::default(), pair).unwrap_err());
        assert!(error("camera.jpg=80").contains("jpg"));
        assert!(error("camera").contains("KEY=VALUE"));
        assert!(error("fps.x=1").contains("fps"));
    }
}
