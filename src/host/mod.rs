//! The host side: receives what many devices send, acknowledges it, drops what comes twice, counts what is missing.
//!
//! Everything that comes in is from outside: frames and lines are bounded by [`crate::wire::Deframer`], devices, runs,
//! queues and connections by numbers stated beside each.

mod endpoint;
mod export;
mod hub;
mod ledger;
#[cfg(feature = "mqtt")]
mod mqtt;
mod show;
mod sqlite;
mod stats;
mod store;
mod streams;

pub use endpoint::{Endpoint, MAX_CONNECTIONS};
pub use export::{ExportFormat, Exporter, Filter};
pub use show::{Follower, describe, stats_table, tail};
pub use sqlite::SqliteFeed;
pub use stats::{DeviceStats, HostStats, LineStats};

use crate::pipeline::channel::Policy;
use crate::pipeline::delivery::Delivery;
use crate::pipeline::shutdown::Shutdown;
use crate::sinks::{Sink, SinkError};
use crate::wire::Origin;
use endpoint::Shared;
use hub::Hub;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;

/// How often the counters are written beside the events.
const SAVE: Duration = Duration::from_secs(1);
/// Events that may wait for each further sink.
const QUEUE: usize = 1024;

/// What to receive, and where to keep it.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where to listen.
    pub listen: Vec<Endpoint>,
    /// Directory for events and counters.
    pub dir: PathBuf,
    /// Size at which the file of events is turned over, in bytes; 0: never.
    pub max_bytes: u64,
    /// How many full files are kept.
    pub keep: u32,
    /// Wait for the disk before anything is acknowledged.
    pub fsync: bool,
}

/// Why a host cannot work.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// An address cannot be listened on.
    #[error("{endpoint}: cannot listen ({source})")]
    Listen {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] io::Error),
}

impl HostConfig {
    /// Receives until the stop is asked for. `sinks` get every event once as well; `watch` is called with the counters
    /// about once in a second.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn run(
        &self,
        sinks: Vec<Box<dyn Sink>>,
        stop: &Shutdown,
        mut watch: impl FnMut(&HostStats),
    ) -> Result<HostStats, HostError> {
        let store = Store::open(&self.dir, self.max_bytes, self.keep, self.fsync)?;
        let forward = match sinks.is_empty() {
            true => None,
            false => Some(Delivery::start(sinks, Origin::new(None), QUEUE, Policy::DropOldest)?),
        };
        let shared = Shared {
            hub: Arc::new(Mutex::new(Hub::new(store, forward))),
            connections: Arc::default(),
            stop: stop.clone(),
        };
        let mut opened = Vec::new();
        for endpoint in &self.listen {
            let listen = |source| HostError::Listen { endpoint: endpoint.name(), source };
            opened.push((endpoint.name(), endpoint.open().map_err(listen)?));
        }
        let mut threads = Vec::new();
        for (name, line) in opened {
            log::info!("listening: {name}");
            let own = shared.clone();
            let thread = std::thread::Builder::new().name("line".into());
            threads.push(thread.spawn(move || endpoint::serve(&name, line, &own))?);
        }
        let mut saved = HostStats::default();
        let mut complained = false;
        loop {
            let stopping = stop.wait(SAVE);
            let stats = shared.hub().stats();
            if stats != saved {
                match stats.save(&self.dir) {
                    Ok(()) => saved.clone_from(&stats),
                    Err(e) if !std::mem::replace(&mut complained, true) => {
                        log::error!("the counters cannot be written ({e}): {}", self.dir.display());
                    }
                    Err(_) => {}
                }
            }
            watch(&stats);
            if stopping {
                break;
            }
        }
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a line's thread ended by a panic; please report this");
            }
        }
        // Connections look for the stop ten times in a second.
        std::thread::sleep(Duration::from_millis(150));
        let mut hub = shared.hub();
        hub.finish();
        let stats = hub.stats();
        if let Err(e) = stats.save(&self.dir) {
            log::error!("the counters cannot be written ({e}): {}", self.dir.display());
        }
        for endpoint in &self.listen {
            if let Endpoint::Unix(path) = endpoint {
                let _ = std::fs::remove_file(path); // a stale one is recognised the next time
            }
        }
        Ok(stats)
    }
}

/// The receiving end, for the tests of the sending one.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::streams::Streams;
}
