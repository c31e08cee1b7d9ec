//! Keeps an SQLite database beside the stored events, through the `sqlite3` program.
//!
//! The stored lines are what counts; the database is made from them and can be thrown away. So it needs no library in this
//! program, and the same SQL goes to PostgreSQL (`mercam host export --format sql --follow | psql`). What is in the database
//! already is passed over: after a restart everything is offered again.

use super::export::{ExportFormat, Exporter, Filter};
use super::show::Follower;
use crate::pipeline::shutdown::Shutdown;
use std::io::{self, BufWriter, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PROGRAM: &str = "sqlite3";
/// How often is looked for new events.
const LOOK: Duration = Duration::from_millis(300);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);
/// How long the program may take for its last transaction.
const LAST: Duration = Duration::from_secs(10);

/// A thread that writes what a host stores into a database.
pub struct SqliteFeed {
    thread: JoinHandle<()>,
    stop: Shutdown,
}

impl SqliteFeed {
    /// Starts it for the directory of a host.
    ///
    /// # Errors
    /// When there is no `sqlite3`, or no thread.
    pub fn start(dir: &Path, database: &Path) -> io::Result<Self> {
        let there = Command::new(PROGRAM).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if let Err(e) = there {
            let why = format!("the program {PROGRAM} cannot be run ({e}): apt-get install {PROGRAM}");
            return Err(io::Error::new(e.kind(), why));
        }
        let stop = Shutdown::new();
        let (dir, database, own) = (dir.to_path_buf(), database.to_path_buf(), stop.clone());
        let thread = std::thread::Builder::new().name(PROGRAM.into());
        Ok(Self { thread: thread.spawn(move || feed(&dir, &database, &own))?, stop })
    }

    /// Writes what is left, and ends. To be called when nothing more is stored.
    pub fn finish(self) {
        self.stop.request();
        if self.thread.join().is_err() {
            log::error!("the thread of {PROGRAM} ended by a panic; please report this");
        }
    }
}

fn feed(dir: &Path, database: &Path, stop: &Shutdown) {
    let mut told = String::new();
    loop {
        match once(dir, database, stop) {
            Ok(()) => return,
            // The host has not begun its file yet.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !stop.requested() => {
                stop.wait(LOOK);
            }
            Err(e) => {
                let text = e.to_string();
                if text != told {
                    let path = database.display();
                    log::error!("{text}; events stay in events.jsonl and are offered again: sqlite:{path}");
                }
                told = text;
                if stop.wait(RETRY) {
                    return;
                }
            }
        }
    }
}

/// Feeds one `sqlite3` until the stop is asked for.
fn once(dir: &Path, database: &Path, stop: &Shutdown) -> io::Result<()> {
    let mut follower = Follower::from_the_beginning(dir)?;
    let (mut child, input) = spawn(database)?;
    let fed = (|| {
        let filter = Filter::default();
        let mut exporter = Exporter::new(ExportFormat::Sql, &filter, BufWriter::new(input))?;
        loop {
            // Asked before looking, so that the last look sees everything.
            let stopping = stop.requested();
            let events = follower.new_events()?;
            if !events.is_empty() {
                exporter.write(&events)?;
            } else if stopping {
                return Ok(()); // closes its input: it ends
            } else {
                stop.wait(LOOK);
            }
            if child.try_wait()?.is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    })();
    end(&mut child, fed)
}

fn spawn(database: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(PROGRAM)
        // A reader may hold it for a while; it is stopped at the first error, because a gap would not be noticed.
        .args(["-batch", "-bail", "-cmd", ".timeout 10000", "-cmd", "PRAGMA journal_mode = WAL;"])
        .arg(path_argument(database))
        .process_group(0) // Ctrl-C is for us: it ends when its input does
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| io::Error::other(format!("{PROGRAM} cannot be run ({e})")))?;
    let input = child.stdin.take().ok_or_else(|| io::Error::other(format!("{PROGRAM} has no input")))?;
    Ok((child, input))
}

/// A path that cannot be taken for an option.
fn path_argument(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_path_buf() } else { Path::new(".").join(path) }
}

/// Waits for its end; its own words are the better error.
fn end(child: &mut Child, fed: io::Result<()>) -> io::Result<()> {
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > LAST => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("{PROGRAM} does not end")));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.success() {
        return fed;
    }
    let mut said = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.take(4096).read_to_end(&mut said)?;
    }
    Err(io::Error::other(format!("{PROGRAM} stopped: {}", String::from_utf8_lossy(&said).trim())))
}
