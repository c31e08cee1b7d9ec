//! What every sink promises, checked for each: order, nothing held back at the end, broken peers, recovery, and
//! that an event which did not leave was reported to the caller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sinks/pty.rs"]
mod pty;
#[path = "data/wire/sample.rs"]
mod sample;

use mercam::event::{Detection, Event, Rejection};
use mercam::frame::FaceId;
use mercam::sinks::{Human, LogConfig, Sink, SinkError, SinkSpec, StdoutSink};
use mercam::time::Timestamp;
use mercam::wire::{Deframer, Envelope, Format, json};
use pty::Pty;
use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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

/// The numbers behind each `#` that begins a detection in readable text.
fn readable_numbers(text: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|l| l.split_once('#')?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect()
}

/// Takes the lines of `mercam::event` that the log sink writes, apart for each thread, which is each test.
struct Capture;
thread_local!(static LOGGED: RefCell<String> = const { RefCell::new(String::new()) });

impl log::Log for Capture {
    fn enabled(&self, m: &log::Metadata) -> bool {
        m.target() == "mercam::event"
    }
    fn log(&self, r: &log::Record) {
        if self.enabled(r.metadata()) {
            LOGGED.with_borrow_mut(|l| l.push_str(&format!("{} {}\n", r.level(), r.args())));
        }
    }
    fn flush(&self) {}
}

/// A peer that reads all it gets; `end` is called when the sink is gone.
struct Peer {
    sink: Box<dyn Sink>,
    end: Box<dyn FnOnce() -> Vec<u64>>,
}

fn on_pipe(make: impl FnOnce(std::io::PipeWriter) -> Box<dyn Sink>, read: fn(&[u8]) -> Vec<u64>) -> Peer {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    });
    Peer { sink: make(writer), end: Box::new(move || read(&thread.join().unwrap())) }
}

fn on_pty(format: Format) -> Peer {
    let pty = Pty::open();
    let sink = build(&format!("serial:{}?format={format}", pty.path().display()));
    Peer { sink, end: Box::new(move || numbers(&decoded(format, &pty.until_hang_up()))) }
}

fn every_sink(dir: &Path) -> Vec<Peer> {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let file = dir.join("events.jsonl");
    vec![
        Peer {
            sink: Box::new(LogConfig::default().build()),
            end: Box::new(|| LOGGED.with_borrow(|l| readable_numbers(l))),
        },
        on_pipe(|w| Box::new(StdoutSink::to(w)), json_numbers),
        on_pipe(|w| Box::new(Human::new(w, true)), |b| readable_numbers(std::str::from_utf8(b).unwrap())),
        Peer {
            sink: build(&format!("file:{}", file.display())),
            end: Box::new(move || json_numbers(&fs::read(file).unwrap())),
        },
        on_pty(Format::Text),
        on_pty(Format::Binary),
    ]
}

#[test]
fn every_sink_keeps_the_order_and_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for Peer { mut sink, end } in every_sink(dir.path()) {
        let name = sink.name().to_owned();
        for seq in 0..200 {
            sink.send(&confirmed(seq)).unwrap_or_else(|e| panic!("{name}: {e}"));
            if seq == 100 {
                sink.flush().unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        assert_eq!(sink.trouble(), None, "{name}");
        drop(sink); // without a last flush: stopping in a hurry loses nothing either
        assert!(end().into_iter().eq(0..200), "{name}");
        names.push(name);
    }
    assert_eq!(names.len(), 6);
}

#[test]
fn every_sink_takes_every_kind_of_event() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.jsonl");
    let sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(LogConfig::default().build()),
        Box::new(StdoutSink::to(std::io::sink())),
        Box::new(Human::new(std::io::sink(), false)),
        build(&format!("file:{}", path.display())),
    ];
    for mut sink in sinks {
        sample::all().iter().for_each(|e| sink.send(e).unwrap());
    }
    let text = fs::read_to_string(path).unwrap();
    let back: Vec<_> = text.lines().map(|l| json::decode(l.as_bytes()).unwrap()).collect();
    assert_eq!(back, sample::all());
}

#[test]
fn an_event_that_cannot_be_written_down_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    let pty = Pty::open();
    let bad = Envelope::new(1, Event::Confirmed(Detection { amplitude: f32::NAN, ..sample::detection(1) }));
    let (reader, writer) = std::io::pipe().unwrap();
    for mut sink in [
        Box::new(StdoutSink::to(writer)) as Box<dyn Sink>,
        build(&format!("file:{}", path.display())),
        build(&format!("serial:{}", pty.path().display())),
    ] {
        sink.send(&confirmed(0)).unwrap();
        let e = sink.send(&bad).unwrap_err();
        assert!(matches!(e, SinkError::Event { seq: 1, .. }), "{e}");
        assert!(e.to_string().contains("amplitude"), "{e}");
        assert_eq!(sink.trouble(), None, "the sink itself is well");
        sink.send(&confirmed(2)).unwrap();
    }
    let mut lines = String::new();
    BufReader::new(reader).read_to_string(&mut lines).unwrap();
    assert_eq!(json_numbers(lines.as_bytes()), [0, 2]);
    assert_eq!(json_numbers(&fs::read(path).unwrap()), [0, 2]);
    assert_eq!(numbers(&decoded(Format::Text, &pty.until_hang_up())), [0, 2]);
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
        // Chance lets 0.99 to the power of its length of each short frame through: about half of these.
        let counts = deframer.counts();
        assert!(got.len() > 200 && got.len() < 590, "{format}: {} of 600", got.len());
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
