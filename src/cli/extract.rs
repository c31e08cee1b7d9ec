//! `mercam extract`: from pictures to a landmark stream or a movement table.

use super::part::PartFile;
use super::{output, plan};
use crate::capture::{LandmarkWriter, SourceSpec, Step, blank_frame};
use crate::error::{Error, Result};
use crate::face::stage::FaceStage;
use crate::frame::{Content, Face};
use crate::movement::table::{Columns, MovementTable};
use crate::pipeline::shutdown::Shutdown;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
Two forms, chosen by the ending of --out:
  .jsonl  landmark stream: one line per frame with all faces; `mercam run --source replay:FILE` plays it again
  .csv    movement table: one line per face and frame with movement in inter-ocular distances, head motion removed

Examples:
  mercam extract --source y4m:clip.y4m --out clip.jsonl
  mercam extract --source 'images:clip/?fps=200' --out clip.csv
  mercam extract --source y4m:clip.y4m --out clip.csv --columns openface";

/// Arguments of `extract`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Where frames come from, as in `mercam run`
    #[arg(short, long, value_name = "URI")]
    source: SourceSpec,
    /// File to write; written whole or not at all
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Columns of a .csv: mercam's own, or those of OpenFace 2 (landmarks in pixels) with movement behind them
    #[arg(long, value_name = "NAME", default_value = "mercam")]
    columns: Columns,
    #[command(flatten)]
    config: plan::ConfigArgs,
}

/// What is written.
enum Writer<W: Write> {
    Landmarks(LandmarkWriter<W>),
    Movement(Box<MovementTable<W>>),
}

/// Extracts.
pub fn run(args: &Args) -> Result<()> {
    let config = args.config.resolve()?;
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let mut source = plan::open_source(&args.source, &config.indicator)?;
    let mut stage: Option<FaceStage> =
        if args.source.delivers_pictures() { Some(plan::build_face(&config, false)?) } else { None };
    let ending = args.out.extension().and_then(|e| e.to_str()).unwrap_or_default().to_string();
    let (part, file) = PartFile::create(&args.out)?;
    let growing = part.growing().to_path_buf();
    let written =
        |e: std::io::Error| Error::failure(anyhow::Error::new(e).context(format!("writing {}", growing.display())));
    let file = BufWriter::new(file);
    let mut writer = match ending.as_str() {
        "jsonl" => Writer::Landmarks(LandmarkWriter::new(file, &source.name()).map_err(written)?),
        "csv" => {
            let table = MovementTable::new(file, config.analysis.movement, args.columns)
                .map_err(|e| Error::config(anyhow::anyhow!("{e}")))?;
            Writer::Movement(Box::new(table))
        }
        other => {
            part.discard();
            return Err(Error::usage(anyhow::anyhow!("--out ends in `.{other}`; .jsonl and .csv are known")));
        }
    };
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {pos} frames, {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let (mut frame, mut faces, mut found) = (blank_frame(), Vec::<Face>::new(), 0u64);
    while !stop.requested() {
        match source.next(&mut frame, Duration::from_millis(200)).map_err(plan::capture_error)? {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        match (&frame.content, &mut stage) {
            (Content::Picture(picture), Some(stage)) => {
                stage.process(frame.time, picture, &mut faces).map_err(Error::failure)?;
            }
            (Content::Faces(given), _) => faces.clone_from(given),
            (Content::Picture(_), None) => return Err(Error::failure(anyhow::anyhow!("a picture came unexpectedly"))),
        }
        found += u64::from(!faces.is_empty());
        match &mut writer {
            Writer::Landmarks(w) => w.write(frame.time, frame.sequence, frame.lost_before, &faces).map_err(written)?,
            Writer::Movement(w) => w.write(frame.time, frame.sequence, frame.lost_before, &faces).map_err(written)?,
        }
        bar.inc(1);
    }
    let frames = bar.position();
    bar.finish_and_clear();
    match &mut writer {
        Writer::Landmarks(w) => w.flush().map_err(written)?,
        Writer::Movement(w) => w.flush().map_err(written)?,
    }
    drop(writer);
    part.complete()?;
    output::print(&format!("{frames} frames, {found} of them with a face: {}\n", args.out.display()))
}
