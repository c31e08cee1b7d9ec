//! The networks on a thread of their own, so that a live picture never waits for them.
//!
//! A network takes as long as several frames of a fast camera; run in the frame loop it would cost those frames, at the
//! very places where a micro-expression is measured. Here one errand at a time goes out with a copy of the picture and
//! comes back some frames later, and what the network saw is carried along by what Lucas-Kanade has followed meanwhile.
//! When an answer comes depends on the machine, so files, whose results must come out the same each time, do without.

use super::eyes::{Eyes, Followed, Runs};
use crate::face::tracker::Stance;
use crate::face::{Anchor, FaceError};
use crate::frame::{FaceId, Luma};
use crate::geometry::Roi;
use crate::time::Timestamp;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::thread::JoinHandle;

/// What the networks are sent out for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    /// A look at a followed face.
    Look { face: FaceId, roi: Roi },
    /// New faces, this many at most.
    Search { room: usize },
}

/// A question on its way to the networks, or their answer on the way back; its memory is used again and again.
pub(super) struct Errand {
    pub task: Task,
    pub time: Timestamp,
    pub picture: Luma,
    /// How the face stood in the picture, of a look.
    pub stance: Stance,
    /// Faces that a search passes over.
    pub followed: Vec<Followed>,
    /// Sent out before the stage was last reset: its answer is about another stream.
    pub era: u32,
    /// What was seen.
    pub found: Vec<Anchor>,
    pub runs: Runs,
    pub outcome: Result<(), FaceError>,
}

impl Errand {
    fn new() -> Self {
        Self {
            task: Task::Search { room: 0 },
            time: Timestamp::default(),
            picture: Luma::default(),
            stance: Stance::default(),
            followed: Vec::with_capacity(16),
            era: 0,
            found: Vec::with_capacity(16),
            runs: Runs::default(),
            outcome: Ok(()),
        }
    }

    fn run(&mut self, eyes: &mut Eyes) {
        self.runs = Runs::default();
        self.outcome = match self.task {
            Task::Search { room } => {
                eyes.search(&self.picture, &mut self.followed, room, &mut self.found, &mut self.runs)
            }
            Task::Look { roi, .. } => {
                self.found.clear();
                eyes.look(&self.picture, &roi, &mut self.runs).map(|anchor| self.found.push(anchor))
            }
        };
    }
}

/// The thread of the networks.
pub(super) struct Beside {
    /// `None` only while it is being dropped.
    out: Option<Sender<Box<Errand>>>,
    back: Receiver<Box<Errand>>,
    /// The errand, when it is not on its way.
    home: Option<Box<Errand>>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(mut eyes: Eyes) -> Result<Self, FaceError> {
        let (out, errands) = bounded::<Box<Errand>>(1);
        let (answers, back) = bounded(1);
        let thread = std::thread::Builder::new().name("networks".into()).spawn(move || {
            for mut errand in errands {
                errand.run(&mut eyes);
                if answers.send(errand).is_err() {
                    return;
                }
            }
        });
        let thread = thread.map_err(|e| FaceError::Inference(format!("no thread could be started: {e}")))?;
        Ok(Self { out: Some(out), back, home: Some(Box::new(Errand::new())), thread: Some(thread) })
    }

    /// The errand that has just come back, if one has.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn answered(&mut self) -> Result<Option<Box<Errand>>, FaceError> {
        if self.home.is_some() {
            return Ok(None);
        }
        match self.back.try_recv() {
            Ok(errand) => Ok(Some(errand)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }

    /// Keeps an errand whose answer has been used for the next time.
    pub fn keep(&mut self, errand: Box<Errand>) {
        self.home = Some(errand);
    }

    /// The errand to send out next; `None` while it is on its way.
    pub fn at_home(&mut self) -> Option<Box<Errand>> {
        self.home.take()
    }

    /// Sends an errand out.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn send(&mut self, errand: Box<Errand>) -> Result<(), FaceError> {
        self.out.as_ref().and_then(|out| out.send(errand).ok()).ok_or_else(gone)
    }
}

impl Drop for Beside {
    /// Waits for the network that is running; a few milliseconds.
    fn drop(&mut self) {
        self.out = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has been printed, and told as an error by the stage
        }
    }
}

fn gone() -> FaceError {
    FaceError::Inference("the thread of the networks has ended by a panic; please report this".into())
}
