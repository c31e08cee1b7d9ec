//! Traces, truth and detections on one time axis: a page of HTML with drawings in it, complete in one file.

use super::report::{Report, judge};
use super::{Clip, Found, Truth, TruthKind};
use crate::landmarks::Component;
use std::fmt::Write;

/// Width of a second.
const PX_PER_S: f64 = 60.0;
/// Room at the left for names.
const LEFT: f64 = 90.0;
/// Height of a lane of bars, and of a trace.
const LANE: f64 = 22.0;
const TRACE: f64 = 46.0;
/// Movement that fills a trace, in IOD: three times a usual micro-expression.
const FULL: f32 = 0.06;

const STYLE: &str = "\
body{font:14px sans-serif;margin:24px;max-width:1500px;color:#222}h2{font-size:15px;margin:28px 0 4px}\
.scroll{overflow-x:auto;border:1px solid #ccc}table{border-collapse:collapse;margin:6px 0 14px}\
td,th{padding:1px 10px;text-align:right;border-bottom:1px solid #eee}td:first-child,th:first-child{text-align:left}\
caption{text-align:left;font-weight:bold;padding:4px 0}svg text{font:11px sans-serif}.key span{margin-right:16px}\
.key i{display:inline-block;width:12px;height:12px;margin-right:5px;vertical-align:-1px}";

const KEY: [(&str, &str); 8] = [
    ("#1a7f37", "micro-expression, found / right detection"),
    ("#d1242f", "false alarm"),
    ("#bc6c00", "micro-expression, missed"),
    ("#8250df", "macro-expression"),
    ("#57606a", "blink"),
    ("#0969da", "talking"),
    ("#6e4b1f", "occlusion"),
    ("#c9a800", "light"),
];

const fn colour(kind: TruthKind) -> &'static str {
    match kind {
        TruthKind::Micro => "#bc6c00",
        TruthKind::Macro => "#8250df",
        TruthKind::Blink => "#57606a",
        TruthKind::Talking => "#0969da",
        TruthKind::Occlusion => "#6e4b1f",
        TruthKind::Light => "#c9a800",
    }
}

/// Text that stands in HTML as itself.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn x(seconds: f64) -> f64 {
    LEFT + seconds * PX_PER_S
}

/// The page for a set of clips and its report.
pub fn html(clips: &[Clip], report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>mercam evaluate</title><style>{STYLE}</style>\
         <h1>Truth, detections and movement</h1><p class=\"key\">"
    );
    for (colour, name) in KEY {
        let _ = write!(page, "<span><i style=\"background:{colour}\"></i>{name}</span>");
    }
    page.push_str("</p><p>Point at a bar for its figures. Traces: movement of each component from the neutral face, ");
    let _ = write!(page, "full height {FULL} inter-ocular distances.</p>");
    for (title, rows) in report.tables() {
        let _ = write!(page, "<table><caption>{}</caption>", escape(&title));
        for (k, row) in rows.iter().enumerate() {
            let tag = if k == 0 { "th" } else { "td" };
            page.push_str("<tr>");
            for cell in row {
                let _ = write!(page, "<{tag}>{}</{tag}>", escape(cell));
            }
            page.push_str("</tr>");
        }
        page.push_str("</table>");
    }
    for clip in clips {
        section(&mut page, clip, report.iou);
    }
    page.push_str("</html>\n");
    page
}

/// One bar with its figures.
fn bar(page: &mut String, span: super::Span, y: f64, colour: &str, title: &str) {
    let (a, b) = (x(span.onset().as_secs()), x(span.offset().as_secs()));
    let _ = write!(
        page,
        "<rect x=\"{a:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"><title>{}</title></rect>",
        (b - a).max(2.0),
        LANE - 6.0,
        escape(title)
    );
}

fn truth_title(t: &Truth, found: bool) -> String {
    let mut title = format!("{}: {:.3} to {:.3} s", t.kind.name(), t.span.onset().as_secs(), t.span.offset().as_secs());
    if let Some(apex) = t.apex {
        let _ = write!(title, ", apex {:.3} s", apex.as_secs());
    }
    if let Some(class) = &t.class {
        let _ = write!(title, ", {class}");
    }
    if let Some(px) = t.peak_px.filter(|px| *px > 0.0) {
        let _ = write!(title, ", {px:.2} px");
    }
    if t.kind == TruthKind::Micro {
        title.push_str(if found { ", found" } else { ", missed" });
    }
    title
}

fn found_title(f: &Found, right: bool) -> String {
    let part = f.component.map_or(String::new(), |c| format!(", {}", c.name()));
    format!(
        "{}: {:.3} to {:.3} s, {}{part}, score {:.1}",
        if right { "right" } else { "false alarm" },
        f.span.onset().as_secs(),
        f.span.offset().as_secs(),
        f.class,
        f.score
    )
}

