//! Plays a source through the whole line, as the commands build it, and remembers what came out.

use mercam::capture::{Source, SourceSpec, Step, blank_frame};
use mercam::config::Config;
use mercam::dere_grl::Recogniser;
use mercam::event::{Detection, Event, Rejection};
use mercam::face::models::Store;
use mercam::frame::{Content, FaceId, Luma};
use mercam::geometry::Px;
use mercam::pipeline::analyser::Analyser;
use mercam::synth::Script;
use mercam::time::Timestamp;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// One picture, as the face stage saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub time: Timestamp,
    pub ids: Vec<FaceId>,
    /// Faces that have 68 finite landmarks inside the picture.
    pub whole: usize,
}

/// What a source made of the line.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub seen: Vec<Seen>,
    pub events: Vec<Event>,
    /// Movements that the line looked at and did not report, by reason.
    pub rejected: Vec<(Rejection, u64)>,
}

impl Outcome {
    pub fn ids(&self) -> BTreeSet<FaceId> {
        self.seen.iter().flat_map(|s| s.ids.iter().copied()).collect()
    }

    /// Every face that appeared, in seconds.
    pub fn appeared(&self) -> Vec<f64> {
        let at = |e: &Event| if let Event::FaceAppeared { at, .. } = e { Some(at.us.as_secs()) } else { None };
        self.events.iter().filter_map(at).collect()
    }

    /// Every face that left, in seconds.
    pub fn left(&self) -> Vec<f64> {
        let at = |e: &Event| if let Event::FaceLeft { at, .. } = e { Some(at.us.as_secs()) } else { None };
        self.events.iter().filter_map(at).collect()
    }

    pub fn confirmed(&self) -> Vec<&Detection> {
        self.events.iter().filter_map(|e| if let Event::Confirmed(d) = e { Some(d) } else { None }).collect()
    }

    pub fn seconds(&self) -> f64 {
        self.seen.last().map_or(0.0, |s| s.time.as_secs())
    }
}

/// The line behind the source, as `mercam run` builds it.
pub fn analyser(config: &Config) -> Analyser {
    let face = config.face.build(&Store::default(), false).unwrap();
    let recogniser = Recogniser::load(&config.dere_grl).unwrap();
    Analyser::new(Some(face), config.analysis.build().unwrap(), recogniser, config.dere_grl.reject_none_above, false)
}

/// Plays a source to its end.
pub fn play(source: &mut dyn Source, config: &Config) -> Outcome {
    let mut line = analyser(config);
    let (mut frame, mut outcome) = (blank_frame(), Outcome::default());
    while source.next(&mut frame, Duration::from_secs(5)).unwrap() == Step::Frame {
        line.process(&frame, &mut outcome.events).unwrap();
        let Content::Picture(picture) = &frame.content else { panic!("no picture") };
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        let inside = |p: &Px| p.is_finite() && (0.0..w).contains(&p.x) && (0.0..h).contains(&p.y);
        outcome.seen.push(Seen {
            time: frame.time,
            ids: line.faces().iter().map(|f| f.id).collect(),
            whole: line.faces().iter().filter(|f| f.landmarks.iter().all(inside)).count(),
        });
    }
    line.finish(&mut outcome.events).unwrap();
    outcome.rejected = line.status().rejected;
    outcome
}

/// Plays a y4m file.
pub fn play_file(path: &Path, config: &Config) -> Outcome {
    let spec: SourceSpec = format!("y4m:{}", path.display()).parse().unwrap();
    play(spec.build().unwrap().as_mut(), config)
}

/// Writes a photo as a film in which it drifts by parts of a pixel, under camera noise of `sigma` grey levels.
pub fn film(still: &Luma, frames: usize, fps: u32, sigma: f32, path: &Path) {
    let (w, h) = (still.width() as usize, still.height() as usize);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "YUV4MPEG2 W{w} H{h} F{fps}:1 Ip A1:1 Cmono").unwrap();
    let mut random = 0x9E37_79B9u32;
    let mut normal = || {
        // The sum of four uniform numbers is bell-shaped enough for a camera.
        let mut uniform = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        };
        (uniform() + uniform() + uniform() + uniform()) * 3f32.sqrt()
    };
    let pixels = still.pixels();
    for k in 0..frames {
        let t = k as f32 / fps as f32;
        let (u, v) = (0.5 + 0.4 * (2.0 * t).sin(), 0.5 + 0.4 * (1.3 * t).cos());
        writeln!(file, "FRAME").unwrap();
        let mut row = Vec::with_capacity(w);
        for y in 0..h {
            row.clear();
            let (top, low) = (&pixels[y * w..(y + 1) * w], &pixels[(y + 1).min(h - 1) * w..][..w]);
            for x in 0..w {
                let right = (x + 1).min(w - 1);
                let at = |line: &[u8]| f32::from(line[x]) * (1.0 - u) + f32::from(line[right]) * u;
                let value = at(top) * (1.0 - v) + at(low) * v + sigma * normal();
                row.push(value.round().clamp(0.0, 255.0) as u8);
            }
            file.write_all(&row).unwrap();
        }
    }
    file.flush().unwrap();
}

/// How detections compare with the script.
#[derive(Debug, Default, Clone, Copy)]
pub struct Score {
    /// Micro-expressions whose peak reaches the limit.
    pub strong: usize,
    pub strong_found: usize,
    /// Of those found, the ones with the right class.
    pub strong_right: usize,
    /// All micro-expressions.
    pub all: usize,
    pub all_found: usize,
    /// Confirmed detections that overlap no micro-expression.
    pub false_alarms: usize,
}

impl Score {
    pub fn add(&mut self, o: &Self) {
        self.strong += o.strong;
        self.strong_found += o.strong_found;
        self.strong_right += o.strong_right;
        self.all += o.all;
        self.all_found += o.all_found;
        self.false_alarms += o.false_alarms;
    }
}

/// Holds the confirmed detections against the truth; each detection belongs to one event at most.
pub fn score(outcome: &Outcome, script: &Script, end: Timestamp, limit: f32) -> Score {
    let truth: Vec<_> = script.truth().iter().filter(|e| e.class().is_some() && e.offset <= end).collect();
    let mut found: Vec<Option<bool>> = vec![None; truth.len()];
    let mut score = Score { all: truth.len(), ..Score::default() };
    for d in outcome.confirmed() {
        let offset = d.offset.expect("a confirmed detection has an offset").us;
        let overlap = |i: usize| truth[i].overlap_ms(d.onset.us, offset);
        let best = (0..truth.len()).max_by(|&a, &b| overlap(a).total_cmp(&overlap(b))).filter(|&i| overlap(i) > 0.0);
        match best {
            Some(i) if found[i].is_none() => found[i] = Some(truth[i].class().is_some_and(|c| c.name() == d.class)),
            Some(_) => {}
            None => score.false_alarms += 1,
        }
    }
    for (event, found) in truth.iter().zip(&found) {
        score.all_found += usize::from(found.is_some());
        if event.peak >= limit {
            score.strong += 1;
            score.strong_found += usize::from(found.is_some());
            score.strong_right += usize::from(*found == Some(true));
        }
    }
    score
}
