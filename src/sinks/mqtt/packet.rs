//! MQTT 3.1.1 packets, as far as a publisher needs them (OASIS standard, sections 2 and 3).

/// Longest text or binary field.
const LONGEST: usize = u16::MAX as usize;
/// Longest packet that is taken in: a publisher is sent answers of a few bytes only.
const LARGEST: usize = 1 << 16;

/// What a broker says about a CONNECT (section 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 1: the broker speaks another version.
    Version,
    /// 2: the client id is not allowed.
    ClientId,
    /// 3: the service is not available.
    Unavailable,
    /// 4 and 5: wrong user name or password, or not allowed in.
    NotAuthorised,
    /// A code that the standard does not have.
    Unknown(u8),
}

/// A packet from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The connection is accepted, or why not.
    ConnAck(Result<(), Refusal>),
    /// A publication has arrived.
    PubAck(u16),
    /// The broker lives.
    PingResp,
    /// Something that a publisher has no use for.
    Other,
}

/// The bytes break the standard: the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker sends what is not MQTT ({0})")]
pub struct Malformed(&'static str);

/// What a client asks for when it connects.
#[derive(Debug, Clone, Copy)]
pub struct Connect<'a> {
    /// Name of the session; a second client with it throws the first one out.
    pub client_id: &'a str,
    /// Seconds after which the broker takes a silent client for dead.
    pub keep_alive_s: u16,
    /// Topic and text that the broker publishes, retained, when the client is gone without a word.
    pub will: (&'a str, &'a [u8]),
    /// User name, and password.
    pub user: Option<(&'a str, Option<&'a [u8]>)>,
}

impl Connect<'_> {
    /// Appends the packet: a clean session, the will with QoS 1 and retained.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(64);
        field(&mut body, b"MQTT");
        body.push(4); // version 3.1.1
        let mut flags = 0b0010_1110; // clean session, will, will QoS 1, will retain
        if let Some((_, password)) = self.user {
            flags |= 0b1000_0000 | if password.is_some() { 0b0100_0000 } else { 0 };
        }
        body.push(flags);
        body.extend_from_slice(&self.keep_alive_s.to_be_bytes());
        field(&mut body, self.client_id.as_bytes());
        field(&mut body, self.will.0.as_bytes());
        field(&mut body, self.will.1);
        if let Some((name, password)) = self.user {
            field(&mut body, name.as_bytes());
            password.into_iter().for_each(|p| field(&mut body, p));
        }
        packet(out, 0x10, &[&body]);
    }
}

/// Appends a PUBLISH with QoS 1. `again`: it was sent before on this connection or an earlier one.
pub fn publish(out: &mut Vec<u8>, topic: &str, id: u16, payload: &[u8], retain: bool, again: bool) {
    let mut head = Vec::with_capacity(topic.len() + 4);
    field(&mut head, topic.as_bytes());
    head.extend_from_slice(&id.to_be_bytes());
    packet(out, 0x32 | u8::from(retain) | u8::from(again) << 3, &[&head, payload]);
}

/// Appends a PINGREQ.
pub fn ping(out: &mut Vec<u8>) {
    packet(out, 0xc0, &[]);
}

/// Appends a DISCONNECT, after which the broker does not publish the will.
pub fn disconnect(out: &mut Vec<u8>) {
    packet(out, 0xe0, &[]);
}

/// Appends a field with its length before it. What is too long is cut: configuration is checked for it before.
fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn packet(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    out.push(first);
    let mut length: usize = parts.iter().map(|p| p.len()).sum();
    loop {
        let digit = (length % 128) as u8;
        length /= 128;
        out.push(digit | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            break;
        }
    }
    parts.iter().for_each(|p| out.extend_from_slice(p));
}

