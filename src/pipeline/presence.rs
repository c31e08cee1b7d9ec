//! Tells when a face track begins and when it has ended.

use crate::clock::WallMap;
use crate::event::Event;
use crate::frame::{Face, FaceId};
use crate::geometry::Rect;
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
    /// `picture` is its width and height in pixels, where there is one.
    pub fn update(
        &mut self,
        now: Timestamp,
        faces: &[Face],
        picture: Option<(f32, f32)>,
        wall: &WallMap,
        out: &mut Vec<Event>,
    ) {
        for face in faces {
            match self.seen.iter_mut().find(|(id, _)| *id == face.id) {
                Some((_, last)) => *last = now,
                None => {
                    self.seen.push((face.id, now));
                    let bounds = face.bounds;
                    let share = |(w, h): (f32, f32)| Rect {
                        x: bounds.x / w,
                        y: bounds.y / h,
                        width: bounds.width / w,
                        height: bounds.height / h,
                    };
                    let relative = picture.filter(|(w, h)| *w > 0.0 && *h > 0.0).map(share);
                    out.push(Event::FaceAppeared { face: face.id, at: wall.moment(now), bounds, relative });
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::geometry::Px;

    #[test]
    fn a_face_is_placed_in_pixels_and_in_shares_of_the_picture() {
        let bounds = Rect { x: 160.0, y: 120.0, width: 320.0, height: 240.0 };
        let face = Face { id: FaceId(1), bounds, landmarks: [Px::default(); 68], confidence: [1.0; 68] };
        for (picture, expected) in [
            (Some((640.0, 480.0)), Some(Rect { x: 0.25, y: 0.25, width: 0.5, height: 0.5 })),
            (Some((0.0, 480.0)), None),
            (None, None),
        ] {
            let mut out = Vec::new();
            let wall = WallMap::default();
            let faces = [face.clone()];
            Presence::default().update(Timestamp::default(), &faces, picture, &wall, &mut out);
            let Some(Event::FaceAppeared { relative, .. }) = out.first() else { panic!("{out:?}") };
            assert_eq!(*relative, expected);
        }
    }
}
