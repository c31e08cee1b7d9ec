//! `mercam check`: builds everything that `run` would build, then stops.

use super::{output, plan};
use crate::error::Result;
use crate::health::cpu;

/// Arguments of `check`: those of `run`.
pub type Args = super::run::Args;

/// Builds source, networks, model and sinks, and says so.
pub fn run(args: &Args) -> Result<()> {
    let config = args.resolve()?;
    let mut lines = vec!["configuration  good".to_string()];
    let source = plan::open_source(&config.source, &config.indicator)?;
    lines.push(format!("source         {}", source.name()));
    let analyser = plan::build_analyser(&config, config.source.delivers_pictures(), source.is_live())?;
    let face = if config.source.delivers_pictures() {
        config.face.networks().map(|n| n.to_string()).join(", ")
    } else {
        "not needed by this source".to_string()
    };
    lines.push(format!("face networks  {face}"));
    let model = analyser.model();
    lines.push(format!("model          {} ({}, sha256 {}...)", model.id, model.precision, model.sha256));
    lines.push(format!("processor      {}", cpu::prepare()));
    for sink in plan::open_sinks(&config.sinks)? {
        lines.push(format!("sink           {}", sink.name()));
    }
    if let Some(metrics) = plan::open_metrics(&config)? {
        lines.push(format!("metrics        {}", metrics.place().unwrap_or("in a file")));
    }
    output::print(&(lines.join("\n") + "\n"))
}
