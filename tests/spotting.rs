//! Movement and spotting together, on faces with exact truth.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "spotting/generator.rs"]
mod generator;
#[path = "spotting/score.rs"]
mod score;

use generator::{Act, Person, Recipe};
use mercam::event::{Rejection, Stage};
use mercam::spotting::AnalysisConfig;
use score::{Score, run};

fn micros(recipe: Recipe) -> Score {
    let mut person = Person::new(recipe);
    let truth = person.micros(0.012, 0.04);
    Score::of(&truth, &run(person, AnalysisConfig::default()).0, recipe.seconds)
}

/// Recall, false alarms and errors over the frame rates and the tracker noise.
#[test]
fn table() {
    println!("fps  noise/px  recall  precision  false/min  onset/ms  apex/ms  offset/ms  latency/ms(median,max)");
    for fps in [30.0, 60.0, 100.0, 200.0] {
        for noise in [0.02, 0.05, 0.08, 0.15] {
            let mut all = Score::default();
            for seed in 0..4 {
                all.add(&micros(Recipe { seed, fps, noise, ..Recipe::default() }));
            }
            println!("{fps:3}  {noise:8.2}  {all}");
        }
    }
}

#[test]
fn explore() {
    let heads =
        [("still", 0.05, 1.0, 0.7), ("quiet", 0.1, 2.0, 1.3), ("moving", 0.2, 4.0, 2.6), ("lively", 0.4, 8.0, 5.0)];
    for (name, speed, roll, turn) in heads {
        for kind in ["micro", "nothing", "blink", "macro", "talk", "micro+blink"] {
            let mut all = Score::default();
            let mut counts = mercam::spotting::Rejections::default();
            for seed in 10..13 {
                let recipe = Recipe { seed, speed, roll, turn, ..Recipe::default() };
                let mut person = Person::new(recipe);
                let mut truth = vec![];
                if kind.contains("micro") {
                    truth = person.micros(0.012, 0.04);
                }
                if kind.contains("blink") {
                    person.blinks();
                }
                if kind.contains("macro") {
                    person.macros();
                }
                if kind.contains("talk") {
                    person.talk();
                }
                let (said, analysis) = run(person, AnalysisConfig::default());
                all.add(&Score::of(&truth, &said, recipe.seconds));
                counts.merge(&analysis.rejections());
            }
            let counts: Vec<_> = counts.iter().filter(|c| c.1 > 0).collect();
            println!("{name:7} {kind:12} {all} {counts:?}");
        }
    }
}

#[test]
fn posewise() {
    use mercam::movement::MovementConfig;
    for turn in [1.0, 2.6, 5.0] {
        for seed in 20..23 {
            let recipe = Recipe { seed, noise: 0.0, speed: 0.2, roll: 4.0, turn, seconds: 40.0, ..Recipe::default() };
            let person = Person::new(recipe);
            let mut stage = MovementConfig::default().build(mercam::frame::FaceId(7)).unwrap();
            let mut points: Vec<(f64, Vec<[f32; 2]>, f32)> = vec![];
            for s in person.film() {
                let m = stage.push(s.time, 0, &s.face).unwrap();
                let p = (0..68)
                    .map(|i| {
                        let p = m.neutral[i] + m.shift[i];
                        [p.x, p.y]
                    })
                    .collect();
                points.push((s.time.as_secs(), p, m.head.residual));
            }
            let parts: [(&str, std::ops::Range<usize>); 5] =
                [("brow", 17..27), ("nose", 31..36), ("eyes", 37..39), ("mouth", 48..68), ("chin", 6..11)];
            for half in [(100, 2000), (2000, 4000)] {
                let mut line = String::new();
                let mut res = vec![];
                for (name, r) in &parts {
                    let mut v = vec![];
                    for k in half.0..half.1 {
                        let (a, b) = (&points[k], &points[k - 37]);
                        let sq: f32 =
                            r.clone().map(|i| (a.1[i][0] - b.1[i][0]).powi(2) + (a.1[i][1] - b.1[i][1]).powi(2)).sum();
                        v.push((sq / r.len() as f32).sqrt());
                        if *name == "brow" {
                            res.push((a.2 - b.2).abs());
                        }
                    }
                    v.sort_by(f32::total_cmp);
                    line += &format!("{name} {:.4}/{:.4}  ", v[v.len() / 2], v[v.len() * 99 / 100]);
                }
                res.sort_by(f32::total_cmp);
                println!(
                    "turn {turn} seed {seed} starts {} {half:?} {line} residual {:.4}/{:.4}",
                    stage.starts(),
                    res[res.len() / 2],
                    res[res.len() * 99 / 100]
                );
            }
        }
    }
}

#[test]
fn harder() {
    use generator::Course::*;
    let base = Recipe { speed: 0.1, roll: 2.0, turn: 1.3, ..Recipe::default() };
    let cases = [
        ("base", base),
        ("straight", Recipe { course: Straight, ..base }),
        ("slowing", Recipe { course: Slowing, ..base }),
        ("wander .05", Recipe { wander: 0.05, ..base }),
        ("wander .1", Recipe { wander: 0.1, ..base }),
        ("wander .2", Recipe { wander: 0.2, ..base }),
        ("wander .2 iod 50", Recipe { wander: 0.2, iod: 50.0, ..base }),
        ("noise .3", Recipe { noise: 0.3, ..base }),
        ("iod 50", Recipe { iod: 50.0, ..base }),
        ("lost 5%", Recipe { lost: 0.05, ..base }),
        ("lost 20%", Recipe { lost: 0.2, ..base }),
        ("lost 5% 30fps", Recipe { lost: 0.05, fps: 30.0, ..base }),
        ("30fps slowing", Recipe { course: Slowing, fps: 30.0, ..base }),
        ("30fps wander.1", Recipe { wander: 0.1, fps: 30.0, ..base }),
        ("25fps", Recipe { fps: 25.0, ..base }),
    ];
    for (name, recipe) in cases {
        for kind in ["micro", "mixed"] {
            let mut all = Score::default();
            let mut counts = mercam::spotting::Rejections::default();
            for seed in 30..33 {
                let recipe = Recipe { seed, ..recipe };
                let mut person = Person::new(recipe);
                let truth = if kind == "micro" { person.micros(0.012, 0.04) } else { vec![] };
                if kind == "mixed" {
                    person.blinks();
                    person.macros();
                    person.talk();
                }
                let (said, analysis) = run(person, AnalysisConfig::default());
                all.add(&Score::of(&truth, &said, recipe.seconds));
                counts.merge(&analysis.rejections());
            }
            let counts: Vec<_> = counts.iter().filter(|c| c.1 > 0).collect();
            println!("{name:17} {kind:6} {all} {counts:?}");
        }
    }
}
