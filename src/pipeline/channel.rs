//! Bounded channels with a name, a stated policy and a counter of what was dropped.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happens when a channel is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The sender waits: nothing is lost, and the source is slowed down (files and pipes).
    Block,
    /// The oldest waiting item gives way and is counted (cameras: the latest frame wins; sinks: the frame loop never waits).
    DropOldest,
}

/// How many items a channel dropped; cheap to clone and to read from anywhere.
#[derive(Debug, Clone, Default)]
pub struct Drops(Arc<AtomicU64>);

impl Drops {
    /// Items dropped so far.
    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts one more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}

/// The sending end.
#[derive(Debug)]
pub struct Outlet<T> {
    name: String,
    sender: Sender<T>,
    /// Only with `DropOldest`, where the sender takes the oldest item out itself.
    steal: Option<Receiver<T>>,
    drops: Drops,
}

/// The receiver has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiving thread has ended")]
pub struct Closed;

/// A channel of at most `capacity` items (at least 1).
pub fn bounded<T>(name: impl Into<String>, capacity: usize, policy: Policy) -> (Outlet<T>, Receiver<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(capacity.max(1));
    let steal = (policy == Policy::DropOldest).then(|| receiver.clone());
    let outlet = Outlet { name: name.into(), sender, steal, drops: Drops::default() };
    (outlet, receiver)
}

impl<T> Outlet<T> {
    /// Sends an item. Returns the item that had to give way, if one had to, so that its memory can be used again.
    ///
    /// # Errors
    /// [`Closed`] when nobody receives any more. With `DropOldest` a receiver that has gone shows as a full
    /// channel instead: its items are dropped and counted.
    pub fn send(&self, mut item: T) -> Result<Option<T>, Closed> {
        let Some(steal) = &self.steal else {
            return self.sender.send(item).map(|()| None).map_err(|_| Closed);
        };
        let mut evicted = None;
        loop {
            match self.sender.try_send(item) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return Ok(evicted),
                Err(TrySendError::Full(back)) => {
                    item = back;
                    if let Ok(old) = steal.try_recv() {
                        self.drops.add(1);
                        evicted = Some(old);
                    }
                }
            }
        }
    }

    /// Items that wait now.
    pub fn len(&self) -> usize {
        self.sender.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.sender.is_empty()
    }

    /// Its name, for messages and counters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its counter of dropped items.
    pub fn drops(&self) -> Drops {
        self.drops.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_is_counted() {
        let (tx, rx) = bounded("frames", 2, Policy::DropOldest);
        let evicted: Vec<_> = (0..5).filter_map(|i| tx.send(i).unwrap()).collect();
        assert_eq!(evicted, [0, 1, 2]);
        assert_eq!(tx.drops().count(), 3);
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_blocking_channel_loses_nothing_and_ends_with_its_receiver() {
        let (tx, rx) = bounded("file", 1, Policy::Block);
        let reader = std::thread::spawn(move || rx.iter().take(100).collect::<Vec<i32>>());
        let mut sent = 0;
        while tx.send(sent).is_ok() {
            sent += 1;
        }
        assert_eq!(reader.join().unwrap(), (0..100).collect::<Vec<_>>());
        assert_eq!(tx.drops().count(), 0);
    }
}
