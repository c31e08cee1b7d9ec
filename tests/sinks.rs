//! What is special to each kind of sink; what all promise is in `compliance.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sinks/pty.rs"]
mod pty;
#[path = "data/wire/sample.rs"]
mod sample;
#[path = "sinks/serial.rs"]
mod serial;

use mercam::event::{Detection, Event, Rejection};
use mercam::sinks::{Human, Sink, SinkError, SinkSpec, StdoutSink};
use mercam::time::Timestamp;
use mercam::wire::{Deframer, Envelope, Format, json};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::sync::Mutex;

fn confirmed(seq: u64) -> Envelope {
    Envelope::new(seq, Event::Confirmed(sample::detection(seq)))
}

fn build(spec: &str) -> Box<dyn Sink> {
    spec.parse::<SinkSpec>().unwrap_or_else(|e| panic!("{e}")).build().unwrap_or_else(|e| panic!("{e}"))
}

fn json_numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| json::decode(l).unwrap().seq).collect()
}

fn decoded(format: Format, bytes: &[u8]) -> Vec<Envelope> {
    let mut got = Vec::new();
    Deframer::new(format).push(bytes, |e| got.push(e));
    got
}

fn numbers(events: &[Envelope]) -> Vec<u64> {
    events.iter().map(|e| e.seq).collect()
}

#[test]
fn a_reader_that_goes_ends_pipes_quietly() {
    let (r1, w1) = std::io::pipe().unwrap();
    let (r2, w2) = std::io::pipe().unwrap();
    let sinks: [(_, Box<dyn Sink>); 2] = [(r1, Box::new(StdoutSink::to(w1))), (r2, Box::new(Human::new(w2, false)))];
    for (reader, mut sink) in sinks {
        sink.send(&confirmed(0)).unwrap();
        drop(reader);
        for seq in 1..4 {
            let e = sink.send(&confirmed(seq)).unwrap_err();
            assert!(matches!(e, SinkError::Closed(_)), "{e}");
        }
        let _ = sink.flush();
    }
}

/// Held where a descriptor must be closed at once, and where a process is made: between fork and exec the child has
/// a copy of every descriptor, and a line that was pulled out lives on in it for a moment.
static NO_FORK: Mutex<()> = Mutex::new(());

/// Not a test of its own: the process whose standard output the next test closes.
#[test]
fn child_that_writes_to_its_standard_output() {
    if std::env::var_os("MERCAM_TEST_CHILD").is_none() {
        return;
    }
    let mut sink = build("stdout");
    for seq in 0..100_000 {
        match sink.send(&confirmed(seq)) {
            Ok(()) => {}
            Err(SinkError::Closed(_)) => std::process::exit(42),
            Err(_) => std::process::exit(43),
        }
    }
    std::process::exit(44);
}

#[test]
fn standard_output_of_a_real_process_arrives_at_once_and_may_be_closed() {
    let fork = NO_FORK.lock();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_to_its_standard_output", "--nocapture"])
        .env("MERCAM_TEST_CHILD", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(fork);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<_> = lines.map(Result::unwrap).filter(|l| l.starts_with('{')).take(3).collect();
    assert_eq!(json_numbers(first.join("\n").as_bytes()), [0, 1, 2]);
    assert_eq!(child.wait().unwrap().code(), Some(42), "the closed pipe was not seen as one");
}

#[test]
fn a_full_disk_is_reported_for_every_event() {
    for mut sink in [
        build("file:/dev/full"),
        Box::new(StdoutSink::to(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())) as Box<dyn Sink>,
    ] {
        for seq in 0..3 {
            let e = sink.send(&confirmed(seq)).unwrap_err().to_string();
            assert!(e.contains("disk is full"), "{e}");
            assert!(sink.trouble().is_some());
        }
    }
}

#[test]
fn a_file_whose_directory_goes_and_returns_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    let path = inner.join("events.jsonl");
    fs::create_dir(&inner).unwrap();
    let mut sink = build(&format!("file:{}", path.display()));
    sink.send(&confirmed(0)).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    for seq in 1..3 {
        let e = sink.send(&confirmed(seq)).unwrap_err().to_string();
        assert!(e.contains("events.jsonl") && e.contains("make its directory"), "{e}");
    }
    assert!(sink.trouble().is_some());
    fs::create_dir(&inner).unwrap();
    sink.send(&confirmed(3)).unwrap();
    assert_eq!(sink.trouble(), None);
    // Somebody else's log rotation: the file is moved away, and a new one is begun.
    fs::rename(&path, inner.join("old")).unwrap();
    sink.send(&confirmed(4)).unwrap();
    assert_eq!(json_numbers(&fs::read(inner.join("old")).unwrap()), [3]);
    assert_eq!(json_numbers(&fs::read(&path).unwrap()), [4]);
}

