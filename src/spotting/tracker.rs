//! Follows one part of the face through rise, apex and return.

use super::SpottingConfig;
use super::history::{History, Sample};
use super::noise::Noise;
use super::patch::{Patch, Shape, dot, minus};
use super::timing::Trace;
use crate::time::Timestamp;

/// Fewest samples and shortest time that make a reference.
const REFERENCE_SAMPLES: usize = 2;
const REFERENCE_MS: f64 = 60.0;
/// How far back the start of a rise is looked for, in ms: no facial movement that could be micro rises longer.
const LOOK_BACK_MS: f64 = 700.0;
/// A movement that stays where it went this long has a new place of rest, in ms.
const REST_MS: f64 = 800.0;
/// Share of the time of a movement that counts for the noise level.
const UNREST_SHARE: f32 = 0.25;
/// Half width of the window over which the face at the apex is averaged, in ms.
const APEX_HALF_MS: f64 = 12.0;

/// Where a movement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It grows; the apex is not known.
    Rising,
    /// The apex has passed.
    Falling,
    /// It is over.
    Ended,
    /// It has lasted longer than a micro-expression, or was rejected, and is waited out.
    Held,
}

/// A movement of one part away from where it was.
#[derive(Debug, Clone)]
pub(super) struct Excursion {
    pub phase: Phase,
    pub onset: Timestamp,
    pub apex: Timestamp,
    pub offset: Option<Timestamp>,
    /// Largest RMS displacement, in IOD.
    pub peak: f32,
    peak_time: Timestamp,
    /// Threshold that it passed, in IOD.
    pub threshold: f32,
    /// Where the part was before.
    reference: Shape,
    /// Displacement at the apex.
    direction: Shape,
    /// What is left of the height, lowest and when.
    lowest: f32,
    lowest_time: Timestamp,
    low_since: Option<Timestamp>,
    /// It lasted, or goes with one that lasted, longer than a micro-expression.
    pub long: bool,
    /// ... and has been counted, by itself or with another.
    pub counted: bool,
}

impl Excursion {
    /// Height of the movement in a sample: 0 where it was before, 1 at the apex, along its direction there.
    fn height(&self, patch: &Patch, sample: &Sample) -> f32 {
        let d = minus(&patch.pick(&sample.points), &self.reference);
        dot(&d, &self.direction) / dot(&self.direction, &self.direction).max(1e-12)
    }

    /// Is it under way and not yet rejected?
    pub fn live(&self) -> bool {
        self.phase != Phase::Held
    }

    /// A slow drift before the movement can make it look long. When it really starts later than thought, its
    /// reference and height are taken from there; says whether that is so.
    fn starts_later(
        &mut self,
        patch: &Patch,
        history: &History,
        smooth: &Shape,
        now: Timestamp,
        c: &SpottingConfig,
        trace: &mut Trace,
    ) -> bool {
        self.direction = minus(smooth, &self.reference);
        fill(trace, self, patch, history, self.onset, now);
        trace.smooth(15.0);
        let Some(onset) = trace.onset(0.0).map(|t| now.plus_ms(f64::from(t))) else { return false };
        if onset < self.onset.plus_ms(REFERENCE_MS) {
            return false;
        }
        let (before, n) = history.mean_shape(patch, onset.plus_ms(-REFERENCE_MS), onset);
        let height = patch.rms(&minus(smooth, &before));
        if n == 0 || height < self.threshold || now.ms_since(onset) > f64::from(c.longest_ms()) {
            return false;
        }
        (self.onset, self.reference, self.peak, self.peak_time) = (onset, before, height, now);
        true
    }

    /// How much it stands out: the peak over the threshold.
    pub fn strength(&self) -> f32 {
        self.peak / self.threshold.max(1e-9)
    }
}

/// One part of the face, watched.
#[derive(Debug)]
pub(super) struct Tracker {
    pub patch: Patch,
    pub noise: Noise,
    pub excursion: Option<Excursion>,
    /// Nothing before this may serve as reference.
    floor: Timestamp,
    /// End of the last excursion.
    ended: Timestamp,
}

