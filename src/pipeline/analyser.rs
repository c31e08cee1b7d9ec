//! One frame in, events out: the whole line between the source and the channel, on one thread.

use super::presence::Presence;
use super::rate::RateMeter;
use super::timings::{StageTimes, Timed};
use crate::clock::{Stopwatch, WallMap};
use crate::dere_grl::{DereGrlError, Features, Recogniser, Recognition};
use crate::event::{Detection, Event, Rejection, Stage, Status};
use crate::face::{FaceError, stage::FaceStage};
use crate::frame::{Content, Face, FaceId, Frame};
use crate::movement::SettingError;
use crate::spotting::{Analysis, Spotted, SpottingConfig};

/// How many relation weights a detection carries.
const RELATIONS: usize = 5;

/// What can go wrong while a frame is analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// In the face stage.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// In the recognition.
    #[error(transparent)]
    Recognition(#[from] DereGrlError),
    /// A picture came, but the line was built for landmarks.
    #[error("the source delivered a picture, but the face networks were not loaded")]
    NoFaceStage,
}

/// The stations between the source and the channel.
pub struct Analyser {
    face: Option<FaceStage>,
    analysis: Analysis,
    recogniser: Recogniser,
    /// Place of the class that stands for no micro-expression, where the model has one.
    none: Option<usize>,
    reject_none_above: f32,
    wall: WallMap,
    live: bool,
    last_sequence: Option<u64>,
    faces: Vec<Face>,
    spotted: Vec<Spotted>,
    presence: Presence,
    announced: Vec<Announced>,
    next_id: u64,
    rejected_by_model: u64,
    rate: RateMeter,
    status: Status,
    times: StageTimes,
}

/// A detection that has been told provisionally and still has to be confirmed or withdrawn.
#[derive(Debug, Clone, Copy)]
struct Announced {
    face: FaceId,
    key: u64,
    id: u64,
}

impl Analyser {
    /// The line, with a face stage when the source delivers pictures.
    pub fn new(
        face: Option<FaceStage>,
        analysis: Analysis,
        recogniser: Recogniser,
        reject_none_above: f32,
        live: bool,
    ) -> Self {
        Self {
            face,
            analysis,
            none: recogniser.classes().iter().position(|c| c == "none"),
            recogniser,
            reject_none_above,
            wall: WallMap::default(),
            live,
            last_sequence: None,
            faces: Vec::with_capacity(16),
            spotted: Vec::with_capacity(16),
            presence: Presence::default(),
            announced: Vec::with_capacity(16),
            next_id: 0,
            rejected_by_model: 0,
            rate: RateMeter::default(),
            status: Status::default(),
            times: StageTimes::default(),
        }
    }

    /// Analyses one frame and appends what there is to tell.
    ///
    /// # Errors
    /// When a network cannot be run; the line is then not to be used any more.
    pub fn process(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnalysisError> {
        if self.live {
            self.wall.observe(frame.time);
        }
        let lost = self.lost_before(frame);
        self.status.frames += 1;
        self.status.lost += u64::from(lost);
        self.rate.saw(frame.time);
        let mut watch = Stopwatch::start();
        match &frame.content {
            Content::Picture(picture) => {
                let stage = self.face.as_mut().ok_or(AnalysisError::NoFaceStage)?;
                stage.process(frame.time, picture, &mut self.faces)?;
            }
            Content::Faces(faces) => self.faces.clone_from(faces),
        }
        self.times.add(Timed::Face, watch.lap());
        let picture = match &frame.content {
            Content::Picture(p) => Some((p.width() as f32, p.height() as f32)),
            Content::Faces(_) => None,
        };
        self.presence.update(frame.time, &self.faces, picture, &self.wall, out);
        self.spotted.clear();
        self.analysis.push(frame.time, lost, &self.faces, &mut self.spotted);
        self.times.add(Timed::Spotting, watch.lap());
        let mut recognised = false;
        for i in 0..self.spotted.len() {
            recognised |= self.tell(i, out)?;
        }
        if recognised {
            self.times.add(Timed::DereGrl, watch.lap());
        }
        Ok(())
    }

    /// Ends the line: open movements are decided, faces leave.
    ///
    /// # Errors
    /// When a network cannot be run.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), AnalysisError> {
        self.spotted.clear();
        self.analysis.finish(&mut self.spotted);
        for i in 0..self.spotted.len() {
            self.tell(i, out)?;
        }
        self.presence.finish(&self.wall, out);
        Ok(())
    }

