//! `mercam man` and `mercam completions`: what a package needs beside the binary.

use super::{Cli, output};
use crate::error::{Error, Result};
use anyhow::Context;
use clap::CommandFactory;
use std::path::PathBuf;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Folder for mercam.1, mercam-run.1 and so on
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Writes a manual page for the program and for each command.
pub fn man(args: &ManArgs) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("writing manual pages to {}", args.folder.display()))
        .map_err(Error::unavailable)
}

/// Prints the completions of a shell.
pub fn completions(args: &CompletionArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mercam", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}