impl Tracker {
    pub fn new(patch: Patch, c: &SpottingConfig) -> Self {
        Self {
            patch,
            noise: Noise::new(c.noise_ms),
            excursion: None,
            floor: Timestamp::from_micros(i64::MIN),
            ended: Timestamp::from_micros(i64::MIN),
        }
    }

    /// Forgets what is under way; the noise level is of the same face and is kept.
    pub fn reset(&mut self) {
        self.excursion = None;
        self.floor = Timestamp::from_micros(i64::MIN);
        self.ended = self.floor;
    }

    /// Ends the excursion; the part rests from `now` on.
    pub fn close(&mut self, now: Timestamp) {
        self.excursion = None;
        (self.floor, self.ended) = (now, now);
    }

    /// The excursion is not to be reported; it is waited out.
    pub fn dismiss(&mut self, now: Timestamp) {
        if let Some(x) = self.excursion.as_mut() {
            if x.phase == Phase::Ended {
                return self.close(now);
            }
            x.phase = Phase::Held;
            (x.low_since, x.lowest_time) = (None, now);
        }
    }

    /// Takes the newest sample of the history, `dt_ms` after the one before. Nothing starts before `ready`.
    pub fn step(&mut self, history: &History, c: &SpottingConfig, trace: &mut Trace, dt_ms: f32, ready: bool) {
        let Some(now) = history.last().map(|s| s.time) else { return };
        let smooth = history.mean_shape(&self.patch, now.plus_ms(-f64::from(c.smooth_ms)), now).0;
        let moved = self.reference(history, c, now).map(|r| (self.patch.rms(&minus(&smooth, &r)), r));
        if let Some((d, _)) = moved {
            // A movement is no noise; but a part that never rests must still be known as restless.
            let share = if self.excursion.is_some() { UNREST_SHARE } else { 1.0 };
            self.noise.push(d, share * dt_ms);
        }
        match self.excursion.as_ref().map(|x| x.phase) {
            None => {
                if let Some((d, reference)) = moved {
                    let threshold = self.threshold(c).max(c.head_ratio * self.turned(history, c, now));
                    let rested = now.ms_since(self.ended) >= f64::from(c.refractory_ms);
                    if ready && rested && d > threshold {
                        self.begin(history, &smooth, &reference, now, threshold, trace);
                    }
                }
            }
            Some(Phase::Rising) => self.rise(history, c, &smooth, now, trace),
            Some(Phase::Falling) => self.fall(history, c, &smooth, now, trace),
            Some(Phase::Held) => self.wait_out(&smooth, now),
            Some(Phase::Ended) => {}
        }
    }

    /// What a displacement must exceed to be a movement.
    pub fn threshold(&self, c: &SpottingConfig) -> f32 {
        c.trigger.max(self.noise.median() + c.trigger_sigma * self.noise.sigma())
    }

    /// How much the rigid residual, which a turn of the head changes, differs from what it was in the reference window.
    fn turned(&self, history: &History, c: &SpottingConfig, now: Timestamp) -> f32 {
        let far = now.plus_ms(-f64::from(c.reference_far_ms)).max(self.floor);
        let near = now.plus_ms(-f64::from(c.reference_near_ms)).max(self.floor.plus_ms(REFERENCE_MS));
        let (mut sum, mut n) = (0.0f32, 0.0f32);
        for s in history.between(far, near) {
            sum += s.head.residual;
            n += 1.0;
        }
        let residual = history.last().map_or(0.0, |s| s.head.residual);
        if n > 0.0 { (residual - sum / n).abs() } else { 0.0 }
    }

