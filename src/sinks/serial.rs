//! `serial`: events on a serial line, as text a terminal shows or as binary frames, through unplugging.
//!
//! The line is opened twice. `serialport` sets it up and asks it things, but its writes can wait without end once
//! the peer stops reading; the second descriptor does not wait, so that every `send` ends in time.

use super::{Backoff, Sink, SinkError};
use crate::wire::{Envelope, Format};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// Bits on the wire for a byte: a start bit, eight data bits, a stop bit.
const BITS_PER_BYTE: u64 = 10;

/// The `serial` sink. Always 8 data bits, no parity, 1 stop bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SerialConfig {
    /// The line's device, such as `/dev/ttyUSB0` or a path under `/dev/serial/by-id`. No default.
    pub device: String,
    /// Speed in bits per second. Default 115200.
    pub baud: u32,
    /// `text` (JSON lines with a CRC) or `binary` (COBS frames). Default `text`.
    pub format: Format,
    /// Who may stop the sender: `none`, `software` (XON/XOFF; text only) or `hardware` (RTS/CTS). Default `none`.
    pub flow_control: FlowControl,
    /// How long the line may take nothing at all before an event is given up, in milliseconds, beyond the time
    /// that its bytes need at this speed. Default 1000.
    pub write_timeout_ms: u64,
    /// First delay before a line that is away is opened again, in milliseconds. Default 250.
    pub retry_min_ms: u64,
    /// Longest such delay, in milliseconds. Default 10000.
    pub retry_max_ms: u64,
}

/// Who may stop the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowControl {
    /// Nobody.
    #[default]
    None,
    /// The receiver, by XOFF and XON bytes.
    Software,
    /// The receiver, by the CTS line.
    Hardware,
}

impl Default for SerialConfig {
    fn default() -> Self {
        Self {
            device: String::new(),
            baud: 115_200,
            format: Format::Text,
            flow_control: FlowControl::None,
            write_timeout_ms: 1000,
            retry_min_ms: 250,
            retry_max_ms: 10_000,
        }
    }
}

impl SerialConfig {
    /// Checks the values alone, without touching the device.
    ///
    /// # Errors
    /// [`SinkError::Spec`] when the device is missing or a value makes no sense.
    pub fn validate(&self) -> Result<(), SinkError> {
        let wrong = |text: String| Err(SinkError::Spec(format!("sink `serial`: {text}")));
        if self.device.is_empty() {
            return wrong("no device; write `serial:/dev/ttyUSB0`, or `device = ...` in a table".into());
        }
        if !(50..=20_000_000).contains(&self.baud) {
            return wrong(format!("`baud` is {}, but lines run at 50 to 20000000", self.baud));
        }
        if self.flow_control == FlowControl::Software && self.format == Format::Binary {
            return wrong("`flow_control = software` would take bytes out of binary frames; use `hardware`".into());
        }
        for (name, value) in [
            ("write_timeout_ms", self.write_timeout_ms),
            ("retry_min_ms", self.retry_min_ms),
            ("retry_max_ms", self.retry_max_ms),
        ] {
            if !(1..=600_000).contains(&value) {
                return wrong(format!("`{name}` is {value}, but may be 1 to 600000 (milliseconds)"));
            }
        }
        Ok(())
    }

    /// Makes the sink and tries to open the line. A line that is away is no error: it is opened when it is there.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn build(&self) -> Result<SerialSink, SinkError> {
        self.validate()?;
        let ms = Duration::from_millis;
        let mut sink = SerialSink {
            name: format!("serial:{}", self.device),
            config: self.clone(),
            line: None,
            backoff: Backoff::new(ms(self.retry_min_ms), ms(self.retry_max_ms)),
            frame: Vec::new(),
            trouble: None,
            missed: 0,
            speed_told: false,
        };
        sink.open(Instant::now());
        Ok(sink)
    }

    /// How long `bytes` are on the way at this speed.
    fn wire_time(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes.saturating_mul(BITS_PER_BYTE * 1_000_000) / u64::from(self.baud.max(1)))
    }
}

/// Sends events over a serial line.
pub struct SerialSink {
    name: String,
    config: SerialConfig,
    line: Option<Line>,
    backoff: Backoff,
    frame: Vec<u8>,
    trouble: Option<String>,
    /// Events not delivered since the line was last well.
    missed: u64,
    /// The speed that the line runs at has been complained of.
    speed_told: bool,
}

/// An open line.
struct Line {
    port: TTYPort,
    out: File,
    /// The receiver is perhaps in the middle of a frame: what comes next begins with a delimiter.
    unclean: bool,
}

impl Line {
    fn open(config: &SerialConfig) -> Result<Self, String> {
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
        let out = OpenOptions::new()
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(&path)
            .map_err(absent)?;
        port.set_exclusive(true).map_err(|e| explain(&e))?;
        Ok(Self { port, out, unclean: true })
    }

