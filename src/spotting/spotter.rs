//! The spotter of one face: nine parts watched, movements that go together made one event.

mod by_shape;

use super::describe::Known;
use super::history::{History, Sample};
use super::matched::Matcher;
use super::patch;
use super::reject::{Candidate, Rejections, reason};
use super::scene::Scene;
use super::timing::Trace;
use super::tracker::{Excursion, Phase, Tracker};
use super::{Spotted, SpottingConfig};
use crate::event::{Rejection, Stage};
use crate::frame::FaceId;
use crate::geometry::Iod;
use crate::landmarks::{Component, PerLandmark};
use crate::movement::{Movement, SettingError};
use crate::time::Timestamp;

/// The neutral face changing by more than this between two frames, in IOD, was started again.
const RESTART: f32 = 0.006;
/// A movement smaller than this share of a long one that goes on belongs to it.
const SIDE_EFFECT: f32 = 0.3;

/// A movement under way, of one or several parts.
#[derive(Debug)]
struct Group {
    key: u64,
    provisional: Option<Spotted>,
}

/// Spots micro-expressions in the movement of one face, as it comes.
///
/// After its start it allocates nothing but what `out` needs. For the first `warmup_ms` of a face, and until
/// there is a reference (300 ms) after a gap, it spots nothing: see [`Spotter::ready`].
#[derive(Debug)]
pub struct Spotter {
    config: SpottingConfig,
    face: FaceId,
    history: History,
    trackers: [Tracker; patch::COUNT],
    scene: Scene,
    matcher: Matcher,
    trace: Trace,
    neutral: Option<PerLandmark<Iod>>,
    watched_ms: f32,
    /// Inter-ocular distance in the last frame, in pixels.
    iod: f32,
    group: Option<Group>,
    next: u64,
    last_blink: Option<Timestamp>,
    /// When a macro-expression was last seen going on.
    last_macro: Option<Timestamp>,
    /// Onset and offset of the last confirmed movement.
    last_confirmed: Option<(Timestamp, Timestamp)>,
    rejections: Rejections,
}

impl Spotter {
    pub(super) fn new(config: SpottingConfig, face: FaceId) -> Self {
        let frames = (f64::from(config.max_rate) * 2.0) as usize + 2;
        Self {
            config,
            face,
            history: History::new(config.max_rate),
            trackers: patch::ALL.map(|p| Tracker::new(p, &config)),
            scene: Scene::default(),
            matcher: Matcher::new(&config),
            trace: Trace::with_capacity(frames),
            neutral: None,
            watched_ms: 0.0,
            iod: 0.0,
            group: None,
            next: 0,
            last_blink: None,
            last_macro: None,
            last_confirmed: None,
            rejections: Rejections::default(),
        }
    }

    /// Starts again for another face track, keeping the memory.
    pub fn restart(&mut self, face: FaceId) {
        self.reset();
        for t in &mut self.trackers {
            t.noise.clear();
        }
        self.scene = Scene::default();
        self.matcher.clear();
        (self.face, self.next, self.watched_ms, self.rejections) = (face, 0, 0.0, Rejections::default());
    }

    /// Changes the settings while running; memory stays as it was set aside.
    ///
    /// # Errors
    /// The first setting that is out of its range, by name; nothing is changed then.
    pub fn configure(&mut self, config: SpottingConfig) -> Result<(), SettingError> {
        config.check()?;
        for t in &mut self.trackers {
            t.noise.set_span(config.noise_ms);
        }
        self.config = config;
        Ok(())
    }

    /// The settings in force.
    pub fn config(&self) -> &SpottingConfig {
        &self.config
    }

    /// Movements rejected so far, by reason; a withdrawn one counts under its reason, once.
    pub fn rejections(&self) -> Rejections {
        self.rejections
    }

    /// Frames per second over the last second of source time.
    pub fn rate(&self) -> f32 {
        self.history.rate()
    }

    /// Has the face been watched long enough to spot anything?
    pub fn ready(&self) -> bool {
        self.watched_ms >= self.config.warmup_ms
    }

