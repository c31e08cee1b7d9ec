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
