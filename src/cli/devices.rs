//! `mercam devices`: which cameras there are.

use super::output;
use crate::capture::list_devices;
use crate::error::{Error, Result};

/// Arguments of `devices`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Lists cameras; exit code 69 when there is none.
pub fn run(_: &Args) -> Result<()> {
    let devices = list_devices();
    if devices.is_empty() {
        return Err(Error::unavailable(anyhow::anyhow!(
            "no V4L2 camera was found under /dev. A USB camera shows up there when it is plugged in; a Raspberry Pi's \
             CSI camera does not: pipe it in with rpicam-vid (see `mercam run --help`)"
        )));
    }
    let text: Vec<String> = devices.iter().map(|d| format!("{d}\n")).collect();
    output::print(&text.join("\n"))
}