    /// Takes the movement of a frame and appends what it brings: provisional, confirmed and withdrawn movements.
    ///
    /// A time that is not later than the last one is passed over, unless it lies further back than `gap_ms`:
    /// then the source's clock has started again and so does the spotter.
    pub fn push(&mut self, movement: &Movement, out: &mut Vec<Spotted>) {
        let now = movement.time;
        let dt_ms = match self.history.last() {
            None => 0.0,
            Some(last) => {
                let dt = now.ms_since(last.time) as f32;
                if dt.abs() > self.config.gap_ms {
                    self.interrupt(Rejection::Gap, out);
                    0.0
                } else if dt <= 0.0 {
                    return;
                } else {
                    dt
                }
            }
        };
        if self.neutral.as_ref().is_some_and(|n| mean_distance(n, &movement.neutral) > RESTART) {
            self.interrupt(Rejection::HeadMotion, out);
        }
        (self.neutral, self.iod) = (Some(movement.neutral), movement.iod);
        let mut sample = Sample::new(movement);
        if !sample.points.iter().all(|p| p.is_finite()) {
            return;
        }
        self.scene.observe(&mut sample, &self.history, dt_ms, &self.config);
        self.history.push(sample);
        self.watched_ms = (self.watched_ms + dt_ms).min(1e9);

        let ready = self.ready();
        if self.trackers.iter().any(|t| t.excursion.as_ref().is_some_and(|x| x.counted && !x.live())) {
            self.last_macro = Some(now);
        }
        let mut long: Option<usize> = None;
        for i in 0..patch::COUNT {
            let was = self.trackers[i].excursion.as_ref().map(|x| x.phase);
            self.trackers[i].step(&self.history, &self.config, &mut self.trace, dt_ms, ready);
            let is = self.trackers[i].excursion.as_ref().map(|x| x.phase);
            if is == Some(Phase::Held) && was.is_some_and(|p| p != Phase::Held) {
                long = stronger(&self.trackers, long, i);
            }
        }
        if let Some(i) = long {
            self.too_long(i, now, movement.iod, out);
        }
        self.blinks(now, movement.iod, out);
        let found = self.matcher.step(&self.history, &self.config);
        self.decide(now, movement.iod, out);
        if let Some(found) = found.filter(|_| ready) {
            self.matched(&found, now, movement.iod, out);
        }
    }

    /// The track was lost at `time`: what is under way is withdrawn. The spotter may be pushed to again.
    pub fn lost(&mut self, time: Timestamp, out: &mut Vec<Spotted>) {
        log::trace!("face {}: lost at {:.3} s", self.face.0, time.as_secs());
        self.interrupt(Rejection::LostTrack, out);
    }

    /// The source has ended: a movement whose offset was seen is confirmed, any other is withdrawn.
    pub fn finish(&mut self, out: &mut Vec<Spotted>) {
        if let Some(i) = self.leader().filter(|&i| self.phase(i) == Some(Phase::Ended)) {
            let now = self.history.last().map_or(Timestamp::default(), |s| s.time);
            self.conclude(i, now, self.iod, out);
        }
        if let Some(found) = self.matcher.finish().filter(|_| self.ready()) {
            let now = self.history.last().map_or(Timestamp::default(), |s| s.time);
            self.matched(&found, now, self.iod, out);
        }
        self.interrupt(Rejection::LostTrack, out);
    }

    fn reset(&mut self) {
        self.history.clear();
        for t in &mut self.trackers {
            t.reset();
        }
        self.scene.forget_blink();
        self.matcher.reset();
        self.last_confirmed = None;
        (self.neutral, self.group, self.last_blink, self.last_macro) = (None, None, None, None);
    }

    /// Everything under way ends with `reason`; the reference starts again, the noise level stays.
    fn interrupt(&mut self, reason: Rejection, out: &mut Vec<Spotted>) {
        self.withdraw(reason, out);
        self.reset();
    }

    fn phase(&self, i: usize) -> Option<Phase> {
        self.excursion(i).map(|x| x.phase)
    }

    fn excursion(&self, i: usize) -> Option<&Excursion> {
        self.trackers.get(i).and_then(|t| t.excursion.as_ref())
    }

    /// The live movement that stands out most.
    fn leader(&self) -> Option<usize> {
        let live = (0..patch::COUNT).filter(|&i| self.excursion(i).is_some_and(Excursion::live));
        live.reduce(|a, b| stronger(&self.trackers, Some(a), b).unwrap_or(a))
    }

