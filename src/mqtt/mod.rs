//! A client of an MQTT 3.1.1 broker, as far as mercam needs one: the packets, and opening a connection with or without TLS.
//!
//! The `mqtt` sink publishes with it, `mercam host` subscribes. Both send and acknowledge by themselves, because what an
//! acknowledgement belongs to is what delivery hangs on; MQTT 3.1.1, because every broker speaks it.

mod dial;
pub(crate) mod packet;

pub(crate) use dial::{Account, Dialing, Failure, Hello, Link};

use std::io::{self, ErrorKind};

/// What is published when a device is there, and when it is not.
pub(crate) const ONLINE: &[u8] = b"online";
/// What the broker publishes when the device is gone.
pub(crate) const OFFLINE: &[u8] = b"offline";
/// The last part of the topic that says so.
pub(crate) const AVAILABILITY: &str = "availability";

/// Why a connection has ended, in words.
pub(crate) fn ended(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            "the broker closed the connection".into()
        }
        _ => format!("the connection breaks ({e})"),
    }
}
