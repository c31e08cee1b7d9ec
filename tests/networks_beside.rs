//! The networks on a thread of their own: no picture waits for them, and what they saw some pictures ago counts as if it
//! had been seen now.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tracker_support;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mercam::face::stage::{FaceConfig, FaceStage, NetworkPlace};
use mercam::face::{Anchor, DetectedFace, FaceDetector, FaceError, LandmarkNet};
use mercam::frame::{Face, Luma};
use mercam::geometry::{Px, Rect, Roi};
use mercam::landmarks::PerLandmark;
use mercam::time::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracker_support::{FacePicture, Pose, Random, roi_of};

const SIZE: (u32, u32) = (320, 300);
const NOISE: f32 = 2.0;

/// The truth of each picture; a picture's first pixel is its number.
type Truths = Arc<Mutex<Vec<PerLandmark<Px>>>>;

fn truth(truths: &Truths, picture: &Luma) -> PerLandmark<Px> {
    truths.lock().unwrap()[usize::from(picture.row(0)[0])]
}

struct Detector(Truths);

impl FaceDetector for Detector {
    fn detect(&mut self, picture: &Luma, found: &mut Vec<DetectedFace>) -> Result<(), FaceError> {
        let points = truth(&self.0, picture);
        found.clear();
        found.push(DetectedFace { bounds: Rect::around(points), score: 0.9, roi: roi_of(&points) });
        Ok(())
    }
}

/// Says when it is asked, and answers only when it is told to: with the truth, or with an error.
struct GatedNet {
    truths: Truths,
    asked: Sender<()>,
    gate: Receiver<bool>,
}

impl LandmarkNet for GatedNet {
    fn landmarks(&mut self, picture: &Luma, _: &Roi) -> Result<Anchor, FaceError> {
        let points = truth(&self.truths, picture);
        let _ = self.asked.send(()); // the test may have ended
        match self.gate.recv() {
            Ok(true) | Err(_) => Ok(Anchor { points, presence: 0.98, roi: roi_of(&points) }),
            Ok(false) => Err(FaceError::Inference("as the test wants".into())),
        }
    }
}

struct Rig {
    /// Goes first when a test ends, so that the network does not wait for an answer that never comes.
    gate: Sender<bool>,
    stage: FaceStage,
    truths: Truths,
    asked: Receiver<()>,
    face: FacePicture,
    random: Random,
    time: Timestamp,
    faces: Vec<Face>,
}

impl Rig {
    fn new(config: FaceConfig) -> Self {
        let truths = Truths::default();
        let (says, asked) = unbounded();
        let (gate, opened) = bounded(16);
        let net = GatedNet { truths: truths.clone(), asked: says, gate: opened };
        let config = FaceConfig { networks: NetworkPlace::Beside, max_faces: 1, ..config };
        let stage = config.build(Box::new(Detector(truths.clone())), Box::new(net), true).unwrap();
        let (face, random) = (FacePicture::new(3), Random(0xACE1));
        Self { gate, stage, truths, asked, face, random, time: Timestamp::default(), faces: Vec::new() }
    }

    /// The next picture, 10 ms later, with the face 1.5 px further to the right.
    fn step(&mut self) -> Result<(), FaceError> {
        self.time = self.time.plus_ms(10.0);
        let number = self.truths.lock().unwrap().len();
        let pose = Pose::at(100.0 + 1.5 * number as f32, 100.0, 70.0);
        let mut picture = self.face.render(&pose, SIZE.0, SIZE.1, NOISE, &mut self.random);
        picture.pixels_mut()[0] = u8::try_from(number).unwrap();
        self.truths.lock().unwrap().push(pose.truth());
        self.stage.process(self.time, &picture, &mut self.faces)
    }

    fn steps(&mut self, n: usize) {
        (0..n).for_each(|_| self.step().unwrap());
    }