#[test]
fn a_file_stays_within_its_size_and_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e");
    let mut sink = build(&format!("file:{}?max_bytes=4000&keep=2", path.display()));
    (0..40).for_each(|seq| sink.send(&confirmed(seq)).unwrap());
    let mut got = Vec::new();
    for name in ["e.2", "e.1", "e"] {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        assert!(!bytes.is_empty() && bytes.len() <= 4000, "{name}: {}", bytes.len());
        got.extend(json_numbers(&bytes));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    assert!(got.iter().copied().eq(40 - got.len() as u64..40), "{got:?}");

    // Not more than the total, whatever `keep` says; what an earlier run kept beyond it goes too.
    let mut sink = build(&format!("file:{}?max_bytes=4000&keep=9&max_total_bytes=9000", path.display()));
    (40..80).for_each(|seq| sink.send(&confirmed(seq)).unwrap());
    let sizes: Vec<u64> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() >= 2 && sizes.iter().sum::<u64>() <= 9000, "{sizes:?}");
    drop(sink);
    drop(build(&format!("file:{}?keep=0", path.display())));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    // Where it cannot be turned over, it grows, and nothing is lost.
    let path = dir.path().join("stuck");
    fs::create_dir_all(dir.path().join("stuck.1/in the way")).unwrap();
    let mut sink = build(&format!("file:{}?max_bytes=1000&keep=1", path.display()));
    (0..5).for_each(|seq| sink.send(&confirmed(seq)).unwrap());
    assert_eq!(json_numbers(&fs::read(&path).unwrap()), [0, 1, 2, 3, 4]);

    // Without old ones.
    let path = dir.path().join("alone");
    let mut sink = build(&format!("file:{}?max_bytes=1000&keep=0", path.display()));
    (0..5).for_each(|seq| sink.send(&confirmed(seq)).unwrap());
    assert_eq!(json_numbers(&fs::read(&path).unwrap()), [4]);
    assert!(!dir.path().join("alone.1").exists());
}

#[test]
fn a_table_has_the_columns_that_its_first_line_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.csv");
    let spec = format!("csv:{}?max_bytes=6000&keep=9", path.display());
    let mut sink = build(&spec);
    sample::all().iter().for_each(|e| sink.send(e).unwrap());
    (10..30).for_each(|seq| sink.send(&confirmed(seq)).unwrap());
    drop(sink);
    let oldest = (1..).take_while(|n| dir.path().join(format!("events.csv.{n}")).exists()).last().unwrap();
    let text = fs::read_to_string(dir.path().join(format!("events.csv.{oldest}"))).unwrap();
    let rows: Vec<Vec<String>> = text.lines().map(cells).collect();
    assert!(rows.iter().all(|r| r.len() == rows[0].len()), "{text}");
    let cell = |row: usize, column: &str| {
        let at = rows[0].iter().position(|c| c == column).unwrap_or_else(|| panic!("no column {column}"));
        rows[row + 1][at].as_str()
    };
    // Numbered as in `sample::all`.
    assert_eq!((cell(0, "kind"), cell(0, "timestamp"), cell(0, "width")), ("face_appeared", "11.000000", "190"));
    assert_eq!((cell(2, "success"), cell(1, "offset"), cell(1, "duration_ms")), ("0", "", ""));
    for (column, value) in [
        ("seq", "3"),
        ("id", "7"),
        ("face_id", "3"),
        ("timestamp", "12.118000"),
        ("unix_time", "1764000012.118000"),
        ("success", "1"),
        ("confidence", "0.93"),
        ("class", "surprise"),
        ("probability", "0.8125"),
        ("duration_ms", "206.500"),
        ("right_brow_r", "0.7"),
        ("mouth_r", "0.05"),
        ("component", "right_brow"),
        ("amplitude_iod", "0.0312"),
        ("reason", ""),
        ("probabilities", "negative=0.0625 positive=0.125 surprise=0.8125"),
        ("relations", "mouth>left_brow=0.31 right_brow>left_brow=0.28"),
        ("frames", ""),
    ] {
        assert_eq!(cell(3, column), value, "{column}");
    }
    assert_eq!((cell(4, "kind"), cell(4, "reason")), ("withdrawn", "head_motion"));
    assert_eq!((cell(5, "class"), cell(5, "unix_time")), ("quote \" line end \u{e9}", ""));
    assert_eq!((cell(7, "frames"), cell(7, "lost"), cell(7, "rate")), ("90000", "12", "29.97"));
    assert_eq!((cell(7, "waiting"), cell(7, "throttled"), cell(8, "throttled")), ("tcp:hub:7420=41", "1", ""));
    assert_eq!((cell(0, "device"), cell(0, "run")), ("kiosk-7", "0123456789abcdef"));
    assert!(cell(7, "rejected").starts_with("blink=1 macro=2 "), "{}", cell(7, "rejected"));

    // Every file begins with the names; a file that begins with others is left alone.
    for n in 1..=oldest {
        let text = fs::read_to_string(dir.path().join(format!("events.csv.{n}"))).unwrap();
        assert!(text.starts_with("seq,kind,") && text.len() <= 6000, "{n}: {} bytes", text.len());
    }
    let other = dir.path().join("mine.csv");
    fs::write(&other, "name,age\n").unwrap();
    let e = format!("csv:{}", other.display()).parse::<SinkSpec>().unwrap().build().err().unwrap().to_string();
    assert!(e.contains("other columns") && e.contains("mine.csv"), "{e}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "name,age\n");
    // One whose first line a power cut tore is begun again.
    fs::write(&other, "seq,ki").unwrap();
    build(&format!("csv:{}", other.display())).send(&confirmed(0)).unwrap();
    assert!(fs::read_to_string(&other).unwrap().starts_with("seq,kind,"));
}

