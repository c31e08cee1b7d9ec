//! One event of every kind, with every component, reason and optional field: what the fixtures hold.
#![allow(dead_code)] // Each test binary uses its own part of this.

use mercam::event::{Detection, Event, ModelRef, Moment, Rejection, Relation, Status};
use mercam::frame::FaceId;
use mercam::geometry::Rect;
use mercam::landmarks::Component;
use mercam::time::Timestamp;
use mercam::wire::{Envelope, Origin, RunId};

pub fn at(us: i64) -> Moment {
    Moment { us: Timestamp::from_micros(us), unix_us: None }
}

pub fn live(us: i64) -> Moment {
    Moment { us: Timestamp::from_micros(us), unix_us: Some(1_764_000_000_000_000 + us) }
}

pub fn detection(id: u64) -> Detection {
    Detection {
        id,
        face: FaceId(3),
        onset: live(12_034_000),
        apex: live(12_118_000),
        offset: Some(live(12_240_500)),
        class: "surprise".into(),
        probabilities: vec![("negative".into(), 0.0625), ("positive".into(), 0.125), ("surprise".into(), 0.8125)],
        actions: vec![
            (Component::RightBrow, 0.7),
            (Component::LeftBrow, 0.65),
            (Component::Nose, 0.01),
            (Component::RightEye, 0.25),
            (Component::LeftEye, 0.2),
            (Component::Mouth, 0.05),
        ],
        relations: vec![
            Relation { from: Component::Mouth, to: Component::LeftBrow, weight: 0.31 },
            Relation { from: Component::RightBrow, to: Component::LeftBrow, weight: 0.28 },
        ],
        amplitude: 0.0312,
        component: Component::RightBrow,
        score: 7.25,
        rate: 59.8,
        quality: 0.93,
        iod: 92.5,
        reason: None,
        model: ModelRef {
            id: "dere-grl-synthetic-3".into(),
            precision: "int8".into(),
            sha256: "0123456789abcdef".into(),
        },
    }
}

pub const REASONS: [Rejection; 11] = [
    Rejection::Blink,
    Rejection::Macro,
    Rejection::TooShort,
    Rejection::Talking,
    Rejection::HeadMotion,
    Rejection::Lighting,
    Rejection::Occlusion,
    Rejection::LostTrack,
    Rejection::RateTooLow,
    Rejection::Gap,
    Rejection::Model,
];

/// Numbered 0, 1, 2 ... of one device and run.
pub fn all() -> Vec<Envelope> {
    let provisional = Detection { offset: None, ..detection(7) };
    let withdrawn = Detection { reason: Some(Rejection::HeadMotion), ..detection(8) };
    let from_file = Detection {
        onset: at(-1_000),
        apex: at(0),
        offset: Some(at(1)),
        class: "quote \" line\nend \u{e9}".into(),
        ..detection(9)
    };
    let bounds = Rect { x: 101.5, y: 80.25, width: 190.0, height: 211.75 };
    let relative = Rect { x: 0.15625, y: 0.25, width: 0.296875, height: 0.4375 };
    let status = Status {
        frames: 90_000,
        lost: 12,
        rate: 29.97,
        faces: 2,
        rejected: REASONS.iter().zip(1..).map(|(r, n)| (*r, n)).collect(),
        dropped: vec![("log".into(), 0), ("serial:/dev/ttyUSB0".into(), u64::MAX)],
        waiting: vec![("tcp:hub:7420".into(), 41)],
        temperature_c: Some(61.5),
        throttled: Some(true),
        under_voltage: Some(false),
        model: Some(detection(0).model),
    };
    let events = [
        Event::FaceAppeared { face: FaceId(3), at: live(11_000_000), bounds, relative: Some(relative) },
        Event::FaceAppeared { face: FaceId(4), at: at(5), bounds, relative: None },
        Event::Provisional(provisional),
        Event::Confirmed(detection(7)),
        Event::Withdrawn(withdrawn),
        Event::Confirmed(from_file),
        Event::FaceLeft { face: FaceId(u32::MAX), at: at(i64::MAX) },
        Event::Status(status),
        Event::Status(Status::default()),
    ];
    let origin = Origin { device: "kiosk-7".parse().unwrap(), run: RunId(0x0123_4567_89ab_cdef) };
    events.into_iter().zip(0..).map(|(e, seq)| Envelope::from_origin(&origin, seq, e)).collect()
}

/// What version 1 could say of [`all`].
pub fn all_of_version_1() -> Vec<Envelope> {
    let mut events = all();
    events.remove(1);
    for (e, seq) in events.iter_mut().zip(0..) {
        (e.v, e.seq, e.run) = (1, seq, RunId(0));
        e.device.clear();
        match &mut e.event {
            Event::FaceAppeared { relative, .. } => *relative = None,
            Event::Status(s) => {
                s.waiting.clear();
                (s.temperature_c, s.throttled, s.under_voltage, s.model) = (None, None, None, None);
            }
            _ => {}
        }
    }
    events
}
