//! What must hold for any bytes: used by the fuzz targets, and by `tests/wire.rs` on what the fuzzer has found.

use mercam::wire::{Deframer, Envelope, Format, MAX_FRAME, Message, decode_body, encode_body, json};

/// A line in both forms: whatever is made of it is an event that can be sent and comes back as it was, and it makes no
/// difference in which pieces it comes. The first byte chooses form and size of the pieces.
pub fn deframe(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let format = if choice & 1 == 0 { Format::Text } else { Format::Binary };
    let receive = |pieces: usize| {
        let (mut deframer, mut got) = (Deframer::new(format), Vec::new());
        bytes.chunks(pieces).for_each(|c| deframer.messages(c, |m| got.push(m)));
        (got, deframer.counts())
    };
    let (whole, counts) = receive(bytes.len().max(1));
    let pieces = receive(1 + usize::from(choice >> 1));
    assert_eq!((&whole, counts), (&pieces.0, pieces.1));
    assert_eq!(whole.len() as u64, counts.good);
    for message in whole {
        match message {
            Message::Event(envelope) => comes_back(&envelope),
            Message::Record(record) => record.event.iter().for_each(comes_back),
            Message::Ack(_) | Message::Ready => {}
        }
    }
}

/// The content of a binary frame, with its check put right, so that the decoder behind the check is reached.
pub fn frame(content: &[u8]) {
    let mut raw = content.to_vec();
    raw.extend(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(content).to_le_bytes());
    let stuffed = cobs::encode_vec(&raw);
    if let Ok(envelope) = Format::Binary.decode(&stuffed) {
        comes_back(&envelope);
    }
    let mut deframer = Deframer::new(Format::Binary);
    deframer.messages(&[&[0], &stuffed[..], &[0]].concat(), |m| {
        if let Message::Record(record) = m {
            record.event.iter().for_each(comes_back);
        }
    });
    // What a spool may hold.
    if let Ok(envelope) = decode_body(content) {
        comes_back(&envelope);
    }
}

/// A JSON line.
pub fn line(bytes: &[u8]) {
    if let Ok(envelope) = json::decode(bytes) {
        comes_back(&envelope);
    }
}

/// An event that was taken can be sent in each form, unless it is too long for a frame, and is then the same.
fn comes_back(envelope: &Envelope) {
    let now = Envelope { v: mercam::wire::VERSION, ..envelope.clone() };
    let mut text = Vec::new();
    json::encode(&now, &mut text).expect("what was taken can be written");
    assert_eq!(json::decode(&text).as_ref(), Ok(&now));
    match encode_body(&now) {
        Ok(body) => assert_eq!(decode_body(&body).as_ref(), Ok(&now)),
        Err(e) => assert!(text.len() > MAX_FRAME / 8, "{e}"),
    }
}
