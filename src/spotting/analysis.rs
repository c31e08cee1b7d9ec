//! Movement and spotting of all faces of one source.

use super::{AnalysisConfig, Rejections, Spotted, Spotter};
use crate::frame::{Face, FaceId};
use crate::movement::{MovementStage, SettingError};
use crate::time::Timestamp;

/// One face under analysis.
#[derive(Debug)]
struct Track {
    face: FaceId,
    seen: Timestamp,
    movement: MovementStage,
    spotter: Spotter,
}

/// Movement and spotting for several faces at once, bounded: what the pipeline calls once per frame.
///
/// The memory of a face that left is used for the next one, so after as many faces as are ever seen at once
/// nothing is allocated.
#[derive(Debug)]
pub struct Analysis {
    config: AnalysisConfig,
    tracks: Vec<Track>,
    spare: Vec<Track>,
    /// Counts of the faces that left.
    gone: Rejections,
    passed_over: u64,
}

impl Analysis {
    pub(super) fn new(config: AnalysisConfig) -> Self {
        Self {
            config,
            tracks: Vec::with_capacity(config.max_faces),
            spare: Vec::with_capacity(config.max_faces),
            gone: Rejections::default(),
            passed_over: 0,
        }
    }

    /// Takes the faces of the frame at `time`, `lost_before` frames after the one before, and appends what they
    /// bring to `out`.
    ///
    /// A face that is not seen for `lost_ms` is gone; its open movement is withdrawn. Faces beyond `max_faces`
    /// are passed over and counted.
    pub fn push(&mut self, time: Timestamp, lost_before: u32, faces: &[Face], out: &mut Vec<Spotted>) {
        for face in faces {
            let Some(track) = self.track(face.id, time) else {
                self.pass_over(face.id);
                continue;
            };
            track.seen = time;
            if let Some(movement) = track.movement.push(time, lost_before, face) {
                track.spotter.push(movement, out);
            }
        }
        let lost_ms = f64::from(self.config.lost_ms);
        let mut i = 0;
        while let Some(track) = self.tracks.get_mut(i) {
            if time.ms_since(track.seen).abs() <= lost_ms {
                i += 1;
                continue;
            }
            track.spotter.lost(track.seen, out);
            self.gone.merge(&track.spotter.rejections());
            let track = self.tracks.swap_remove(i);
            self.spare.push(track);
        }
    }

    /// The face stage says that a track ended: its open movement is withdrawn at once.
    pub fn lost(&mut self, face: FaceId, time: Timestamp, out: &mut Vec<Spotted>) {
        if let Some(i) = self.tracks.iter().position(|t| t.face == face) {
            let mut track = self.tracks.swap_remove(i);
            track.spotter.lost(time, out);
            self.gone.merge(&track.spotter.rejections());
            self.spare.push(track);
        }
    }

    /// The source has ended: movements whose offset was seen are confirmed, others withdrawn.
    pub fn finish(&mut self, out: &mut Vec<Spotted>) {
        for track in &mut self.tracks {
            track.spotter.finish(out);
        }
    }

    /// Movements rejected so far, by reason, over all faces.
    pub fn rejections(&self) -> Rejections {
        let mut all = self.gone;
        for track in &self.tracks {
            all.merge(&track.spotter.rejections());
        }
        all
    }

    /// Frames per second over the last second, of the face seen most recently; 0 without a face.
    pub fn rate(&self) -> f32 {
        self.tracks.iter().max_by_key(|t| t.seen).map_or(0.0, |t| t.spotter.rate())
    }

    /// Faces under analysis.
    pub fn faces(&self) -> usize {
        self.tracks.len()
    }

    /// How often a face was passed over because there were too many.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The spotter of a face, to look at its state.
    pub fn spotter(&self, face: FaceId) -> Option<&Spotter> {
        self.tracks.iter().find(|t| t.face == face).map(|t| &t.spotter)
    }

    /// Changes the thresholds of spotting while running, for all faces, present and future.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name; nothing is changed then.
    pub fn configure(&mut self, spotting: super::SpottingConfig) -> Result<(), SettingError> {
        spotting.check()?;
        self.config.spotting = spotting;
        self.tracks.iter_mut().chain(&mut self.spare).try_for_each(|t| t.spotter.configure(spotting))
    }

    fn track(&mut self, face: FaceId, time: Timestamp) -> Option<&mut Track> {
        if let Some(i) = self.tracks.iter().position(|t| t.face == face) {
            return self.tracks.get_mut(i);
        }
        if self.tracks.len() >= self.config.max_faces {
            return None;
        }
        let track = match self.spare.pop() {
            Some(mut track) => {
                track.movement.restart(face);
                track.spotter.restart(face);
                (track.face, track.seen) = (face, time);
                track
            }
            None => Track {
                face,
                seen: time,
                movement: MovementStage::new(self.config.movement, face),
                spotter: Spotter::new(self.config.spotting, face),
            },
        };
        self.tracks.push(track);
        self.tracks.last_mut()
    }

    fn pass_over(&mut self, face: FaceId) {
        if self.passed_over == 0 {
            log::warn!("face {}: more than {} faces, the others are not analysed", face.0, self.config.max_faces);
        }
        self.passed_over += 1;
    }
}
