//! Everything that is not a micro-expression, by name.

use crate::generator::{Person, Recipe, Rng, Side, Step, UNITS, act, field};
use crate::score::{Said, Score, confirmed, run};
use mercam::event::{Rejection, Stage};
use mercam::geometry::Px;
use mercam::spotting::{Analysis, AnalysisConfig};
use mercam::time::Timestamp;

/// One brow raise at 3 s that would be confirmed, filmed for five seconds, with the film altered.
fn altered(fps: f32, change: impl FnOnce(&mut Vec<Step>)) -> (Said, Analysis) {
    let mut person = Person::new(Recipe { seconds: 5.0, fps, ..Recipe::default() });
    person.acts.push(act(&field(&UNITS[0], Side::Both), 0.03, (3.0, 3.18, 3.42)));
    let mut film = person.film();
    change(&mut film);
    analyse(&film)
}

fn analyse(film: &[Step]) -> (Said, Analysis) {
    let mut analysis = AnalysisConfig::default().build().unwrap();
    let (mut said, mut out) = (Said::new(), Vec::new());
    for step in film {
        analysis.push(step.time, step.lost_before, std::slice::from_ref(&step.face), &mut out);
        said.extend(out.drain(..).map(|s| (step.time, s)));
    }
    (said, analysis)
}

fn during(step: &Step, from: f64, to: f64) -> bool {
    (from..to).contains(&step.time.as_secs())
}

/// Nothing confirmed, every provisional event withdrawn, and the reason counted.
fn rejected(name: &str, (said, analysis): &(Said, Analysis), why: Rejection) {
    let counts: Vec<_> = analysis.rejections().iter().filter(|c| c.1 > 0).collect();
    assert_eq!(confirmed(said).count(), 0, "{name}: {counts:?}");
    let stage = |stage: Stage| said.iter().filter(|(_, s)| s.stage == stage).count();
    assert_eq!(stage(Stage::Provisional), stage(Stage::Withdrawn), "{name}");
    assert!(said.iter().all(|(_, s)| (s.stage == Stage::Withdrawn) == s.reason.is_some()), "{name}");
    assert!(analysis.rejections().of(why) >= 1, "{name}: {counts:?}");
}

#[test]
fn the_same_movement_undisturbed_is_confirmed() {
    for fps in [30.0, 100.0] {
        assert_eq!(confirmed(&altered(fps, |_| ()).0).count(), 1, "{fps} fps");
    }
}

#[test]
fn a_source_whose_clock_starts_again_is_analysed_again() {
    let mut person = Person::new(Recipe { seconds: 12.0, ..Recipe::default() });
    let lids = UNITS.iter().find(|u| u.name == "AU5").unwrap();
    person.acts.push(act(&field(lids, Side::Both), 0.03, (3.0, 3.18, 3.42)));
    person.blinks();
    person.acts.retain(|a| a.onset == 3.0 || a.onset > 4.0);
    assert!(person.acts.len() >= 2, "a blink after the lids rose");
    let film = person.film();
    let twice: Vec<Step> = film.iter().chain(&film).map(|s| Step { face: s.face.clone(), ..*s }).collect();
    let (said, _) = analyse(&twice);
    assert_eq!(confirmed(&said).count(), 2);
}

#[test]
fn too_few_frames_per_second_are_said_and_nothing_is_guessed() {
    rejected("10 fps", &altered(10.0, |_| ()), Rejection::RateTooLow);
}

#[test]
fn frames_lost_in_the_middle_make_a_gap() {
    let film = |film: &mut Vec<Step>| {
        film.retain(|s| !during(s, 3.05, 3.15));
        film.iter_mut().find(|s| s.time.as_secs() >= 3.15).unwrap().lost_before = 10;
    };
    rejected("gap", &altered(100.0, film), Rejection::Gap);
}

#[test]
fn hidden_landmarks_are_an_occlusion() {
    let film = |film: &mut Vec<Step>| {
        for s in film.iter_mut().filter(|s| during(s, 2.9, 3.6)) {
            s.face.confidence[17..27].fill(0.2);
        }
    };
    rejected("occlusion", &altered(100.0, film), Rejection::Occlusion);
}

