//! Heat: when the board becomes too hot, or lowers its own clock, fewer frames are analysed, and more again when it
//! has cooled down.

use super::board::BoardState;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is done about heat. Acts on live sources only: of a file nothing is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// From this temperature on frames are left out, one step at a time, in degrees Celsius (default 80). A board that
    /// says that it lowers its clock counts as too hot at any temperature. 0: nothing is ever left out.
    pub hot_c: f32,
    /// Below this temperature they are analysed again, one step at a time, in degrees Celsius (default 72).
    pub cool_c: f32,
    /// Shortest time between two steps, in seconds (default 20): a board takes that long to become warmer or cooler.
    pub step_s: f32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { hot_c: 80.0, cool_c: 72.0, step_s: 20.0 }
    }
}

impl HealthConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// What is wrong, with the key.
    pub fn check(&self) -> Result<(), String> {
        if !(self.hot_c == 0.0 || self.hot_c > self.cool_c) {
            return Err(format!("health.cool_c = {} is not below health.hot_c = {}", self.cool_c, self.hot_c));
        }
        if !(0.1..=3600.0).contains(&self.step_s) {
            return Err(format!("health.step_s = {} is not between 0.1 and 3600 seconds", self.step_s));
        }
        Ok(())
    }
}

/// What the governor decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Leave one frame more out: so many after each analysed one.
    Fewer(u32),
    /// Leave one frame less out.
    More(u32),
    /// It is too hot, but with fewer frames nothing could be spotted. Said once.
    Floor,
}

/// Decides how many frames are left out.
#[derive(Debug, Clone, Copy)]
pub struct Governor {
    config: HealthConfig,
    /// Frames per second below which nothing is spotted.
    min_rate: f32,
    left_out: u32,
    /// When the last step was made.
    stepped: Option<Duration>,
    at_floor: bool,
}

impl Governor {
    /// One that leaves no frame out yet and never goes below `min_rate` analysed frames per second.
    pub fn new(config: HealthConfig, min_rate: f32) -> Self {
        Self { config, min_rate, left_out: 0, stepped: None, at_floor: false }
    }

    /// Looks at the board. `rate` are the frames analysed per second now (0: not known), `now` is any rising time.
    pub fn look(&mut self, board: BoardState, rate: f32, now: Duration) -> Option<Decision> {
        let slowed = board.throttled == Some(true);
        let above = |limit: f32| board.temperature_c.is_some_and(|c| c >= limit);
        let hot = self.config.hot_c > 0.0 && (slowed || above(self.config.hot_c));
        let cool = !slowed && !above(self.config.cool_c);
        let waited = self.stepped.is_none_or(|at| now.saturating_sub(at).as_secs_f32() >= self.config.step_s);
        if !hot {
            self.at_floor = false;
        }
        if hot && waited && rate > 0.0 {
            // The rate that the camera would give if nothing were left out, thinned by one frame more.
            let thinned = rate * (self.left_out + 1) as f32 / (self.left_out + 2) as f32;
            if thinned < self.min_rate {
                return (!std::mem::replace(&mut self.at_floor, true)).then_some(Decision::Floor);
            }
            self.left_out += 1;
            self.stepped = Some(now);
            return Some(Decision::Fewer(self.left_out));
        }
        if cool && waited && self.left_out > 0 {
            self.left_out -= 1;
            self.stepped = Some(now);
            return Some(Decision::More(self.left_out));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(temperature: f32) -> BoardState {
        BoardState { temperature_c: Some(temperature), ..BoardState::default() }
    }

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn it_steps_down_when_hot_and_up_when_cool_and_nothing_in_between() {
        let mut governor = Governor::new(HealthConfig::default(), 20.0);
        let seen: Vec<_> = [
            (0, at(79.9), 90.0),
            (1, at(80.0), 90.0),
            (2, at(90.0), 45.0),  // too soon after the last step
            (21, at(75.0), 45.0), // between the limits: nothing changes
            (22, at(81.0), 45.0),
            (42, at(72.5), 30.0),
            (50, at(71.0), 30.0),
            (69, at(60.0), 45.0),
            (70, at(60.0), 45.0),
            (99, at(60.0), 90.0),
        ]
        .into_iter()
        .map(|(t, board, rate)| governor.look(board, rate, seconds(t)))
        .collect();
        use Decision::{Fewer, More};
        let expected =
            [None, Some(Fewer(1)), None, None, Some(Fewer(2)), None, Some(More(1)), None, Some(More(0)), None];
        assert_eq!(seen, expected);
    }

    #[test]
    fn it_keeps_enough_frames_to_spot_anything_and_says_so_once() {
        let mut governor = Governor::new(HealthConfig::default(), 20.0);
        assert_eq!(governor.look(at(85.0), 30.0, seconds(0)), Some(Decision::Floor));
        assert_eq!(governor.look(at(85.0), 30.0, seconds(30)), None);
        assert_eq!(governor.look(at(60.0), 30.0, seconds(60)), None);
        assert_eq!(governor.look(at(85.0), 30.0, seconds(90)), Some(Decision::Floor));
    }

    #[test]
    fn a_board_that_lowers_its_clock_is_too_hot_and_zero_switches_it_off() {
        let slowed = BoardState { throttled: Some(true), ..at(50.0) };
        let mut governor = Governor::new(HealthConfig::default(), 20.0);
        assert_eq!(governor.look(slowed, 60.0, seconds(0)), Some(Decision::Fewer(1)));
        assert_eq!(governor.look(at(50.0), 30.0, seconds(20)), Some(Decision::More(0)));
        let mut off = Governor::new(HealthConfig { hot_c: 0.0, ..HealthConfig::default() }, 20.0);
        assert_eq!(off.look(slowed, 60.0, seconds(0)), None);
        assert_eq!(off.look(at(99.0), 60.0, seconds(0)), None);
    }

    #[test]
    fn an_unknown_temperature_or_rate_changes_nothing() {
        let mut governor = Governor::new(HealthConfig::default(), 20.0);
        assert_eq!(governor.look(BoardState::default(), 60.0, seconds(0)), None);
        assert_eq!(governor.look(at(99.0), 0.0, seconds(0)), None);
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let wrong = HealthConfig { hot_c: 60.0, cool_c: 70.0, ..HealthConfig::default() };
        assert!(wrong.check().is_err_and(|e| e.contains("health.cool_c = 70")));
        assert!(HealthConfig { step_s: 0.0, ..HealthConfig::default() }.check().is_err());
        assert_eq!(HealthConfig::default().check(), Ok(()));
    }
}
