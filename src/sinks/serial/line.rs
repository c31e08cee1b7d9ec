//! An open serial line.
//!
//! The line is opened twice. `serialport` sets it up and asks it things, but its reads and writes can wait without end
//! once the peer stops; the second descriptor does not wait.

use super::{FlowControl, SerialConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// An open line, of this process alone.
pub struct Line {
    port: TTYPort,
    file: File,
    /// The receiver is perhaps in the middle of a frame: what comes next begins with a delimiter.
    pub(super) unclean: bool,
}

impl Line {
    /// Opens the line of a configuration.
    ///
    /// # Errors
    /// Why not, with the mend.
    pub fn open(config: &SerialConfig) -> Result<Self, String> {
        let absent = |e: io::Error| match e.kind() {
            ErrorKind::NotFound => "not there: plug it in, or name another device".to_owned(),
            _ => e.to_string(),
        };
        // Both descriptors must be of the same device, also when a link is moved in between.
        let path = fs::canonicalize(&config.device).map_err(absent)?;
        let flow = match config.flow_control {
            FlowControl::None => serialport::FlowControl::None,
            FlowControl::Software => serialport::FlowControl::Software,
            FlowControl::Hardware => serialport::FlowControl::Hardware,
        };
        let mut port = serialport::new(path.to_string_lossy(), config.baud)
            .flow_control(flow)
            .timeout(Duration::from_millis(config.write_timeout_ms))
            .exclusive(false) // until the second descriptor is open
            .open_native()
            .map_err(|e| explain(&e))?;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(&path)
            .map_err(absent)?;
        port.set_exclusive(true).map_err(|e| explain(&e))?;
        Ok(Self { port, file, unclean: true })
    }

    /// Writes all of `bytes`, or fails: with `TimedOut` when the line takes nothing more until `deadline`.
    ///
    /// # Errors
    /// When the line is broken or takes nothing.
    pub fn write_until(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.unclean = true;
                    bytes = bytes.get(n..).unwrap_or_default();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(deadline)?,
                Err(e) => return Err(e),
            }
        }
        self.unclean = false;
        Ok(())
    }

    /// Waits until something has come. Returns whether it has.
    ///
    /// # Errors
    /// When the line is broken.
    pub fn wait_for_input(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(time).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&time)) {
            Ok(n) => Ok(n > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&left)) {
            Ok(0) => Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// What is wrong with the speed that the line runs at.
    pub fn speed_complaint(&self, asked: u32) -> Option<String> {
        match self.port.baud_rate() {
            Ok(got) => speed_complaint(asked, got),
            Err(e) => {
                log::debug!("the line's speed cannot be read back: {e}");
                None
            }
        }
    }

    /// Throws away what the kernel still holds.
    pub(super) fn discard(&self) {
        let _ = self.port.clear(ClearBuffer::Output);
    }

    /// Bytes that the kernel still holds.
    pub(super) fn pending(&self) -> u64 {
        self.port.bytes_to_write().map_or(0, u64::from)
    }
}

impl Read for Line {
    /// Does not wait: `WouldBlock` when nothing has come.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for Line {
    /// Does not wait: `WouldBlock` when the line takes nothing now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a failure to open means to the user.
fn explain(e: &serialport::Error) -> String {
    match e.kind() {
        serialport::ErrorKind::NoDevice => format!("in use by another program ({e}): stop that, or take another line"),
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
            format!("{e}: add this user to the device's group (`ls -l` names it, often dialout)")
        }
        _ => format!("{e}: is it a serial line?"),
    }
}

/// What to say when a line does not run at the speed it was set to.
pub(super) fn speed_complaint(asked: u32, got: u32) -> Option<String> {
    // Dividers do not hit every speed; up to 2 % is inside what receivers follow.
    let apart = asked.abs_diff(got);
    (u64::from(apart) * 50 > u64::from(asked))
        .then(|| format!("was set to {asked} baud but runs at {got}: set `baud` to what it can do"))
}
