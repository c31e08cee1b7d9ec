//! Events in words, for people.

use crate::event::{Detection, Event, Rejection, Stage};

/// A rejection in words that complete "withdrawn: ...".
pub(super) const fn reason(r: Rejection) -> &'static str {
    match r {
        Rejection::Blink => "a blink",
        Rejection::Macro => "it lasted longer than a micro-expression",
        Rejection::TooShort => "too short for a face",
        Rejection::Talking => "talking",
        Rejection::HeadMotion => "the head moved",
        Rejection::Lighting => "the light changed",
        Rejection::Occlusion => "part of the face was hidden",
        Rejection::LostTrack => "the face was lost",
        Rejection::RateTooLow => "too few frames per second to decide",
        Rejection::Gap => "frames are missing in it",
        Rejection::Model => "it does not look like a micro-expression",
    }
}

/// Probability of the class that the detection names, 0 when it has none.
pub(super) fn certainty(d: &Detection) -> f32 {
    d.probabilities.iter().find(|(c, _)| *c == d.class).map_or(0.0, |(_, p)| *p)
}

/// One line about an event. Control characters never come through, whatever a name holds.
pub(crate) fn one_line(event: &Event) -> String {
    let text = match event {
        Event::Provisional(d) => detection(Stage::Provisional, d),
        Event::Confirmed(d) => detection(Stage::Confirmed, d),
        Event::Withdrawn(d) => detection(Stage::Withdrawn, d),
        Event::FaceAppeared { face, at, bounds: b, .. } => format!(
            "face {} appeared at {:.3} s, {:.0}x{:.0} px at ({:.0}, {:.0})",
            face.0,
            at.us.as_secs(),
            b.width,
            b.height,
            b.x,
            b.y
        ),
        Event::FaceLeft { face, at } => format!("face {} left at {:.3} s", face.0, at.us.as_secs()),
        Event::Status(s) => {
            let rejected: u64 = s.rejected.iter().map(|r| r.1).fold(0, u64::saturating_add);
            let dropped: u64 = s.dropped.iter().map(|d| d.1).fold(0, u64::saturating_add);
            format!(
                "{} frames at {:.1}/s, {} lost, {} faces; {rejected} movements rejected, {dropped} events dropped",
                s.frames, s.rate, s.lost, s.faces
            )
        }
    };
    printable(&text)
}

/// The text without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn detection(stage: Stage, d: &Detection) -> String {
    let head = format!("face {} #{}", d.face.0, d.id);
    match stage {
        Stage::Provisional => {
            format!("{head} perhaps {} ({:.2}) at {:.3} s", d.class, certainty(d), d.apex.us.as_secs())
        }
        Stage::Withdrawn => {
            format!("{head} withdrawn: {}", d.reason.map_or("no reason given", reason))
        }
        Stage::Confirmed => {
            let lasted = d.offset.map_or_else(String::new, |o| format!(" for {:.0} ms", o.us.ms_since(d.onset.us)));
            format!(
                "{head} {} ({:.2}) at {:.3} s{lasted}, {} moved {:.3} IOD",
                d.class,
                certainty(d),
                d.onset.us.as_secs(),
                d.component.name(),
                d.amplitude
            )
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reason_has_one_name_everywhere() {
        for r in Rejection::ALL {
            assert_eq!(serde_json::to_value(r).unwrap(), r.name());
        }
    }
}
