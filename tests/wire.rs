//! The wire format: its fixtures, and what damage may do to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "wire/corpus.rs"]
mod corpus;
#[path = "data/wire/sample.rs"]
mod sample;

use mercam::event::{Detection, Event, Status};
use mercam::wire::{
    Ack, Counts, DecodeError, Deframer, EncodeError, Envelope, Format, MAX_FRAME, Message, RunId, VERSION, decode_body,
    encode_body, encode_record, json,
};
use proptest::prelude::*;
use std::path::PathBuf;

const FORMATS: [Format; 2] = [Format::Text, Format::Binary];

fn stream(format: Format, events: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::new();
    events.iter().for_each(|e| format.encode(e, &mut out).unwrap());
    out
}

fn receive(format: Format, bytes: &[u8]) -> (Vec<Envelope>, Counts) {
    let (mut deframer, mut got) = (Deframer::new(format), Vec::new());
    deframer.push(bytes, |e| got.push(e));
    (got, deframer.counts())
}

fn json_lines(events: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::new();
    for e in events {
        json::encode(e, &mut out).unwrap();
        out.push(b'\n');
    }
    out
}

fn fixture(version: u8, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/wire/v{version}")).join(name)
}

/// The stored bytes of this version are what is written, and they are read as what they meant.
/// With MERCAM_BLESS set the files are written first: only for a new version, never to make this pass.
#[test]
fn the_fixtures_of_this_version_hold() {
    assert_eq!(VERSION, 2, "a new version gets a new folder of fixtures beside the others, which must still be read");
    let events = sample::all();
    let written = [
        ("events.jsonl", json_lines(&events)),
        ("events.txt", stream(Format::Text, &events)),
        ("events.bin", stream(Format::Binary, &events)),
        ("records.bin", records(&events)),
        ("acks.bin", acks()),
    ];
    for (name, bytes) in &written {
        if std::env::var_os("MERCAM_BLESS").is_some() {
            std::fs::create_dir_all(fixture(VERSION, "")).unwrap();
            std::fs::write(fixture(VERSION, name), bytes).unwrap();
        }
        assert!(std::fs::read(fixture(VERSION, name)).unwrap() == *bytes, "{name} is no longer written as it was");
    }
    are_read_as(VERSION, &events);
    assert_eq!(receive(Format::Binary, &std::fs::read(fixture(VERSION, "records.bin")).unwrap()).0, events);
}

#[test]
fn the_fixtures_of_version_1_are_still_read() {
    are_read_as(1, &sample::all_of_version_1());
}

fn are_read_as(version: u8, events: &[Envelope]) {
    let lines = std::fs::read(fixture(version, "events.jsonl")).unwrap();
    let read: Vec<_> =
        lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| json::decode(l).unwrap()).collect();
    assert_eq!(read, events);
    for (name, format) in [("events.txt", Format::Text), ("events.bin", Format::Binary)] {
        let (read, counts) = receive(format, &std::fs::read(fixture(version, name)).unwrap());
        assert_eq!(read, events);
        assert_eq!(counts, Counts { good: events.len() as u64, bad: 0, foreign: 0 });
    }
}

const STREAM: u64 = 0xfedc_ba98_7654_3210;

/// Records 5, 6, 7 ...; all before 5 are gone.
fn records(events: &[Envelope]) -> Vec<u8> {
    let mut out = Vec::new();
    for (e, id) in events.iter().zip(5..) {
        let previous = (id > 5).then_some(id - 1);
        encode_record(STREAM, id, previous, &encode_body(e).unwrap(), &mut out).unwrap();
    }
    out
}

const ACK: Ack = Ack { stream: STREAM, next: 7, have: 0b101 };

fn acks() -> Vec<u8> {
    let mut out = Vec::new();
    Message::encode_ready(&mut out).unwrap();
    ACK.encode(&mut out).unwrap();
    out
}

