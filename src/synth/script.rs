//! The script: what a synthetic face does and when. It is the truth that detections are compared with.
//!
//! Durations follow real clips: onset to offset is lognormal, ln(ms) ~ N(5.89, 0.30), kept within 170 to 500 ms;
//! the rise takes a Beta(5.5, 5) fraction of it (CASME II, SAMM, SMIC, DFME). Blinks take 300 to 700 ms,
//! macro-expressions more than 700 ms (CAS(ME)^3). Events never overlap.

use super::au::{Activation, Au, Displacements};
use super::class::{Class, draw_macro_units, draw_units, drilled};
use super::random::Rng;
use crate::landmarks::COUNT;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the face is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptConfig {
    /// Factor on the strength of micro-expressions; 1 is that of real ones. Default 1.
    pub strength: f32,
    /// Smallest peak movement of a micro-expression in IOD; weaker ones are drawn up to it, because nobody would
    /// have annotated them. 0 leaves them as they are. Default 0.012.
    pub min_peak: f32,
    /// Shortest pause between two events, in ms. Default 1200.
    pub gap_min_ms: f32,
    /// Longest pause between two events, in ms (longer where a blink falls in). Default 2500.
    pub gap_max_ms: f32,
    /// Neutral time at the beginning, in ms. Default 2000.
    pub lead_ms: f32,
    /// Blink every 3 to 6 s. Default true.
    pub blinks: bool,
    /// Share of events that are slow macro-expressions. Default 0.12.
    pub macros: f32,
    /// Share of events that are talking. Default 0.05.
    pub talking: f32,
    /// Make micro-expressions; without them only the other events happen. Default true.
    pub micros: bool,
    /// Micro-expressions show the tabulated action units one after the other, whatever their real shares, so that a few
    /// of them move every part of the face. Default false.
    pub drill: bool,
    /// How far a person's own directions of movement lie beside the tabled ones, in degrees (standard deviation, drawn for
    /// each action unit and group of landmarks): what was built on the table is to be measured on faces that do not keep
    /// to it. Default 0.
    pub turn_deg: f32,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        Self {
            strength: 1.0,
            min_peak: 0.012,
            gap_min_ms: 1200.0,
            gap_max_ms: 2500.0,
            lead_ms: 2000.0,
            blinks: true,
            macros: 0.12,
            talking: 0.05,
            micros: true,
            drill: false,
            turn_deg: 0.0,
        }
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Label {
    /// A micro-expression.
    Micro {
        /// Its class.
        class: Class,
    },
    /// An expression longer than a micro-expression.
    Macro,
    /// Both eyes close and open.
    Blink,
    /// The mouth moves again and again.
    Talking,
}

/// One acting unit of an event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ActingUnit {
    /// The unit.
    pub au: Au,
    /// Its strength at the apex on the subject's right side, 1 being full strength.
    pub right: f32,
    /// Its strength at the apex on the subject's left side.
    pub left: f32,
}

/// One event of the script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthEvent {
    /// What it is.
    #[serde(flatten)]
    pub label: Label,
    /// The units that act; empty for a blink.
    pub units: Vec<ActingUnit>,
    /// First moment of the movement, in microseconds of the source. A minimum-jerk rise begins slowly: its first
    /// tenth stays below 1 % of the peak, its first fifth below 6 %.
    pub onset: Timestamp,
    /// Moment at which the full movement is reached.
    pub apex: Timestamp,
    /// Moment at which the movement begins to go back; equal to the apex in micro-expressions.
    pub release: Timestamp,
    /// Moment at which the face is neutral again.
    pub offset: Timestamp,
    /// Largest landmark displacement at the apex in IOD; 0 for a blink.
    pub peak: f32,
}

impl TruthEvent {
    /// The class, when this is a micro-expression.
    pub const fn class(&self) -> Option<Class> {
        match self.label {
            Label::Micro { class } => Some(class),
            _ => None,
        }
    }

    /// Onset to offset in milliseconds.
    pub fn duration_ms(&self) -> f64 {
        self.offset.ms_since(self.onset)
    }

    /// Milliseconds during which both this event and the span from `onset` to `offset` last.
    pub fn overlap_ms(&self, onset: Timestamp, offset: Timestamp) -> f64 {
        self.offset.min(offset).ms_since(self.onset.max(onset)).max(0.0)
    }

    /// Strength at `t`, 0 to 1: minimum-jerk rise and fall (Flash and Hogan 1985).
    fn level(&self, t: Timestamp) -> f32 {
        let jerk = |x: f64| (x * x * x * (10.0 + x * (6.0 * x - 15.0))) as f32;
        if t <= self.onset || t >= self.offset {
            0.0
        } else if t < self.apex {
            jerk(t.ms_since(self.onset) / self.apex.ms_since(self.onset))
        } else if t <= self.release {
            1.0
        } else {
            jerk(self.offset.ms_since(t) / self.offset.ms_since(self.release))
        }
    }
}

