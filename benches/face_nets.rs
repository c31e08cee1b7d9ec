//! One inference of each face network, with mercam's operators and with tract's alone, and the cutting before it.
//!
//! `cargo bench --bench face_nets`. Networks that are not in the cache are left out with a message.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr)]

use criterion::{Criterion, criterion_group, criterion_main};
use mercam::face::detector::DetectorConfig;
use mercam::face::mesh::MeshConfig;
use mercam::face::models::{NetId, Store};
use mercam::face::network::Network;
use mercam::face::{FaceDetector, LandmarkNet};
use mercam::frame::Luma;
use mercam::geometry::{Px, Roi};
use tract_onnx::prelude::*;

fn networks(c: &mut Criterion) {
    let store = Store::default();
    for net in NetId::ALL {
        let path = match store.ready(net) {
            Ok(path) => path,
            Err(e) => {
                eprintln!("left out: {e}");
                continue;
            }
        };
        let mut group = c.benchmark_group(net.name());
        let mut ours = Network::load(net, &path).expect("a network of the cache loads");
        group.bench_function("mercam", |b| b.iter(|| ours.run(|input| input.fill(0.5))));
        let shape = net.description().input;
        let plan = onnx().model_for_path(&path).and_then(|m| m.into_optimized()).and_then(|m| m.into_runnable());
        let mut plain = plan.and_then(|p| p.spawn()).expect("a network of the cache loads");
        let input: TValue = Tensor::zero::<f32>(&shape).expect("the shape is small").into();
        group.bench_function("tract alone", |b| b.iter(|| plain.run(tvec!(input.clone()))));
        group.finish();
    }
}

/// Whole stages on a 1280 x 720 picture of a texture.
fn stages(c: &mut Criterion) {
    let store = Store::default();
    let texture = (0..1280 * 720u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let picture = Luma::from_vec(1280, 720, texture).expect("the size is right");
    if let Ok(mut detector) = DetectorConfig::default().build(&store) {
        let mut found = Vec::new();
        c.bench_function("detect in 1280x720", |b| b.iter(|| detector.detect(&picture, &mut found)));
    }
    if let Ok(mut mesh) = MeshConfig::default().build(&store) {
        let roi = Roi { centre: Px::new(640.0, 360.0), side: 400.0, angle: 0.1 };
        c.bench_function("landmarks in 400x400", |b| b.iter(|| mesh.landmarks(&picture, &roi)));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3));
    targets = networks, stages
}
criterion_main!(benches);