fn section(page: &mut String, clip: &Clip, iou: f64) {
    let judged = judge(clip, iou);
    let seconds = clip.seconds.max(clip.last_seconds());
    let (width, top) = (x(seconds) + 20.0, 18.0);
    let traces = clip.traces.as_ref().filter(|t| !t.seconds.is_empty());
    let height = top + 2.0 * LANE + traces.map_or(0.0, |_| 6.0 * TRACE) + 8.0;
    let _ = write!(
        page,
        "<h2>{}</h2><div class=\"scroll\"><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" \
         height=\"{height:.0}\">",
        escape(&clip.name)
    );
    for s in 0..=seconds.ceil().clamp(0.0, 1e5) as u32 {
        let at = x(s.into());
        let _ =
            write!(page, "<path d=\"M{at} {top}V{height:.0}\" stroke=\"#eee\"/><text x=\"{at}\" y=\"12\">{s} s</text>");
    }
    let found_of = |t: &Truth| judged.micros.iter().any(|(m, f)| std::ptr::eq(*m, t) && f.is_some());
    for t in &clip.truth {
        let found = found_of(t);
        let fill = if found { "#1a7f37" } else { colour(t.kind) };
        if traces.is_some() {
            let (a, b) = (x(t.span.onset().as_secs()), x(t.span.offset().as_secs()));
            let (y, h) = (top + 2.0 * LANE, 6.0 * TRACE);
            let _ = write!(
                page,
                "<rect x=\"{a:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{h}\" fill=\"{fill}\" opacity=\"0.12\"/>",
                b - a
            );
        }
        bar(page, t.span, top, fill, &truth_title(t, found));
    }
    for f in &clip.found {
        let right = !judged.alarms.iter().any(|a| std::ptr::eq(*a, f));
        bar(page, f.span, top + LANE, if right { "#1a7f37" } else { "#d1242f" }, &found_title(f, right));
    }
    let _ = write!(page, "<text x=\"4\" y=\"{}\">truth</text>", top + 12.0);
    let _ = write!(page, "<text x=\"4\" y=\"{}\">detections</text>", top + LANE + 12.0);
    if let Some(traces) = traces {
        for (k, (component, trace)) in Component::ALL.into_iter().zip(&traces.movement).enumerate() {
            let base = top + 2.0 * LANE + (k as f64 + 1.0) * TRACE;
            let name = component.name().replace('_', " ");
            let _ = write!(page, "<text x=\"4\" y=\"{}\">{name}</text><path d=\"", base - 6.0);
            line(page, &traces.seconds, trace, base);
            page.push_str("\" fill=\"none\" stroke=\"#222\" stroke-width=\"0.8\"/>");
        }
    }
    page.push_str("</svg></div>");
}

/// The path of a trace: of all samples within a pixel the smallest and the largest, so that no peak is lost.
fn line(page: &mut String, seconds: &[f64], trace: &[f32], base: f64) {
    let y = |v: f32| base - 2.0 - f64::from((v / FULL).clamp(0.0, 1.0)) * (TRACE - 6.0);
    let mut pen = 'M';
    let mut rest = seconds.iter().zip(trace).peekable();
    while let Some((&s, &v)) = rest.next() {
        let column = (s * PX_PER_S).floor();
        let (mut low, mut high, mut last) = (v, v, s);
        while let Some((&s, &v)) = rest.next_if(|(s, _)| (**s * PX_PER_S).floor() == column) {
            (low, high, last) = (low.min(v), high.max(v), s);
        }
        let _ = write!(page, "{pen}{:.1} {:.1}", x(last), y(low));
        pen = 'L';
        if high > low {
            let _ = write!(page, "V{:.1}", y(high));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::evaluate::play::Traces;
    use crate::evaluate::{Expression, Span};
    use crate::time::Timestamp;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_outside() {
        let span = |a: f64, b: f64| Span::new(Timestamp::from_secs(a), Timestamp::from_secs(b)).unwrap();
        let found = |a: f64, b: f64| Found {
            expression: Expression::Micro,
            span: span(a, b),
            apex: None,
            class: "positive".into(),
            score: 4.0,
            component: Some(Component::Mouth),
            told: None,
        };
        let seconds: Vec<f64> = (0..1000).map(|k| f64::from(k) / 200.0).collect();
        let peak: Vec<f32> = (0..1000).map(|k| if k == 500 { 0.06 } else { 0.0 }).collect();
        let clip = Clip {
            name: "<a & b>".into(),
            seconds: 5.0,
            truth: vec![Truth {
                kind: TruthKind::Micro,
                span: span(1.0, 1.4),
                apex: None,
                class: None,
                peak_px: Some(1.5),
            }],
            found: vec![found(1.05, 1.4), found(3.0, 3.3)],
            traces: Some(Traces { seconds, movement: std::array::from_fn(|_| peak.clone()) }),
            ..Clip::default()
        };
        let page = html(std::slice::from_ref(&clip), &Report::new(std::slice::from_ref(&clip), 0.5));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(page.contains("&lt;a &amp; b&gt;") && !page.contains("<a & b>"));
        assert!(!page.contains("src=") && !page.contains("href="));
        assert_eq!(page.matches("http").count(), 1, "only the name of the SVG format");
        assert!(
            page.contains("1.50 px, found") && page.contains("right: 1.050") && page.contains("false alarm: 3.000")
        );
        // One sample in a thousand is high: it is drawn.
        assert!(page.contains(&format!("V{:.1}", 18.0 + 2.0 * LANE + TRACE - 2.0 - (TRACE - 6.0))));
    }
}
