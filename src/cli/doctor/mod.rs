//! `mercam doctor`: looks at everything that a run needs, and says what to mend.

mod bundle;
mod camera;
mod machine;
mod parts;

use super::output;
use super::plan::ConfigArgs;
use crate::capture::SourceSpec;
use crate::error::{Error, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

const HELP: &str = "\
Exit code 0: nothing is bad (there may be doubts); 69: something that a run needs is not there or does not work.
While it measures, the camera is on for --measure; no picture is kept. The bundle holds the report, the configuration
without secrets and a few texts of the system: no picture, no landmark, no event, no host name. Look into it before you
pass it on: tar -tzf FILE.

Examples:
  mercam doctor
  mercam doctor --config /etc/mercam/mercam.toml --bundle mercam-report.tar.gz";

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Look at this source instead of the configuration's
    #[arg(short, long, value_name = "URI")]
    source: Option<SourceSpec>,
    /// How long to measure the camera's rate; 0s: leave the camera alone
    #[arg(short, long, value_name = "TIME", default_value = "3s", value_parser = super::plan::parse_duration)]
    measure: std::time::Duration,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Write a support bundle (tar.gz) as well
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Good,
    /// It works, but not as well as it could.
    Doubtful,
    /// A run cannot do without it.
    Bad,
    /// It cannot be found out here, or does not apply.
    Unknown,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), mend: None }
    }

    fn unknown(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unknown, found: found.into(), mend: None }
    }

    fn doubtful(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Doubtful, found: found.into(), mend: Some(mend.into()) }
    }

    fn bad(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Bad, found: found.into(), mend: Some(mend.into()) }
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    arch: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for f in &self.findings {
            let mark = match f.verdict {
                Verdict::Good => "good",
                Verdict::Doubtful => "doubt",
                Verdict::Bad => "BAD",
                Verdict::Unknown => "-",
            };
            text.push_str(&format!("{mark:<6} {:<14} {}\n", f.check, f.found));
            if let Some(mend) = &f.mend {
                text.push_str(&format!("       {:<14} mend: {mend}\n", ""));
            }
        }
        text
    }

    fn bad(&self) -> Vec<&'static str> {
        self.findings.iter().filter(|f| f.verdict == Verdict::Bad).map(|f| f.check).collect()
    }
}

/// Looks at everything.
pub fn run(args: &Args) -> Result<()> {
    let mut config = args.config.resolve()?;
    if let Some(source) = &args.source {
        config.source = source.clone();
    }
    let root = Path::new("/");
    let mut findings = machine::look(root);
    findings.extend(parts::look(&config));
    findings.extend(camera::look(&config, args.measure));
    let report = Report { version: env!("CARGO_PKG_VERSION"), arch: std::env::consts::ARCH, findings };
    let json = serde_json::to_string_pretty(&report).map_err(|e| Error::failure(anyhow::Error::new(e)))?;
    output::print(&if args.json { json.clone() + "\n" } else { report.text() })?;
    if let Some(path) = &args.bundle {
        bundle::write(path, &json, &config, root)?;
        log::info!("support bundle written, look into it before you pass it on: {}", path.display());
    }
    match report.bad() {
        bad if bad.is_empty() => Ok(()),
        bad => Err(Error::unavailable(anyhow::anyhow!("not well: {}", bad.join(", ")))),
    }
}
