//! The commands: each has its arguments and its `run` in a file of its own.

mod bench;
mod check;
mod config;
mod demo;
mod devices;
mod doctor;
mod evaluate;
mod extract;
mod host;
mod man;
mod models;
mod output;
mod part;
mod plan;
mod recognise;
mod record;
mod reload;
mod run;
mod screen;
mod synth;

use crate::error::Result;
use clap::{Parser, Subcommand};

const ABOUT: &str = "A private micro-expression sensor: camera in, explained detections out";

const LONG_ABOUT: &str = "\
mercam watches a camera (or a file, a pipe, a built-in face), follows the faces in it with sub-pixel precision, \
spots micro-expressions (facial movements of 40 to 500 ms), recognises each with a small quantised graph network \
(DeRe-GRL) and sends the detections, with their reasons, to a log, a file, a serial line or standard output. \
No pixel leaves the process.

Start with `mercam demo`. Inferring people's emotions is restricted by law in places, at work and in schools above \
all, and the shipped model is trained on synthetic movement: read LIMITATIONS.md before you point it at anybody.";

const EXIT_CODES: &str = "\
Exit codes:
  0   the work was done
  1   something failed while running (restart)
  2   the command line is wrong
  69  a device, file or model that was asked for is not there
  78  the configuration is wrong (do not restart)";

/// The command line as typed.
#[derive(Debug, Parser)]
#[command(name = "mercam", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // one is made in the life of the process
enum Command {
    /// Watch a source and send detections to sinks, until it ends or Ctrl-C
    Run(run::Args),
    /// Run, and keep the landmarks that were seen (no pixels), to be played again with `replay:`
    Record(record::Args),
    /// See micro-expressions detected in a built-in moving face, with the true labels beside them
    Demo(demo::Args),
    /// List cameras, their modes, and which mode would be chosen and why
    Devices(devices::Args),
    /// Look at machine, camera, networks and sinks, and say what to mend
    Doctor(doctor::Args),
    /// Build everything that `run` would build, then stop: is this configuration good?
    Check(check::Args),
    /// Turn a video or pictures into a landmark stream (.jsonl) or a movement table (.csv)
    Extract(extract::Args),
    /// Receive events from many devices: acknowledge, drop what comes twice, count what is missing, store
    Host(host::Args),
    /// Make videos of moving faces with exact truth: drawn, from a photo, or in a real film
    Synth(synth::Args),
    /// Score detections against truth: spotting, timing, recognition, false alarms
    Evaluate(Box<evaluate::Args>),
    /// Time every station of the line on a source, or sinks
    Bench(bench::Args),
    /// Recognise movements measured elsewhere: the network alone, one JSON line each
    Recognise(recognise::Args),
    /// List, verify, fetch or install the face networks
    Models(models::Args),
    /// Write the manual pages into a folder
    Man(man::ManArgs),
    /// Print the completions for a shell: bash, zsh, fish, elvish, powershell
    Completions(man::CompletionArgs),
    /// Print the documented default configuration, or the one in force
    Config(config::Args),
}

/// Runs a command.
///
/// # Errors
/// The failure with the exit code that belongs to it.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Extract(args) => extract::run(&args),
        Command::Host(args) => host::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Recognise(args) => recognise::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Man(args) => man::man(&args),
        Command::Completions(args) => man::completions(&args),
        Command::Config(args) => config::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
