//! A report as tables for a terminal.

use super::report::{Alarms, Errors, Report, Spotting};

/// One table: a title and its rows, the first of which names the columns.
pub type Table = (String, Vec<Vec<String>>);

fn share(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.3}"))
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}

fn spotting(name: &str, s: &Spotting) -> Vec<String> {
    let interval = s.recall_interval.map_or("-".into(), |[a, b]| format!("{a:.2}-{b:.2}"));
    vec![
        name.into(),
        s.truth.to_string(),
        s.found.to_string(),
        s.right.to_string(),
        share(s.precision),
        share(s.recall),
        interval,
        format!("{:.3}", s.f1),
    ]
}

fn errors(name: &str, e: Option<&Errors>) -> Vec<String> {
    let Some(e) = e else { return cells([name, "0", "-", "-", "-", "-"]) };
    vec![
        name.into(),
        e.n.to_string(),
        format!("{:+.0}", e.median),
        format!("{:+.0} to {:+.0}", e.q1, e.q3),
        format!("{:.0}", e.median_abs),
        format!("{:.0}", e.p95_abs),
    ]
}

fn alarms(name: &str, a: &Alarms) -> Vec<String> {
    let beside: Vec<String> = a.beside.iter().map(|(what, n)| format!("{what} {n}")).collect();
    vec![
        name.into(),
        a.clips.to_string(),
        format!("{:.1}", a.minutes),
        a.count.to_string(),
        a.per_minute.map_or("-".into(), |v| format!("{v:.2}")),
        if beside.is_empty() { "-".into() } else { beside.join(", ") },
    ]
}

/// Most clips that are listed one by one.
const LISTED: usize = 60;

impl Report {
    /// The report as tables.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![
            (
                format!("Spotting, pooled, right at an intersection over union of {} or more", self.iou),
                vec![
                    cells(["", "events", "found", "right", "precision", "recall", "95 %", "F1"]),
                    spotting("micro", &self.micro),
                    spotting("macro", &self.long),
                    spotting("both", &self.overall),
                ],
            ),
            (
                "False alarms of micro-expressions".into(),
                vec![
                    cells(["", "clips", "minutes", "alarms", "per minute", "at the time of"]),
                    alarms("all clips", &self.alarms),
                    alarms("clips without a micro-expression", &self.alarms_without_micro),
                ],
            ),
            (
                "Errors in time of right detections, in ms (detection minus truth)".into(),
                vec![
                    cells(["", "n", "median", "quartiles", "|median|", "|95 %|"]),
                    errors("onset", self.timing.onset.as_ref()),
                    errors("apex", self.timing.apex.as_ref()),
                    errors("offset", self.timing.offset.as_ref()),
                    errors("confirmed after the true offset", self.timing.latency.as_ref()),
                ],
            ),
        ];
        if let Some(s) = self.from_1px {
            let recall = share(s.recall);
            let interval = s.interval.map_or("-".into(), |[a, b]| format!("{a:.2}-{b:.2}"));
            let rows = vec![
                cells(["", "events", "found", "recall", "95 %"]),
                vec!["1 px and more".into(), s.truth.to_string(), s.right.to_string(), recall, interval],
            ];
            tables.insert(1, ("Micro-expressions by the largest movement of a landmark".into(), rows));
        }
        let r = &self.recognition;
        let mut rows = vec![cells(["class", "truth", "taken for it", "right"])];
        for c in &r.classes {
            rows.push(vec![c.class.into(), c.truth.to_string(), c.taken.to_string(), c.right.to_string()]);
        }
        let title = format!(
            "Recognition on right detections: {} of {}; UF1 {:.3}, UAR {:.3}; STRS {:.3}",
            r.right, r.n, r.uf1, r.uar, self.strs
        );
        tables.push((title, rows));
        if !self.rejected.is_empty() {
            let mut rows = vec![cells(["reason", "movements"])];
            rows.extend(self.rejected.iter().map(|(reason, n)| vec![reason.clone(), n.to_string()]));
            tables.push(("Looked at and not reported".into(), rows));
        }
        if self.clips.len() > 1 {
            let mut rows = vec![cells(["clip", "seconds", "fps", "micros", "right", "alarms"])];
            rows.extend(self.clips.iter().take(LISTED).map(|c| {
                let fps = c.fps.map_or("-".into(), |f| format!("{f:.0}"));
                let numbers = [c.micros, c.right, c.alarms].map(|n| n.to_string());
                [c.name.clone(), format!("{:.1}", c.seconds), fps].into_iter().chain(numbers).collect()
            }));
            let more = self.clips.len().saturating_sub(LISTED);
            let title = if more > 0 { format!("Clips ({more} more are in the JSON)") } else { "Clips".into() };
            tables.push((title, rows));
        }
        tables
    }
}