    /// Waits until the network has been asked.
    fn wait_for_question(&self) {
        self.asked.recv_timeout(Duration::from_secs(20)).expect("the network is asked");
    }

    /// Lets the network answer `n` times, and steps until `seen`, as the answer takes a moment to come back.
    fn answer(&mut self, n: usize, seen: impl Fn(&Self) -> bool) {
        (0..n).for_each(|_| self.gate.send(true).unwrap());
        for _ in 0..60 {
            self.step().unwrap();
            if seen(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no answer came back");
    }

    /// RMS distance of the inner landmarks from where they are in the last picture, in pixels.
    fn error(&self) -> f32 {
        let truth = *self.truths.lock().unwrap().last().unwrap();
        let face = self.faces.first().expect("a face");
        let sum: f32 = (17..68).map(|i| face.landmarks[i].distance(truth[i]).powi(2)).sum();
        (sum / 51.0).sqrt()
    }
}

#[test]
fn pictures_go_through_while_a_network_is_busy_and_its_face_is_brought_up_to_date() {
    let mut rig = Rig::new(FaceConfig { anchor_ms: 1e5, ..FaceConfig::default() });
    rig.steps(1);
    rig.wait_for_question();
    // were these to wait for the network, the test would stand still
    rig.steps(8);
    assert!(rig.faces.is_empty(), "nobody has been found yet");
    rig.answer(2, |rig| !rig.faces.is_empty());
    // the network saw the face in the first picture: 12 px and more to the left
    assert!(rig.error() < 0.3, "{} px off", rig.error());
    rig.steps(10);
    assert!(rig.error() < 0.3, "{} px off", rig.error());
    assert_eq!((rig.stage.work().begun, rig.stage.work().lost), (1, 0));
}

#[test]
fn a_late_look_at_a_moving_face_neither_pulls_nor_restarts_it() {
    let mut rig = Rig::new(FaceConfig { anchor_ms: 50.0, ..FaceConfig::default() });
    rig.steps(1);
    rig.answer(2, |rig| !rig.faces.is_empty());
    while rig.asked.try_recv().is_ok() {}
    for _ in 0..3 {
        rig.steps(5);
        rig.wait_for_question();
        rig.steps(8); // the look comes back when the face is 12 px further
        let runs = rig.stage.work().net_runs;
        rig.answer(1, |rig| rig.stage.work().net_runs > runs);
        assert!(rig.error() < 0.3, "{} px off", rig.error());
    }
    let work = rig.stage.work();
    assert_eq!((work.restarts, work.lost, work.begun), (0, 0, 1));
}

#[test]
fn an_error_of_a_network_is_told_once_and_the_next_picture_goes_on() {
    let mut rig = Rig::new(FaceConfig { search_ms: 10.0, ..FaceConfig::default() });
    rig.gate.send(false).unwrap();
    let mut errors = 0;
    for _ in 0..40 {
        rig.steps(1);
        std::thread::sleep(Duration::from_millis(20));
        if let Err(e) = rig.step() {
            assert_eq!(e.to_string(), "face network: as the test wants");
            errors += 1;
            break;
        }
    }
    assert_eq!(errors, 1);
    rig.answer(2, |rig| !rig.faces.is_empty());
}

#[test]
fn an_answer_about_an_earlier_stream_is_not_used() {
    let mut rig = Rig::new(FaceConfig { search_ms: 1e5, ..FaceConfig::default() });
    rig.steps(1);
    rig.wait_for_question();
    rig.stage.reset();
    rig.gate.send(true).unwrap();
    rig.gate.send(true).unwrap();
    let mut tries = 0;
    while rig.stage.work().net_runs == 0 {
        rig.steps(1);
        assert!(rig.faces.is_empty());
        std::thread::sleep(Duration::from_millis(20));
        tries += 1;
        assert!(tries < 100, "no answer came back");
    }
    assert!(rig.faces.is_empty());
    assert_eq!(rig.stage.work().begun, 0);
}
