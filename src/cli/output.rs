//! Text for standard output. A reader that closes the pipe early (`| head`) is no failure.

use crate::error::{Error, Result};
use std::io::{ErrorKind, Write};

/// Prints text.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failure(anyhow::Error::new(e).context("standard output cannot be written")))
        }
        _ => Ok(()),
    }
}

/// Lays rows out in columns; the first column to the left, the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, (cell, w)) in row.iter().zip(&widths).enumerate() {
            let w = *w;
            line.push_str(&if c == 0 { format!("{cell:<w$}") } else { format!("  {cell:>w$}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
