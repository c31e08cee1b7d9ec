//! Settings of spotting. Lengths in inter-ocular distances (IOD), times in milliseconds.

use super::{Analysis, Spotter};
use crate::frame::FaceId;
use crate::movement::{MovementConfig, SettingError, in_range};
use serde::{Deserialize, Serialize};

/// When a movement is a micro-expression, and when it is something else.
///
/// The defaults follow published figures: micro-expressions last up to 500 ms (MEGC), move landmarks by
/// 0.02-0.03 IOD at the apex, and rise in 70-320 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpottingConfig {
    /// A part of the face has started to move when it is this far from where it was 250-500 ms ago;
    /// RMS over its landmarks, in IOD. Default 0.005.
    pub trigger: f32,
    /// ... and when it is this many robust standard deviations above its own usual unrest. Default 7.
    pub trigger_sigma: f32,
    /// Smallest movement from onset to apex of the landmark that moves most, in IOD. Default 0.007.
    pub min_amplitude: f32,
    /// Smallest amplitude over the noise of the part that moves. Default 6.
    pub min_score: f32,
    /// Far end of the reference window before now, in ms. Default 500.
    pub reference_far_ms: f32,
    /// Near end of the reference window before now, in ms. Default 250.
    pub reference_near_ms: f32,
    /// Landmarks are averaged over this time for decisions (not for times of onset, apex and offset), in ms.
    /// Default 12.
    pub smooth_ms: f32,
    /// How much time the running noise level (median and MAD) of each part covers, in ms. Default 20000.
    pub noise_ms: f32,
    /// How long a face is watched before anything is spotted, in ms. Default 1000.
    pub warmup_ms: f32,
    /// The movement declines, so its apex has passed, when this share of its height is lost. Default 0.1.
    pub decline: f32,
    /// The movement is over when no more than this share of its height is left. Default 0.12.
    pub end_level: f32,
    /// An incomplete return to the start: the movement is also over when it has lost at least half its height
    /// and has not gone back further for this long, in ms. Default 80.
    pub settle_ms: f32,
    /// Shorter than this is no facial movement, in ms. Default 40.
    pub min_ms: f32,
    /// Longest micro-expression, in ms. Default 500.
    pub max_ms: f32,
    /// Tolerance on `max_ms` for where exactly onset and offset lie: for movements near `min_amplitude`
    /// that is known to some 30 ms at each end; in ms. Default 60.
    pub tolerance_ms: f32,
    /// Time after a movement in which the same part starts no other, in ms. Default 100.
    pub refractory_ms: f32,
    /// Fewest frames per second at which anything is decided. Default 20.
    pub min_rate: f32,
    /// Fewest frames from onset to offset. Default 4.
    pub min_frames: f32,
    /// Longest hole in time inside a movement, in ms (a hole counts only where frames were lost). Default 80.
    pub max_hole_ms: f32,
    /// Largest share of frames lost inside a movement. Default 0.34.
    pub max_lost: f32,
    /// A hole in time longer than this ends everything that was under way, in ms. Default 500.
    pub gap_ms: f32,
    /// Eyes whose opening falls below this share of the usual opening blink. Default 0.6.
    pub blink_opening: f32,
    /// A movement of the eyes alone is a blink or a gaze shift when the opening falls below this. Default 0.8.
    pub eye_opening: f32,
    /// A brow movement that began less than this before a blink belongs to the blink, in ms. Default 150.
    pub blink_lead_ms: f32,
    /// The mouth is moving when it is this far from where it was 40 ms ago (and three times as far as when it is
    /// quietest); RMS over its landmarks, in IOD. Default 0.005.
    pub mouth_moves: f32,
    /// Share of the last 1.5 s in which the mouth moved, above which it talks. Default 0.45.
    pub talk_activity: f32,
    /// After the offset of a mouth movement, how long the mouth must keep still, in ms. Default 120.
    pub mouth_still_ms: f32,
    /// After the offset of an eye movement, how long it is watched whether the eyes close: a tracker may lose closing
    /// lids and put them back where they were; in ms. Default 60.
    pub eye_still_ms: f32,
    /// Largest mean speed of the head during a movement, in IOD/s. Default 1.
    pub max_head_speed: f32,
    /// Largest mean roll rate of the head during a movement, in degrees/s. Default 25.
    pub max_roll_rate: f32,
    /// The movement must be this many times as large as the change of the rigid residual, which shows turns
    /// of the head: depth is known only roughly, so they can be taken out only in part. Default 0.5.
    pub head_ratio: f32,
    /// Movement of half the landmarks of all components but one within one frame, in IOD, that is taken for a
    /// step of the light or of the tracker. Default 0.004.
    pub light_step: f32,
    /// Confidence of half the components falling within one frame below this share of the usual is one as well.
    /// Default 0.6.
    pub light_confidence: f32,
    /// Mean confidence of a component's landmarks up to the apex or after it, below which they were hidden.
    /// Default 0.4.
    pub min_confidence: f32,
    /// A movement with the course and the direction of a micro-expression is one when its score is at least this: how far
    /// it stands out of the unrest around it, times the cosine between it and the direction. This is what finds them in
    /// faces that talk and move. Default 8.5.
    pub match_score: f32,
    /// Least such score of a movement that was found by leaving a quiet face. Default 4.
    pub vouch_score: f32,
    /// Largest difference between the place before and after a match, as a share of its height: the beginning and the end
    /// of a long movement are no match. Default 0.6.
    pub match_tilt: f32,
    /// How long a face is looked at before the onset of a movement to know what else goes on, in ms. Default 120.
    pub before_ms: f32,
    /// ... and after its offset; in ms. Default 100.
    pub after_ms: f32,
    /// How long a better match is waited for, in ms. Default 50.
    pub match_wait_ms: f32,
    /// How well a landmark is measured, below which unrest does not count, in IOD. Default 0.0012.
    pub match_error: f32,
    /// The same for what the face does by itself, in IOD. Default 0.0015.
    pub own_error: f32,
    /// Over how much time the face's own movement is learned, in ms. Default 20000.
    pub own_ms: f32,
    /// Smallest confidence of the landmarks that move, mean over them, in a match. Default 0.45.
    pub match_confidence: f32,
    /// Largest mean speed of the head during a match, in IOD/s. Default 0.7.
    pub match_speed: f32,
    /// Largest change of the rigid residual, which shows turns of the head, during a match, in IOD. Default 0.025.
    pub match_turn: f32,
    /// Inter-ocular distance in pixels at and above which the size of the face does not lower the quality.
    /// Default 50.
    pub full_quality_iod: f32,
    /// Highest frame rate for which memory is set aside; at higher ones the history is shorter. Default 250.
    pub max_rate: f32,
}

