//! The tables, and the same as JSON.

use super::region::Region;
use super::tally::{Scores, Take};
use serde::Serialize;

/// A table: its title and its rows, the first of them the head.
pub type Table = (String, Vec<Vec<String>>);

/// The face stage beside the network alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Both {
    /// The face stage.
    pub mercam: Scores,
    /// The landmark network alone.
    pub network: Scores,
}

/// One region in one take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// The region.
    pub region: Region,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Both,
}

/// One take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TakeReport {
    /// Its name.
    pub name: String,
    /// Number of films.
    pub films: usize,
    /// Micro-expressions that were read.
    pub events: usize,
    /// Frames.
    pub frames: usize,
    /// Frames in which the face was not followed, or under another id.
    pub lost: usize,
    /// Region by region.
    pub regions: Vec<Row>,
    /// All landmarks that are followed.
    pub all: Both,
}

/// What [`super::measure`] found in a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the set is for.
    pub about: String,
    /// Whether the contour was followed too.
    pub contour: bool,
    /// Take by take.
    pub takes: Vec<TakeReport>,
}

impl Report {
    /// The report of some takes; `contour` says whether the contour was followed.
    pub fn new(about: &str, takes: &[Take], contour: bool) -> Self {
        let both = |[mercam, network]: [Scores; 2]| Both { mercam, network };
        let take = |t: &Take| TakeReport {
            name: t.name.clone(),
            films: t.films,
            events: t.events,
            frames: t.frames,
            lost: t.lost,
            regions: (Region::ALL.into_iter().filter(|r| contour || !r.is_contour()))
                .map(|region| Row { region, scores: both(t.scores(|i| Region::of(i) == region)) })
                .collect(),
            all: both(t.scores(|i| contour || !Region::of(i).is_contour())),
        };
        Self { about: about.into(), contour, takes: takes.iter().map(take).collect() }
    }

    /// The tables: takes beside each other, then one for each take.
    pub fn tables(&self) -> Vec<Table> {
        let first = self.takes.first().and_then(|t| t.all.mercam.error);
        let mut head = vec!["take", "films", "micros", "frames", "lost", "against the first take"];
        head.extend(COLUMNS);
        let mut rows = vec![head.into_iter().map(String::from).collect::<Vec<_>>()];
        for t in &self.takes {
            let worse = t.all.mercam.error.zip(first).map(|(e, f)| format!("{:+.0} %", 100.0 * (e / f - 1.0)));
            let counts = [t.films, t.events, t.frames, t.lost].map(|n| n.to_string());
            let mut row = vec![t.name.clone()];
            row.extend(counts);
            row.push(worse.unwrap_or_else(|| "-".into()));
            row.extend(cells(&t.all));
            rows.push(row);
        }
        let title = "Error of landmark movement in px RMS (mercam; network alone), all regions".to_string();
        let mut tables = vec![(title, rows)];
        for t in &self.takes {
            let mut head = vec!["region", "readings"];
            head.extend(COLUMNS);
            let mut rows = vec![head.into_iter().map(String::from).collect::<Vec<_>>()];
            for r in &t.regions {
                let mut row = vec![r.region.name().to_string(), r.scores.mercam.moving.to_string()];
                row.extend(cells(&r.scores));
                rows.push(row);
            }
            tables.push((t.name.clone(), rows));
        }
        tables
    }
}

/// Columns of [`cells`].
const COLUMNS: [&str; 9] =
    ["error", "network", "times better", "gain", "network", "error of all", "network", "jitter", "network"];

fn cells(both: &Both) -> [String; 9] {
    let (m, n) = (&both.mercam, &both.network);
    let number = |v: Option<f64>, digits: usize| v.map_or("-".into(), |v| format!("{v:.digits$}"));
    [
        number(m.error, 3),
        number(n.error, 3),
        number(m.error.zip(n.error).map(|(m, n)| n / m.max(1e-9)), 1),
        number(m.gain, 2),
        number(n.gain, 2),
        number(m.error_all, 3),
        number(n.error_all, 3),
        number(m.jitter, 3),
        number(n.jitter, 3),
    ]
}
