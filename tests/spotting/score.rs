//! Runs the analysis over a clip and compares what it says with the truth.

use crate::generator::{Act, Person};
use mercam::event::Stage;
use mercam::spotting::{Analysis, AnalysisConfig, Spotted};
use mercam::time::Timestamp;
use std::fmt;

/// What was said, with the time of the frame at which it was said.
pub type Said = Vec<(Timestamp, Spotted)>;

/// What was confirmed.
pub fn confirmed(said: &Said) -> impl Iterator<Item = &Spotted> {
    said.iter().map(|(_, s)| s).filter(|s| s.stage == Stage::Confirmed)
}

/// Films a person and analyses the film.
pub fn run(person: Person, config: AnalysisConfig) -> (Said, Analysis) {
    let mut analysis = config.build().unwrap();
    let (mut said, mut out) = (Vec::new(), Vec::new());
    for step in person.film() {
        analysis.push(step.time, step.lost_before, std::slice::from_ref(&step.face), &mut out);
        said.extend(out.drain(..).map(|s| (step.time, s)));
    }
    analysis.finish(&mut out);
    let end = said.last().map_or(Timestamp::default(), |s: &(Timestamp, Spotted)| s.0);
    said.extend(out.drain(..).map(|s| (end, s)));
    (said, analysis)
}

/// Confirmed movements against true ones, a hit being an overlap over union of at least 0.5.
#[derive(Default)]
pub struct Score {
    pub truth: usize,
    pub hits: usize,
    pub false_alarms: usize,
    pub minutes: f32,
    pub onset: Vec<f32>,
    pub apex: Vec<f32>,
    pub offset: Vec<f32>,
    /// From the true offset to the confirmation.
    pub latency: Vec<f32>,
    /// From the true apex to the provisional event.
    pub provisional: Vec<f32>,
}

impl Score {
    /// Head of the table whose rows are the scores.
    pub const HEAD: &str = "                                  recall  precision  false/min  onset ms  apex ms  offset ms  \
                            latency ms (median, max)  provisional ms (median, max)";

    pub fn of(truth: &[Act], said: &Said, seconds: f32) -> Self {
        let mut score = Self { truth: truth.len(), minutes: seconds / 60.0, ..Self::default() };
        let mut taken = vec![false; truth.len()];
        for (at, s) in said.iter().filter(|(_, s)| s.stage == Stage::Confirmed) {
            let i = s.interval;
            let (a, b) = (i.onset().as_secs() as f32, i.offset().unwrap().as_secs() as f32);
            let hit = truth.iter().position(|t| {
                let both = (b.min(t.offset) - a.max(t.onset)).max(0.0);
                both / (b.max(t.offset) - a.min(t.onset)) >= 0.5
            });
            match hit.filter(|&h| !taken[h]) {
                None => {
                    score.false_alarms += 1;
                }
                Some(h) => {
                    taken[h] = true;
                    let t = &truth[h];
                    score.hits += 1;
                    score.onset.push((a - t.onset) * 1e3);
                    score.apex.push((i.apex().as_secs() as f32 - t.apex) * 1e3);
                    score.offset.push((b - t.offset) * 1e3);
                    score.latency.push((at.as_secs() as f32 - t.offset) * 1e3);
                    let first = said.iter().find(|(_, p)| p.key == s.key && p.stage == Stage::Provisional);
                    score.provisional.push((first.unwrap().0.as_secs() as f32 - t.apex) * 1e3);
                }
            }
        }
        score
    }

    pub fn add(&mut self, o: &Self) {
        self.truth += o.truth;
        self.hits += o.hits;
        self.false_alarms += o.false_alarms;
        self.minutes += o.minutes;
        self.onset.extend(&o.onset);
        self.apex.extend(&o.apex);
        self.offset.extend(&o.offset);
        self.latency.extend(&o.latency);
        self.provisional.extend(&o.provisional);
    }

    pub fn recall(&self) -> f32 {
        self.hits as f32 / self.truth.max(1) as f32
    }

    pub fn per_minute(&self) -> f32 {
        self.false_alarms as f32 / self.minutes
    }
}

/// The middle value of the absolute values.
pub fn median_size(values: &[f32]) -> f32 {
    let mut sorted: Vec<f32> = values.iter().map(|v| v.abs()).collect();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f32::NAN)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = self.hits as f32 / (self.hits + self.false_alarms).max(1) as f32;
        let top = |v: &[f32]| v.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut latency = self.latency.clone();
        latency.sort_by(f32::total_cmp);
        let middle = latency.get(latency.len() / 2).copied().unwrap_or(f32::NAN);
        let provisional = median_size(&self.provisional);
        write!(
            f,
            "{:6.3}  {precision:9.3}  {:9.2}  {:8.1}  {:7.1}  {:9.1}  {middle:14.0} {:9.0}  {provisional:18.0} {:9.0}",
            self.recall(),
            self.per_minute(),
            median_size(&self.onset),
            median_size(&self.apex),
            median_size(&self.offset),
            top(&self.latency),
            top(&self.provisional),
        )
    }
}
