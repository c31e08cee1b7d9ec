//! A camera made of a script: what a driver may do, without a driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::book::STALL;
use super::*;
use crate::capture::CameraFormat;
use crate::capture::rate::{Rate, Size};
use crate::capture::{PixelFormat, blank_frame};
use crate::frame::Content;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One thing that the scripted camera does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// These frames are in the queue together: (sequence, microseconds).
    Frames(&'static [(u32, i64)]),
    /// One frame with the error flag.
    Damaged(u32, i64),
    /// One frame that is too short.
    Short(u32, i64),
    /// Nothing comes.
    Silence,
    /// A buffer was announced and is not there.
    Nothing,
    /// Waiting fails.
    WaitFails(rustix::io::Errno),
    /// Taking fails.
    TakeFails(rustix::io::Errno),
    /// Opening fails (only at the beginning of an opening).
    OpenFails,
}

/// The rest of the script, shared by all openings of the camera.
#[derive(Clone)]
struct Script {
    acts: Arc<Mutex<VecDeque<Act>>>,
    size: Arc<Mutex<Size>>,
}

struct Scripted {
    script: Script,
    queued: VecDeque<(u32, i64, bool, usize)>,
}

impl Grabber for Scripted {
    fn ready(&mut self, _wait: Duration) -> io::Result<bool> {
        if !self.queued.is_empty() {
            return Ok(true);
        }
        let mut acts = self.script.acts.lock().unwrap();
        match acts.front().copied() {
            Some(Act::Frames(frames)) => self.queued.extend(frames.iter().map(|&(s, t)| (s, t, false, 4))),
            Some(Act::Damaged(s, t)) => self.queued.push_back((s, t, true, 4)),
            Some(Act::Short(s, t)) => self.queued.push_back((s, t, false, 3)),
            Some(Act::WaitFails(e)) => {
                acts.pop_front();
                return Err(e.into());
            }
            Some(Act::TakeFails(_) | Act::Nothing) => return Ok(true),
            Some(Act::Silence | Act::OpenFails) | None => {
                acts.pop_front();
                return Ok(false);
            }
        }
        acts.pop_front();
        Ok(true)
    }

    fn take(&mut self, then: &mut dyn FnMut(Buffer<'_>, bool)) -> io::Result<()> {
        let Some((sequence, us, damaged, length)) = self.queued.pop_front() else {
            return match self.script.acts.lock().unwrap().pop_front() {
                Some(Act::TakeFails(e)) => Err(e.into()),
                _ => Ok(()),
            };
        };
        let bytes = [sequence as u8; 4];
        let newer = !self.queued.is_empty();
        then(Buffer { bytes: &bytes[..length], sequence, us, monotonic: true, damaged }, newer);
        Ok(())
    }
}

impl Opener for Script {
    fn name(&self) -> String {
        "v4l2:/dev/test".into()
    }

    fn open(&mut self) -> Result<Opened, CaptureError> {
        let mut acts = self.acts.lock().unwrap();
        if let Some(Act::OpenFails) = acts.front() {
            acts.pop_front();
            return Err(CaptureError::Unavailable { what: self.name(), why: "gone".into() });
        }
        let format = CameraFormat::Plain(PixelFormat::Grey);
        let mode = Mode { format, size: *self.size.lock().unwrap(), rate: Rate::new(100, 1) };
        let grabber = Box::new(Scripted { script: self.clone(), queued: VecDeque::new() });
        Ok(Opened { grabber, mode, stride: 2 })
    }