/// The cells of a row, without their quotes.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut characters = row.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = cells.last_mut().unwrap();
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cell.push(c),
        }
    }
    cells
}

#[test]
fn a_datagram_is_one_event_and_its_receiver_may_have_a_name() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let port = receiver.local_addr().unwrap().port();
    let mut sink = build(&format!("udp:localhost:{port}"));
    if sink.send(&confirmed(0)).is_err() || sink.send(&confirmed(0)).is_err() {
        sink = build(&format!("udp:127.0.0.1:{port}")); // a machine whose `localhost` is ::1 only
    }
    sink.send(&confirmed(7)).unwrap();
    let mut buffer = [0; 1 << 16];
    let seen = loop {
        let n = receiver.recv(&mut buffer).unwrap();
        let event = json::decode(&buffer[..n]).unwrap();
        if event.seq != 0 {
            break event;
        }
    };
    assert_eq!(seen, confirmed(7));
    let mut lost = build("udp:no-such-host.invalid:99?retry_min_ms=1");
    let e = lost.send(&confirmed(0)).unwrap_err().to_string();
    assert!(e.contains("no-such-host.invalid:99") && e.contains("check its name"), "{e}");
}

#[test]
fn a_file_is_continued_behind_a_line_that_a_power_cut_tore() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("e");
    fs::write(&path, "{\"v\":1,\"se").unwrap();
    build(&format!("file:{}", path.display())).send(&confirmed(5)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(json::decode(text.lines().nth(1).unwrap().as_bytes()).unwrap().seq, 5);
}

#[test]
fn files_that_cannot_be_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for (path, word) in [(dir.path().to_path_buf(), "directory"), (dir.path().join("a/b"), "make its directory")] {
        let spec: SinkSpec = format!("file:{}", path.display()).parse().unwrap();
        let e = spec.build().err().unwrap().to_string();
        assert!(e.contains(word) && e.contains(path.to_str().unwrap()), "{e}");
    }
    // A pipe that nobody reads would hold up the start for ever.
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let e = format!("file:{}", fifo.display()).parse::<SinkSpec>().unwrap().build().err().unwrap();
    assert!(e.to_string().contains("neither a file"), "{e}");
}

#[test]
fn people_see_the_class_the_reasons_and_the_truth() {
    let shown = |event: Event, colour: bool, truth: Option<&'static str>| {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut sink = Human::new(writer, colour).with_truth(move |onset: Timestamp, offset: Timestamp| {
            assert!(onset < offset);
            truth.map(str::to_owned)
        });
        sink.send(&Envelope::new(0, event)).unwrap();
        drop(sink);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    };
    let text = shown(Event::Confirmed(sample::detection(7)), false, Some("surprise"));
    for part in [
        "face 3 #7 surprise",
        "81 %",
        "true label: surprise (right)",
        "onset 12034 ms",
        "apex 12118 ms",
        "duration 206 ms",
        "right_brow 0.031 IOD (2.9 px)",
        "59.8 frames/s",
        "mouth -> left_brow 0.31",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(!text.contains('\x1b'));
    // The strongest action comes first.
    assert!(text.find("right_brow   0.70").unwrap() < text.find("mouth        0.05").unwrap(), "{text}");
    let wrong = shown(Event::Confirmed(sample::detection(7)), true, Some("happiness"));
    assert!(wrong.contains("true label: happiness (wrong)") && wrong.contains("\x1b["), "{wrong}");
    assert!(shown(Event::Confirmed(sample::detection(7)), false, None).contains("false alarm"));
    let withdrawn = Detection { reason: Some(Rejection::Blink), ..sample::detection(8) };
    assert_eq!(shown(Event::Withdrawn(withdrawn), false, None), "face 3 #8 withdrawn: a blink\n");
    let provisional = shown(Event::Provisional(sample::detection(9)), false, None);
    assert!(provisional.lines().count() == 1 && provisional.contains("perhaps surprise (0.81)"), "{provisional}");
    // A class name cannot play with the terminal.
    let nasty = Detection { class: "\x1b[2J\n".into(), ..sample::detection(1) };
    assert!(!shown(Event::Confirmed(nasty), false, None).contains('\x1b'));
}
