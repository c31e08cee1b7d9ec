//! How many instructions each station takes per frame or per event, counted by Valgrind: the figure does not depend on
//! what else the machine does, so it shows a change of a few per cent. Only what runs inside [`measured`] counts.
//!
//! ```sh
//! sudo apt-get install valgrind
//! benches/instructions.sh
//! ```
//!
//! A script around this program and not gungraun, because that library changes the features of `syn` and `serde` for
//! the whole build, and cargo would build the inference library twice. Valgrind shows the program a processor without
//! AVX-512, so the inference library takes its AVX2 kernels.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../tests/spotting/generator.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod generator;
#[path = "../tests/data/wire/sample.rs"]
mod sample;
#[path = "../tests/tracker_support/mod.rs"]
mod tracker_support;

use generator::{Person, Recipe, Step};
use mercam::dere_grl::{DereGrlConfig, Features, Precision, Recogniser};
use mercam::face::Anchor;
use mercam::face::track_config::TrackerConfig;
use mercam::face::tracker::Tracker;
use mercam::frame::Luma;
use mercam::geometry::Iod;
use mercam::spotting::{Analysis, AnalysisConfig, Spotted};
use mercam::time::Timestamp;
use mercam::wire::{Envelope, Format};
use std::hint::black_box;
use tracker_support::{FacePicture, Pose, Random, roi_of};

/// A face that was found, and the picture that comes next.
struct Follow {
    tracker: Tracker,
    next: Luma,
}

fn follow(iod: f32) -> Follow {
    let face = FacePicture::new(3);
    let mut random = Random(7);
    let side = (iod * 3.75) as u32;
    let pose = |k: f32| Pose::at(iod * 1.87 + k, iod * 1.3 + 0.4 * k, iod);
    let mut picture = |k: f32| face.render(&pose(k), side, side, 2.0, &mut random);
    let (first, second, next) = (picture(0.0), picture(1.0), picture(1.8));
    let truth = pose(0.0).truth();
    let anchor = Anchor { points: truth, presence: 1.0, roi: roi_of(&truth) };
    let mut tracker = Tracker::start(&TrackerConfig::default(), Timestamp::default(), &first, &anchor, true).unwrap();
    tracker.follow(Timestamp::from_micros(10_000), &second);
    assert!(tracker.standing().found > 0.9, "the bench has lost its face");
    Follow { tracker, next }
}

fn track_one_frame(iod: f32) {
    let mut of = follow(iod);
    measured(|| of.tracker.follow(Timestamp::from_micros(20_000), &of.next));
}

/// A second that has been analysed, and the tenth of a second that comes next.
struct Watch {
    analysis: Analysis,
    next: Vec<Step>,
    out: Vec<Spotted>,
}

fn watch(fps: f32) -> Watch {
    let mut person = Person::new(Recipe { seconds: 3.1, fps, ..Recipe::default() });
    person.micros(0.012, 0.04);
    let mut film = person.film();
    let next = film.split_off((3.0 * fps) as usize);
    let mut of = Watch { analysis: AnalysisConfig::default().build().unwrap(), next, out: Vec::with_capacity(16) };
    for step in film {
        of.analysis.push(step.time, step.lost_before, &[step.face], &mut of.out);
    }
    of.out.clear();
    of
}

fn register_and_spot() {
    let mut of = watch(100.0);
    measured(|| {
        for step in &of.next {
            of.analysis.push(step.time, step.lost_before, std::slice::from_ref(&step.face), &mut of.out);
        }
    });
}

fn recogniser(precision: Precision) -> (Recogniser, Features) {
    let mut network = DereGrlConfig { precision, ..DereGrlConfig::default() }.build().unwrap();
    let shape = std::array::from_fn(|i| Iod::new((i as f32 * 0.37).sin(), (i as f32 * 0.53).cos()));
    let moved = std::array::from_fn(|i| Iod::new(0.02 * (i as f32).sin(), 0.02 * (i as f32).cos()));
    let features = Features::new(&shape, &moved);
    network.recognise(&features).unwrap(); // the first one sizes the buffers
    (network, features)
}

fn recognise(precision: Precision) {
    let (mut network, features) = recogniser(precision);
    measured(|| black_box(network.recognise(&features).unwrap().probabilities.len()));
}

fn encode(format: Format) {
    let (all, mut out): (Vec<Envelope>, _) = (sample::all(), Vec::with_capacity(1 << 16));
    measured(|| {
        for envelope in &all {
            format.encode(envelope, &mut out).unwrap();
        }
    });
}

/// The script switches the counting on and off at this function's call and return.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) {
    black_box(work());
}

const STATIONS: [(&str, fn()); 8] = [
    ("track one frame, IOD 50 px", || track_one_frame(50.0)),
    ("track one frame, IOD 80 px", || track_one_frame(80.0)),
    ("track one frame, IOD 130 px", || track_one_frame(130.0)),
    ("register and spot, ten frames", register_and_spot),
    ("recognise one movement, int8", || recognise(Precision::Int8)),
    ("recognise one movement, fp32", || recognise(Precision::Fp32)),
    ("encode one event of each kind, text", || encode(Format::Text)),
    ("encode one event of each kind, binary", || encode(Format::Binary)),
];

/// Runs the station whose number is given; prints the names when none is.
fn main() {
    // Cargo adds `--bench`.
    match std::env::args().skip(1).find(|a| a != "--bench") {
        Some(number) => STATIONS[number.parse::<usize>().expect("the number of a station")].1(),
        None => STATIONS.iter().for_each(|(name, _)| println!("{name}")),
    }
}
