//! A real mosquitto as the peer of the `mqtt` sink.

use super::mosquitto::{Broker, Subscriber, installed};
use super::peers::{Nature, SPOOL, build};
use mercam::event::Event;
use mercam::sinks::Sink;

/// `None` where mosquitto is not installed: the `mqtt` sink is left out then, loudly.
pub struct Peer(Option<(Broker, Subscriber)>);

impl Peer {
    pub fn new() -> Self {
        Self(installed().then(|| {
            let broker = Broker::open();
            let subscriber = Subscriber::to(&broker, &[]);
            (broker, subscriber)
        }))
    }
}

impl super::peers::Peer for Peer {
    fn sink(&mut self) -> Box<dyn Sink> {
        let (broker, _) = self.0.as_ref().unwrap();
        build(&format!("mqtt:127.0.0.1:{}?{SPOOL}", broker.port))
    }
    fn nature(&self) -> Nature {
        Nature::Acknowledges
    }
    fn there(&self) -> bool {
        self.0.is_some()
    }
    fn received(&mut self) -> Vec<u64> {
        let (_, subscriber) = self.0.as_ref().unwrap();
        let mut got = Vec::new();
        for envelope in subscriber.events("confirmed") {
            if let Event::Confirmed(d) = envelope.event
                && !got.contains(&d.id)
            {
                got.push(d.id);
            }
        }
        got
    }
    fn go(&mut self) {
        self.0.as_mut().unwrap().0.stop();
    }
    fn come_back(&mut self) {
        self.0.as_mut().unwrap().0.start();
    }
}