/// Takes the first packet out of what has come; `None` when it is not whole yet.
///
/// # Errors
/// When the bytes are no MQTT.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Incoming>, Malformed> {
    let Some((&first, rest)) = buffer.split_first() else { return Ok(None) };
    // Told by the first byte, before a length that means nothing is waited for.
    if !matches!(first, 0x20 | 0x30..=0x40 | 0x50 | 0x62 | 0x70 | 0x90 | 0xb0 | 0xd0) {
        return Err(Malformed("an unknown kind of packet"));
    }
    let (mut length, mut digits) = (0usize, 0);
    loop {
        let Some(&digit) = rest.get(digits) else { return Ok(None) };
        length |= usize::from(digit & 0x7f) << (7 * digits);
        digits += 1;
        if digit & 0x80 == 0 {
            break;
        }
        if digits == 4 {
            return Err(Malformed("a length of more than four bytes"));
        }
    }
    if length > LARGEST {
        return Err(Malformed("a packet that is too long"));
    }
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let incoming = understand(first, body)?;
    buffer.drain(..1 + digits + length);
    Ok(Some(incoming))
}

fn understand(first: u8, body: &[u8]) -> Result<Incoming, Malformed> {
    Ok(match (first, body) {
        (0x20, &[_, code]) => Incoming::ConnAck(match code {
            0 => Ok(()),
            1 => Err(Refusal::Version),
            2 => Err(Refusal::ClientId),
            3 => Err(Refusal::Unavailable),
            4 | 5 => Err(Refusal::NotAuthorised),
            other => Err(Refusal::Unknown(other)),
        }),
        (0x40, &[high, low]) => Incoming::PubAck(u16::from_be_bytes([high, low])),
        (0xd0, &[]) => Incoming::PingResp,
        (0x20 | 0x40 | 0xd0, _) => return Err(Malformed("an answer of a wrong length")),
        _ => Incoming::Other,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_those_of_the_standard() {
        let mut out = Vec::new();
        let user = Some(("u", Some(&b"pw"[..])));
        Connect { client_id: "k", keep_alive_s: 30, will: ("a/b", b"off"), user }.encode(&mut out);
        let expected = b"\x10\x1e\x00\x04MQTT\x04\xee\x00\x1e\x00\x01k\x00\x03a/b\x00\x03off\x00\x01u\x00\x02pw";
        assert_eq!(out, expected);
        out.clear();
        Connect { client_id: "", keep_alive_s: 1, will: ("t", b""), user: None }.encode(&mut out);
        assert_eq!(out[9], 0x2e);
        out.clear();
        publish(&mut out, "a", 0x0102, b"xyz", false, false);
        assert_eq!(out, b"\x32\x08\x00\x01a\x01\x02xyz");
        out.clear();
        publish(&mut out, "a", 1, &[0; 200], true, true);
        assert_eq!(out[..3], [0x3b, 0xcd, 0x01]); // 205 = 0x4d + 128
        out.clear();
        ping(&mut out);
        disconnect(&mut out);
        assert_eq!(out, [0xc0, 0, 0xe0, 0]);
    }

    #[test]
    fn answers_are_taken_one_by_one_when_they_are_whole() {
        let mut bytes = b"\x20\x02\x00\x05\x40\x02\x01\x02\xd0\x00\x90\x03\x00\x01\x01\x40\x02\x00".to_vec();
        assert_eq!(take(&mut bytes), Ok(Some(Incoming::ConnAck(Err(Refusal::NotAuthorised)))));
        assert_eq!(take(&mut bytes), Ok(Some(Incoming::PubAck(0x0102))));
        assert_eq!(take(&mut bytes), Ok(Some(Incoming::PingResp)));
        assert_eq!(take(&mut bytes), Ok(Some(Incoming::Other)));
        assert_eq!(take(&mut bytes), Ok(None));
        bytes.push(9);
        assert_eq!(take(&mut bytes), Ok(Some(Incoming::PubAck(9))));
        for bad in
            [&b"\x40\x01\x00"[..], b"\xff\x00", b"HTTP/1.1 400", b"\x40\xff\xff\xff\xff\x01", b"\x30\xff\xff\x7f"]
        {
            assert!(take(&mut bad.to_vec()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_is_an_answer_or_an_error(mut bytes: Vec<u8>) {
            let mut before = bytes.len() + 1;
            while let Ok(Some(_)) = take(&mut bytes) {
                prop_assert!(bytes.len() < before);
                before = bytes.len();
            }
        }
    }
}
