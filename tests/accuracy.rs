//! A small slice of the sets of `tests/recipes/`, so that they stay runnable and the line does not get much worse
//! unseen. The full figures are in docs/reference/accuracy.md.
//!
//! `cargo test --test accuracy -- --ignored fetch` gets the films and photos that the recipes need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code)] // only its networks are needed here
#[path = "line/faces.rs"]
mod faces;
#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{Clip, Still};
use mercam::face::config::FaceConfig;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn recipe(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes").join(name)
}

/// Runs a recipe and gives its report.
fn evaluate(recipe: &Path, data: &Path, more: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mercam"));
    command.args(["evaluate", "--json", "-", "--recipe"]).arg(recipe).arg("--data").arg(data).args(more);
    let out = command.env_remove("MERCAM_CONFIG").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The folder of the fixtures: that of a film is in it.
fn folder_of(film: &Path) -> &Path {
    film.parent().and_then(Path::parent).unwrap()
}

#[test]
fn every_recipe_is_read_and_names_its_takes_once() {
    let mut names = 0;
    for entry in std::fs::read_dir(recipe("")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let recipe = mercam::synth::recipe::Recipe::from_toml(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        // a take for a cast has become one for each of them
        let mut seen: Vec<_> = recipe.takes.iter().map(|t| (t.name.as_str(), t.face.clone())).collect();
        names += seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), recipe.takes.len(), "{path:?}");
        assert!(!recipe.about.is_empty());
    }
    assert!(names > 20);
}

#[test]
fn in_landmark_space_the_rates_are_as_good_as_they_were() {
    let r = evaluate(&recipe("slice.toml"), Path::new("."), &["--take", "landmarks 100", "--take", "landmarks 30"]);
    for take in r["takes"].as_array().unwrap() {
        let (name, report) = (take["name"].as_str().unwrap(), &take["report"]);
        let f1 = report["micro"]["f1"].as_f64().unwrap();
        let apex = report["timing"]["apex"]["median_abs"].as_f64().unwrap();
        eprintln!("{name}: {}, apex {apex:.1} ms", report["micro"]);
        // measured: F1 1.00 and 0.90, apex 11.5 and 12.9 ms
        let (least, most) = if name.ends_with("100") { (0.8, 20.0) } else { (0.5, 40.0) };
        assert!(f1 >= least && apex <= most, "{name}: F1 {f1}, apex {apex} ms");
    }
    let again = evaluate(&recipe("slice.toml"), Path::new("."), &["--take", "landmarks 30", "--jobs", "2"]);
    assert_eq!(again["takes"][0], r["takes"][1], "the same figures each time");
}

#[test]
fn landmarks_follow_the_skin_of_a_drawn_face() {
    if !faces::networks(&FaceConfig::default()) {
        return;
    }
    let r = evaluate(&recipe("slice.toml"), Path::new("."), &["--tracking", "--take", "tracking"]);
    let take = &r["takes"][0];
    let of = |who: &str, what: &str| take["all"][who][what].as_f64().unwrap();
    let (error, alone, gain, jitter) =
        (of("mercam", "error"), of("network", "error"), of("mercam", "gain"), of("mercam", "jitter"));
    eprintln!("movement of 1 px: error {error:.3} px, network alone {alone:.3}, gain {gain:.2}, jitter {jitter:.3} px");
    // measured: 0.14 and 0.70 px, gain 0.97, jitter 0.033 px
    assert!(take["lost"] == 0 && take["events"].as_u64().unwrap() >= 6, "{take}");
    assert!(error < 0.2 && alone > 3.0 * error && (0.85..1.1).contains(&gain) && jitter < 0.05, "{take}");
}

#[test]
fn a_drawn_face_through_pixels() {
    if !faces::networks(&FaceConfig::default()) {
        return;
    }
    let r = evaluate(&recipe("slice.toml"), Path::new("."), &["--take", "drawn 60", "--curve", "1"]);
    eprintln!("{}", r["all"]["micro"]);
    assert!(r["all"]["micro"]["truth"].as_u64().unwrap() >= 8);
    assert!(r["all"]["micro"]["f1"].as_f64().unwrap() >= 0.5, "{}", r["all"]["micro"]);
    assert_eq!(r["curves"][0]["fps"], 60.0);
}

#[test]
fn a_real_moving_film_takes_micro_expressions_in() {
    if !faces::networks(&FaceConfig::default()) {
        return;
    }
    let Some(film) = Clip::Franck.y4m(0.0, 20.0) else { return };
    let r = evaluate(
        &recipe("slice.toml"),
        folder_of(&film),
        &["--take", "talking face", "--take", "talking face, as filmed"],
    );
    let takes = r["takes"].as_array().unwrap();
    eprintln!("{} {}", takes[0]["report"]["micro"], takes[1]["report"]["alarms"]);
    let (with, without) = (&takes[0]["report"], &takes[1]["report"]);
    assert!(with["micro"]["truth"].as_u64().unwrap() >= 4, "{with}");
    assert_eq!(with["from_1px"]["truth"], with["micro"]["truth"], "all of them move by a pixel or more");
    assert_eq!(without["micro"]["truth"], 0);
    // Twenty seconds of talking: not more than one false alarm.
    assert!(without["alarms_without_micro"]["count"].as_u64().unwrap() <= 1, "{without}");
}

#[test]
#[ignore = "fetches and decodes 1.3 GB"]
fn fetch_what_the_recipes_need() {
    for (clip, seconds) in [(Clip::Franck, 200.0), (Clip::Cap12, 60.0), (Clip::Cap13, 60.0), (Clip::Langer, 60.0)] {
        let path = clip.y4m(0.0, seconds).expect("not offline");
        eprintln!("{}", path.display());
    }
    eprintln!("{}", Still::Obama.path().expect("not offline").display());
}

#[test]
#[ignore = "fetches 17 MB"]
fn fetch_the_cast_of_the_tracking_recipe() {
    assert!(fixtures::cast());
}
