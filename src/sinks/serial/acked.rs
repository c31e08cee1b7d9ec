//! Serial events that are kept and sent again until `mercam host` at the other end has acknowledged them.

use super::super::link::{Conduct, Courier, Dial, Reliable, open_spool};
use super::super::{Backoff, Sink, SinkError};
use super::line::Line;
use super::{BITS_PER_BYTE, SerialConfig};
use std::time::Duration;

/// Records on the way at a time: enough to keep a line busy, few enough that a resend is soon.
const WINDOW: usize = 16;

pub(super) fn build(config: &SerialConfig) -> Result<Box<dyn Sink>, SinkError> {
    let name = format!("serial:{}", config.device);
    let c = config;
    let spool = open_spool(&name, &c.spool, c.spool_max_bytes, c.spool_max_age_s, c.spool_fsync)?;
    let ms = Duration::from_millis;
    let conduct = Conduct {
        window: WINDOW,
        patience: ms(c.resend_ms),
        bytes_per_s: Some(u64::from(c.baud) / BITS_PER_BYTE),
        lossy: true,
    };
    let courier = Courier::new(spool, conduct, c.max_per_s);
    let backoff = Backoff::new(ms(c.retry_min_ms), ms(c.retry_max_ms));
    let dialer = Dialer { name: name.clone(), config: config.clone(), speed_told: false };
    Ok(Box::new(Reliable::new(name, dialer, courier, backoff)))
}

struct Dialer {
    name: String,
    config: SerialConfig,
    /// The speed that the line runs at has been complained of.
    speed_told: bool,
}

impl Dial for Dialer {
    type Line = Line;

    fn dial(&mut self) -> Option<Result<Line, String>> {
        let line = Line::open(&self.config);
        if let Ok(line) = &line
            && let Some(text) = line.speed_complaint(self.config.baud)
            && !std::mem::replace(&mut self.speed_told, true)
        {
            log::warn!("{}: {text}", self.name);
        }
        Some(line)
    }
}
