//! What every sink promises, checked for each: order, nothing held back at the end, broken peers, recovery, and
//! that an event which did not leave was reported to the caller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sinks/pty.rs"]
mod pty;
#[path = "data/wire/sample.rs"]
mod sample;
#[path = "sinks/serial.rs"]
mod serial;

use mercam::event::{Detection, Event, Rejection};
use mercam::sinks::{Human, LogConfig, Sink, SinkError, SinkSpec, StdoutSink};
use mercam::time::Timestamp;
use mercam::wire::{Deframer, Envelope, Format, json};
use pty::Pty;
use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
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