    fn now_us(&self) -> i64 {
        0
    }
}

fn camera(acts: &[Act]) -> (LiveSource<Script>, Script) {
    let script = Script {
        acts: Arc::new(Mutex::new(acts.iter().copied().collect())),
        size: Arc::new(Mutex::new(Size { width: 2, height: 2 })),
    };
    (LiveSource::new(script.clone()).unwrap(), script)
}

/// Plays the whole script; gives (sequence, lost, microseconds, first pixel) of every frame.
fn play(acts: &[Act]) -> (Vec<(u64, u32, i64, u8)>, LiveCounts) {
    let (mut source, script) = camera(acts);
    play_on(&mut source, &script)
}

fn play_on(source: &mut LiveSource<Script>, script: &Script) -> (Vec<(u64, u32, i64, u8)>, LiveCounts) {
    let mut frame = blank_frame();
    let mut frames = Vec::new();
    loop {
        match source.next(&mut frame, Duration::from_millis(150)).unwrap() {
            Step::Frame => {
                let Content::Picture(luma) = &frame.content else { panic!("no picture") };
                frames.push((frame.sequence, frame.lost_before, frame.time.as_micros(), luma.pixels()[0]));
            }
            Step::Timeout if script.acts.lock().unwrap().is_empty() => break,
            Step::Timeout => {}
            Step::End => panic!("a camera does not end"),
        }
    }
    // Whatever happened, sequence and lost must agree, and time must rise.
    for w in frames.windows(2) {
        assert_eq!(w[1].0, w[0].0 + 1 + u64::from(w[1].1), "{frames:?}");
        assert!(w[1].2 > w[0].2, "{frames:?}");
    }
    (frames, source.counts())
}

#[test]
fn what_queued_up_before_anybody_asked_is_thrown_away_and_is_no_loss() {
    let (mut source, script) = camera(&[Act::Frames(&[(0, 0), (1, 10_000), (2, 20_000)])]);
    source.opened = source.opened.checked_sub(STALE * 2).unwrap();
    script.acts.lock().unwrap().extend([Act::Silence, Act::Frames(&[(900, 9_000_000)])]);
    let (frames, counts) = play_on(&mut source, &script);
    assert_eq!(frames, [(0, 0, 9_000_000, 132)]);
    assert_eq!((counts.lost, counts.skipped), (0, 0));
}

#[test]
fn the_newest_of_several_waiting_frames_wins() {
    let (frames, counts) = play(&[Act::Frames(&[(0, 0)]), Act::Frames(&[(1, 10_000), (2, 20_000), (3, 30_000)])]);
    assert_eq!(frames, [(0, 0, 0, 0), (3, 2, 30_000, 3)]);
    assert_eq!((counts.skipped, counts.lost, counts.delivered), (2, 0, 2));
}

#[test]
fn a_camera_faster_than_we_are_still_gets_frames_through() {
    static MANY: [(u32, i64); 20] = {
        let mut many = [(0, 0); 20];
        let mut k = 0;
        while k < 20 {
            many[k] = (k as u32, k as i64 * 10_000);
            k += 1;
        }
        many
    };
    let (frames, counts) = play(&[Act::Frames(&MANY)]);
    assert_eq!(frames.iter().map(|f| f.3).collect::<Vec<_>>(), [8, 17, 19]);
    assert_eq!(counts.skipped, 17);
}

#[test]
fn gaps_damage_and_short_frames_are_counted_as_lost() {
    let (frames, counts) = play(&[
        Act::Frames(&[(0, 0)]),
        Act::Frames(&[(3, 30_000)]),
        Act::Damaged(4, 40_000),
        Act::Short(5, 50_000),
        Act::Frames(&[(6, 60_000)]),
    ]);
    assert_eq!(frames, [(0, 0, 0, 0), (3, 2, 30_000, 3), (6, 2, 60_000, 6)]);
    assert_eq!((counts.lost, counts.damaged, counts.corrupt), (2, 1, 1));
}

#[test]
fn frames_before_the_first_good_one_count_as_lost_too() {
    let (frames, _) = play(&[Act::Damaged(0, 0), Act::Frames(&[(1, 10_000)])]);
    assert_eq!(frames, [(1, 1, 10_000, 1)]);
}

#[test]
fn repeated_numbers_and_times_do_no_harm() {
    let (frames, counts) = play(&[
        Act::Frames(&[(0, 0)]),
        Act::Frames(&[(0, 10_000)]),
        Act::Frames(&[(1, 10_000)]),
        Act::Frames(&[(2, 20_000)]),
    ]);
    assert_eq!(frames, [(0, 0, 0, 0), (1, 0, 10_000, 0), (3, 1, 20_000, 2)]);
    assert_eq!(counts.unordered, 1);
}

#[test]
fn silence_and_signals_are_time_outs_after_which_it_goes_on() {
    let (frames, counts) = play(&[
        Act::Frames(&[(0, 0)]),
        Act::Silence,
        Act::WaitFails(rustix::io::Errno::INTR),
        Act::Nothing,
        Act::Frames(&[(1, 10_000)]),
    ]);
    assert_eq!(frames.len(), 2);
    assert_eq!(counts.reopened, 0);
}

#[test]
fn a_lost_camera_is_opened_again_and_the_pause_is_counted() {
    for failure in [
        Act::WaitFails(rustix::io::Errno::NODEV),
        Act::TakeFails(rustix::io::Errno::IO),
        Act::TakeFails(rustix::io::Errno::INVAL),
    ] {
        // Its numbers begin anew, its clock goes on: 50 intervals later, so 49 frames were lost.
        let (frames, counts) = play(&[
            Act::Frames(&[(7, 100_000)]),
            failure,
            Act::OpenFails,
            Act::Frames(&[(0, 600_000)]),
            Act::Frames(&[(1, 610_000)]),
        ]);
        assert_eq!(frames, [(0, 0, 100_000, 7), (50, 49, 600_000, 0), (51, 0, 610_000, 1)], "{failure:?}");
        assert_eq!(counts.reopened, 1);
    }
}

#[test]
fn a_camera_that_fails_at_once_again_and_again_is_tried_more_and_more_slowly() {
    let failure = Act::TakeFails(rustix::io::Errno::IO);
    let (mut source, _script) = camera(&[failure; 40]);
    let mut frame = blank_frame();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1000) {
        assert_eq!(source.next(&mut frame, Duration::from_millis(50)).unwrap(), Step::Timeout);
    }
    // Waits of 0.1, 0.2, 0.4 s ..., each at most a quarter shorter, instead of ten times a second.
    assert!((1..=4).contains(&source.counts().reopened), "{:?}", source.counts());
}

