//! `mercam record`: runs as `run` does, and keeps the landmarks that it saw, so that the run can be played again.

use super::part::PartFile;
use super::run::{Args as RunArgs, Session};
use crate::error::{Error, Result};
use crate::pipeline::aside::Recorder;
use std::io::BufWriter;
use std::path::PathBuf;

const HELP: &str = "\
One line per analysed frame: its time, its number, the frames lost before it, and 68 landmarks with their confidence for
each face. No pixel is stored; landmarks are still personal data. Played again with
  mercam run --source replay:FILE
it gives the same detections, byte for byte but for the number of the run and the wall time (`unix_us`), which a recording
does not have. A run that is killed leaves FILE.part; every whole line in it can be played.

Examples:
  mercam record --source /dev/video0 --out visit.jsonl --duration 10m
  mercam record --source y4m:clip.y4m --out clip.jsonl --sink file:events.jsonl";

/// Arguments of `record`: those of `run`, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[group(skip)]
pub struct Args {
    /// File to write; FILE.part until the run is over
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs and records.
pub fn run(args: &Args) -> Result<()> {
    let config = args.run.resolve()?;
    let (part, file) = PartFile::create(&args.out)?;
    let source = config.source.to_string();
    let begun = Recorder::new(Box::new(BufWriter::new(file)), &source)
        .map_err(|e| Error::failure(anyhow::Error::new(e).context(format!("writing {}", part.growing().display()))))
        .and_then(|recorder| Session::prepare(config, &args.run, Some(recorder)));
    match begun {
        Ok(session) => {
            let report = session.run()?;
            part.complete()?;
            log::info!("{} frames recorded: {}", report.status.frames, args.out.display());
            Ok(())
        }
        Err(e) => {
            part.discard(); // nothing has been seen yet
            Err(e)
        }
    }
}
