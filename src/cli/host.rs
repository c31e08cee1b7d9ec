//! `mercam host`: the receiving end.

use super::screen::Screen;
use super::{output, plan};
use crate::error::{Error, Result};
use crate::health::logger::{self, LogLevel};
use crate::host::{Endpoint, ExportFormat, Exporter, Filter, HostConfig, HostError, HostStats, SqliteFeed};
use crate::host::{Follower, describe, stats_table, tail};
use crate::pipeline::shutdown::Shutdown;
use crate::sinks::SinkSpec;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  mercam host --listen tcp:127.0.0.1:7420 --dir events        # devices: --sink tcp:HOST:7420
  mercam host --listen 'serial:/dev/ttyUSB0?format=binary&baud=115200' --dir events --tui
  mercam host --listen unix:/run/mercam.sock --sqlite events.db
  mercam host --listen 'mqtt:broker?username=hub&password_file=/etc/mercam/hub'   # where built with mqtt
  mercam host tail --dir events --follow
  mercam host stats --dir events
  mercam host export --dir events --format csv --kind confirmed > confirmed.csv
  mercam host export --dir events --format sql --follow | psql fleet

A connection is neither encrypted nor authenticated: listen on the loopback, a cable or a private network, and use a
tunnel (ssh, WireGuard) elsewhere.";

/// Arguments of `host`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    receive: Receive,
}

