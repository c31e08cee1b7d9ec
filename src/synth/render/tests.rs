//! The renderer against its own truth.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::frame::Luma;
use crate::synth::au::Au;
use crate::synth::camera::{Camera, CameraConfig};
use crate::synth::light::light_of;
use crate::time::Timestamp;

const SIZE: usize = 260;
const IOD: f32 = 60.0;

fn stage() -> Renderer {
    Renderer::new(SIZE, SIZE, vec![(Portrait::drawn(1), Displacements::of(1, 0.0), Px::new(130.0, 110.0), IOD)], 1.0, 1)
}

fn moved_pose() -> Pose {
    Pose { x: 0.083, y: -0.047, roll: 0.03, yaw: 0.05, pitch: -0.04, scale: 1.015 }
}

fn frown() -> Activation {
    let units = vec![(Au::BrowLowerer, 0.3, 0.25), (Au::LipCornerPuller, 0.2, 0.3), (Au::ChinRaiser, 0.2, 0.2)];
    Activation { units, lids: 0.0 }
}

fn render(stage: &mut Renderer, pose: Pose, activation: Activation) -> (Luma, PerLandmark<Px>) {
    let (mut luma, mut truth) = (Luma::default(), Vec::new());
    stage.draw(&[(pose, activation)], &mut truth);
    let mut camera = Camera::new(CameraConfig::default(), 0.0, 1, stage.scene().width);
    camera.expose(0, Timestamp::default(), stage.scene(), None, &mut luma);
    (luma, truth[0])
}

/// Brightness-weighted middle of the marks around `at`, on the difference of two pictures.
fn centroid(with: &Luma, without: &Luma, at: Px) -> Option<Px> {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for j in at.y as i32 - 6..=at.y as i32 + 7 {
        for i in at.x as i32 - 6..=at.x as i32 + 7 {
            let value = |l: &Luma| l.row(j as u32).get(i as usize).copied().unwrap_or(0);
            let d = (light_of(value(with)) - light_of(value(without))).max(0.0);
            (sum, x, y) = (sum + d, x + d * i as f32, y + d * j as f32);
        }
    }
    (sum > 50.0).then(|| Px::new(x / sum, y / sum))
}

#[test]
fn a_mark_drawn_at_a_landmark_is_seen_where_the_truth_says() {
    // One landmark at a time, so that marks do not run into each other.
    let mut plain = stage();
    for landmark in [17, 19, 21, 24, 30, 31, 36, 39, 48, 51, 54, 57, 8] {
        let mut marked = plain.clone();
        let p = plain.puppets[0].portrait.landmarks()[landmark];
        let texture = &mut marked.puppets[0].texture;
        let [u, v] = texture.place(p);
        let plane = texture.luma_mut();
        for j in 0..plane.height {
            for i in 0..plane.width {
                let d = (i as f32 - u).hypot(j as f32 - v) / 1.5;
                if d < 4.0 {
                    plane.data[j * plane.width + i] += 90.0 * (-0.5 * d * d).exp();
                }
            }
        }
        for (pose, activation) in [
            (Pose::default(), Activation::default()),
            (moved_pose(), Activation::default()),
            (Pose::default(), frown()),
            (moved_pose(), frown()),
        ] {
            let (with, truth) = render(&mut marked, pose, activation.clone());
            let (without, same) = render(&mut plain, pose, activation);
            assert_eq!(truth, same);
            let seen = centroid(&with, &without, truth[landmark]).unwrap();
            let error = seen.distance(truth[landmark]);
            assert!(error < 0.1, "landmark {landmark}: {error} px at {:?}, truth {:?}", seen, truth[landmark]);
        }
    }
}

#[test]
fn the_truth_moves_as_the_action_units_say() {
    let mut stage = stage();
    let (_, rest) = render(&mut stage, Pose::default(), Activation::default());
    let (_, smile) =
        render(&mut stage, Pose::default(), Activation { units: vec![(Au::LipCornerPuller, 0.3, 0.3)], lids: 0.0 });
    let (dx, dy) = ((smile[48].x - rest[48].x) / IOD, (smile[48].y - rest[48].y) / IOD);
    assert!((dx + 0.3 * 0.098).abs() < 0.006 && (dy + 0.3 * 0.112).abs() < 0.006, "{dx} {dy}");
    assert!(smile[19].distance(rest[19]) < 0.05);
}

/// Energy of the second differences inside the face: what blur takes away first.
fn sharpness(luma: &Luma, centre: Px) -> f32 {
    let (mut sum, mut n) = (0.0, 0);
    for y in (centre.y - 30.0) as u32..(centre.y + 75.0) as u32 {
        let row = luma.row(y);
        for w in row[(centre.x - 50.0) as usize..(centre.x + 50.0) as usize].windows(3) {
            let d = f32::from(w[0]) - 2.0 * f32::from(w[1]) + f32::from(w[2]);
            sum += d * d;
            n += 1;
        }
    }
    sum / n as f32
}

#[test]
fn a_neutral_frame_is_as_sharp_as_an_apex() {
    // Over many sub-pixel positions neither the movement nor the neutral face may be told by its blur.
    let mut stage = stage();
    let mut mean = [0.0f32; 2];
    let mut least = f32::MAX;
    for k in 0..12 {
        let pose = Pose { x: k as f32 * 0.0061, y: k as f32 * 0.0043, ..Pose::default() };
        for (which, activation) in [Activation::default(), frown()].into_iter().enumerate() {
            let (luma, truth) = render(&mut stage, pose, activation);
            let s = sharpness(&luma, truth[27]);
            mean[which] += s / 12.0;
            least = least.min(s);
        }
    }
    assert!((mean[0] / mean[1] - 1.0).abs() < 0.05, "{mean:?}");
    assert!(least > 0.9 * mean[0], "{least} {mean:?}");
}

#[test]
fn the_background_stands_still_while_the_head_moves() {
    let mut stage = stage();
    let (a, _) = render(&mut stage, Pose::default(), Activation::default());
    let (b, _) = render(&mut stage, moved_pose(), frown());
    let column = |l: &Luma, x: usize| (0..SIZE as u32).map(|y| l.row(y)[x]).collect::<Vec<u8>>();
    assert_eq!(column(&a, 3)[..200], column(&b, 3)[..200]);
    let (c, _) = render(&mut stage, Pose::default(), Activation::default());
    assert_eq!(a, c, "nothing is left of an earlier frame");
}

#[test]
fn a_photo_moves_too() {
    let photo = {
        let mut stage = stage();
        let (luma, truth) = render(&mut stage, Pose::default(), Activation::default());
        Portrait::from_photo(&luma, &truth).unwrap()
    };
    let mut stage =
        Renderer::new(160, 160, vec![(photo, Displacements::of(1, 0.0), Px::new(80.0, 60.0), 30.0)], 1.0, 1);
    let (a, rest) = render(&mut stage, Pose::default(), Activation::default());
    let (b, apex) = render(&mut stage, Pose::default(), frown());
    assert!(apex[19].distance(rest[19]) > 0.3 && a != b);
    assert!(rest[36].distance(Px::new(80.0 - 0.74 * 30.0, 60.0)) < 0.5);
}
