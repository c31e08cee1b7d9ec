//! A fault that repeats says so a few times and is then counted, place by place in the code, so that a cable that comes
//! loose ten times a second does not fill the log of a board that runs for a year.

use log::Level;
use std::fmt::{Arguments, Write as _};

/// Lines that one place may write in one window.
const BURST: u32 = 10;
/// Length of the window in microseconds.
const WINDOW_US: i64 = 60_000_000;

/// A place in the code: file and line.
type Place = (&'static str, u32);

/// What each place has said lately.
#[derive(Debug)]
pub struct Repeats {
    places: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    place: Place,
    level: Level,
    since: i64,
    said: u32,
    held_back: u64,
    /// The last line that was held back.
    text: String,
}

impl Repeats {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// A line is to be written at `now` (microseconds). `None`: hold it back. Else the number of lines of this place that
    /// were held back before it.
    pub fn saw(&mut self, place: Place, level: Level, text: &Arguments<'_>, now: i64) -> Option<u64> {
        let Some(heard) = self.places.iter_mut().find(|h| h.place == place) else {
            self.places.push(Heard { place, level, since: now, said: 1, held_back: 0, text: String::new() });
            return Some(0);
        };
        if now.saturating_sub(heard.since) >= WINDOW_US {
            (heard.since, heard.said) = (now, 0);
        }
        if heard.said >= BURST {
            heard.held_back += 1;
            heard.level = level;
            heard.text.clear();
            let _ = heard.text.write_fmt(*text); // a string takes everything
            return None;
        }
        heard.said += 1;
        Some(std::mem::take(&mut heard.held_back))
    }

    /// What was held back in windows that are over at `now` (or in `all`), as lines to be written.
    pub fn settle(&mut self, now: i64, all: bool) -> Vec<(Level, String)> {
        let over = |h: &&mut Heard| h.held_back > 0 && (all || now.saturating_sub(h.since) >= WINDOW_US);
        let line = |h: &mut Heard| {
            let n = std::mem::take(&mut h.held_back);
            (h.level, format!("{n} times more within {} s, the last: {}", WINDOW_US / 1_000_000, h.text))
        };
        self.places.iter_mut().filter(over).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(repeats: &mut Repeats, line: u32, now_ms: i64) -> Option<u64> {
        repeats.saw(("x.rs", line), Level::Error, &format_args!("fault at {now_ms}"), now_ms * 1000)
    }

    #[test]
    fn a_storm_is_told_ten_times_and_then_counted() {
        let mut repeats = Repeats::new();
        let told = (0..100).filter(|i| say(&mut repeats, 1, i * 10).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(say(&mut repeats, 2, 1000), Some(0), "another place is heard");
        assert_eq!(repeats.settle(2_000_000, false), [], "the window is still open");
        assert_eq!(say(&mut repeats, 1, 60_000), Some(90), "the next window tells of the last");
        assert_eq!(say(&mut repeats, 1, 60_001), Some(0));
    }

    #[test]
    fn what_was_held_back_is_told_when_nothing_follows() {
        let mut repeats = Repeats::new();
        (0..15).for_each(|i| {
            say(&mut repeats, 1, i);
        });
        let lines = repeats.settle(60_000_000, false);
        assert_eq!(lines, [(Level::Error, "5 times more within 60 s, the last: fault at 14".to_string())]);
        assert_eq!(repeats.settle(60_000_000, true), []);
        (0..15).for_each(|i| {
            say(&mut repeats, 3, i);
        });
        assert_eq!(repeats.settle(0, true).len(), 1, "at the end everything is told");
    }

    #[test]
    fn slow_faults_are_never_held_back() {
        let mut repeats = Repeats::new();
        assert!((0..100).all(|i| say(&mut repeats, 1, i * 6_500) == Some(0)));
    }
}
