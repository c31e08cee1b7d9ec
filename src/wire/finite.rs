//! Every number on the wire is finite: checked before it leaves and after it arrives.

use super::EncodeError;
use crate::event::{Detection, Event};
use crate::geometry::Rect;

/// Whether an event may be put on the wire, for sinks with a form of their own.
///
/// # Errors
/// When a number is not finite.
pub fn check(event: &Event) -> Result<(), EncodeError> {
    first_not_finite(event).map_or(Ok(()), |name| Err(EncodeError::NotFinite(name)))
}

/// The name of the first number that is NaN or infinite.
pub(super) fn first_not_finite(event: &Event) -> Option<&'static str> {
    match event {
        Event::Provisional(d) | Event::Confirmed(d) | Event::Withdrawn(d) => detection(d),
        Event::FaceAppeared { bounds, relative, .. } => {
            let broken = |b: &Rect| ![b.x, b.y, b.width, b.height].iter().all(|v| v.is_finite());
            if broken(bounds) { Some("bounds") } else { relative.as_ref().is_some_and(broken).then_some("relative") }
        }
        Event::FaceLeft { .. } => None,
        Event::Status(s) if !s.rate.is_finite() => Some("rate"),
        Event::Status(s) => s.temperature_c.is_some_and(|t| !t.is_finite()).then_some("temperature_c"),
    }
}

fn detection(d: &Detection) -> Option<&'static str> {
    let single =
        [(d.amplitude, "amplitude"), (d.score, "score"), (d.rate, "rate"), (d.quality, "quality"), (d.iod, "iod")];
    let all = (d.probabilities.iter().map(|p| (p.1, "probabilities")))
        .chain(d.actions.iter().map(|a| (a.1, "actions")))
        .chain(d.relations.iter().map(|r| (r.weight, "relations")))
        .chain(single);
    all.into_iter().find(|(v, _)| !v.is_finite()).map(|(_, name)| name)
}
