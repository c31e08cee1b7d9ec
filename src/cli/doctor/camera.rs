//! The cameras: which there are, whether the wanted one opens, and how many frames really come.

use super::Finding;
use crate::capture::{Source, SourceSpec, Step, V4l2Spec, blank_frame, list_devices};
use crate::cli::plan;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::frame::Content;
use crate::time::Timestamp;
use std::time::Duration;

/// Share of the promised rate that has to come.
const ENOUGH: f64 = 0.9;
/// Mean brightness (0 to 255) below which the picture is dark.
const DARK: f64 = 30.0;
/// What to do when a camera delivers less than it promised.
const LIGHT: &str = "more light, or forbid the camera to lengthen its exposure: add ?exposure=keep_rate to the source, or a \
                     time, as in exposure=10ms";

/// Looks at the source of a configuration, and measures a camera for so long.
pub fn look(config: &Config, measure: Duration) -> Vec<Finding> {
    let mut findings = vec![cameras(matches!(config.source, SourceSpec::V4l2(_)))];
    match &config.source {
        SourceSpec::V4l2(_) if measure.is_zero() => {
            findings.push(Finding::unknown("camera", "left alone, as asked"));
        }
        SourceSpec::V4l2(spec) => match plan::light(&config.indicator) {
            Ok(light) => {
                findings.push(match &light {
                    Some(_) => Finding::good("indicator", format!("{} is on", config.indicator.light)),
                    None => Finding::unknown("indicator", "no light tells that the camera is in use"),
                });
                findings.extend(measured(spec, measure, f64::from(config.analysis.spotting.min_rate)));
            }
            Err(e) => findings.push(Finding::bad("indicator", e.to_string(), "see docs/guide/kiosk.md")),
        },
        other => findings.push(Finding::unknown("camera", format!("the source is no V4L2 camera: {other}"))),
    }
    findings
}

fn cameras(wanted: bool) -> Finding {
    let list: Vec<String> = list_devices()
        .into_iter()
        .map(|d| match &d.choice {
            Ok(choice) => format!("{} ({}; {})", d.path.display(), d.card, choice.mode),
            Err(why) => format!("{} ({}; not usable: {why})", d.path.display(), d.card),
        })
        .collect();
    match list.is_empty() {
        false => Finding::good("cameras", list.join("; ")),
        true if wanted => Finding::bad(
            "cameras",
            "none under /dev",
            "plug one in; a Raspberry Pi's CSI camera comes through rpicam-vid and raw:- (mercam run --help)",
        ),
        true => Finding::unknown("cameras", "none under /dev"),
    }
}

/// What came while it was measured.
#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    frames: u64,
    lost: u64,
    brightness: f64,
}

impl Measured {
    /// Delivered frames per second of the camera's own time: intervals, not frames.
    fn rate(&self) -> Option<f64> {
        let span = self.last?.ms_since(self.first?);
        (self.frames > 1 && span > 0.0).then(|| (self.frames - 1) as f64 * 1000.0 / span)
    }
}

fn measured(spec: &V4l2Spec, time: Duration, min_rate: f64) -> Vec<Finding> {
    let mut source = match spec.build() {
        Ok(source) => source,
        Err(e) => return vec![Finding::bad("camera", e.to_string(), "see above; then run mercam doctor again")],
    };
    let promised = source.mode().rate.map(|r| r.hertz());
    let mode = source.mode().to_string();
    let mut seen = Measured::default();
    let mut frame = blank_frame();
    let clock = Stopwatch::start();
    while clock.elapsed() < time {
        match source.next(&mut frame, Duration::from_millis(200)) {
            Ok(Step::Frame) => {}
            Ok(Step::Timeout) => continue,
            Ok(Step::End) => break,
            Err(e) => return vec![Finding::bad("camera", e.to_string(), "unplug it and plug it in again")],
        }
        seen.first.get_or_insert(frame.time);
        seen.last = Some(frame.time);
        seen.frames += 1;
        seen.lost += u64::from(frame.lost_before);
        if let Content::Picture(luma) = &frame.content {
            let sum: u64 = luma.pixels().iter().map(|p| u64::from(*p)).sum();
            seen.brightness = sum as f64 / luma.pixels().len().max(1) as f64;
        }
    }
    judge(&mode, promised, &seen, min_rate)
}

fn judge(mode: &str, promised: Option<f64>, seen: &Measured, min_rate: f64) -> Vec<Finding> {
    let Some(rate) = seen.rate() else {
        let mend = "unplug it and plug it in again; another USB socket or cable; dmesg tells what the driver thinks";
        return vec![Finding::bad("camera", format!("{mode}, but {} frames came", seen.frames), mend)];
    };
    let found = format!("{mode}; measured {rate:.1} frames/s, {} of {} lost", seen.lost, seen.frames + seen.lost);
    let camera = if rate < min_rate {
        Finding::bad("camera", format!("{found}; below {min_rate} frames/s nothing is spotted"), LIGHT)
    } else if promised.is_some_and(|p| rate < p * ENOUGH) {
        Finding::doubtful("camera", found, LIGHT)
    } else {
        Finding::good("camera", found)
    };
    let light = match seen.brightness {
        b if b < DARK => {
            Finding::doubtful("light", format!("mean brightness {b:.0} of 255"), "more light; is the lens covered?")
        }
        b => Finding::good("light", format!("mean brightness {b:.0} of 255")),
    };
    vec![camera, light]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Verdict;
    use super::*;

    fn seen(fps: f64, brightness: f64) -> Measured {
        let frames = 91;
        let last = Some(Timestamp::from_secs(5.0 + 90.0 / fps));
        Measured { first: Some(Timestamp::from_secs(5.0)), last, frames, lost: 2, brightness }
    }

    fn verdict(promised: Option<f64>, seen: &Measured) -> Vec<Verdict> {
        judge("YUYV 640x480", promised, seen, 20.0).into_iter().map(|f| f.verdict).collect()
    }

    #[test]
    fn the_measured_rate_decides_and_not_the_promised_one() {
        use Verdict::{Bad, Doubtful, Good};
        assert_eq!(verdict(Some(30.0), &seen(29.9, 120.0)), [Good, Good]);
        assert_eq!(verdict(Some(60.0), &seen(30.0, 120.0)), [Doubtful, Good]);
        assert_eq!(verdict(Some(15.0), &seen(15.0, 12.0)), [Bad, Doubtful]);
        assert_eq!(verdict(None, &seen(25.0, 120.0)), [Good, Good]);
        assert_eq!(verdict(Some(30.0), &Measured::default()), [Bad]);
        assert!(judge("m", None, &seen(30.0, 99.0), 20.0)[0].found.contains("measured 30.0 frames/s, 2 of 93 lost"));
    }
}
