//! The shipped network: integrity, true int8 execution, agreement with onnxruntime, bounded allocations, and
//! whether it recognises movements drawn by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(unsafe_code)] // the counting allocator below

use mercam::dere_grl::{DereGrlConfig, DereGrlError, Features, Manifest, NONE, Precision, Recogniser};
use mercam::geometry::Iod;
use mercam::landmarks::{COUNT, MIRROR, PerLandmark};
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;

/// Counts the allocations of the calling thread, so that tests running beside each other do not disturb it.
struct Counting;
thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });
// SAFETY: every call goes on to the system allocator unchanged; the counter is thread-local and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|a| a.set(a.get() + 1));
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.dealloc(p, layout) }
    }
}
#[global_allocator]
static HEAP: Counting = Counting;

const FIXTURE: &[u8] = include_bytes!("data/dere_grl.parity.bin");
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn load(precision: Precision) -> Recogniser {
    DereGrlConfig { precision, ..DereGrlConfig::default() }.build().unwrap()
}

/// onnxruntime's answers to one file, for the samples of the fixture.
struct Answers {
    probs: Vec<f32>,
    actions: Vec<f32>,
    relations: Vec<f32>,
}

/// `tests/data/dere_grl.parity.bin`, as training/src/mercam_training/parity.py writes it.
struct Fixture {
    samples: Vec<Features>,
    full: usize,
    sha256: [String; 2],
    answers: [Answers; 2],
}

fn fixture() -> Fixture {
    let mut rest = FIXTURE;
    let mut take = |n: usize| rest.split_off(..n).expect("the fixture is long enough");
    assert_eq!(take(4), b"DGP1");
    let mut number = || u32::from_le_bytes(take(4).try_into().unwrap()) as usize;
    let (n, full) = (number(), number());
    let sha256 = [(); 2].map(|()| take(32).iter().map(|b| format!("{b:02x}")).collect());
    let mut samples = Vec::with_capacity(n);
    for row in take(n * 51 * 4 * 2).chunks_exact(51 * 4 * 2) {
        let (mut shape, mut shift) = ([Iod::default(); COUNT], [Iod::default(); COUNT]);
        for (i, v) in row.chunks_exact(8).enumerate() {
            let at = |k: usize, steps: f32| f32::from(i16::from_le_bytes([v[2 * k], v[2 * k + 1]])) / steps;
            shape[17 + i] = Iod::new(at(0, 16384.0), at(1, 16384.0));
            shift[17 + i] = Iod::new(at(2, 65536.0), at(3, 65536.0));
        }
        samples.push(Features::new(&shape, &shift));
    }
    let mut floats =
        |n: usize| take(4 * n).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let answers =
        [(); 2].map(|()| Answers { probs: floats(n * 4), actions: floats(full * 6), relations: floats(full * 144) });
    assert!(rest.is_empty());
    Fixture { samples, full, sha256, answers }
}

fn argmax(v: &[f32]) -> usize {
    (0..v.len()).max_by(|&a, &b| v[a].total_cmp(&v[b])).unwrap()
}

#[test]
fn the_int8_plan_multiplies_in_int8_and_the_fp32_twin_never_does() {
    let int8 = load(Precision::Int8);
    let k = int8.kernels();
    println!("int8: {} of {} products of the plan, {} of the file", k.int8, k.all, k.quantised);
    assert!(k.float.is_empty(), "quantised products that run in float: {:?}", k.float);
    // What stays in fp32 on purpose: the bones (tract cuts them into places and movements), Q K^T and W V.
    assert_eq!(k.all - k.int8, 4);
    assert!(k.quantised >= 15, "the quantiser converted all layers: {}", k.quantised);
    let text = String::from_utf8_lossy(&fs::read(Path::new(MODELS).join("evaluation.json")).unwrap()).into_owned();
    let evaluation: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        evaluation["int8_matmuls"], k.quantised,
        "each product that the quantiser converted is int8 in the plan"
    );

    let fp32 = load(Precision::Fp32);
    let f = fp32.kernels();
    assert_eq!((f.int8, f.quantised), (0, 0));
    assert!(f.all >= 20 && f.float.is_empty(), "{f:?}");
}

