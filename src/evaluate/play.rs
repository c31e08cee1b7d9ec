//! Runs the line on a source and keeps what an evaluation needs: confirmed detections, rejections and traces.

use super::Found;
use crate::capture::{CaptureError, Source, Step, blank_frame};
use crate::event::{Event, Rejection};
use crate::frame::{Face, FaceId};
use crate::landmarks::Component;
use crate::movement::{MovementConfig, MovementStage, SettingError};
use crate::pipeline::analyser::{Analyser, AnalysisError};
use crate::time::Timestamp;
use std::time::Duration;

/// Movement of each component over time: RMS over its landmarks of the distance from the neutral face, in IOD.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    /// Times in seconds.
    pub seconds: Vec<f64>,
    /// One trace for each component, in the order of [`Component::ALL`].
    pub movement: [Vec<f32>; 6],
}

/// What the line made of a source.
#[derive(Debug, Clone, Default)]
pub struct Played {
    /// Confirmed detections.
    pub found: Vec<Found>,
    /// Movements looked at and not reported, by reason.
    pub rejected: Vec<(Rejection, u64)>,
    /// Frames delivered.
    pub frames: u64,
    /// Frames lost.
    pub lost: u64,
    /// Frames in which a face was followed.
    pub with_face: u64,
    /// Time from the first to the last frame, in seconds.
    pub seconds: f64,
    /// The traces, where they were asked for.
    pub traces: Option<Traces>,
}

/// Why playing failed.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The source.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A station.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The configuration of the movement stage that makes the traces.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The source stopped to deliver.
    #[error("no frame came for {0} s")]
    Silent(u64),
    /// The stop was asked for.
    #[error("stopped")]
    Stopped,
}

/// What is asked of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Ends the run after this much source time.
    pub limit: Option<Duration>,
    /// Keep traces, made with this movement stage.
    pub traces: Option<MovementConfig>,
}

/// How long a source may be silent.
const PATIENCE_S: u64 = 30;

/// Makes the traces of the face that is there longest.
struct Tracer {
    config: MovementConfig,
    stage: Option<(FaceId, MovementStage)>,
    traces: Traces,
}

impl Tracer {
    fn add(&mut self, time: Timestamp, lost: u32, faces: &[Face]) -> Result<(), SettingError> {
        // The oldest track; another one only when that is gone.
        let id = self.stage.as_ref().map(|s| s.0);
        let Some(face) = faces.iter().find(|f| Some(f.id) == id).or(faces.first()) else { return Ok(()) };
        if id != Some(face.id) {
            self.stage = Some((face.id, self.config.build(face.id)?));
        }
        let Some(movement) = self.stage.as_mut().and_then(|(_, s)| s.push(time, lost, face)) else { return Ok(()) };
        self.traces.seconds.push(time.as_secs());
        for (trace, component) in self.traces.movement.iter_mut().zip(Component::ALL) {
            let shifts = movement.shift.get(component.landmarks()).unwrap_or(&[]);
            let square: f32 = shifts.iter().map(|s| s.x * s.x + s.y * s.y).sum();
            trace.push((square / shifts.len().max(1) as f32).sqrt());
        }
        Ok(())
    }
}

/// Plays `source` through `analyser` to its end. `tick` is called after each frame with its time; `false` stops.
///
/// # Errors
/// When the source or a station fails, the source falls silent, or `tick` says stop.
pub fn play(
    source: &mut dyn Source,
    analyser: &mut Analyser,
    wish: Wish,
    tick: &mut dyn FnMut(Timestamp) -> bool,
) -> Result<Played, PlayError> {
    let (mut frame, mut events, mut played) = (blank_frame(), Vec::new(), Played::default());
    let mut tracer = wish.traces.map(|config| Tracer { config, stage: None, traces: Traces::default() });
    let (mut first, mut last, mut silent) = (None, Timestamp::default(), 0);
    loop {
        match source.next(&mut frame, Duration::from_secs(1))? {
            Step::Frame => silent = 0,
            Step::Timeout if silent >= PATIENCE_S => return Err(PlayError::Silent(silent)),
            Step::Timeout => {
                silent += 1;
                continue;
            }
            Step::End => break,
        }
        let start = *first.get_or_insert(frame.time);
        if wish.limit.is_some_and(|l| frame.time.ms_since(start) >= l.as_secs_f64() * 1e3) {
            break;
        }
        last = frame.time;
        analyser.process(&frame, &mut events)?;
        take(&mut events, frame.time, &mut played.found);
        played.with_face += u64::from(!analyser.faces().is_empty());
        if let Some(tracer) = &mut tracer {
            tracer.add(frame.time, frame.lost_before, analyser.faces())?;
        }
        if !tick(frame.time) {
            return Err(PlayError::Stopped);
        }
    }
    analyser.finish(&mut events)?;
    take(&mut events, last, &mut played.found);
    let status = analyser.status();
    (played.rejected, played.frames, played.lost) = (status.rejected, status.frames, status.lost);
    played.seconds = first.map_or(0.0, |first| last.ms_since(first) / 1e3);
    played.traces = tracer.map(|t| t.traces);
    played.found.sort_by_key(|f| (f.span.onset(), f.span.offset()));
    Ok(played)
}

/// Takes the confirmed detections out of the events.
fn take(events: &mut Vec<Event>, now: Timestamp, found: &mut Vec<Found>) {
    for event in events.drain(..) {
        if let Event::Confirmed(d) = &event {
            found.extend(Found::of(d, Some(now)));
        }
    }
}