#[test]
fn a_return_that_is_not_seen_is_an_occlusion_and_a_hidden_mouth_does_not_hide_the_brows() {
    let film = |part: std::ops::Range<usize>| {
        move |film: &mut Vec<Step>| {
            for s in film.iter_mut().filter(|s| during(s, 3.2, 3.6)) {
                s.face.confidence[part.clone()].fill(0.1);
            }
        }
    };
    rejected("lost after the apex", &altered(100.0, film(17..27)), Rejection::Occlusion);
    let (said, analysis) = altered(100.0, film(48..68));
    assert_eq!(confirmed(&said).count(), 1, "{:?}", analysis.rejections());
}

/// A tracker follows closing lids for a moment, loses them and puts them back: that looks like a short eye movement, and
/// only then is it known that the eyes are closed.
#[test]
fn closing_lids_that_are_lost_on_the_way_are_a_blink() {
    let film = |film: &mut Vec<Step>| {
        for s in film.iter_mut() {
            let ms = (s.time.as_secs() as f32 - 4.2) * 1e3;
            let followed = if ms < 80.0 { ms / 80.0 } else { 1.0 - (ms - 80.0) / 50.0 }.clamp(0.0, 1.0);
            for (upper, lower) in [(37, 41), (38, 40), (43, 47), (44, 46)] {
                s.face.landmarks[upper].y += 2.0 * followed;
                s.face.landmarks[lower].y -= 0.4 * followed;
            }
            if (130.0..350.0).contains(&ms) {
                for lid in [37, 38, 40, 41, 43, 44, 46, 47] {
                    s.face.confidence[lid] = 0.0;
                }
            }
        }
    };
    let (said, analysis) = altered(100.0, film);
    let found: Vec<f64> = confirmed(&said).map(|s| s.interval.apex().as_secs()).collect();
    assert!(found.len() == 1 && (found[0] - 3.18).abs() < 0.03, "only the brows at 3.18 s: {found:?}");
    assert!(analysis.rejections().of(Rejection::Blink) >= 1);
}

#[test]
fn a_step_of_everything_at_once_is_the_light() {
    let mut rng = Rng(3);
    let film = |film: &mut Vec<Step>| {
        let steps: Vec<(f32, f32)> = (0..68).map(|_| (1.2 * rng.normal(), 1.2 * rng.normal())).collect();
        for s in film.iter_mut().filter(|s| during(s, 3.05, 9.0)) {
            for (p, d) in s.face.landmarks.iter_mut().zip(&steps) {
                *p = Px::new(p.x + d.0, p.y + d.1);
            }
        }
    };
    rejected("light", &altered(100.0, film), Rejection::Lighting);
}

#[test]
fn a_shaking_head_is_head_motion() {
    let film = |film: &mut Vec<Step>| {
        for s in film.iter_mut().filter(|s| during(s, 2.5, 4.0)) {
            let x = 40.0 * (20.0 * s.time.as_secs() as f32).sin();
            s.face.landmarks = s.face.landmarks.map(|p| Px::new(p.x + x, p.y));
        }
    };
    rejected("shake", &altered(100.0, film), Rejection::HeadMotion);
}

#[test]
fn a_face_that_is_lost_takes_its_open_event_with_it() {
    let gone = altered(100.0, |film| {
        let last = film.iter().position(|s| s.time.as_secs() > 3.27).unwrap();
        film.truncate(last);
    });
    let (mut said, mut analysis) = gone;
    assert_eq!(said.last().map(|(_, s)| s.stage), Some(Stage::Provisional));
    let mut out = Vec::new();
    analysis.push(Timestamp::from_secs(3.9), 0, &[], &mut out);
    assert_eq!(analysis.faces(), 0);
    said.extend(out.drain(..).map(|s| (Timestamp::from_secs(3.9), s)));
    rejected("lost", &(said, analysis), Rejection::LostTrack);
}

#[test]
fn the_end_of_the_source_ends_open_events() {
    let (mut said, mut analysis) = altered(100.0, |film| film.retain(|s| s.time.as_secs() < 3.27));
    let mut out = Vec::new();
    analysis.finish(&mut out);
    said.extend(out.drain(..).map(|s| (Timestamp::from_secs(3.27), s)));
    rejected("end", &(said, analysis), Rejection::LostTrack);
}