    /// Where the part was 250-500 ms ago; after a movement, where it has been since, once there is enough of that.
    fn reference(&self, history: &History, c: &SpottingConfig, now: Timestamp) -> Option<Shape> {
        let far = now.plus_ms(-f64::from(c.reference_far_ms));
        let near = now.plus_ms(-f64::from(c.reference_near_ms));
        let (from, to) = (far.max(self.floor), near.max(self.floor.plus_ms(REFERENCE_MS)));
        let oldest = history.between(from, to).last()?.time;
        if now.ms_since(oldest) < REFERENCE_MS {
            return None;
        }
        let (shape, n) = history.mean_shape(&self.patch, from, to);
        (n >= REFERENCE_SAMPLES).then_some(shape)
    }

    /// Finds where the rise started and what the part looked like before.
    fn begin(
        &mut self,
        history: &History,
        smooth: &Shape,
        reference: &Shape,
        now: Timestamp,
        threshold: f32,
        trace: &mut Trace,
    ) {
        let direction = minus(smooth, reference);
        let mut x = Excursion {
            phase: Phase::Rising,
            onset: now,
            apex: now,
            offset: None,
            peak: 0.0,
            peak_time: now,
            threshold,
            reference: *reference,
            direction,
            lowest: 1.0,
            lowest_time: now,
            low_since: None,
            long: false,
            counted: false,
        };
        let from = now.plus_ms(-LOOK_BACK_MS).max(self.floor);
        fill(trace, &x, &self.patch, history, from, now);
        trace.smooth(10.0);
        // Down from now to the valley: it ends where the height has not fallen for a while, or rises again.
        let (mut low, mut at) = (f32::MAX, 0.0f32);
        for (&t, &h) in trace.time.iter().zip(&trace.height).rev() {
            if h < low - 0.02 {
                (low, at) = (h, t);
            } else if h > low + 0.3 || at - t > 80.0 {
                break;
            }
        }
        x.onset = now.plus_ms(f64::from(at));
        let (before, n) = history.mean_shape(&self.patch, x.onset.plus_ms(-60.0).max(from), x.onset);
        if n > 0 {
            x.reference = before;
        }
        x.peak = self.patch.rms(&minus(smooth, &x.reference));
        self.excursion = Some(x);
    }

    fn rise(&mut self, history: &History, c: &SpottingConfig, smooth: &Shape, now: Timestamp, trace: &mut Trace) {
        let patch = self.patch;
        let sigma = self.noise.sigma();
        let Some(x) = self.excursion.as_mut() else { return };
        let d = patch.rms(&minus(smooth, &x.reference));
        if d > x.peak {
            (x.peak, x.peak_time) = (d, now);
        }
        if now.ms_since(x.onset) > f64::from(c.longest_ms()) && !x.starts_later(&patch, history, smooth, now, c, trace)
        {
            return self.hold(smooth, now);
        }
        if d < x.peak - (c.decline * x.peak).max(2.5 * sigma) {
            let lag = f64::from(c.smooth_ms) / 2.0;
            let middle = x.peak_time.plus_ms(-lag);
            let (apex, n) = history.mean_shape(&patch, middle.plus_ms(-APEX_HALF_MS), middle.plus_ms(APEX_HALF_MS));
            let apex = if n > 0 { apex } else { *smooth };
            x.direction = minus(&apex, &x.reference);
            x.phase = Phase::Falling;
            (x.lowest, x.lowest_time, x.low_since) = (1.0, now, None);
            self.locate(history, now, trace);
        }
    }

    /// Apex and onset from the height over time along the direction of the apex.
    fn locate(&mut self, history: &History, now: Timestamp, trace: &mut Trace) {
        let patch = self.patch;
        let Some(x) = self.excursion.as_mut() else { return };
        fill(trace, x, &patch, history, x.onset.plus_ms(-100.0).max(self.floor), now);
        trace.smooth(15.0);
        let middle = x.peak_time.ms_since(now) as f32;
        let begin = (x.onset.ms_since(now) as f32).min(middle);
        let Some(apex) = trace.apex((middle - 120.0).max(begin), 0.0) else { return };
        x.apex = now.plus_ms(f64::from(apex));
        if let Some(onset) = trace.onset(apex) {
            x.onset = now.plus_ms(f64::from(onset)).min(x.apex).max(self.floor);
        }
        x.onset = x.onset.min(x.apex);
    }

