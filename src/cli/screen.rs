//! What `mercam host --tui` shows: counters of devices and lines, and the last events, over the whole terminal.

use super::output;
use crate::error::Result;
use crate::host::{Follower, HostStats, describe, stats_table};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Events that are kept for showing.
const LAST: usize = 50;
/// Another screen, so that the terminal has its text back afterwards; no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The screen, until it is dropped. Where standard output is no terminal, the table is printed each time.
pub struct Screen {
    dir: PathBuf,
    terminal: bool,
    follower: Option<Follower>,
    last: VecDeque<String>,
    began: Instant,
    before: Option<(Instant, u64)>,
}

impl Screen {
    /// For the directory of a host.
    pub fn new(dir: &Path) -> Self {
        let terminal = std::io::stdout().is_terminal();
        if terminal {
            let _ = output::print(ENTER); // the next drawing tells
        }
        let last = VecDeque::with_capacity(LAST);
        Self { dir: dir.to_path_buf(), terminal, follower: None, last, began: Instant::now(), before: None }
    }

    /// Draws everything anew.
    pub fn draw(&mut self, stats: &HostStats) -> Result<()> {
        let table = output::table(&stats_table(stats));
        if !self.terminal {
            return output::print(&format!("{table}\n"));
        }
        self.follow();
        let now = Instant::now();
        let events = stats.devices.values().map(|d| d.events).sum();
        let rate = self.before.map_or(0.0, |(at, n)| {
            let past = now.saturating_duration_since(at).max(Duration::from_millis(1)).as_secs_f64();
            (u64::saturating_sub(events, n)) as f64 / past
        });
        self.before = Some((now, events));
        let up = self.began.elapsed().as_secs();
        let head = format!(
            "mercam host: {} devices, {events} events, {rate:.1} events/s; up {:02}:{:02}:{:02}; Ctrl-C ends\n\n",
            stats.devices.len(),
            up / 3600,
            up / 60 % 60,
            up % 60
        );
        let (rows, columns) = size();
        output::print(&page(&format!("{head}{table}"), &self.last, rows, columns))
    }

    /// Takes what was stored since the last time.
    fn follow(&mut self) {
        if self.follower.is_none() {
            self.follower = Follower::start(&self.dir).ok(); // the file may not be there yet
        }
        let Some(follower) = &mut self.follower else { return };
        // What cannot be read is complained of by whoever writes it.
        for (_, event) in follower.new_events().unwrap_or_default() {
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(describe(&event));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            let _ = output::print(LEAVE); // nobody is left to tell
        }
    }
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = size.filter(|s| s.ws_row > 0 && s.ws_col > 0);
    known.map_or((24, 80), |s| (usize::from(s.ws_row), usize::from(s.ws_col)))
}

/// The whole screen: the table, and as many of the last events as there is room for.
fn page(table: &str, last: &VecDeque<String>, rows: usize, columns: usize) -> String {
    let mut lines: Vec<&str> = table.lines().collect();
    if !last.is_empty() && lines.len() + 2 < rows {
        let room = rows - lines.len() - 2;
        lines.push("");
        lines.extend(last.iter().skip(last.len().saturating_sub(room)).map(String::as_str));
    }
    let mut text = String::from("\x1b[H");
    for (i, line) in lines.iter().take(rows).enumerate() {
        if i > 0 {
            text.push_str("\r\n");
        }
        text.extend(line.chars().take(columns));
        text.push_str("\x1b[K"); // what was there before
    }
    text.push_str("\x1b[J");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_rows_as_the_terminal() {
        let last: VecDeque<String> = (0..9).map(|n| format!("event {n}")).collect();
        let text = page("head\n\na\nbb\n", &last, 8, 6);
        assert_eq!(
            text,
            "\x1b[Hhead\x1b[K\r\n\x1b[K\r\na\x1b[K\r\nbb\x1b[K\r\n\x1b[K\r\nevent \x1b[K\r\nevent \x1b[K\x1b[J"
        );
        assert_eq!(page("a\nb\nc\n", &last, 2, 80).matches('\n').count(), 1);
        assert_eq!(page("a\n", &VecDeque::new(), 9, 80), "\x1b[Ha\x1b[K\x1b[J");
    }
}
