//! What one face costs per frame: contrast normalisation, Lucas-Kanade, all together.
//! `cargo bench --profile dev --bench tracker` (the dev profile is optimised; the release profile would build tract
//! once more).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/tracker_support/mod.rs"]
mod tracker_support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mercam::face::Anchor;
use mercam::face::track_config::TrackerConfig;
use mercam::face::track_picture::Working;
use mercam::face::tracker::Tracker;
use mercam::image::{Normaliser, Plane, Pyramid};
use mercam::time::Timestamp;
use tracker_support::{FacePicture, Pose, Random, roi_of};

fn bench(c: &mut Criterion) {
    let face = FacePicture::new(3);
    let mut random = Random(7);
    for iod in [50.0f32, 80.0, 104.0, 160.0] {
        let side = (iod * 3.75) as u32;
        let pose = |k: f32| Pose::at(iod * 1.87 + k, iod * 1.3 + 0.4 * k, iod);
        let pictures: Vec<_> = (0..8)
            .map(|k| face.render(&pose([0.0, 1.2, 2.1, 2.6, 2.9, 2.2, 1.0, 0.3][k]), side, side, 2.0, &mut random))
            .collect();
        let truth = pose(0.0).truth();
        let anchor = Anchor { points: truth, presence: 1.0, roi: roi_of(&truth) };
        for contour in [false, true] {
            let config = TrackerConfig { contour, ..TrackerConfig::default() };
            let name = format!("IOD {iod}, {} landmarks", if contour { 68 } else { 51 });
            let working = Working::of(&truth, &config).unwrap();
            let region = working.region(&truth, &config);
            let mut group = c.benchmark_group(&name);
            let (mut normaliser, mut plane, mut pyramid) =
                (Normaliser::default(), Plane::default(), Pyramid::default());
            region.cut(&pictures[0], &mut plane);
            group.bench_function("contrast normalisation", |b| {
                b.iter_batched_ref(|| plane.clone(), |p| normaliser.run(p, &working.normalise), BatchSize::SmallInput);
            });
            group.bench_function("normalised pyramid", |b| {
                b.iter(|| {
                    pyramid.build(&pictures[1], region, working.levels, &mut normaliser, &working.normalise);
                });
            });
            let mut time = Timestamp::default();
            let mut tracker = Tracker::start(&config, time, &pictures[0], &anchor, true).unwrap();
            let mut k = 0;
            group.bench_function("whole frame", |b| {
                b.iter(|| {
                    k += 1;
                    time = time.plus_ms(10.0);
                    tracker.follow(time, &pictures[k % pictures.len()])
                });
            });
            assert!(tracker.standing().found > 0.9, "the bench has lost its face");
            group.bench_function("start (key picture and templates)", |b| {
                b.iter(|| tracker.restart(time, &pictures[0], &anchor, true));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300));
    targets = bench
}
criterion_main!(benches);
