//! One shutdown token: the first signal drains and flushes, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Exit status of a process that a second interrupt ended, as shells report it.
const INTERRUPTED: i32 = 130;

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// The token. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<AtomicBool>);

impl Shutdown {
    /// A token that only [`Shutdown::request`] triggers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that SIGINT and SIGTERM trigger; the second of them ends the process at once.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let token = Self::new();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The order matters: the conditional one sees the flag before the second handler sets it.
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&token.0))?;
            signal_hook::flag::register(signal, Arc::clone(&token.0))?;
        }
        Ok(token)
    }

    /// Asks everything to drain and stop.
    pub fn request(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether the stop was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Waits for `time`, or until the stop is asked for. Returns whether it was.
    pub fn wait(&self, time: Duration) -> bool {
        let mut left = time;
        while !self.requested() && !left.is_zero() {
            let nap = left.min(LOOK);
            std::thread::sleep(nap);
            left -= nap;
        }
        self.requested()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_interrupts_a_wait() {
        let token = Shutdown::new();
        assert!(!token.wait(Duration::from_millis(5)));
        token.clone().request();
        assert!(token.wait(Duration::from_secs(3600)));
    }
}