#[test]
fn records_and_acknowledgements_come_back_as_they_were() {
    let mut got = Vec::new();
    let mut deframer = Deframer::new(Format::Binary);
    deframer.messages(&[records(&sample::all()[..2]), acks()].concat(), |m| got.push(m));
    let [Message::Record(a), Message::Record(b), Message::Ready, Message::Ack(ack)] = &got[..] else {
        panic!("{got:?}")
    };
    assert_eq!((a.stream, a.id, a.previous, a.event.as_ref()), (STREAM, 5, None, Ok(&sample::all()[0])));
    assert_eq!((b.id, b.previous), (6, Some(5)));
    assert_eq!(*ack, ACK);
    assert_eq!((0..12).filter(|id| ack.covers(*id)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 8, 10]);
    assert!(!ack.covers(u64::MAX) && !Ack { next: u64::MAX - 1, ..ACK }.covers(u64::MAX - 1));
    // Who wants events only is not disturbed by what is for senders.
    assert_eq!(receive(Format::Binary, &acks()), (vec![], Counts { good: 2, bad: 0, foreign: 0 }));
}

#[test]
fn a_record_of_a_later_version_is_known_as_a_record() {
    let mut frame = Vec::new();
    encode_record(STREAM, 9, None, &[77, 1, 2, 3], &mut frame).unwrap();
    let mut got = Vec::new();
    Deframer::new(Format::Binary).messages(&frame, |m| got.push(m));
    let Some(Message::Record(r)) = got.first() else { panic!("{got:?}") };
    assert_eq!((r.id, r.event.clone()), (9, Err(DecodeError::Version(77))));
    // What an earlier version left in a spool is read.
    let old = [&[1][..], &[5, 4, 3, 2, 0]].concat(); // version 1, event 5, face 3 left at 1 us
    let event = decode_body(&old).unwrap();
    assert_eq!((event.v, event.seq, event.event.kind()), (1, 5, "face_left"));
}

#[test]
fn bodies_that_would_not_fit_into_a_frame_are_refused_at_once() {
    let of_length = |n| Envelope::new(0, Event::Confirmed(Detection { class: "x".repeat(n), ..sample::detection(1) }));
    assert!(matches!(encode_body(&of_length(MAX_FRAME)), Err(EncodeError::TooLong { .. })));
    let longest = (0..MAX_FRAME).rev().find_map(|n| encode_body(&of_length(n)).ok()).unwrap();
    let mut frame = Vec::new();
    encode_record(u64::MAX, u64::MAX, Some(u64::MAX), &longest, &mut frame).unwrap();
    assert!(frame.len() <= MAX_FRAME, "{}", frame.len());
}

#[test]
fn a_detection_in_json_says_what_and_why() {
    let mut line = Vec::new();
    json::encode(&sample::all()[3], &mut line).unwrap();
    let v: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((v["v"].as_u64(), v["seq"].as_u64(), v["kind"].as_str()), (Some(2), Some(3), Some("confirmed")));
    assert_eq!((v["device"].as_str(), v["run"].as_str()), (Some("kiosk-7"), Some("0123456789abcdef")));
    assert_eq!(v["face"], 3);
    assert_eq!(v["onset"]["us"], 12_034_000);
    assert!(v["onset"]["us"].as_i64() < v["apex"]["us"].as_i64());
    assert!(v["apex"]["us"].as_i64() < v["offset"]["us"].as_i64());
    assert_eq!(v["class"], "surprise");
    assert_eq!(v["probabilities"]["surprise"], 0.8125);
    assert_eq!(v["actions"].as_object().unwrap().len(), 6);
    assert!((v["actions"]["right_brow"].as_f64().unwrap() - 0.7).abs() < 1e-6);
    assert_eq!(v["relations"][0]["from"], "mouth");
    assert_eq!(v["relations"][0]["to"], "left_brow");
    for number in ["amplitude", "rate"] {
        assert!(v[number].is_number(), "{number}");
    }
    assert_eq!(v["model"]["precision"], "int8");
}

#[test]
fn the_binary_form_is_the_smaller_one() {
    let one = &sample::all()[3..4];
    let (text, binary) = (stream(Format::Text, one).len(), stream(Format::Binary, one).len());
    assert!(binary * 2 < text, "{binary} of {text} bytes");
}