    /// The state of the line; the channels' numbers and the board's state are for the caller to add.
    pub fn status(&self) -> Status {
        let mut rejected: Vec<_> = self.analysis.rejections().iter().collect();
        for (_, n) in rejected.iter_mut().filter(|(reason, _)| *reason == Rejection::Model) {
            *n += self.rejected_by_model; // beside those that the spotter itself found unlike
        }
        let (rate, faces, model) = (self.rate.fps(), self.faces.len() as u32, Some(self.model()));
        Status { rate, faces, rejected, model, ..self.status.clone() }
    }

    /// Changes thresholds between two frames; movements under way are judged by the new ones.
    ///
    /// # Errors
    /// The first setting that is out of its range; nothing is changed then.
    pub fn configure(&mut self, spotting: SpottingConfig, reject_none_above: f32) -> Result<(), SettingError> {
        self.analysis.configure(spotting)?;
        self.reject_none_above = reject_none_above;
        Ok(())
    }

    /// Frames that are missing so far, wherever they were lost.
    pub fn lost(&self) -> u64 {
        self.status.lost
    }

    /// Frames per second, measured over the last seconds of source time.
    pub fn rate(&self) -> f32 {
        self.rate.fps()
    }

    /// How long each station took, per frame.
    pub fn times(&self) -> &StageTimes {
        &self.times
    }

    /// Forgets the times so far: warm-up is over.
    pub fn reset_times(&mut self) {
        self.times = StageTimes::default();
    }

    /// The model that recognises.
    pub fn model(&self) -> crate::event::ModelRef {
        self.recogniser.model_ref()
    }

    /// The face stage, when there is one.
    pub fn face_stage(&self) -> Option<&FaceStage> {
        self.face.as_ref()
    }

    /// The faces of the last frame.
    pub fn faces(&self) -> &[Face] {
        &self.faces
    }

    /// Frames missing between the previous frame and this one, wherever they were lost.
    fn lost_before(&mut self, frame: &Frame) -> u32 {
        let lost = match self.last_sequence.replace(frame.sequence) {
            Some(last) => frame.sequence.saturating_sub(last).saturating_sub(1),
            None => 0,
        };
        u32::try_from(lost).unwrap_or(u32::MAX)
    }

    /// Turns what the spotter said into an event. Returns whether the model was run.
    fn tell(&mut self, index: usize, out: &mut Vec<Event>) -> Result<bool, AnalysisError> {
        let Some(s) = self.spotted.get(index) else { return Ok(false) };
        let place = self.announced.iter().position(|a| a.face == s.face && a.key == s.key);
        if s.stage == Stage::Withdrawn && place.is_none() {
            return Ok(false); // never told, so there is nothing to take back; the spotter has counted it
        }
        let recognition = self.recogniser.recognise(&Features::new(&s.shape, &s.displacement))?.clone();
        let none = self.none.and_then(|i| recognition.probabilities.get(i).copied()).unwrap_or(0.0);
        let (stage, reason) = if s.stage != Stage::Withdrawn && none > self.reject_none_above {
            if s.stage == Stage::Provisional {
                return Ok(true); // not told yet; the confirmation asks the model again
            }
            self.rejected_by_model += 1;
            if place.is_none() {
                return Ok(true);
            }
            (Stage::Withdrawn, Some(Rejection::Model))
        } else {
            (s.stage, s.reason)
        };
        let id = match place {
            Some(p) if stage == Stage::Provisional => self.announced[p].id,
            Some(p) => self.announced.swap_remove(p).id,
            None => {
                let id = self.next_id;
                self.next_id += 1;
                if stage == Stage::Provisional {
                    self.announced.push(Announced { face: s.face, key: s.key, id });
                }
                id
            }
        };
        out.push(Event::detection(stage, detection(id, s, &recognition, reason, &self.wall, &self.recogniser)));
        Ok(true)
    }
}

fn detection(
    id: u64,
    s: &Spotted,
    r: &Recognition,
    reason: Option<Rejection>,
    wall: &WallMap,
    recogniser: &Recogniser,
) -> Detection {
    Detection {
        id,
        face: s.face,
        onset: wall.moment(s.interval.onset()),
        apex: wall.moment(s.interval.apex()),
        offset: s.interval.offset().map(|o| wall.moment(o)),
        class: recogniser.class_name(r).to_string(),
        probabilities: recogniser.named_probabilities(r),
        actions: r.named_actions(),
        relations: r.strongest_relations(RELATIONS),
        amplitude: s.amplitude,
        component: s.component,
        score: s.score,
        rate: s.rate,
        quality: s.quality,
        iod: s.iod,
        reason,
        model: recogniser.model_ref(),
    }
}