    /// Part `i` has moved for longer than any micro-expression: it and what goes with it is a macro-expression.
    fn too_long(&mut self, i: usize, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        let strength = |s: &Self, i: usize| s.excursion(i).map_or(0.0, Excursion::strength);
        let leads = self.leader().is_none_or(|l| strength(self, l) <= strength(self, i));
        // What began while a counted one lasted is a part of that.
        let part = self.excursion(i).zip(self.last_macro).is_some_and(|(x, last)| x.onset <= last);
        if let Some(x) = self.trackers[i].excursion.as_mut() {
            x.long = true;
        }
        if !leads {
            return;
        }
        let weak = self.candidate(i, now).is_none_or(|x| x.size < self.config.min_amplitude);
        if self.group.is_some() {
            self.refresh(i, iod);
            self.withdraw(Rejection::Macro, out);
        } else if !(part || weak) {
            self.rejections.add(Rejection::Macro);
        }
        for (k, t) in self.trackers.iter_mut().enumerate() {
            if k == i || t.excursion.as_ref().is_some_and(Excursion::live) {
                t.dismiss(now);
                if let Some(x) = t.excursion.as_mut() {
                    (x.long, x.counted) = (true, !weak);
                }
            }
        }
    }

    /// Eye and brow movements that belong to a blink are set aside; each blink counts once.
    fn blinks(&mut self, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        let Some((begin, end)) = self.scene.blink().filter(|b| now.ms_since(b.1) < 300.0) else { return };
        let led = self.leader();
        let lead = begin.plus_ms(-f64::from(self.config.blink_lead_ms));
        let mut dismissed = false;
        for t in &mut self.trackers {
            let eye = matches!(t.patch.component, Component::RightEye | Component::LeftEye);
            let brow = matches!(t.patch.component, Component::RightBrow | Component::LeftBrow);
            // A brow that began earlier but is highest while the eyes are closed cannot be told from the blink.
            let closed = |t: Timestamp| t >= begin && t <= end;
            let mine = |x: &Excursion| {
                let peaks = x.phase != Phase::Rising && closed(x.apex);
                x.live() && x.onset <= end && (eye || x.onset >= lead || peaks)
            };
            let part = t.excursion.as_ref().is_some_and(mine);
            if part && (eye || brow) {
                t.dismiss(now);
                dismissed = true;
            }
        }
        if self.last_blink != Some(begin) {
            self.last_blink = Some(begin);
            self.rejections.add(Rejection::Blink);
        }
        let led_away = led.is_some_and(|l| self.excursion(l).is_none_or(|x| !x.live()));
        if dismissed && led_away && self.group.is_some() {
            if let Some(l) = led {
                self.refresh(l, iod);
            }
            self.retract(Rejection::Blink, out);
        }
    }

    /// Opens, shows and concludes the event of the strongest movement.
    fn decide(&mut self, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        let Some(i) = self.leader() else { return self.withdraw(Rejection::LostTrack, out) };
        match self.phase(i) {
            Some(Phase::Falling) if self.group.is_none() => self.open(i, now, iod, out),
            Some(Phase::Ended) => {
                if self.group.is_none() {
                    self.open(i, now, iod, out);
                }
                if self.group.is_some() && self.quiet(i, now) {
                    self.conclude(i, now, iod, out);
                }
            }
            _ => {}
        }
    }

    /// The apex of part `i` has passed: a provisional event, unless something speaks against it already.
    fn open(&mut self, i: usize, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        let Some(x) = self.candidate(i, now) else { return };
        let held = (0..patch::COUNT).filter_map(|k| self.excursion(k)).filter(|h| h.long && !h.live());
        let side_effect = held.map(|h| h.peak).fold(0.0, f32::max) * SIDE_EFFECT > x.size;
        let against = reason(&self.history, &self.scene, &self.config, &Candidate { offset: None, ..x });
        let spotted = self.describe(i, self.next, None, iod);
        let strong = spotted
            .as_ref()
            .is_some_and(|s| s.amplitude >= self.config.min_amplitude && s.score >= self.config.min_score);
        if !strong || side_effect {
            let (amplitude, score) = spotted.as_ref().map_or((0.0, 0.0), |s| (s.amplitude, s.score));
            log::debug!(
                "face {}: {} moved by {amplitude:.4} IOD ({score:.1} times its noise) at {:.3} s: too weak, not counted",
                self.face.0,
                x.component.name(),
                x.onset.as_secs()
            );
            return self.dismiss_all(now);
        }
        if let Some(why) = against {
            log::debug!("face {}: {} moved at {:.3} s: {why:?}", self.face.0, x.component.name(), x.onset.as_secs());
            self.rejections.add(why);
            return self.dismiss_all(now);
        }
        self.group = Some(Group { key: self.next, provisional: spotted.clone() });
        self.next += 1;
        out.extend(spotted);
    }