#[test]
fn numbers_that_are_none_are_refused_by_name_and_leave_nothing() {
    let mut event = sample::detection(1);
    event.score = f32::INFINITY;
    let envelope = Envelope::new(0, Event::Confirmed(event));
    for format in FORMATS {
        let mut out = b"before".to_vec();
        assert_eq!(format.encode(&envelope, &mut out), Err(EncodeError::NotFinite("score")));
        assert_eq!(out, b"before");
    }
}

#[test]
fn a_frame_is_never_longer_than_it_may_be() {
    let long = Detection { class: "x".repeat(MAX_FRAME), ..sample::detection(1) };
    for format in FORMATS {
        let mut out = Vec::new();
        let e = format.encode(&Envelope::new(0, Event::Confirmed(long.clone())), &mut out).unwrap_err();
        assert!(matches!(e, EncodeError::TooLong { length } if length > MAX_FRAME), "{e}");
        assert!(out.is_empty());
        // The longest that is allowed passes, even where a damaged neighbour of the same length runs into it.
        let of_length = |n| Detection { class: "x".repeat(n), ..sample::detection(1) };
        let fits =
            |n: &usize| format.encode(&Envelope::new(0, Event::Confirmed(of_length(*n))), &mut Vec::new()).is_ok();
        let full = of_length((0..MAX_FRAME).rev().find(fits).unwrap());
        let pair = [Envelope::new(0, Event::Confirmed(full.clone())), Envelope::new(1, Event::Confirmed(full))];
        let mut bytes = stream(format, &pair);
        let end_of_first = bytes.len() / 2 - 1;
        bytes[end_of_first] ^= 0x55;
        assert_eq!(receive(format, &bytes).0, pair[1..]);
    }
}

#[test]
fn other_versions_are_counted_as_such() {
    let mut next = sample::all().remove(3);
    next.v = 3;
    let (got, counts) = receive(Format::Text, &stream(Format::Text, &[next.clone()]));
    assert_eq!((got.len(), counts), (0, Counts { good: 0, bad: 0, foreign: 1 }));
    let mut line = Vec::new();
    json::encode(&next, &mut line).unwrap();
    assert_eq!(json::decode(&line), Err(DecodeError::Version(3)));
    // A frame of version 3 by hand: nobody here can know what it holds.
    let mut raw = vec![3, 9, 9, 9];
    let check = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&raw);
    raw.extend(check.to_le_bytes());
    let (got, counts) = receive(Format::Binary, &cobs::encode_vec_including_sentinels(&raw));
    assert_eq!((got.len(), counts), (0, Counts { good: 0, bad: 0, foreign: 1 }));
}