/// Receives.
#[derive(Debug, clap::Args)]
struct Receive {
    /// Where to listen: tcp:ADDRESS:PORT, unix:PATH, serial:DEVICE?baud=115200&format=binary, mqtt:BROKER; may be given
    /// again
    #[arg(short, long, value_name = "URI", default_value = "tcp:127.0.0.1:7420")]
    listen: Vec<Endpoint>,
    /// Directory for what arrives: events.jsonl and stats.json; made when missing
    #[arg(long, value_name = "DIR", default_value = "mercam-events")]
    dir: PathBuf,
    /// Send every event here as well, once: log, human, file:PATH ...; may be given again
    #[arg(short = 'o', long = "sink", value_name = "URI")]
    sinks: Vec<SinkSpec>,
    /// Turn events.jsonl over at this size, in bytes; 0: never
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_bytes: u64,
    /// How many full files are kept
    #[arg(long, value_name = "N", default_value_t = 30)]
    keep: u32,
    /// Wait for the disk before anything is acknowledged: a power cut of the host costs nothing
    #[arg(long)]
    fsync: bool,
    /// Keep an SQLite database of the events as well; needs the program sqlite3
    #[arg(long, value_name = "FILE")]
    sqlite: Option<PathBuf>,
    /// Show devices, lines and the last events, renewed every second
    #[arg(long, visible_alias = "table")]
    tui: bool,
    /// How much to log to standard error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LogLevel,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the last events
    Tail {
        /// Directory of the host
        #[arg(long, value_name = "DIR", default_value = "mercam-events")]
        dir: PathBuf,
        /// How many
        #[arg(short, long, value_name = "N", default_value_t = 10)]
        number: usize,
        /// Go on showing what arrives, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// The stored lines instead of words
        #[arg(long)]
        json: bool,
    },
    /// Show devices and lines with their counters
    Stats {
        /// Directory of the host
        #[arg(long, value_name = "DIR", default_value = "mercam-events")]
        dir: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what has arrived to standard output
    Export {
        /// Directory of the host
        #[arg(long, value_name = "DIR", default_value = "mercam-events")]
        dir: PathBuf,
        /// In what form
        #[arg(long, default_value = "csv")]
        format: ExportFormat,
        /// Only of this device
        #[arg(long, value_name = "NAME")]
        device: Option<String>,
        /// Only of this kind: confirmed, provisional, withdrawn, face_appeared, face_left, status; may be given again
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
        /// Go on with what arrives, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
}

/// Receives, or shows what was received.
pub fn run(args: &Args) -> Result<()> {
    match &args.action {
        None => receive(&args.receive),
        Some(Action::Tail { dir, number, follow, json }) => show_tail(dir, *number, *follow, *json),
        Some(Action::Stats { dir, json }) => show_stats(dir, *json),
        Some(Action::Export { dir, format, device, kind, follow }) => {
            let filter = Filter { device: device.clone(), kinds: kind.clone() };
            match export(dir, *format, &filter, *follow) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(|e| unreadable(dir, e)),
            }
        }
    }
}

fn export(dir: &Path, format: ExportFormat, filter: &Filter, follow: bool) -> std::io::Result<()> {
    let stop = Shutdown::on_signals()?;
    let mut follower = Follower::from_the_beginning(dir)?;
    let mut exporter = Exporter::new(format, filter, BufWriter::new(std::io::stdout().lock()))?;
    loop {
        let events = follower.new_events()?;
        if !events.is_empty() {
            exporter.write(&events)?;
        } else if !follow || stop.wait(Duration::from_millis(500)) {
            return exporter.write(&[]);
        }
    }
}

fn receive(args: &Receive) -> Result<()> {
    logger::start(args.log);
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    let sinks = plan::open_sinks(&args.sinks)?;
    let Receive { listen, dir, max_bytes, keep, fsync, .. } = args;
    let config =
        HostConfig { listen: listen.clone(), dir: dir.clone(), max_bytes: *max_bytes, keep: *keep, fsync: *fsync };
    let no_database = |e: std::io::Error| Error::unavailable(anyhow::anyhow!("--sqlite: {e}"));
    let feed = args.sqlite.as_ref().map(|file| SqliteFeed::start(dir, file)).transpose().map_err(no_database)?;
    let mut screen = args.tui.then(|| Screen::new(dir));
    let mut trouble = Ok(());
    let done = config.run(sinks, &stop, |stats| {
        if let Some(screen) = &mut screen
            && let Err(e) = screen.draw(stats)
        {
            trouble = Err(e);
            stop.request();
        }
    });
    drop(screen);
    if let Some(feed) = feed {
        feed.finish();
    }
    let stats = done.map_err(|e| match e {
        HostError::Store(e) => plan::sink_error(e),
        e @ HostError::Listen { .. } => Error::unavailable(e),
        e @ HostError::Thread(_) => Error::failure(e),
    })?;
    for (name, d) in &stats.devices {
        log::info!("{} events, {} duplicates dropped, {} missing: {name}", d.events, d.duplicates, d.missing);
    }
    trouble
}

fn show_stats(dir: &Path, json: bool) -> Result<()> {
    let stats = HostStats::load(dir).map_err(|e| unreadable(dir, e))?;
    if json {
        let text = serde_json::to_string_pretty(&stats).map_err(Error::failure)?;
        return output::print(&format!("{text}\n"));
    }
    output::print(&output::table(&stats_table(&stats)))
}

fn show_tail(dir: &Path, number: usize, follow: bool, json: bool) -> Result<()> {
    let stop = Shutdown::on_signals().map_err(Error::failure)?;
    // Before the first look: what comes between is shown twice rather than not at all.
    let mut follower = if follow { Some(Follower::start(dir).map_err(|e| unreadable(dir, e))?) } else { None };
    let mut events = tail(dir, number).map_err(|e| unreadable(dir, e))?;
    loop {
        let mut text = Vec::new();
        for (line, envelope) in &events {
            if json {
                text.extend_from_slice(line);
            } else {
                text.extend_from_slice(describe(envelope).as_bytes());
            }
            text.push(b'\n');
        }
        let mut out = std::io::stdout().lock();
        match out.write_all(&text).and_then(|()| out.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(Error::failure)?,
        }
        let Some(follower) = &mut follower else { return Ok(()) };
        if stop.wait(Duration::from_millis(500)) {
            return Ok(());
        }
        events = follower.new_events().map_err(|e| unreadable(dir, e))?;
    }
}

fn unreadable(dir: &Path, e: std::io::Error) -> Error {
    Error::unavailable(e).context(format!("{}: is it the --dir of a `mercam host`?", dir.display()))
}
