//! MQTT 3.1.1 packets, as far as we need them (OASIS standard, sections 2 and 3).

/// Longest text or binary field.
const LONGEST: usize = u16::MAX as usize;
/// Longest packet that is taken in; an event is much shorter. A publication that is longer is passed over.
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

/// Something that somebody has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub topic: String,
    /// What has to be acknowledged; `None` when nobody waits for that (QoS 0).
    pub id: Option<u16>,
    /// The text; `None` when it was too long to be taken in.
    pub payload: Option<Vec<u8>>,
    /// The broker had kept it: it was published before the subscription.
    pub retained: bool,
}

/// A packet from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The connection is accepted, or why not.
    ConnAck(Result<(), Refusal>),
    /// A publication of ours has arrived.
    PubAck(u16),
    /// A publication of somebody else.
    Publish(Publication),
    /// Whether we may have what we have asked for.
    SubAck(bool),
    /// The broker lives.
    PingResp,
    /// Something that we have no use for.
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
    /// The broker forgets the session with the connection; otherwise it keeps what is published for us meanwhile.
    pub clean: bool,
    /// Topic and text that the broker publishes, retained, when the client is gone without a word.
    pub will: Option<(&'a str, &'a [u8])>,
    /// User name, and password.
    pub user: Option<(&'a str, Option<&'a [u8]>)>,
}

impl Connect<'_> {
    /// Appends the packet; the will has QoS 1 and is retained.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(64);
        field(&mut body, b"MQTT");
        body.push(4); // version 3.1.1
        let mut flags = if self.clean { 0b0000_0010 } else { 0 };
        if self.will.is_some() {
            flags |= 0b0010_1100; // will, will QoS 1, will retain
        }
        if let Some((_, password)) = self.user {
            flags |= 0b1000_0000 | if password.is_some() { 0b0100_0000 } else { 0 };
        }
        body.push(flags);
        body.extend_from_slice(&self.keep_alive_s.to_be_bytes());
        field(&mut body, self.client_id.as_bytes());
        if let Some((topic, text)) = self.will {
            field(&mut body, topic.as_bytes());
            field(&mut body, text);
        }
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

/// Appends a PUBACK: a publication is ours now.
pub fn acknowledge(out: &mut Vec<u8>, id: u16) {
    packet(out, 0x40, &[&id.to_be_bytes()]);
}

/// Appends a SUBSCRIBE with QoS 1.
pub fn subscribe(out: &mut Vec<u8>, id: u16, filter: &str) {
    let mut body = id.to_be_bytes().to_vec();
    field(&mut body, filter.as_bytes());
    body.push(1);
    packet(out, 0x82, &[&body]);
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

/// What has come from the broker and has not been taken yet.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// So much of what comes belongs to a publication that is passed over.
    skip: usize,
}

impl Inbox {
    /// Takes bytes in.
    pub fn extend(&mut self, bytes: &[u8]) {
        let over = self.skip.min(bytes.len());
        self.skip -= over;
        self.bytes.extend_from_slice(bytes.get(over..).unwrap_or_default());
    }