#[test]
fn well_checked_nonsense_is_an_error() {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    for body in ["", "{}", "[]", "{\"v\":1}", "{\"v\":1,\"seq\":0,\"kind\":\"cake\"}", "{\"v\":300}", "\u{0}\u{1}"] {
        let line = format!("{body} *{:08X}\n", crc.checksum(body.as_bytes()));
        assert_eq!(receive(Format::Text, line.as_bytes()).1, Counts { good: 0, bad: 1, foreign: 0 }, "{body:?}");
    }
    for body in [
        &[1][..],
        &[1, 0],
        &[1, 0, 99],
        &[1, 0, 5, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        &[],
        &[2],
        &[2, 0],
        &[2, 1, 5],
        &[2, 2, 0, 0, 0],
        &[2, 3, 0],
        &[2, 4],
    ] {
        let mut raw = body.to_vec();
        raw.extend(crc.checksum(body).to_le_bytes());
        let frame = cobs::encode_vec_including_sentinels(&raw);
        assert_eq!(receive(Format::Binary, &frame).1, Counts { good: 0, bad: 1, foreign: 0 }, "{body:?}");
    }
    // A component that does not exist, in an undamaged frame.
    assert!(Format::Binary.decode(&[1, 2, 0, 3]).is_err());
}

#[test]
fn keys_of_a_later_mercam_are_passed_over() {
    let mut line = Vec::new();
    json::encode(&sample::all()[3], &mut line).unwrap();
    let text = String::from_utf8(line).unwrap().replacen('{', "{\"blood_pressure\":[80,120],", 1);
    assert_eq!(json::decode(text.as_bytes()).unwrap(), sample::all()[3]);
}

#[test]
fn carriage_returns_and_empty_lines_are_no_damage() {
    let text = String::from_utf8(stream(Format::Text, &sample::all())).unwrap().replace('\n', "\r\n\r\n\n");
    let (got, counts) = receive(Format::Text, text.as_bytes());
    assert_eq!((got, counts.bad), (sample::all(), 0));
}

#[test]
fn an_endless_line_costs_no_memory_and_no_later_frame() {
    for format in FORMATS {
        let mut deframer = Deframer::new(format);
        let mut got = Vec::new();
        for _ in 0..200 {
            deframer.push(&[b'{'; 5000], |e| got.push(e));
        }
        deframer.push(&stream(format, &sample::all()), |e| got.push(e));
        assert_eq!(got, sample::all());
        assert_eq!(deframer.counts().bad, 1);
    }
    // A line made to be expensive: a beginning at every fifth byte.
    let hostile = b"{\"v\":".repeat(2 * MAX_FRAME);
    assert!(receive(Format::Text, &[&hostile[..], b"\n"].concat()).0.is_empty());
}

/// Where a change happens: anywhere, or within two bytes of where two frames meet, where it hurts most.
#[derive(Debug, Clone)]
struct Place {
    index: prop::sample::Index,
    from_edge: Option<isize>,
}

impl Place {
    /// A place in 0..`n`, where `n` is the number of bytes, or one more for an insertion.
    fn in_stream(&self, bytes: &[(u8, Option<usize>)], n: usize) -> usize {
        let edges: Vec<_> = (1..bytes.len()).filter(|i| bytes[*i].1 != bytes[i - 1].1).collect();
        match self.from_edge {
            Some(by) if !edges.is_empty() => edges[self.index.index(edges.len())].saturating_add_signed(by).min(n - 1),
            _ => self.index.index(n),
        }
    }
}

/// One change of the stream.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: Place, bit: u8 },
    Drop { at: Place, length: usize },
    Insert { at: Place, bytes: Vec<u8> },
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || {
        (any::<prop::sample::Index>(), proptest::option::of(-2isize..3))
            .prop_map(|(index, from_edge)| Place { index, from_edge })
    };
    // Bytes that mean something to the framing come more often than chance would have it.
    let byte = prop_oneof![any::<u8>(), Just(0u8), Just(b'\n'), Just(b'{'), Just(b'*')];
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        (at(), 1usize..40).prop_map(|(at, length)| Damage::Drop { at, length }),
        (at(), prop::collection::vec(byte, 1..40)).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
    ]
}

fn moment() -> impl Strategy<Value = mercam::event::Moment> {
    (any::<i64>(), any::<Option<i64>>())
        .prop_map(|(us, unix_us)| mercam::event::Moment { us: mercam::time::Timestamp::from_micros(us), unix_us })
}

fn number() -> impl Strategy<Value = f32> {
    prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO
}

fn event() -> impl Strategy<Value = Event> {
    let names = prop::collection::btree_map("\\PC{0,12}|v", number(), 0..6);
    let detection = (any::<u64>(), moment(), moment(), proptest::option::of(moment()), "\\PC{0,20}", names, number())
        .prop_map(|(id, onset, apex, offset, class, probabilities, amplitude)| Detection {
            onset,
            apex,
            offset,
            class,
            probabilities: probabilities.into_iter().collect(),
            amplitude,
            ..sample::detection(id)
        });
    prop_oneof![
        3 => (detection, 0..3).prop_map(|(d, stage)| match stage {
            0 => Event::Provisional(d),
            1 => Event::Confirmed(d),
            _ => Event::Withdrawn(d),
        }),
        1 => (any::<u32>(), moment()).prop_map(|(face, at)| Event::FaceLeft { face: mercam::frame::FaceId(face), at }),
        1 => (any::<u64>(), number(), proptest::option::of(number()), any::<Option<bool>>()).prop_map(
            |(frames, rate, temperature_c, throttled)| {
                Event::Status(Status { frames, rate, temperature_c, throttled, ..Status::default() })
            }
        ),
    ]
}

