//! The life of one landmark: found, lost, found again, trusted again.

use super::lk::Match;
use super::track_config::TrackerConfig;

/// What Lucas-Kanade says about one landmark in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Agreement with the key patch.
    pub agreement: Match,
    /// Error of the forward-backward check, in IOD.
    pub back_iod: f32,
    /// Predicted standard deviation of the position, in IOD.
    pub deviation_iod: f32,
    /// Variance of the difference of patch and picture, as far as averaging over the window leaves it.
    pub noise: f32,
    /// What the belief pulled with: its part of the normal equations times the way from it, in working pixels.
    pub pulled: [f32; 2],
}

/// Whether a landmark is followed, and how far it is trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PointState {
    /// Not found in the last frame.
    pub lost: bool,
    /// Time for which it still has to be found before it is trusted, in ms.
    distrust_ms: f32,
    /// Time for which it has been lost, in ms.
    pub lost_ms: f32,
    /// Confidence in the last frame, 0 to 1.
    pub confidence: f32,
    /// Correlation with the key patch in the last frame; 0 when lost.
    pub correlation: f32,
    /// The same, over the last quarter of a second in which it was found.
    pub slow_correlation: f32,
}

impl PointState {
    /// A landmark that begins: at once trusted, or only after it has been followed for a while.
    pub fn begin(trusted: bool, config: &TrackerConfig) -> Self {
        let distrust_ms = if trusted { 0.0 } else { config.recover_ms };
        Self {
            distrust_ms,
            confidence: if trusted { 1.0 } else { 0.0 },
            correlation: if trusted { 1.0 } else { 0.0 },
            slow_correlation: 1.0,
            ..Self::default()
        }
    }

    /// Takes in what happened in a frame `dt` ms after the last one. Returns whether the landmark was found.
    pub fn update(&mut self, found: Option<Found>, dt: f32, config: &TrackerConfig) -> bool {
        // who was lost must agree better than who was not: no flicker at the limit
        let limit = config.min_correlation + if self.lost { 0.2 } else { 0.0 };
        let good = found.filter(|f| f.agreement.correlation >= limit && f.back_iod <= config.max_forward_backward_iod);
        let Some(found) = good else {
            (self.lost, self.correlation, self.confidence) = (true, 0.0, 0.0);
            self.lost_ms += dt;
            self.distrust_ms = (self.distrust_ms + 3.0 * dt).min(config.recover_ms);
            return false;
        };
        (self.lost, self.lost_ms) = (false, 0.0);
        self.correlation = found.agreement.correlation;
        self.slow_correlation += (self.correlation - self.slow_correlation) * (1.0 - (-dt / 250.0).exp());
        self.distrust_ms = (self.distrust_ms - dt).max(0.0);
        if self.distrust_ms > 0.0 {
            self.confidence = 0.0;
            return true;
        }
        let low = config.min_correlation - 0.1;
        let agreement = ((found.agreement.correlation - low) / (0.85 - low).max(0.05)).clamp(0.0, 1.0);
        let back = 1.0 - (found.back_iod / config.max_forward_backward_iod).powi(2).min(1.0);
        let structure = 1.0 / (1.0 + (found.deviation_iod / config.half_confidence_iod).powi(2));
        self.confidence = agreement * back * structure;
        true
    }

    /// Gives the landmark a new place and patch: it has to be followed for a while before it is trusted.
    pub fn replace(&mut self, config: &TrackerConfig) {
        *self = Self { lost: true, distrust_ms: config.recover_ms, slow_correlation: 1.0, ..Self::default() };
    }

    /// Declares the landmark lost since long: what was found there is something else.
    pub fn give_up(&mut self, config: &TrackerConfig) {
        self.replace(config);
        self.lost_ms = f32::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Found = Found {
        agreement: Match { correlation: 0.97, deviation: 0.03, residual: 0.02 },
        back_iod: 0.0002,
        deviation_iod: 0.0004,
        noise: 0.01,
        pulled: [0.0; 2],
    };

    #[test]
    fn a_landmark_that_was_lost_is_trusted_only_after_a_while() {
        let config = TrackerConfig::default();
        let mut p = PointState::begin(true, &config);
        assert!(p.update(Some(GOOD), 10.0, &config) && p.confidence > 0.9);
        for _ in 0..30 {
            assert!(!p.update(None, 10.0, &config));
            assert_eq!(p.confidence, 0.0);
        }
        let mut waited = 0.0;
        while p.confidence == 0.0 {
            assert!(p.update(Some(GOOD), 10.0, &config));
            waited += 10.0;
            assert!(waited < 1000.0);
        }
        assert_eq!(waited, config.recover_ms);
    }

    #[test]
    fn one_bad_frame_costs_little_trust() {
        let config = TrackerConfig::default();
        let mut p = PointState::begin(true, &config);
        p.update(None, 10.0, &config);
        for _ in 0..3 {
            p.update(Some(GOOD), 10.0, &config);
        }
        assert!(p.confidence > 0.9);
    }

    #[test]
    fn confidence_falls_with_each_of_its_reasons() {
        let config = TrackerConfig::default();
        let confidence = |f: Found| {
            let mut p = PointState::begin(true, &config);
            p.update(Some(f), 10.0, &config);
            p.confidence
        };
        let best = confidence(GOOD);
        let half = Match { correlation: 0.6, ..GOOD.agreement };
        assert!(confidence(Found { agreement: half, ..GOOD }) < best * 0.6);
        assert!(confidence(Found { back_iod: 0.009, ..GOOD }) < best * 0.6);
        assert!(confidence(Found { deviation_iod: 0.006, ..GOOD }) < best * 0.6);
        assert_eq!(confidence(Found { back_iod: f32::NAN, ..GOOD }), 0.0);
    }
}
