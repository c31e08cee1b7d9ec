//! Where fetched packages and converted networks are kept, and how they get there without ever being half there.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::face::FaceError;

/// The cache folder: `$MERCAM_CACHE`, else `$XDG_CACHE_HOME/mercam`, else `$HOME/.cache/mercam`, else
/// `/var/cache/mercam`. Empty variables count as unset.
pub fn default_root() -> PathBuf {
    root_from(|name| std::env::var_os(name))
}

fn root_from(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let variable = |name| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("MERCAM_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|p| p.join("mercam")))
        .or_else(|| variable("HOME").map(|p| p.join(".cache/mercam")))
        .unwrap_or_else(|| PathBuf::from("/var/cache/mercam"))
}

/// Creates a folder of the cache with those above it.
pub fn create_dir(path: &Path) -> Result<(), FaceError> {
    fs::create_dir_all(path).map_err(|e| {
        FaceError::Model(format!(
            "{}: {e}; set MERCAM_CACHE to a folder that can be written (it keeps the face networks)",
            path.display()
        ))
    })
}

/// A unique name next to `path`, so that two processes never write the same file.
fn beside(path: &Path, ending: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{n}.{ending}", std::process::id()));
    PathBuf::from(name)
}

/// Writes a file so that it is there completely or not at all, also after a power cut.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FaceError> {
    let temporary = beside(path, "part");
    let written = fs::File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        FaceError::Model(format!("{}: {e}", path.display()))
    })
}

/// A folder for work in progress, removed in the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one under the cache `root`, so that what is made in it can be renamed into place.
    pub fn new(root: &Path) -> Result<Self, FaceError> {
        let path = beside(&root.join("fetch"), "tmp");
        create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.0) {
            log::warn!("{}: cannot be removed: {e}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let root = |set: &[(&str, &str)]| {
            root_from(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
        };
        assert_eq!(root(&[]), Path::new("/var/cache/mercam"));
        assert_eq!(root(&[("HOME", "/home/u")]), Path::new("/home/u/.cache/mercam"));
        assert_eq!(root(&[("HOME", "/home/u"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/mercam"));
        assert_eq!(root(&[("MERCAM_CACHE", "/m"), ("XDG_CACHE_HOME", "/x")]), Path::new("/m"));
        assert_eq!(root(&[("MERCAM_CACHE", ""), ("HOME", "/home/u")]), Path::new("/home/u/.cache/mercam"));
    }

    #[test]
    fn files_are_replaced_whole_and_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.onnx");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let text = write_atomically(&dir.path().join("none/net"), b"x").unwrap_err().to_string();
        assert!(text.contains("none/net"), "{text}");
    }
}
