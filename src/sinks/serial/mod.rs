//! `serial`: events on a serial line, as text a terminal shows or as binary frames, through unplugging; binary frames
//! can be acknowledged and kept until they are.

mod acked;
mod line;
mod plain;

pub use line::Line;
pub use plain::SerialSink;

use super::{Sink, SinkError};
use crate::spool::{Fsync, SpoolConfig};
use crate::wire::Format;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Most frames per second, so that a slow line is never swamped; 0 (default): no limit. With `acks` the rest
    /// waits. Without, it is lost and counted; half of the budget is kept for confirmed and withdrawn detections.
    pub max_per_s: u32,
    /// Whether `mercam host` at the other end acknowledges, so that events are kept and sent again until they have
    /// arrived. Needs `format = binary`. Default false.
    pub acks: bool,
    /// How long the host may take to acknowledge before a frame is sent again, in milliseconds, beyond the time that
    /// the bytes need at this speed. Default 500.
    pub resend_ms: u64,
    /// With `acks`: directory of its own in which undelivered events wait, also when mercam ends. Default none: they
    /// wait in memory, and what is left at the end is lost and counted.
    pub spool: PathBuf,
    /// Most bytes that may wait; the oldest events give way and are counted. Default 16777216.
    pub spool_max_bytes: u64,
    /// Oldest event that is still delivered, in seconds; 0: any. Default 604800.
    pub spool_max_age_s: u64,
    /// Whether every event waits for the disk: `never` or `always`. Default `never`.
    pub spool_fsync: Fsync,
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
        let spool = SpoolConfig::default();
        Self {
            device: String::new(),
            baud: 115_200,
            format: Format::Text,
            flow_control: FlowControl::None,
            write_timeout_ms: 1000,
            retry_min_ms: 250,
            retry_max_ms: 10_000,
            max_per_s: 0,
            acks: false,
            resend_ms: 500,
            spool: spool.dir,
            spool_max_bytes: spool.max_bytes,
            spool_max_age_s: spool.max_age_s,
            spool_fsync: spool.fsync,
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
        if self.acks && self.format == Format::Text {
            return wrong("`acks` needs `format = binary`".into());
        }
        if !self.acks && !self.spool.as_os_str().is_empty() {
            return wrong("a `spool` needs `acks = true`: without acknowledgements nobody knows what to keep".into());
        }
        for (name, value) in [
            ("resend_ms", self.resend_ms),
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
    /// When a value makes no sense, or the spool cannot be used.
    pub fn build(&self) -> Result<Box<dyn Sink>, SinkError> {
        self.validate()?;
        if self.acks { acked::build(self) } else { Ok(Box::new(SerialSink::new(self))) }
    }

    /// How long `bytes` are on the way at this speed.
    fn wire_time(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes.saturating_mul(BITS_PER_BYTE * 1_000_000) / u64::from(self.baud.max(1)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_line_that_runs_at_another_speed_is_told() {
        let text = line::speed_complaint(921_600, 115_200).unwrap();
        assert!(text.contains("921600") && text.contains("115200"), "{text}");
        assert_eq!(line::speed_complaint(115_200, 115_200), None);
        assert_eq!(line::speed_complaint(115_200, 115_384), None);
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
            (
                SerialConfig { flow_control: FlowControl::Software, format: Format::Binary, ..good.clone() },
                "flow_control",
            ),
            (SerialConfig { acks: true, ..good.clone() }, "format = binary"),
            (SerialConfig { spool: "/x".into(), ..good }, "acks = true"),
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