impl Default for SpottingConfig {
    fn default() -> Self {
        Self {
            trigger: 0.005,
            trigger_sigma: 7.0,
            min_amplitude: 0.007,
            min_score: 6.0,
            reference_far_ms: 500.0,
            reference_near_ms: 250.0,
            smooth_ms: 12.0,
            noise_ms: 20_000.0,
            warmup_ms: 1000.0,
            decline: 0.1,
            end_level: 0.12,
            settle_ms: 80.0,
            min_ms: 40.0,
            max_ms: 500.0,
            tolerance_ms: 60.0,
            refractory_ms: 100.0,
            min_rate: 20.0,
            min_frames: 4.0,
            max_hole_ms: 80.0,
            max_lost: 0.34,
            gap_ms: 500.0,
            blink_opening: 0.6,
            eye_opening: 0.8,
            blink_lead_ms: 150.0,
            mouth_moves: 0.005,
            talk_activity: 0.45,
            mouth_still_ms: 120.0,
            eye_still_ms: 60.0,
            max_head_speed: 1.0,
            max_roll_rate: 25.0,
            head_ratio: 0.5,
            light_step: 0.004,
            light_confidence: 0.6,
            min_confidence: 0.4,
            match_score: 8.5,
            vouch_score: 4.0,
            match_tilt: 0.6,
            before_ms: 120.0,
            after_ms: 100.0,
            match_wait_ms: 50.0,
            match_error: 0.0012,
            own_error: 0.0015,
            own_ms: 20_000.0,
            match_confidence: 0.45,
            match_speed: 0.7,
            match_turn: 0.025,
            full_quality_iod: 50.0,
            max_rate: 250.0,
        }
    }
}