#[test]
fn failed_attempts_are_counted_for_the_watchdog() {
    let (mut source, script) = camera(&[Act::WaitFails(rustix::io::Errno::NODEV), Act::OpenFails, Act::OpenFails]);
    script.acts.lock().unwrap().push_back(Act::Frames(&[(0, 0)]));
    let mut frame = blank_frame();
    while source.next(&mut frame, Duration::from_millis(150)).unwrap() != Step::Frame {}
    assert_eq!((source.attempts(), source.counts().reopened), (2, 1));
}

#[test]
fn a_camera_that_comes_back_with_another_size_is_an_error() {
    let (mut source, script) = camera(&[Act::WaitFails(rustix::io::Errno::NODEV)]);
    *script.size.lock().unwrap() = Size { width: 4, height: 2 };
    let mut frame = blank_frame();
    let e = loop {
        match source.next(&mut frame, Duration::from_millis(200)) {
            Ok(_) => {}
            Err(e) => break e,
        }
    };
    assert!(matches!(&e, CaptureError::Broken { why, .. } if why.contains("4x2") && why.contains("2x2")), "{e}");
}

#[test]
fn the_first_opening_may_fail() {
    let script = Script {
        acts: Arc::new(Mutex::new([Act::OpenFails].into())),
        size: Arc::new(Mutex::new(Size { width: 2, height: 2 })),
    };
    assert!(matches!(LiveSource::new(script), Err(CaptureError::Unavailable { .. })));
}

#[test]
fn waiting_for_a_lost_camera_returns_in_time() {
    let (mut source, script) = camera(&[Act::WaitFails(rustix::io::Errno::NODEV)]);
    script.acts.lock().unwrap().extend([Act::OpenFails; 50]);
    let mut frame = blank_frame();
    let begin = Instant::now();
    assert_eq!(source.next(&mut frame, Duration::from_millis(30)).unwrap(), Step::Timeout);
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
}

#[test]
fn a_camera_that_falls_silent_while_open_is_opened_again() {
    let (mut source, script) = camera(&[Act::Frames(&[(0, 0)])]);
    assert_eq!(play_on(&mut source, &script).0.len(), 1);
    script.acts.lock().unwrap().extend([Act::Silence, Act::Frames(&[(0, 6_000_000)])]);
    let State::Open { heard, .. } = &mut source.state else { panic!("it is open") };
    *heard = heard.checked_sub(STALL + Duration::from_millis(1)).unwrap();
    let (frames, counts) = play_on(&mut source, &script);
    assert_eq!(frames, [(600, 599, 6_000_000, 0)]);
    assert_eq!(counts.reopened, 1);
}

#[test]
fn a_driver_that_announces_buffers_and_has_none_does_not_hold_us() {
    let (mut source, script) = camera(&[Act::Nothing]);
    let mut frame = blank_frame();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(50) {
        script.acts.lock().unwrap().extend([Act::Nothing; 1000]);
        assert_eq!(source.next(&mut frame, Duration::ZERO).unwrap(), Step::Timeout);
    }
    assert!(!script.acts.lock().unwrap().is_empty());
}
