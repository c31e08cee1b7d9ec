//! Scripts against the statistics of real faces.
#![allow(clippy::unwrap_used)]
use super::*;

fn script(seed: u64, seconds: f64) -> Script {
    let mut s = Script::new(seed, &ScriptConfig::default());
    s.extend_to(Timestamp::from_secs(seconds));
    s
}

#[test]
fn one_seed_makes_one_script_however_it_is_asked_for() {
    let whole = script(5, 60.0);
    let mut steps = Script::new(5, &ScriptConfig::default());
    for t in 0..60 {
        steps.extend_to(Timestamp::from_secs(f64::from(t)));
    }
    steps.extend_to(Timestamp::from_secs(60.0));
    assert_eq!(whole.truth(), steps.truth());
    assert_ne!(whole.truth(), script(6, 60.0).truth());
}

#[test]
fn durations_and_pauses_are_those_of_real_faces() {
    let s = script(11, 3600.0);
    let micros: Vec<&TruthEvent> = s.truth().iter().filter(|e| e.class().is_some()).collect();
    assert!(micros.len() > 800, "{}", micros.len());
    let mut total: Vec<f64> = micros.iter().map(|e| e.duration_ms()).collect();
    total.sort_by(f64::total_cmp);
    assert!(total[0] >= 169.9 && *total.last().unwrap() <= 500.1);
    assert!((total[total.len() / 2] - 361.0).abs() < 25.0, "median {}", total[total.len() / 2]);
    for pair in s.truth().windows(2) {
        assert!(pair[1].onset.ms_since(pair[0].offset) > 250.0, "{pair:?}");
    }
    for pair in micros.windows(2) {
        assert!(pair[1].onset.ms_since(pair[0].offset) >= 1199.0);
    }
    for e in s.truth() {
        assert!(e.onset < e.apex && e.apex <= e.release && e.release < e.offset);
        match e.label {
            Label::Blink => assert!((299.0..=701.0).contains(&e.duration_ms())),
            Label::Macro => assert!(e.duration_ms() > 700.0),
            Label::Micro { .. } => assert!(e.peak >= 0.0119 && e.peak < 0.2, "{e:?}"),
            Label::Talking => assert!(e.duration_ms() >= 1499.0),
        }
    }
    for class in Class::ALL {
        let n = micros.iter().filter(|e| e.class() == Some(class)).count();
        assert!(n * 4 > micros.len(), "{class:?} {n}");
    }
    let blinks: Vec<_> = s.truth().iter().filter(|e| e.label == Label::Blink).collect();
    assert!(blinks.len() > 500, "{}", blinks.len());
}

#[test]
fn activation_is_full_at_the_apex_and_nothing_outside() {
    let s = script(2, 30.0);
    let e = s.truth().iter().find(|e| e.class().is_some()).unwrap();
    let mut a = Activation::default();
    s.activation(e.apex, &mut a);
    assert_eq!(a.units.len(), e.units.len());
    assert!((a.units[0].1 - e.units[0].right).abs() < 1e-6);
    s.activation(e.offset.plus_micros(1), &mut a);
    assert!(a.units.is_empty() && a.lids == 0.0);
    s.activation(e.onset, &mut a);
    assert!(a.units.is_empty());
}

#[test]
fn the_truth_at_a_span_is_the_event_that_overlaps_it() {
    let s = script(2, 30.0);
    let e = &s.truth()[2];
    assert_eq!(s.truth_at(e.onset.plus_ms(-50.0), e.apex), Some(e));
    assert_eq!(s.truth_at(Timestamp::default(), Timestamp::from_secs(0.1)), None);
}

#[test]
fn the_truth_is_readable_json() {
    let s = script(3, 20.0);
    let json = s.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Vec<TruthEvent>>(&json).unwrap().len(), s.truth().len());
    assert!(json.contains("\"micro\"") && json.contains("\"class\""));
}

#[test]
fn absurd_settings_still_make_a_script() {
    for v in [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e30] {
        let c = ScriptConfig {
            strength: v,
            min_peak: v,
            gap_min_ms: v,
            gap_max_ms: v,
            macros: v,
            talking: v,
            ..ScriptConfig::default()
        };
        let mut s = Script::new(1, &c);
        s.extend_to(Timestamp::from_secs(10.0));
        assert!(s.truth().len() < 10_000);
    }
}
