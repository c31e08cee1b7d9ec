//! Files that appear under their name only when they are whole.

use crate::error::{Error, Result};
use anyhow::Context;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file that grows under another name (`FILE.part`) beside its own.
pub struct PartFile {
    part: PathBuf,
    whole: PathBuf,
}

impl PartFile {
    /// Creates it.
    pub fn create(path: &Path) -> Result<(Self, File)> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".part");
        let this = Self { part: path.with_file_name(name), whole: path.into() };
        let file = File::create(&this.part)
            .with_context(|| format!("creating {}", this.part.display()))
            .map_err(Error::unavailable)?;
        Ok((this, file))
    }

    /// The name under which it grows.
    pub fn growing(&self) -> &Path {
        &self.part
    }

    /// Gives it its name.
    pub fn complete(self) -> Result<()> {
        std::fs::rename(&self.part, &self.whole)
            .with_context(|| format!("renaming {} to {}", self.part.display(), self.whole.display()))
            .map_err(Error::failure)
    }

    /// Takes it away again.
    pub fn discard(self) {
        let _ = std::fs::remove_file(&self.part); // nobody asked for it
    }
}
