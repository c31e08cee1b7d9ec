//! The serial sink on real pseudo-terminals: pulled out, never read, disturbed, taken by somebody else.

use super::pty::Pty;
use super::{NO_FORK, build, confirmed, decoded, numbers, sample};
use mercam::event::Event;
use mercam::frame::FaceId;
use mercam::sinks::Sink;
use mercam::wire::{Deframer, Envelope, Format};
use std::fs;
use std::time::{Duration, Instant};

const QUICK: &str = "write_timeout_ms=60&retry_min_ms=5&retry_max_ms=20";

#[test]
fn a_serial_line_that_is_pulled_out_and_put_in_again_is_found() {
    let _alone = NO_FORK.lock();
    for format in [Format::Text, Format::Binary] {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("ttyUSB0");
        let first = Pty::open();
        std::os::unix::fs::symlink(first.path(), &link).unwrap();
        let mut sink = build(&format!("serial:{}?format={format}&{QUICK}", link.display()));
        let (mut delivered, mut lost) = (Vec::new(), 0);
        let mut send = |sink: &mut Box<dyn Sink>, seq| {
            let result = sink.send(&confirmed(seq));
            match &result {
                Ok(()) => delivered.push(seq),
                Err(e) => {
                    lost += 1;
                    eprintln!("{seq} {e}")
                }
            }
            result
        };
        (0..10).for_each(|seq| send(&mut sink, seq).unwrap());
        let mut received = numbers(&decoded(format, &first.until(|b| decoded(format, b).len() == 10)));

        fs::remove_file(&link).unwrap();
        first.close();
        let began = Instant::now();
        for seq in 10..30 {
            let e = send(&mut sink, seq).unwrap_err().to_string();
            assert!(e.contains("ttyUSB0"), "{e}");
        }
        assert!(began.elapsed() < Duration::from_secs(2), "sending on an absent line takes {:?}", began.elapsed());
        assert!(sink.trouble().unwrap().contains("not there"), "{:?}", sink.trouble());
        sink.flush().unwrap();

        let second = Pty::open();
        std::os::unix::fs::symlink(second.path(), &link).unwrap();
        let mut seq = 30;
        while send(&mut sink, seq).is_err() {
            seq += 1;
            assert!(began.elapsed() < Duration::from_secs(10), "never found again: {:?}", sink.trouble());
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(sink.trouble(), None);
        (seq + 1..seq + 11).for_each(|seq| send(&mut sink, seq).unwrap());
        received.extend(numbers(&decoded(format, &second.until(|b| decoded(format, b).len() == 11))));

        // Out and in again while no event came: not even one event is lost.
        fs::remove_file(&link).unwrap();
        second.close();
        let third = Pty::open();
        std::os::unix::fs::symlink(third.path(), &link).unwrap();
        send(&mut sink, seq + 11).unwrap();
        drop(sink);
        received.extend(numbers(&decoded(format, &third.until_hang_up())));

        assert_eq!(received, delivered);
        assert_eq!(delivered.len() as u64 + lost, seq + 12, "an event was lost without being counted");
    }
}

#[test]
fn a_serial_line_that_nobody_reads_holds_nobody_up() {
    for format in [Format::Text, Format::Binary] {
        let mut pty = Pty::open_unread();
        let mut sink = build(&format!("serial:{}?format={format}&{QUICK}", pty.path().display()));
        let (mut delivered, mut seq, mut failures) = (Vec::new(), 0, 0);
        while failures < 3 {
            let began = Instant::now();
            match sink.send(&confirmed(seq)) {
                Ok(()) => delivered.push(seq),
                Err(e) => {
                    failures += 1;
                    assert!(e.to_string().contains("is anybody reading?"), "{e}");
                    assert!(sink.trouble().is_some());
                }
            }
            assert!(began.elapsed() < Duration::from_secs(1), "one event took {:?}", began.elapsed());
            seq += 1;
            assert!(seq < 10_000, "the line never filled up");
        }
        pty.read();
        pty.until(|b| decoded(format, b).len() == delivered.len());
        // The half frame of the first failure costs no later one.
        for seq in seq..seq + 20 {
            sink.send(&confirmed(seq)).unwrap();
            delivered.push(seq);
        }
        assert_eq!(sink.trouble(), None);
        drop(sink);
        assert_eq!(numbers(&decoded(format, &pty.until_hang_up())), delivered);
    }
}

#[test]
fn a_line_gets_no_more_than_its_budget_and_detections_first() {
    let pty = Pty::open();
    let mut sink = build(&format!("serial:{}?max_per_s=2", pty.path().display()));
    let other = |seq| Envelope::new(seq, Event::FaceLeft { face: FaceId(1), at: sample::at(0) });
    // Two at first, and one of them is kept for detections.
    sink.send(&other(0)).unwrap();
    let (mut delivered, mut refused) = (vec![0], 0);
    for seq in 1..200 {
        let event = if seq % 2 == 0 { other(seq) } else { confirmed(seq) };
        match sink.send(&event) {
            Ok(()) => delivered.push(seq),
            Err(e) => {
                assert!(e.to_string().contains("max_per_s") && sink.trouble().is_none(), "{e}");
                refused += 1;
            }
        }
    }
    assert!(delivered.contains(&1) && !delivered.contains(&2), "{delivered:?}");
    assert!(refused > 100 && delivered.len() as u64 + refused == 200, "{refused}");
    drop(sink);
    assert_eq!(numbers(&decoded(Format::Text, &pty.until_hang_up())), delivered);
}

#[test]
fn a_receiver_may_stop_and_start_the_line() {
    const XOFF: &[u8] = &[0x13];
    const XON: &[u8] = &[0x11];
    let mut pty = Pty::open();
    let mut sink = build(&format!("serial:{}?flow_control=software&{QUICK}", pty.path().display()));
    sink.send(&confirmed(0)).unwrap();
    pty.until(|b| decoded(Format::Text, b).len() == 1);
    pty.say(XOFF);
    let (mut delivered, mut seq) = (vec![0], 1);
    let error = loop {
        match sink.send(&confirmed(seq)) {
            Ok(()) => delivered.push(seq), // the system's buffer takes some
            Err(e) => break e.to_string(),
        }
        seq += 1;
        assert!(seq < 10_000, "the line was never stopped");
    };
    assert!(error.contains("took nothing"), "{error}");
    pty.say(XON);
    pty.until(|b| decoded(Format::Text, b).len() == delivered.len());
    sink.send(&confirmed(seq + 1)).unwrap();
    delivered.push(seq + 1);
    pty.until(|b| decoded(Format::Text, b).len() == delivered.len());
    drop(sink);
    pty.close();
}

#[test]
fn a_line_that_changes_one_byte_in_a_hundred_gives_no_false_event() {
    for format in [Format::Text, Format::Binary] {
        let pty = Pty::open();
        let mut sink = build(&format!("serial:{}?format={format}", pty.path().display()));
        let at = sample::at(1_234_567);
        let sent: Vec<_> = (0..600)
            .map(|seq| match seq % 10 {
                0 => confirmed(seq),
                _ => Envelope::new(seq, Event::FaceLeft { face: FaceId(seq as u32), at }),
            })
            .collect();
        sent.iter().for_each(|e| sink.send(e).unwrap());
        drop(sink);
        let mut bytes = pty.until_hang_up();
        assert_eq!(decoded(format, &bytes), sent);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 16
        };
        for b in &mut bytes {
            if next() % 100 == 0 {
                *b ^= (next() % 255 + 1) as u8;
            }
        }
        let (mut deframer, mut got) = (Deframer::new(format), Vec::new());
        deframer.push(&bytes, |e| got.push(e));
        assert!(got.iter().all(|e| sent[e.seq as usize] == *e), "a false event");
        assert!(got.is_sorted_by_key(|e| e.seq));
        // Chance lets 0.99 to the power of its length of each short frame through: a quarter of these as text, half of
        // them as binary.
        let counts = deframer.counts();
        assert!(got.len() > 100 && got.len() < 590, "{format}: {} of 600", got.len());
        assert!(counts.good == got.len() as u64 && counts.bad > 10, "{counts:?}");
    }
}

#[test]
fn a_line_is_ours_alone_while_we_have_it() {
    let pty = Pty::open();
    let spec = format!("serial:{}?{QUICK}", pty.path().display());
    let mut first = build(&spec);
    first.send(&confirmed(0)).unwrap();
    let mut second = build(&spec);
    let e = second.send(&confirmed(1)).unwrap_err().to_string();
    assert!(e.contains("in use"), "{e}");
    drop(first);
    let began = Instant::now();
    while second.send(&confirmed(2)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", second.trouble());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_no_serial_line_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plain");
    fs::write(&file, "keep me").unwrap();
    let mut sink = build(&format!("serial:{}?{QUICK}", file.display()));
    let e = sink.send(&confirmed(0)).unwrap_err().to_string();
    assert!(e.contains("is it a serial line?"), "{e}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "keep me");
}