impl SpottingConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn check(&self) -> Result<(), SettingError> {
        let rows: [(&'static str, f32, (f64, f64)); 48] = [
            ("trigger", self.trigger, (1e-4, 1.0)),
            ("trigger_sigma", self.trigger_sigma, (1.0, 100.0)),
            ("min_amplitude", self.min_amplitude, (1e-4, 1.0)),
            ("min_score", self.min_score, (0.0, 1000.0)),
            ("reference_near_ms", self.reference_near_ms, (50.0, 900.0)),
            ("reference_far_ms", self.reference_far_ms, (f64::from(self.reference_near_ms) + 40.0, 1000.0)),
            ("smooth_ms", self.smooth_ms, (0.0, 50.0)),
            ("noise_ms", self.noise_ms, (2000.0, 120_000.0)),
            ("warmup_ms", self.warmup_ms, (0.0, 60_000.0)),
            ("decline", self.decline, (0.01, 0.5)),
            ("end_level", self.end_level, (0.01, 0.33)),
            ("settle_ms", self.settle_ms, (20.0, 300.0)),
            ("min_ms", self.min_ms, (0.0, 200.0)),
            ("max_ms", self.max_ms, (f64::from(self.min_ms), 800.0)),
            ("tolerance_ms", self.tolerance_ms, (0.0, 200.0)),
            ("refractory_ms", self.refractory_ms, (0.0, 5000.0)),
            ("min_rate", self.min_rate, (1.0, 200.0)),
            ("min_frames", self.min_frames, (2.0, 100.0)),
            ("max_hole_ms", self.max_hole_ms, (1.0, 500.0)),
            ("max_lost", self.max_lost, (0.0, 1.0)),
            ("gap_ms", self.gap_ms, (50.0, 1000.0)),
            ("blink_opening", self.blink_opening, (0.0, 1.0)),
            ("eye_opening", self.eye_opening, (0.0, 1.0)),
            ("blink_lead_ms", self.blink_lead_ms, (0.0, 1000.0)),
            ("mouth_moves", self.mouth_moves, (1e-4, 1.0)),
            ("talk_activity", self.talk_activity, (0.01, 1.0)),
            ("mouth_still_ms", self.mouth_still_ms, (0.0, 500.0)),
            ("eye_still_ms", self.eye_still_ms, (0.0, 500.0)),
            ("max_head_speed", self.max_head_speed, (0.0, 100.0)),
            ("max_roll_rate", self.max_roll_rate, (0.0, 1000.0)),
            ("head_ratio", self.head_ratio, (0.0, 100.0)),
            ("light_step", self.light_step, (1e-4, 1.0)),
            ("light_confidence", self.light_confidence, (0.0, 1.0)),
            ("min_confidence", self.min_confidence, (0.0, 1.0)),
            ("match_score", self.match_score, (1.0, 1000.0)),
            ("vouch_score", self.vouch_score, (0.0, 1000.0)),
            ("match_tilt", self.match_tilt, (0.05, 100.0)),
            ("before_ms", self.before_ms, (60.0, 300.0)),
            ("after_ms", self.after_ms, (60.0, 300.0)),
            ("match_wait_ms", self.match_wait_ms, (0.0, 200.0)),
            ("match_error", self.match_error, (1e-5, 0.1)),
            ("own_error", self.own_error, (1e-5, 0.1)),
            ("own_ms", self.own_ms, (2000.0, 120_000.0)),
            ("match_confidence", self.match_confidence, (0.0, 1.0)),
            ("match_speed", self.match_speed, (0.0, 100.0)),
            ("match_turn", self.match_turn, (0.0, 1.0)),
            ("full_quality_iod", self.full_quality_iod, (1.0, 1000.0)),
            ("max_rate", self.max_rate, (20.0, 2000.0)),
        ];
        rows.into_iter().try_for_each(|(key, value, range)| in_range("spotting", key, f64::from(value), range))
    }

    /// The spotter of one face track.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn build(&self, face: FaceId) -> Result<Spotter, SettingError> {
        self.check()?;
        Ok(Spotter::new(*self, face))
    }

    /// Longest duration that still counts as micro, with the tolerance, in ms.
    pub(super) fn longest_ms(&self) -> f32 {
        self.max_ms + self.tolerance_ms
    }
}

/// From faces to spotted movements, for several faces at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisConfig {
    /// Registration and neutral face.
    pub movement: MovementConfig,
    /// Thresholds of spotting.
    pub spotting: SpottingConfig,
    /// Most faces analysed at once; others are passed over. Default 4.
    pub max_faces: usize,
    /// A face not seen for this long is gone, in ms. Default 500.
    pub lost_ms: f32,
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self { movement: MovementConfig::default(), spotting: SpottingConfig::default(), max_faces: 4, lost_ms: 500.0 }
    }
}

impl AnalysisConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn check(&self) -> Result<(), SettingError> {
        self.movement.check()?;
        self.spotting.check()?;
        in_range("analysis", "max_faces", self.max_faces as f64, (1.0, 64.0))?;
        in_range("analysis", "lost_ms", f64::from(self.lost_ms), (50.0, 10_000.0))
    }

    /// The analysis of all faces of one source.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name.
    pub fn build(&self) -> Result<Analysis, SettingError> {
        self.check()?;
        Ok(Analysis::new(*self))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_defaults_are_in_range_and_survive_toml() {
        let defaults = AnalysisConfig::default();
        assert_eq!(defaults.check(), Ok(()));
        let text = toml::to_string(&defaults).unwrap();
        assert_eq!(toml::from_str::<AnalysisConfig>(&text).unwrap(), defaults);
    }

    #[test]
    fn a_reference_window_that_ends_before_it_begins_is_refused() {
        let bad = SpottingConfig { reference_far_ms: 200.0, ..SpottingConfig::default() };
        let message = bad.build(FaceId(0)).err().unwrap().to_string();
        assert!(message.contains("spotting.reference_far_ms = 200"), "{message}");
    }
}