#[test]
fn answers_agree_with_onnxruntime_on_2000_samples() {
    let f = fixture();
    assert_eq!(f.samples.len(), 2000);
    let manifest = Manifest::built_in().unwrap();
    for (i, precision) in [Precision::Int8, Precision::Fp32].into_iter().enumerate() {
        let listed = manifest.files.iter().find(|m| m.name == precision.file()).unwrap();
        assert_eq!(listed.sha256, f.sha256[i], "the fixture belongs to another model: run `mercam-train parity`");
        let (mut net, want) = (load(precision), &f.answers[i]);
        let (mut same, mut off, mut worst) = (0, 0, [0f32; 3]);
        for (n, features) in f.samples.iter().enumerate() {
            let got = net.recognise(features).unwrap();
            let probs = &want.probs[4 * n..4 * n + 4];
            same += usize::from(got.class == argmax(probs));
            let mut gaps = [0f32; 3];
            gaps[0] = got.probabilities.iter().zip(probs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            if n < f.full {
                let actions = &want.actions[6 * n..6 * n + 6];
                gaps[1] = got.actions.iter().zip(actions).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                for (to, row) in got.relations.iter().enumerate() {
                    for (from, &weight) in row.iter().enumerate() {
                        let q = |r: usize, c: usize| want.relations[144 * n + 12 * (2 * to + r) + 2 * from + c];
                        gaps[2] = gaps[2].max((weight - (q(0, 0) + q(0, 1) + q(1, 0) + q(1, 1)) / 2.0).abs());
                    }
                }
            }
            off += usize::from(gaps.iter().any(|&g| g > 1e-4));
            (0..3).for_each(|k| worst[k] = worst[k].max(gaps[k]));
        }
        println!("{precision}: same class {same} of 2000, off by more than 1e-4: {off}, largest difference {worst:?}");
        match precision {
            // tract multiplies by 1 / scale where onnxruntime divides: a value on a rounding edge may move one step.
            Precision::Int8 => assert!(same >= 1990 && off <= 10),
            Precision::Fp32 => assert!(same == 2000 && worst.iter().all(|&w| w < 1e-5), "{worst:?}"),
        }
    }
}

#[test]
fn allocations_per_inference_are_bounded_and_the_cost_is_printed() {
    let f = fixture();
    for precision in [Precision::Int8, Precision::Fp32] {
        let mut net = load(precision);
        f.samples[..50].iter().for_each(|s| assert!(net.recognise(s).is_ok()));
        let cpu = || {
            let t = clock_gettime(ClockId::ThreadCPUTime);
            t.tv_sec as f64 * 1e6 + t.tv_nsec as f64 / 1e3
        };
        let (mut most, mut times) = (0, vec![0.0; 500]);
        for (s, time) in f.samples.iter().zip(&mut times) {
            let (before, start) = (ALLOCATIONS.get(), cpu());
            assert!(net.recognise(s).is_ok());
            *time = cpu() - start;
            most = most.max(ALLOCATIONS.get() - before);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{precision}: {most} allocations at most, thread CPU time min {:.0}, median {:.0}, p99 {:.0} us",
            times[0], times[250], times[495]
        );
        // tract allocates the output of every node: bounded, not zero.
        assert!(most <= 600, "{precision}: {most} allocations in one inference");
    }
}

#[test]
fn a_missing_damaged_unlisted_or_foreign_model_is_refused_and_the_mend_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["dere_grl.int8.onnx", "dere_grl.fp32.onnx", "manifest.toml"] {
        fs::copy(Path::new(MODELS).join(name), at(name)).unwrap();
    }
    let load = |model: &Path, precision| {
        DereGrlConfig { model: Some(model.into()), precision, ..DereGrlConfig::default() }.build()
    };

    let folder = load(dir.path(), Precision::Fp32).unwrap();
    assert_eq!(folder.model_ref(), self::load(Precision::Fp32).model_ref());
    assert!(load(&at("dere_grl.int8.onnx"), Precision::Int8).is_ok());

    let e = load(&at("nothing.onnx"), Precision::Int8).unwrap_err();
    assert!(matches!(e, DereGrlError::Read { .. }) && e.to_string().contains("nothing.onnx"), "{e}");

    let e = load(&at("dere_grl.fp32.onnx"), Precision::Int8).unwrap_err();
    assert!(matches!(e, DereGrlError::Precision { .. }) && e.to_string().contains("set it to fp32"), "{e}");

    fs::copy(at("dere_grl.int8.onnx"), at("other.onnx")).unwrap();
    let e = load(&at("other.onnx"), Precision::Int8).unwrap_err();
    assert!(matches!(e, DereGrlError::NotListed { .. }) && e.to_string().contains("other.onnx"), "{e}");

    let mut bytes = fs::read(at("dere_grl.int8.onnx")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(at("dere_grl.int8.onnx"), &bytes).unwrap();
    let e = load(dir.path(), Precision::Int8).unwrap_err();
    assert!(matches!(e, DereGrlError::Hash { .. }) && e.to_string().contains("dere_grl.int8.onnx is damaged"), "{e}");

    fs::write(at("manifest.toml"), "model_id = 3\n").unwrap();
    let e = load(dir.path(), Precision::Fp32).unwrap_err();
    assert!(matches!(e, DereGrlError::Manifest { .. }) && e.to_string().contains("manifest.toml"), "{e}");

    fs::remove_file(at("manifest.toml")).unwrap();
    let e = load(dir.path(), Precision::Fp32).unwrap_err();
    assert!(matches!(e, DereGrlError::Read { .. }) && e.to_string().contains("manifest.toml"), "{e}");
}

/// A folder whose manifest vouches for `bytes`, so that what is wrong with them shows later than in the hash.
fn vouched(bytes: &[u8]) -> tempfile::TempDir {
    use sha2::Digest;
    let dir = tempfile::tempdir().unwrap();
    let sha: String = sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let name = Precision::Fp32.file();
    let text = format!("model_id = \"m\"\n[[file]]\nname = \"{name}\"\nsha256 = \"{sha}\"\nbytes = {}\n", bytes.len());
    fs::write(dir.path().join("manifest.toml"), text).unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    dir
}

#[test]
fn a_file_that_is_no_model_or_has_other_metadata_is_refused() {
    let refused = |bytes: &[u8]| {
        let dir = vouched(bytes);
        DereGrlConfig { model: Some(dir.path().into()), precision: Precision::Fp32, ..DereGrlConfig::default() }
            .build()
            .unwrap_err()
    };
    let good = fs::read(Path::new(MODELS).join(Precision::Fp32.file())).unwrap();
    for bad in [&b""[..], b"this is no model", &good[..good.len() / 2], &good[..20]] {
        let e = refused(bad);
        assert!(e.to_string().contains("dere_grl.fp32.onnx"), "{e}");
    }
    // The same length, so the file stays well-formed: another meaning of the features.
    let text = b"onset-apex-iod-v1";
    let place = good.windows(text.len()).position(|w| w == text).unwrap();
    let mut other = good.clone();
    other[place + text.len() - 1] = b'9';
    let e = refused(&other);
    assert!(matches!(&e, DereGrlError::Metadata { key, .. } if key == "feature_format"), "{e}");
    // A good file under a manifest of another model.
    let e = refused(&good);
    assert!(matches!(&e, DereGrlError::Metadata { key, .. } if key == "model_id"), "{e}");
}

/// Landmarks with a place or a movement each.
type Points = &'static [(usize, f32, f32)];

/// Half of a plain face (face frame, IOD), the subject's right side.
const HALF: Points = &[
    (17, -0.86, -0.22),
    (18, -0.73, -0.35),
    (19, -0.56, -0.39),
    (20, -0.38, -0.36),
    (21, -0.21, -0.29),
    (27, 0.0, -0.03),
    (28, 0.0, 0.17),
    (29, 0.0, 0.37),
    (30, 0.0, 0.57),
    (31, -0.2, 0.7),
    (32, -0.1, 0.74),
    (33, 0.0, 0.77),
    (36, -0.7, 0.0),
    (37, -0.58, -0.06),
    (38, -0.43, -0.06),
    (39, -0.31, 0.01),
    (40, -0.43, 0.06),
    (41, -0.57, 0.06),
    (48, -0.4, 1.14),
    (49, -0.26, 1.06),
    (50, -0.1, 1.01),
    (51, 0.0, 1.03),
    (59, -0.26, 1.24),
    (58, -0.12, 1.3),
    (57, 0.0, 1.32),
    (60, -0.33, 1.14),
    (61, -0.11, 1.1),
    (62, 0.0, 1.11),
    (67, -0.11, 1.17),
    (66, 0.0, 1.18),
];

/// A movement of the right side (outward, up), done by both sides, on the plain face.
fn movement(points: Points) -> Features {
    let (mut shape, mut shift): (PerLandmark<Iod>, PerLandmark<Iod>) =
        ([Iod::default(); COUNT], [Iod::default(); COUNT]);
    for &(n, x, y) in HALF {
        (shape[n], shape[MIRROR[n]]) = (Iod::new(x, y), Iod::new(-x, y));
    }
    for &(n, outward, up) in points {
        shift[n] = Iod::new(if MIRROR[n] == n { 0.0 } else { -outward }, -up);
        shift[MIRROR[n]] = Iod::new(if MIRROR[n] == n { 0.0 } else { outward }, -up);
    }
    Features::new(&shape, &shift)
}

#[test]
fn hand_made_movements_are_recognised_and_explained_by_the_component_that_moved() {
    let smile: Points = &[
        (48, 0.020, 0.022),
        (60, 0.020, 0.022),
        (49, 0.017, 0.019),
        (59, 0.014, 0.022),
        (50, 0.009, 0.015),
        (61, 0.009, 0.015),
        (58, 0.009, 0.018),
        (67, 0.009, 0.018),
        (51, 0.0, 0.011),
        (62, 0.0, 0.011),
        (57, 0.0, 0.014),
        (66, 0.0, 0.014),
    ];
    let raised: Points =
        &[(17, 0.002, 0.012), (18, 0.003, 0.017), (19, 0.003, 0.02), (20, 0.002, 0.02), (21, 0.001, 0.018)];
    let lowered: Points =
        &[(17, -0.008, -0.006), (18, -0.011, -0.009), (19, -0.013, -0.012), (20, -0.011, -0.011), (21, -0.009, -0.009)];
    let closed: Points = &[(37, 0.0, -0.1), (38, 0.0, -0.1), (40, 0.0, 0.015), (41, 0.0, 0.015)];
    for precision in [Precision::Int8, Precision::Fp32] {
        let mut net = load(precision);
        assert_eq!(net.classes(), ["negative", "positive", "surprise", NONE]);
        let cases: [(&str, Points, &str, &[usize]); 5] = [
            ("AU12", smile, "positive", &[5]),
            ("AU1+2", raised, "surprise", &[0, 1]),
            ("AU4", lowered, "negative", &[0, 1]),
            ("blink", closed, NONE, &[3, 4]),
            ("stillness", &[], NONE, &[]),
        ];
        for (name, points, class, movers) in cases {
            let a = net.recognise(&movement(points)).unwrap().clone();
            println!("{precision} {name}: {} {:.3}, actions {:.2?}", net.class_name(&a), a.probability(), a.actions);
            assert_eq!(net.class_name(&a), class, "{name}");
            assert!(a.probability() > 0.5, "{name}: {}", a.probability());
            assert_eq!(net.is_none(&a), class == NONE);
            assert!((a.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            for row in a.relations {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            }
            let least = movers.iter().map(|&m| a.actions[m]).fold(f32::MAX, f32::min);
            let still = (0..6).filter(|c| !movers.contains(c)).map(|c| a.actions[c]).fold(0.0, f32::max);
            assert!(movers.is_empty() || least > still, "{name}: the component that moved acts most: {:?}", a.actions);
        }
    }
}

#[test]
fn a_landmark_that_is_not_a_place_on_a_face_is_refused_and_the_next_movement_is_answered() {
    fn may_move_to_another_thread<T: Send>(t: T) -> T {
        t
    }
    let mut net = may_move_to_another_thread(load(Precision::Int8));
    let before = net.recognise(&movement(&[])).unwrap().clone();
    for bad in [f32::NAN, f32::INFINITY, -f32::INFINITY, 1e30, 11.0] {
        let (mut shape, mut shift) = ([Iod::default(); COUNT], [Iod::default(); COUNT]);
        shape[30].x = bad;
        let e = net.recognise(&Features::new(&shape, &shift)).unwrap_err().to_string();
        assert!(e.contains("landmark 30") && e.contains("onset"), "{e}");
        shape[30].x = 0.0;
        shift[67].y = bad;
        let e = net.recognise(&Features::new(&shape, &shift)).unwrap_err().to_string();
        assert!(e.contains("landmark 67") && e.contains("movement"), "{e}");
    }
    assert_eq!(*net.recognise(&movement(&[])).unwrap(), before);
}

fn any_point() -> impl Strategy<Value = Iod> {
    let wild = prop_oneof![20 => -2.0f32..2.0, 1 => -20.0f32..20.0, 1 => proptest::num::f32::ANY];
    (wild.clone(), wild).prop_map(|(x, y)| Iod::new(x, y))
}

#[test]
fn whatever_the_landmarks_are_the_answer_is_a_distribution_or_an_error() {
    let nets = RefCell::new([load(Precision::Int8), load(Precision::Fp32)]);
    let answered = Cell::new(0);
    let point = || proptest::collection::vec(any_point(), COUNT);
    let tame = || proptest::collection::vec((-2.0f32..2.0, -2.0f32..2.0).prop_map(|(x, y)| Iod::new(x, y)), COUNT);
    let pairs = prop_oneof![(point(), point()), (tame(), tame())];
    let cases = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(cases, |((shape, shift) in pairs)| {
        let features = Features::new(&shape.try_into().unwrap(), &shift.try_into().unwrap());
        let fine = features.as_slice().iter().all(|v| v.abs() <= 10.0);
        for net in nets.borrow_mut().iter_mut() {
            match net.recognise(&features) {
                Ok(a) => {
                    answered.set(answered.get() + 1);
                    prop_assert!(fine);
                    prop_assert!((a.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-3);
                    prop_assert!(a.relations.iter().all(|r| (r.iter().sum::<f32>() - 1.0).abs() < 1e-3));
                    prop_assert!(a.actions.iter().all(|v| v.is_finite() && *v >= 0.0));
                }
                Err(e) => prop_assert!(!fine && matches!(e, DereGrlError::Feature { .. }), "{}", e),
            }
        }
    });
    assert!(answered.get() >= 100, "too few of the cases were usable: {}", answered.get());
}