/// The events of one face in the order of time, made from a seed as far as they are asked for.
#[derive(Debug, Clone)]
pub struct Script {
    config: ScriptConfig,
    rng: Rng,
    table: Displacements,
    events: Vec<TruthEvent>,
    made_until: Timestamp,
    next_blink: Timestamp,
    /// How many exercises of the drill have been done.
    drilled: usize,
}

impl Script {
    /// The script of `seed`, still empty; see [`Script::extend_to`].
    pub fn new(seed: u64, config: &ScriptConfig) -> Self {
        let start = Timestamp::default().plus_ms(f64::from(within(config.lead_ms, 0.0, 1e9)));
        let mut rng = Rng::new(seed, 0x5c21);
        let next_blink = start.plus_ms(f64::from(rng.range(1000.0, 4000.0)));
        // where the drill begins follows from the seed, so that short films together go through all of it
        let drilled = seed as usize % 1000 * 4;
        let (table, events) = (Displacements::of(seed, config.turn_deg), Vec::new());
        Self { config: *config, rng, table, events, made_until: start, next_blink, drilled }
    }

    /// Where this person's landmarks go.
    pub(super) const fn displacements(&self) -> &Displacements {
        &self.table
    }

    /// Makes all events that begin before `t`.
    pub fn extend_to(&mut self, t: Timestamp) {
        while self.made_until <= t {
            self.make_next();
        }
    }

    /// Drops the events that ended before `t`: bounds the memory of an endless run.
    pub fn forget_before(&mut self, t: Timestamp) {
        self.events.retain(|e| e.offset >= t);
    }

    /// Keeps the events that pass a test, out of those made so far.
    pub(crate) fn keep(&mut self, test: impl FnMut(&TruthEvent) -> bool) {
        self.events.retain(test);
    }

    /// All events made so far, in the order of time.
    pub fn truth(&self) -> &[TruthEvent] {
        &self.events
    }

    /// The event that overlaps the span most, if any does.
    pub fn truth_at(&self, onset: Timestamp, offset: Timestamp) -> Option<&TruthEvent> {
        let overlap = |e: &&TruthEvent| e.overlap_ms(onset, offset);
        self.events.iter().filter(|e| overlap(e) > 0.0).max_by(|a, b| overlap(a).total_cmp(&overlap(b)))
    }

