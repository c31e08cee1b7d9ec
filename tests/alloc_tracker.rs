//! Between two runs of the networks the face stage allocates nothing; with the networks on a thread of their own, it
//! never does.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tracker_support;

use mercam::face::stage::{FaceConfig, FaceWork, NetworkPlace};
use mercam::time::Timestamp;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use tracker_support::{FacePicture, FakeDetector, FakeNet, Pose, Random, Shared};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: every call goes to the system allocator unchanged; the counter is a thread-local that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn two_hundred_frames_without_an_allocation() {
    let config = FaceConfig { anchor_ms: 1e5, detect_ms: 1e5, networks: NetworkPlace::Inline, ..FaceConfig::default() };
    let work = frames_without_an_allocation(&config);
    assert_eq!(work.detector_runs, 1);
}

#[test]
fn nor_do_the_networks_beside_the_frames_cost_them_one() {
    let config = FaceConfig { anchor_ms: 30.0, networks: NetworkPlace::Beside, max_faces: 2, ..FaceConfig::default() };
    let work = frames_without_an_allocation(&config);
    assert!(work.net_runs > 5 && work.detector_runs > 1, "the networks ran: {work:?}");
}

/// 32 pictures to warm up, then 200 in which this thread allocates nothing.
fn frames_without_an_allocation(config: &FaceConfig) -> FaceWork {
    let world = Shared::default();
    let net = FakeNet { world: world.clone(), jitter: 0.0, bias: 0.0, random: Random(5) };
    let mut stage = config.build(Box::new(FakeDetector(world.clone())), Box::new(net), true).unwrap();
    let face = FacePicture::new(3);
    // shifts, turns (templates are drawn anew) and grows
    let pose = |k: usize| {
        let t = (k as f32 * 0.39).sin();
        let mut p = Pose::at(150.0 + 8.0 * t, 100.0 + 3.0 * t, 80.0 * (1.0 + 0.04 * t));
        p.roll_deg = 4.0 * t;
        p
    };
    let mut random = Random(11);
    let pictures: Vec<_> = (0..16).map(|k| face.render(&pose(k), 300, 300, 2.0, &mut random)).collect();
    let truths: Vec<_> = (0..16).map(|k| pose(k).truth()).collect();
    world.lock().unwrap().truth = vec![truths[0]];
    let mut faces = Vec::new();
    let mut time = Timestamp::default();
    let mut run = |frames: std::ops::Range<usize>, faces: &mut Vec<_>| {
        let before = COUNT.get();
        for k in frames {
            time = time.plus_ms(10.0);
            world.lock().unwrap().truth[0] = truths[k % truths.len()];
            if config.networks == NetworkPlace::Beside {
                std::thread::sleep(Duration::from_millis(10)); // a camera's pace: the networks' answers belong to their time
            }
            stage.process(time, &pictures[k % pictures.len()], faces).unwrap();
        }
        COUNT.get() - before
    };
    assert!(run(0..32, &mut faces) > 0, "the counter counts");
    assert_eq!(run(32..232, &mut faces), 0);
    assert_eq!(faces.len(), 1);
    assert!(faces[0].confidence[17..].iter().all(|&c| c > 0.0), "the face was followed all the time");
    stage.work()
}
