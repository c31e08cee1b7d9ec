//! `mercam config`: the documented default, or what is in force.

use super::{output, plan::ConfigArgs};
use crate::config::DEFAULT_TOML;
use crate::error::{Error, Result};

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the default configuration with a comment on every key
    Default,
    /// Print the configuration in force: file, environment and flags together
    Show(ConfigArgs),
}

/// Prints a configuration.
pub fn run(args: &Args) -> Result<()> {
    match &args.what {
        What::Default => output::print(DEFAULT_TOML),
        What::Show(args) => {
            let config = args.resolve()?;
            output::print(&toml::to_string(&config).map_err(Error::failure)?)
        }
    }
}