    /// Writes all of `bytes`, or fails: with `TimedOut` when the line takes nothing more until `deadline`.
    fn write(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
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

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], Some(&left)) {
            Ok(0) => Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Bytes that the kernel still holds.
    fn pending(&self) -> u64 {
        self.port.bytes_to_write().map_or(0, u64::from)
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
fn speed_complaint(asked: u32, got: u32) -> Option<String> {
    // Dividers do not hit every speed; up to 2 % is inside what receivers follow.
    let apart = asked.abs_diff(got);
    (u64::from(apart) * 50 > u64::from(asked))
        .then(|| format!("was set to {asked} baud but runs at {got}: set `baud` to what it can do"))
}

impl SerialSink {
    /// Opens the line if that is due.
    fn open(&mut self, now: Instant) {
        if self.line.is_some() || !self.backoff.ready(now) {
            return;
        }
        match Line::open(&self.config) {
            Ok(line) => {
                match line.port.baud_rate() {
                    Ok(got) => {
                        if let Some(text) = speed_complaint(self.config.baud, got)
                            && !self.speed_told
                        {
                            log::warn!("{}: {text}", self.name);
                            self.speed_told = true;
                        }
                    }
                    Err(e) => log::debug!("{}: speed cannot be read back: {e}", self.name),
                }
                // Well again only when it takes an event: a line can open and break at once, for ever.
                self.line = Some(line);
            }
            Err(why) => self.away(now, &why),
        }
    }

    /// The line cannot be used: says so once, and waits longer each time.
    fn away(&mut self, now: Instant, why: &str) {
        self.line = None;
        self.backoff.failed(now);
        if self.trouble.is_none() {
            let longest = Duration::from_millis(self.config.retry_max_ms).as_secs_f64();
            log::warn!("{}: {why}; tried again at least every {longest} s, events are lost until then", self.name);
        }
        self.trouble = Some(why.to_owned());
    }

    fn lost(&mut self, why: String) -> SinkError {
        self.missed += 1;
        SinkError::Unavailable { what: self.name.clone(), why }
    }

    fn deadline(&self, now: Instant, bytes: u64) -> Instant {
        now + Duration::from_millis(self.config.write_timeout_ms) + self.config.wire_time(bytes)
    }
}

impl Sink for SerialSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, event: &Envelope) -> Result<(), SinkError> {
        // A delimiter that is sent when needed, and the frame behind it.
        self.frame.clear();
        self.frame.push(self.config.format.delimiter());
        let encoded = self.config.format.encode(event, &mut self.frame);
        encoded.map_err(|why| SinkError::event(&self.name, event, why))?;
        let mut broken = None;
        // Twice, because a line that was unplugged and is back is found out only by a failing write.
        for _ in 0..2 {
            broken = None;
            let now = Instant::now();
            self.open(now);
            let Some(line) = &self.line else { break };
            let deadline = self.deadline(now, self.frame.len() as u64 + line.pending());
            let Some(line) = &mut self.line else { break };
            let bytes = self.frame.get(usize::from(!line.unclean)..).unwrap_or_default();
            match line.write(bytes, deadline) {
                Ok(()) => {
                    self.backoff.succeeded();
                    if self.trouble.take().is_some() {
                        log::info!("{}: takes events again; {} were lost meanwhile", self.name, self.missed);
                    }
                    self.missed = 0;
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    let why = format!("took nothing for {} ms: is anybody reading?", self.config.write_timeout_ms);
                    if self.trouble.is_none() {
                        log::warn!("{}: {why}", self.name);
                    }
                    self.trouble = Some(why.clone());
                    return Err(self.lost(why));
                }
                Err(e) => {
                    log::debug!("{}: {e}", self.name);
                    self.line = None;
                    broken = Some(e);
                }
            }
        }
        if let Some(e) = broken {
            // It opened, and broke at once again.
            self.away(Instant::now(), &format!("breaks when written to ({e})"));
        }
        let why = self.trouble.clone().unwrap_or_default();
        Err(self.lost(why))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let Some(line) = &self.line else { return Ok(()) };
        let deadline = self.deadline(Instant::now(), line.pending());
        // The system's own wait for this (tcdrain) has no time limit.
        while line.pending() > 0 {
            if Instant::now() >= deadline {
                let why = format!("{} bytes could not be sent in time", line.pending());
                return Err(SinkError::Unavailable { what: self.name.clone(), why });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

impl Drop for SerialSink {
    /// Bytes that nobody takes would hold up the closing of the line for up to 30 s: they are thrown away and told.
    fn drop(&mut self) {
        if let Err(e) = self.flush() {
            log::error!("{e}");
            if let Some(line) = &self.line {
                let _ = line.port.clear(ClearBuffer::Output);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_line_that_runs_at_another_speed_is_told() {
        let text = speed_complaint(921_600, 115_200).unwrap();
        assert!(text.contains("921600") && text.contains("115200"), "{text}");
        assert_eq!(speed_complaint(115_200, 115_200), None);
        assert_eq!(speed_complaint(115_200, 115_384), None);
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        let good = SerialConfig { device: "/dev/ttyS9".into(), ..SerialConfig::default() };
        good.validate().unwrap();
        let bad = [
            (SerialConfig { device: String::new(), ..good.clone() }, "device"),
            (SerialConfig { baud: 0, ..good.clone() }, "baud"),
            (SerialConfig { retry_max_ms: 0, ..good.clone() }, "retry_max_ms"),
            (SerialConfig { write_timeout_ms: u64::MAX, ..good.clone() }, "write_timeout_ms"),
            (SerialConfig { flow_control: FlowControl::Software, format: Format::Binary, ..good }, "flow_control"),
        ];
        for (config, name) in bad {
            assert!(config.validate().unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn bytes_take_their_time() {
        let config = SerialConfig { baud: 9600, ..SerialConfig::default() };
        assert_eq!(config.wire_time(960), Duration::from_secs(1));
        let _ = config.wire_time(u64::MAX);
    }
}