fn events() -> impl Strategy<Value = Vec<Envelope>> {
    (prop::collection::vec(event(), 1..8), "\\PC{0,8}", any::<u64>()).prop_map(|(events, device, run)| {
        let from = |(event, seq)| Envelope { device: device.clone(), run: RunId(run), ..Envelope::new(seq, event) };
        events.into_iter().zip(0..).map(from).collect()
    })
}

/// Damages the stream; says which frames were touched. A byte carries the number of the frame it came from.
fn apply(format: Format, events: &[Envelope], changes: &[Damage]) -> (Vec<u8>, Vec<bool>) {
    let mut touched = vec![false; events.len()];
    let mut bytes: Vec<(u8, Option<usize>)> = Vec::new();
    for (i, e) in events.iter().enumerate() {
        bytes.extend(stream(format, std::slice::from_ref(e)).into_iter().map(|b| (b, Some(i))));
    }
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Damage::Flip { at, bit } => {
                let at = at.in_stream(&bytes, bytes.len());
                bytes[at].0 ^= 1 << bit;
                if let Some(i) = bytes[at].1 {
                    touched[i] = true;
                }
            }
            Damage::Drop { at, length } => {
                let at = at.in_stream(&bytes, bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end).filter_map(|b| b.1).for_each(|i| touched[i] = true);
            }
            Damage::Insert { at, bytes: new } => {
                let at = at.in_stream(&bytes, bytes.len() + 1);
                // Between two frames nothing is touched; inside one, that one is.
                let before = at.checked_sub(1).and_then(|i| bytes[i].1);
                let after = bytes.get(at).and_then(|b| b.1);
                if let (Some(b), Some(a)) = (before, after)
                    && a == b
                {
                    touched[a] = true;
                }
                bytes.splice(at..at, new.iter().map(|b| (*b, None)));
            }
        }
    }
    (bytes.into_iter().map(|b| b.0).collect(), touched)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_survives_every_form(events in events()) {
        for line in json_lines(&events).split(|b| *b == b'\n').filter(|l| !l.is_empty()).zip(&events) {
            prop_assert_eq!(&json::decode(line.0).unwrap(), line.1);
        }
        for format in FORMATS {
            let (got, counts) = receive(format, &stream(format, &events));
            prop_assert_eq!(&got, &events);
            prop_assert_eq!(counts.bad + counts.foreign, 0);
        }
    }

    #[test]
    fn damage_costs_the_touched_frames_only_and_makes_none(
        events in events(), changes in prop::collection::vec(damage(), 0..6), pieces in 1usize..700,
    ) {
        for format in FORMATS {
            let (bytes, touched) = apply(format, &events, &changes);
            let (mut deframer, mut got) = (Deframer::new(format), Vec::new());
            bytes.chunks(pieces).for_each(|c| deframer.push(c, |e| got.push(e)));
            for e in &got {
                // Whatever arrives was sent.
                prop_assert!(events.contains(e), "{} made a false event: {e:?}", format);
            }
            for (e, touched) in events.iter().zip(touched) {
                prop_assert!(touched || got.contains(e), "{} lost an untouched frame: {e:?}", format);
            }
            prop_assert!(got.is_sorted_by_key(|e| e.seq));
        }
    }

    #[test]
    fn who_joins_late_loses_only_the_frame_being_sent(events in events(), cut in any::<prop::sample::Index>()) {
        for format in FORMATS {
            let bytes = stream(format, &events);
            let cut = cut.index(bytes.len());
            let whole = (0..events.len()).find(|k| stream(format, &events[..*k]).len() >= cut).unwrap_or(events.len());
            let (got, counts) = receive(format, &bytes[cut..]);
            prop_assert!(got.ends_with(&events[whole..]));
            prop_assert!(got.len() - events[whole..].len() <= 1 && counts.bad <= 1);
        }
    }

    #[test]
    fn noise_is_never_an_event(noise in prop::collection::vec(any::<u8>(), 0..3000)) {
        for format in FORMATS {
            prop_assert!(receive(format, &noise).0.is_empty());
            let _ = format.decode(&noise).unwrap_err();
        }
        let _ = json::decode(&noise).unwrap_err();
    }
}