    /// Takes the first packet out; `None` when it is not whole yet.
    ///
    /// # Errors
    /// When the bytes are no MQTT.
    pub fn take(&mut self) -> Result<Option<Incoming>, Malformed> {
        let Some((&first, rest)) = self.bytes.split_first() else { return Ok(None) };
        // Told by the first byte, before a length that means nothing is waited for.
        if !matches!(first, 0x20 | 0x30..=0x3f | 0x40 | 0x50 | 0x62 | 0x70 | 0x90 | 0xb0 | 0xd0) {
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
        let content = rest.get(digits..).unwrap_or_default();
        if length > LARGEST {
            return self.pass_over(first, 1 + digits, length);
        }
        let Some(body) = content.get(..length) else { return Ok(None) };
        let incoming = understand(first, body)?;
        self.bytes.drain(..1 + digits + length);
        Ok(Some(incoming))
    }

    /// Takes topic and number of a publication that is too long, and forgets its text as it comes: it must be
    /// acknowledged all the same, or the broker would send it again for ever.
    fn pass_over(&mut self, first: u8, head: usize, length: usize) -> Result<Option<Incoming>, Malformed> {
        if first & 0xf0 != 0x30 {
            return Err(Malformed("a packet that is too long"));
        }
        let content = self.bytes.get(head..).unwrap_or_default();
        // A topic of the longest kind fits into what is held here.
        if content.len() < length && content.len() < LONGEST + 4 {
            return Ok(None);
        }
        let there = content.len().min(length);
        let (topic, id, _) = address(first, content.get(..there).unwrap_or_default())?;
        let publication = Publication { topic, id, payload: None, retained: first & 1 != 0 };
        self.bytes.drain(..head + there);
        self.skip = length - there;
        Ok(Some(Incoming::Publish(publication)))
    }
}

/// Topic, number and text of a publication.
fn address(first: u8, body: &[u8]) -> Result<(String, Option<u16>, &[u8]), Malformed> {
    const SHORT: Malformed = Malformed("a publication without a topic");
    let (length, rest) = body.split_first_chunk::<2>().ok_or(SHORT)?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(SHORT)?;
    let topic = std::str::from_utf8(topic).map_err(|_| Malformed("a topic that is no text"))?.to_owned();
    if first & 0b110 == 0 {
        return Ok((topic, None, rest));
    }
    let (id, payload) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
    Ok((topic, Some(u16::from_be_bytes(*id)), payload))
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
        (0x90, &[_, _, code]) => Incoming::SubAck(code < 0x80),
        (0xd0, &[]) => Incoming::PingResp,
        (0x20 | 0x40 | 0x90 | 0xd0, _) => return Err(Malformed("an answer of a wrong length")),
        (0x30..=0x3f, body) => {
            let (topic, id, payload) = address(first, body)?;
            Incoming::Publish(Publication { topic, id, payload: Some(payload.to_vec()), retained: first & 1 != 0 })
        }
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
        Connect { client_id: "k", keep_alive_s: 30, clean: true, will: Some(("a/b", b"off")), user }.encode(&mut out);
        let expected = b"\x10\x1e\x00\x04MQTT\x04\xee\x00\x1e\x00\x01k\x00\x03a/b\x00\x03off\x00\x01u\x00\x02pw";
        assert_eq!(out, expected);
        out.clear();
        Connect { client_id: "", keep_alive_s: 1, clean: true, will: Some(("t", b"")), user: None }.encode(&mut out);
        assert_eq!(out[9], 0x2e);
        out.clear();
        Connect { client_id: "h", keep_alive_s: 30, clean: false, will: None, user: None }.encode(&mut out);
        assert_eq!(out, b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x1e\x00\x01h");
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
        out.clear();
        acknowledge(&mut out, 0x0102);
        subscribe(&mut out, 3, "a/+");
        assert_eq!(out, b"\x40\x02\x01\x02\x82\x08\x00\x03\x00\x03a/+\x01");
    }

    fn inbox(bytes: &[u8]) -> Inbox {
        let mut inbox = Inbox::default();
        inbox.extend(bytes);
        inbox
    }

    #[test]
    fn packets_are_taken_one_by_one_when_they_are_whole() {
        let mut inbox =
            inbox(b"\x20\x02\x00\x05\x40\x02\x01\x02\xd0\x00\x90\x03\x00\x01\x01\xb0\x02\x00\x01\x40\x02\x00");
        assert_eq!(inbox.take(), Ok(Some(Incoming::ConnAck(Err(Refusal::NotAuthorised)))));
        assert_eq!(inbox.take(), Ok(Some(Incoming::PubAck(0x0102))));
        assert_eq!(inbox.take(), Ok(Some(Incoming::PingResp)));
        assert_eq!(inbox.take(), Ok(Some(Incoming::SubAck(true))));
        assert_eq!(inbox.take(), Ok(Some(Incoming::Other)));
        assert_eq!(inbox.take(), Ok(None));
        inbox.extend(&[9]);
        assert_eq!(inbox.take(), Ok(Some(Incoming::PubAck(9))));
        for bad in [
            &b"\x40\x01\x00"[..],
            b"\xff\x00",
            b"HTTP/1.1 400",
            b"\x40\xff\xff\xff\xff\x01",
            b"\x40\xff\xff\x7f",
            b"\x32\x01\x00",
            b"\x32\x03\x00\x01a",
            b"\x30\x03\x00\x01\xff",
        ] {
            assert!(self::inbox(bad).take().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn publications_of_others_come_with_what_is_to_be_acknowledged() {
        let take = |bytes: &[u8]| inbox(bytes).take().unwrap().unwrap();
        let expected =
            Publication { topic: "a".into(), id: Some(258), payload: Some(b"xyz".to_vec()), retained: false };
        assert_eq!(take(b"\x3a\x08\x00\x01a\x01\x02xyz"), Incoming::Publish(expected.clone()));
        let retained = Publication { id: None, payload: Some(vec![]), retained: true, ..expected };
        assert_eq!(take(b"\x31\x03\x00\x01a"), Incoming::Publish(retained));
        assert_eq!(take(b"\x90\x03\x00\x01\x80"), Incoming::SubAck(false));
    }

    #[test]
    fn a_publication_that_is_too_long_is_passed_over_and_can_be_acknowledged() {
        for pieces in [1, 7, 4096, 1 << 20] {
            let mut bytes = Vec::new();
            publish(&mut bytes, "a/b", 7, &vec![b'x'; 3 * LARGEST], false, false);
            acknowledge(&mut bytes, 8);
            let (mut inbox, mut got, mut most) = (Inbox::default(), Vec::new(), 0);
            for piece in bytes.chunks(pieces) {
                inbox.extend(piece);
                most = most.max(inbox.bytes.len());
                while let Some(incoming) = inbox.take().unwrap() {
                    got.push(incoming);
                }
            }
            let long = Publication { topic: "a/b".into(), id: Some(7), payload: None, retained: false };
            assert_eq!(got, [Incoming::Publish(long), Incoming::PubAck(8)], "{pieces}");
            assert!(most <= LARGEST + 16 + pieces, "{most}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_is_a_packet_or_an_error(bytes: Vec<u8>) {
            let mut inbox = inbox(&bytes);
            let mut before = bytes.len() + 1;
            while let Ok(Some(_)) = inbox.take() {
                prop_assert!(inbox.bytes.len() < before);
                before = inbox.bytes.len();
            }
        }
    }
}