    fn fall(&mut self, history: &History, c: &SpottingConfig, smooth: &Shape, now: Timestamp, trace: &mut Trace) {
        let patch = self.patch;
        let sigma = self.noise.sigma();
        let Some(x) = self.excursion.as_mut() else { return };
        let d = minus(smooth, &x.reference);
        let size = dot(&x.direction, &x.direction).max(1e-12);
        let h = dot(&d, &x.direction) / size;
        let rms = patch.rms(&d);
        if rms > 1.05 * x.peak && h > 1.0 && x.lowest > 0.5 {
            (x.phase, x.peak, x.peak_time) = (Phase::Rising, rms, now);
            return;
        }
        if h < x.lowest - 0.03 {
            (x.lowest, x.lowest_time) = (h, now);
        }
        let noise = 2.5 * sigma / x.peak.max(1e-6);
        if h <= c.end_level.max(noise).min(0.33) {
            x.low_since.get_or_insert(now);
        }
        let settled = x.lowest <= 0.5 && now.ms_since(x.lowest_time) >= f64::from(c.settle_ms);
        let again = x.lowest <= 0.5 && h > x.lowest + 0.3;
        let late = now.ms_since(x.onset) > f64::from(c.longest_ms());
        let low = x.low_since.is_some();
        if !(settled || again || late || low) {
            return;
        }
        if late && x.lowest > 0.33 && !settled {
            return self.hold(smooth, now);
        }
        fill(trace, x, &patch, history, x.onset, now);
        trace.smooth(15.0);
        let left = if low || !(settled || again) { 0.0 } else { x.lowest.max(0.0) };
        let apex = x.apex.ms_since(now) as f32;
        let latest = if settled || again { x.lowest_time } else { now.plus_ms(150.0) };
        let offset = match trace.offset(apex, left) {
            Some(o) => now.plus_ms(f64::from(o)).min(latest),
            None => x.lowest_time,
        };
        // A movement that is low but still falling is over when its curve says so, and at most 150 ms later.
        let waited = x.low_since.is_some_and(|t| now.ms_since(t) > 150.0);
        if settled || again || late || waited || now >= offset {
            x.offset = Some(offset.max(x.apex));
            x.phase = Phase::Ended;
        }
    }

    fn hold(&mut self, smooth: &Shape, now: Timestamp) {
        let Some(x) = self.excursion.as_mut() else { return };
        x.phase = Phase::Held;
        x.direction = minus(smooth, &x.reference);
        (x.low_since, x.lowest_time) = (None, now);
    }

    /// Waits until a long movement has gone back or has come to rest where it is.
    fn wait_out(&mut self, smooth: &Shape, now: Timestamp) {
        let patch = self.patch;
        let Some(x) = self.excursion.as_mut() else { return };
        let d = minus(smooth, &x.reference);
        x.peak = x.peak.max(patch.rms(&d));
        let back = patch.rms(&d) < 0.2 * x.peak;
        if minus_rms(&patch, &d, &x.direction) > (0.1 * x.peak).max(0.5 * x.threshold) {
            (x.direction, x.lowest_time) = (d, now); // still moving: the place of rest is looked for from here
        }
        let low = if back { *x.low_since.get_or_insert(now) } else { now };
        if !back {
            x.low_since = None;
        }
        if now.ms_since(low) >= REFERENCE_MS || now.ms_since(x.lowest_time) >= REST_MS {
            self.close(now);
        }
    }
}

fn minus_rms(patch: &Patch, a: &Shape, b: &Shape) -> f32 {
    patch.rms(&minus(a, b))
}

/// Fills the trace with the height of an excursion from `from` to `now`, in ms before `now`.
fn fill(trace: &mut Trace, x: &Excursion, patch: &Patch, history: &History, from: Timestamp, now: Timestamp) {
    trace.clear();
    for s in history.between(from, now) {
        trace.push(s.time.ms_since(now) as f32, x.height(patch, s));
    }
    trace.reverse();
}
