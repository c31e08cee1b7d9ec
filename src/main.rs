//! Parses, runs, and turns the outcome into an exit code; everything else is in the library.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match mercam::cli::run(mercam::cli::Cli::parse()) {
        Ok(()) => mercam::error::ExitCode::Success.into(),
        Err(e) => {
            eprintln!("mercam: {e}");
            e.code.into()
        }
    }
}