    /// Has part `i` been still long enough after its offset?
    fn quiet(&self, i: usize, now: Timestamp) -> bool {
        let Some(offset) = self.excursion(i).and_then(|x| x.offset) else { return true };
        let still_ms = match self.trackers.get(i).map(|t| t.patch.component) {
            Some(Component::Mouth) => self.config.mouth_still_ms,
            Some(Component::RightEye | Component::LeftEye) => self.config.eye_still_ms,
            _ => 0.0,
        };
        now.ms_since(offset) >= f64::from(still_ms)
    }

    /// The movement of part `i` is over: confirmed, or withdrawn with its reason.
    fn conclude(&mut self, i: usize, now: Timestamp, iod: f32, out: &mut Vec<Spotted>) {
        let refreshed = self.refresh(i, iod);
        let why = match self.candidate(i, now).filter(|_| refreshed) {
            Some(x) => reason(&self.history, &self.scene, &self.config, &x),
            None => Some(Rejection::LostTrack),
        };
        let score = self.likeness(i);
        let why = why.or((score < self.config.vouch_score).then_some(Rejection::Model));
        match why {
            Some(why) => self.withdraw(why, out),
            None => {
                if let Some(mut spotted) = self.group.take().and_then(|g| g.provisional) {
                    (spotted.stage, spotted.score) = (Stage::Confirmed, score);
                    self.last_confirmed = spotted.interval.offset().map(|o| (spotted.interval.onset(), o));
                    out.push(spotted);
                }
            }
        }
        // What has passed its apex belonged to this event; what still rises may be the next.
        for t in &mut self.trackers {
            match t.excursion.as_ref().map(|x| x.phase) {
                Some(Phase::Ended) => t.close(now),
                Some(Phase::Falling) => t.dismiss(now),
                _ => {}
            }
        }
    }

    fn dismiss_all(&mut self, now: Timestamp) {
        for t in &mut self.trackers {
            if t.excursion.as_ref().is_some_and(|x| x.live() && x.phase != Phase::Rising) {
                t.dismiss(now);
            }
        }
    }

    /// Brings the open event up to date with the movement of part `i`; says whether that could be done.
    fn refresh(&mut self, i: usize, iod: f32) -> bool {
        let Some(key) = self.group.as_ref().map(|g| g.key) else { return false };
        let offset = self.excursion(i).and_then(|x| x.offset);
        let fresh = self.describe(i, key, offset, iod);
        match self.group.as_mut().zip(fresh) {
            Some((group, fresh)) => group.provisional = Some(fresh),
            None => return false,
        }
        true
    }

    /// The open event does not stand; its reason is counted.
    fn withdraw(&mut self, why: Rejection, out: &mut Vec<Spotted>) {
        if self.group.is_some() {
            self.rejections.add(why);
        }
        self.retract(why, out);
    }

    fn retract(&mut self, why: Rejection, out: &mut Vec<Spotted>) {
        if let Some(mut spotted) = self.group.take().and_then(|g| g.provisional) {
            (spotted.stage, spotted.reason) = (Stage::Withdrawn, Some(why));
            out.push(spotted);
        }
    }

    fn candidate(&self, i: usize, now: Timestamp) -> Option<Candidate> {
        let t = self.trackers.get(i)?;
        let x = t.excursion.as_ref()?;
        Some(Candidate {
            component: t.patch.component,
            onset: x.onset,
            apex: x.apex,
            offset: x.offset,
            size: x.peak,
            now,
        })
    }

    /// What is known about the movement of part `i`, as a provisional event.
    fn describe(&self, i: usize, key: u64, offset: Option<Timestamp>, iod: f32) -> Option<Spotted> {
        let known = Known { history: &self.history, trackers: &self.trackers, config: &self.config };
        known.describe(i, (self.face, key), offset, iod)
    }
}

/// The stronger of a part chosen so far and part `i`.
fn stronger(trackers: &[Tracker; patch::COUNT], chosen: Option<usize>, i: usize) -> Option<usize> {
    let strength = |i: usize| trackers.get(i).and_then(|t| t.excursion.as_ref()).map_or(0.0, Excursion::strength);
    match chosen {
        Some(k) if strength(k) >= strength(i) => Some(k),
        _ => Some(i),
    }
}

fn mean_distance(a: &PerLandmark<Iod>, b: &PerLandmark<Iod>) -> f32 {
    a.iter().zip(b).map(|(p, q)| p.distance(*q)).sum::<f32>() / a.len() as f32
}
