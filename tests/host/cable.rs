//! A serial cable between two pseudo-terminals that changes some of the bytes, and can be pulled out.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Cable {
    dir: PathBuf,
    /// One byte of so many is changed.
    damage: u64,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    carried: Arc<AtomicU64>,
    changed: Arc<AtomicU64>,
}

fn end(link: &Path) -> File {
    let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    std::os::unix::fs::symlink(name, link).unwrap();
    let flags = rustix::fs::fcntl_getfl(&master).unwrap();
    rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    File::from(master)
}

impl Cable {
    pub fn plugged_in(dir: &Path, damage: u64) -> Self {
        let mut cable = Self {
            dir: dir.to_path_buf(),
            damage,
            stop: Arc::default(),
            threads: vec![],
            carried: Arc::default(),
            changed: Arc::default(),
        };
        cable.plug_in();
        cable
    }

    pub fn device_end(&self) -> PathBuf {
        self.dir.join("tty-device")
    }

    pub fn host_end(&self) -> PathBuf {
        self.dir.join("tty-host")
    }

    pub fn carried(&self) -> u64 {
        self.carried.load(Relaxed)
    }

    pub fn changed(&self) -> u64 {
        self.changed.load(Relaxed)
    }

    pub fn plug_in(&mut self) {
        let (a, b) = (end(&self.device_end()), end(&self.host_end()));
        self.stop = Arc::default();
        let pairs = [(a.try_clone().unwrap(), b.try_clone().unwrap(), 1u64), (b, a, 2)];
        for (from, to, seed) in pairs {
            let (stop, damage) = (Arc::clone(&self.stop), self.damage);
            let (carried, changed) = (Arc::clone(&self.carried), Arc::clone(&self.changed));
            self.threads.push(std::thread::spawn(move || carry(from, to, seed, damage, &stop, &carried, &changed)));
        }
    }

    pub fn unplug(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = fs::remove_file(self.device_end());
        let _ = fs::remove_file(self.host_end());
        self.threads.drain(..).for_each(|t| t.join().unwrap());
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.unplug();
    }
}

fn carry(
    mut from: File,
    mut to: File,
    seed: u64,
    damage: u64,
    stop: &AtomicBool,
    carried: &AtomicU64,
    changed: &AtomicU64,
) {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed);
    let mut buffer = [0; 1024];
    let wait = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    while !stop.load(Relaxed) {
        let ready = |file: &File, what| poll(&mut [PollFd::new(file, what)], Some(&wait)).unwrap_or(0) > 0;
        if !ready(&from, PollFlags::IN) {
            continue;
        }
        // EIO: nobody has the end open at the moment.
        let Ok(n) = from.read(&mut buffer) else {
            std::thread::sleep(Duration::from_millis(3));
            continue;
        };
        for b in &mut buffer[..n] {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if (random >> 20).is_multiple_of(damage) {
                *b ^= (random >> 8) as u8 | 1;
                changed.fetch_add(1, Relaxed);
            }
        }
        carried.fetch_add(n as u64, Relaxed);
        // An end that nobody reads takes nothing more: a cable drops what it cannot deliver.
        if ready(&to, PollFlags::OUT) {
            let _ = to.write(&buffer[..n]);
        }
    }
}
