//! Tells when a face track begins and when it has ended.

use crate::clock::WallMap;
use crate::event::Event;
use crate::frame::{Face, FaceId};
use crate::time::Timestamp;

/// A face that is absent for longer than this has left; the face stage keeps its id for a shorter absence.
const ABSENT_MS: f64 = 1500.0;

/// The faces that are there.
#[derive(Debug, Default)]
pub struct Presence {
    seen: Vec<(FaceId, Timestamp)>,
}

impl Presence {
    /// Compares the faces of this frame with those known.
    pub fn update(&mut self, now: Timestamp, faces: &[Face], wall: &WallMap, out: &mut Vec<Event>) {
        for face in faces {
            match self.seen.iter_mut().find(|(id, _)| *id == face.id) {
                Some((_, last)) => *last = now,
                None => {
                    self.seen.push((face.id, now));
                    out.push(Event::FaceAppeared { face: face.id, at: wall.moment(now), bounds: face.bounds });
                }
            }
        }
        self.seen.retain(|&(face, last)| {
            let stays = now.ms_since(last) <= ABSENT_MS;
            if !stays {
                out.push(Event::FaceLeft { face, at: wall.moment(last) });
            }
            stays
        });
    }

    /// All faces leave: the source has ended.
    pub fn finish(&mut self, wall: &WallMap, out: &mut Vec<Event>) {
        out.extend(self.seen.drain(..).map(|(face, last)| Event::FaceLeft { face, at: wall.moment(last) }));
    }
}