#[test]
fn nothing_is_said_of_a_face_that_only_moves_its_head() {
    for (seed, turn) in [(1, 1.3), (2, 2.6)] {
        let recipe = Recipe { seed, speed: 0.2, roll: 4.0, turn, ..Recipe::default() };
        let (said, analysis) = run(Person::new(recipe), AnalysisConfig::default());
        assert!(said.is_empty(), "turn {turn}: {:?}", said[0].1.interval);
        assert!(analysis.rejections().total() <= 6, "{:?}", analysis.rejections());
    }
}

#[test]
fn blinks_are_named_and_rejected_and_micro_expressions_among_them_found() {
    let mut person = Person::new(Recipe { seed: 11, ..Recipe::default() });
    let blinks = person.blinks() as u64;
    let (said, analysis) = run(person, AnalysisConfig::default());
    assert_eq!(confirmed(&said).count(), 0);
    let counted = analysis.rejections().of(Rejection::Blink);
    println!("blinks: {counted} of {blinks} named");
    assert!(counted.abs_diff(blinks) <= blinks / 10, "{counted} of {blinks}");

    let recipe = Recipe { seed: 11, ..Recipe::default() };
    let mut person = Person::new(recipe);
    let truth = person.micros(0.015, 0.04);
    person.blinks();
    let score = Score::of(&truth, &run(person, AnalysisConfig::default()).0, recipe.seconds);
    println!("micro-expressions among blinks: recall {:.3}", score.recall());
    assert!(score.recall() >= 0.8 && score.false_alarms == 0, "{score}");
}

#[test]
fn macro_expressions_are_named_and_rejected() {
    let mut person = Person::new(Recipe { seed: 12, seconds: 120.0, ..Recipe::default() });
    let macros = person.macros().len() as u64;
    let (said, analysis) = run(person, AnalysisConfig::default());
    let counted = analysis.rejections().of(Rejection::Macro);
    println!("macro-expressions: {counted} named of {macros}, {} confirmed as micro", confirmed(&said).count());
    assert!(confirmed(&said).count() <= 1);
    // The release of one that was held for long is a movement of its own and may count once more.
    assert!(counted >= macros * 9 / 10 && counted <= macros * 3 / 2, "{counted} of {macros}");
}

#[test]
fn talking_is_named_and_rejected() {
    let mut person = Person::new(Recipe { seed: 13, ..Recipe::default() });
    person.talk();
    let (said, analysis) = run(person, AnalysisConfig::default());
    let counts: Vec<_> = analysis.rejections().iter().filter(|c| c.1 > 0).collect();
    println!("talking: {} confirmed as micro in a minute, rejected {counts:?}", confirmed(&said).count());
    assert!(confirmed(&said).count() <= 1);
    assert!(analysis.rejections().of(Rejection::Talking) >= 5, "{counts:?}");
}

#[test]
fn garbage_neither_panics_nor_is_put_out() {
    let mut rng = Rng(9);
    let mut analysis = AnalysisConfig::default().build().unwrap();
    let mut person = Person::new(Recipe { seconds: 20.0, ..Recipe::default() });
    person.micros(0.02, 0.04);
    let mut out = Vec::new();
    for mut step in person.film() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1e30, 0.0];
        match rng.next() % 9 {
            0 => step.face.landmarks[rng.next() as usize % 68].x = *rng.pick(&odd),
            1 => step.face.landmarks = [Px::new(*rng.pick(&odd), *rng.pick(&odd)); 68],
            2 => step.face.confidence = [*rng.pick(&odd); 68],
            3 => step.time = Timestamp::from_micros(step.time.as_micros() - 50_000),
            _ => {}
        }
        if rng.next().is_multiple_of(400) {
            step.time = Timestamp::from_micros(*rng.pick(&[i64::MIN, i64::MAX, 0]));
        }
        analysis.push(step.time, rng.next() as u32 % 3, &[step.face], &mut out);
    }
    analysis.finish(&mut out);
    for s in &out {
        assert!(s.amplitude.is_finite() && s.score.is_finite() && (0.0..=1.0).contains(&s.quality));
        assert!(s.shape.iter().chain(&s.displacement).all(|p| p.is_finite()));
    }
}
