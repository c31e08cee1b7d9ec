//! systemd's notification protocol (sd_notify(3)): datagrams on a socket that the environment names. No library of
//! systemd is needed; without the socket there is nobody to tell and nothing happens.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Notifier {
    /// The service manager that started this process, when one did and wants to be told (`NOTIFY_SOCKET`).
    pub fn from_env() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|a| !a.is_empty())?;
        match Self::to(&address) {
            Ok(notifier) => Some(notifier),
            Err(e) => {
                log::warn!("the service manager cannot be told anything: NOTIFY_SOCKET={}: {e}", address.display());
                None
            }
        }
    }

    /// A socket by its path, or by its abstract name after `@`.
    ///
    /// # Errors
    /// When the address is neither, or no socket can be made.
    pub fn to(address: &OsStr) -> io::Result<Self> {
        let bytes = address.as_bytes();
        let to = match bytes.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            Some((b'/', _)) => SocketAddr::from_pathname(OsString::from(address))?,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor @ and a name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?; // a manager that does not read must not hold us up
        Ok(Self { socket, to })
    }

    /// Sends lines of `KEY=VALUE`. A manager that does not take them is not worth ending for.
    pub fn tell(&self, state: &str) {
        if let Err(e) = self.socket.send_to_addr(state.as_bytes(), &self.to) {
            log::debug!("the service manager did not take `{}`: {e}", state.replace('\n', " "));
        }
    }

    /// A reload begins; `READY=1` ends it. The time tells the manager which of two reloads this is.
    pub fn reloading(&self, monotonic_us: i64) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic_us}"));
    }
}

/// How often the service manager wants to hear of us, when it watches this process (`WATCHDOG_USEC`, `WATCHDOG_PID`).
pub fn watchdog_from_env() -> Option<Duration> {
    watchdog(std::env::var("WATCHDOG_USEC").ok().as_deref(), std::env::var("WATCHDOG_PID").ok().as_deref())
}

fn watchdog(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let ours = pid.is_none_or(|p| p.parse() == Ok(std::process::id()));
    let usec: u64 = usec?.parse().ok()?;
    (ours && usec > 0).then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_socket_with_a_path_and_one_without_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("mercam-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (address, socket) in [(path.into_os_string(), by_path), (format!("@{name}").into(), by_name)] {
            Notifier::to(&address).unwrap().tell("READY=1\nSTATUS=well");
            let mut bytes = [0; 64];
            let n = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..n], b"READY=1\nSTATUS=well");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_and_a_socket_that_has_gone_is_no_failure() {
        assert!(Notifier::to(OsStr::new("relative")).is_err());
        assert!(Notifier::to(OsStr::new("")).is_err());
        Notifier::to(OsStr::new("/nonexistent/notify")).unwrap().tell("READY=1");
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let ours = std::process::id().to_string();
        assert_eq!(watchdog(Some("30000000"), Some(&ours)), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(Some("30000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(Some("30000000"), Some("1")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(Some("often"), None), None);
        assert_eq!(watchdog(None, None), None);
    }
}