    /// The truth as JSON: an array of events.
    ///
    /// # Errors
    /// Only when a number cannot be written, which the script never makes.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.events)
    }

    /// How strongly each unit acts at `t`; events must have been made up to there.
    pub fn activation(&self, t: Timestamp, out: &mut Activation) {
        out.clear();
        let first = self.events.partition_point(|e| e.offset < t);
        let Some(event) = self.events.get(first) else { return };
        let level = event.level(t);
        if level <= 0.0 {
            return;
        }
        match event.label {
            Label::Blink => out.lids = level,
            Label::Talking => {
                let s = t.ms_since(event.onset) as f32 / 1e3;
                // Syllables: two rhythms near 4 Hz, the units a quarter of a cycle apart.
                for (i, u) in event.units.iter().enumerate() {
                    let phase = i as f32 * 1.7;
                    let wave = 0.5 - 0.3 * (s * 26.0 + phase).cos() - 0.2 * (s * 17.3 + 2.0 * phase).cos();
                    out.units.push((u.au, u.right * level * wave, u.left * level * wave));
                }
            }
            Label::Micro { .. } | Label::Macro => {
                out.units.extend(event.units.iter().map(|u| (u.au, u.right * level, u.left * level)));
            }
        }
    }

    fn make_next(&mut self) {
        let c = self.config;
        let low = within(c.gap_min_ms, 200.0, 60_000.0);
        let mut gap = self.rng.range(low, within(c.gap_max_ms, low, 60_000.0));
        if c.blinks {
            // A blink that is due falls into the pause, which grows until the blink has room around it.
            let length = self.rng.range(300.0, 700.0);
            let due = (self.next_blink.ms_since(self.made_until) as f32).max(300.0);
            if due < gap {
                gap = gap.max(due + length + 400.0);
                let onset = self.made_until.plus_ms(f64::from(due));
                self.push_blink(onset, length);
                self.next_blink = onset.plus_ms(f64::from(self.rng.range(3000.0, 6000.0)));
            }
        }
        let onset = self.made_until.plus_ms(f64::from(gap));
        let kind = self.rng.unit();
        let offset = if kind < c.talking {
            self.push_talking(onset)
        } else if kind < c.talking + c.macros {
            self.push_macro(onset)
        } else if c.micros {
            self.push_micro(onset)
        } else {
            onset
        };
        self.made_until = offset;
    }

    fn push_blink(&mut self, onset: Timestamp, length: f32) {
        let at = |share: f32| onset.plus_ms(f64::from(length * share));
        self.events.push(TruthEvent {
            label: Label::Blink,
            units: Vec::new(),
            onset,
            apex: at(0.34),
            release: at(0.44),
            offset: at(1.0),
            peak: 0.0,
        });
    }

    fn push_micro(&mut self, onset: Timestamp) -> Timestamp {
        let class = *Class::ALL.get(self.rng.pick([1.0; 3].into_iter())).unwrap_or(&Class::Negative);
        let mut units = draw_units(class, &mut self.rng);
        let mut class = class;
        if self.config.drill {
            (class, units) = drilled(self.drilled);
            self.drilled += 1;
        }
        let total = (5.89 + 0.30 * self.rng.normal()).exp().clamp(170.0, 500.0);
        let rise = total * self.rng.beta(5.5, 5.0).clamp(0.25, 0.8);
        let shared = (0.45 * self.rng.normal()).clamp(-0.9, 0.9).exp() * self.config.strength.max(0.0);
        let mut acting = self.act(units, |au, rng| {
            (au.median_strength() * shared * (0.3 * rng.normal()).clamp(-0.6, 0.6).exp()).min(au.limit())
        });
        let peak = self.peak(&acting);
        let lift = if peak > 0.0 { (self.config.min_peak / peak).max(1.0) } else { 1.0 };
        for u in &mut acting {
            (u.right, u.left) = ((u.right * lift).min(u.au.limit()), (u.left * lift).min(u.au.limit()));
        }
        let apex = onset.plus_ms(f64::from(rise));
        let offset = onset.plus_ms(f64::from(total));
        let peak = self.peak(&acting);
        self.events.push(TruthEvent {
            label: Label::Micro { class },
            units: acting,
            onset,
            apex,
            release: apex,
            offset,
            peak,
        });
        offset
    }

    fn push_macro(&mut self, onset: Timestamp) -> Timestamp {
        let units = draw_macro_units(&mut self.rng);
        let rise = self.rng.range(450.0, 1000.0);
        let fall = self.rng.range(500.0, 1200.0);
        let hold = self.rng.range(200.0, 1500.0);
        let acting = self.act(units, |_, rng| rng.range(0.3, 0.53));
        let apex = onset.plus_ms(f64::from(rise));
        let release = apex.plus_ms(f64::from(hold));
        let offset = release.plus_ms(f64::from(fall));
        let peak = self.peak(&acting);
        self.events.push(TruthEvent { label: Label::Macro, units: acting, onset, apex, release, offset, peak });
        offset
    }

    fn push_talking(&mut self, onset: Timestamp) -> Timestamp {
        let length = self.rng.range(1500.0, 3500.0);
        let acting = self.act(&[Au::JawDrop, Au::LipStretcher, Au::LipPucker], |au, rng| match au {
            Au::JawDrop => rng.range(0.08, 0.16),
            _ => rng.range(0.15, 0.4),
        });
        let acting: Vec<_> = acting
            .into_iter()
            .map(|u| ActingUnit { left: u.right.max(u.left), right: u.right.max(u.left), ..u })
            .collect();
        let apex = onset.plus_ms(150.0);
        let release = onset.plus_ms(f64::from(length) - 200.0);
        let offset = onset.plus_ms(f64::from(length));
        let peak = self.peak(&acting);
        self.events.push(TruthEvent { label: Label::Talking, units: acting, onset, apex, release, offset, peak });
        offset
    }

    /// Gives each unit a strength and, by its real share, one side only.
    fn act(&mut self, units: &[Au], strength: impl Fn(Au, &mut Rng) -> f32) -> Vec<ActingUnit> {
        let right_side = self.rng.chance(0.5);
        let mut acting = Vec::with_capacity(units.len());
        for &au in units {
            let s = strength(au, &mut self.rng);
            let uneven = 1.0 + self.rng.range(-0.12, 0.12);
            let (right, left) = match (self.rng.chance(au.one_sided_share()), right_side) {
                (true, true) => (s, 0.0),
                (true, false) => (0.0, s),
                (false, _) => (s * uneven, s / uneven),
            };
            acting.push(ActingUnit { au, right, left });
        }
        acting
    }

    fn peak(&self, acting: &[ActingUnit]) -> f32 {
        let activation = Activation { units: acting.iter().map(|u| (u.au, u.right, u.left)).collect(), lids: 0.0 };
        let mut moved = [crate::geometry::Iod::default(); COUNT];
        self.table.add(&activation, &mut moved);
        moved.iter().map(|p| p.norm()).fold(0.0, f32::max)
    }
}

/// `value` held between `low` and `high`; `low` when it is not a number.
fn within(value: f32, low: f32, high: f32) -> f32 {
    if value.is_nan() { low } else { value.clamp(low, high) }
}

#[cfg(test)]
mod tests;
