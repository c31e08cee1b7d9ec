//! What must not change anything: where the face is, how large and how it is held; and what may change the times by no
//! more than the frames are apart: lost frames and irregular times.

use crate::generator::{Person, Recipe, Step};
use crate::score::{Said, confirmed, run};
use mercam::frame::FaceId;
use mercam::geometry::{Iod, Px};
use mercam::landmarks::MIRROR;
use mercam::movement::{Movement, MovementConfig};
use mercam::spotting::AnalysisConfig;
use proptest::prelude::*;

fn person(seed: u64) -> Person {
    let mut person = Person::new(Recipe { seconds: 6.0, seed, fps: 60.0, ..Recipe::default() });
    assert!(!person.micros(0.02, 0.04).is_empty());
    person
}

/// The movement of a film as `change` alters it.
fn movements(film: &[Step], change: impl Fn(Px) -> Px) -> Vec<Movement> {
    let mut stage = MovementConfig::default().build(FaceId(0)).unwrap();
    let mut moved = |s: &Step| {
        let mut face = s.face.clone();
        face.landmarks = face.landmarks.map(&change);
        stage.push(s.time, s.lost_before, &face).cloned()
    };
    film.iter().filter_map(&mut moved).collect()
}

fn largest(pairs: impl Iterator<Item = (Iod, Iod)>) -> f32 {
    pairs.map(|(a, b)| a.distance(b)).fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn movement_does_not_depend_on_place_size_and_roll(
        scale in 0.4f32..3.0, roll in -0.7f32..0.7, x in -300f32..900.0, y in -200f32..700.0, seed in 1u64..20,
    ) {
        let film = person(seed).film();
        let (sin, cos) = roll.sin_cos();
        let to = |p: Px| Px::new(scale * (cos * p.x - sin * p.y) + x, scale * (sin * p.x + cos * p.y) + y);
        let (plain, moved) = (movements(&film, |p| p), movements(&film, to));
        prop_assert_eq!(plain.len(), moved.len());
        for (a, b) in plain.iter().zip(&moved) {
            let apart = largest(a.shift.iter().copied().zip(b.shift));
            prop_assert!(apart < 5e-4, "{apart} IOD at {} s", a.time.as_secs());
            prop_assert!((a.iod * scale / b.iod - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn a_mirrored_face_gives_mirrored_movement(seed in 1u64..20) {
        let mut film = person(seed).film();
        let plain = movements(&film, |p| p);
        for step in &mut film {
            let from = step.face.landmarks;
            for (to, m) in step.face.landmarks.iter_mut().zip(MIRROR) {
                *to = Px::new(640.0 - from[m].x, from[m].y);
            }
        }
        let mirrored = movements(&film, |p| p);
        prop_assert_eq!(plain.len(), mirrored.len());
        for (a, b) in plain.iter().zip(&mirrored) {
            let back = MIRROR.iter().map(|&m| Iod::new(-b.shift[m].x, b.shift[m].y));
            let apart = largest(a.shift.iter().copied().zip(back));
            prop_assert!(apart < 5e-4, "{apart} IOD at {} s", a.time.as_secs());
        }
    }
}

/// Onset, apex and offset of what was confirmed, in ms.
fn times(said: &Said) -> Vec<[f64; 3]> {
    let all = confirmed(said).map(|s| &s.interval);
    all.map(|i| [i.onset(), i.apex(), i.offset().unwrap()].map(|t| t.as_secs() * 1e3)).collect()
}

#[test]
fn lost_frames_and_irregular_times_give_the_same_intervals_within_the_resolution() {
    let recipe = |lost| Recipe { seconds: 60.0, seed: 8, fps: 100.0, lost, ..Recipe::default() };
    let said = |lost| {
        let mut person = Person::new(recipe(lost));
        let truth = person.micros(0.02, 0.04);
        (truth.len(), times(&run(person, AnalysisConfig::default()).0))
    };
    let ((truth, whole), (_, holes)) = (said(0.0), said(0.2));
    assert_eq!((whole.len(), holes.len()), (truth, truth));
    let mut apart: Vec<f64> = Vec::new();
    for (a, b) in whole.iter().zip(&holes) {
        apart.extend(a.iter().zip(b).map(|(a, b)| (a - b).abs()));
    }
    apart.sort_by(f64::total_cmp);
    let (middle, most) = (apart[apart.len() / 2], apart[apart.len() - 1]);
    println!("with a fifth of the frames lost: {middle:.1} ms apart in the middle, {most:.1} at most");
    // Frames are 10 ms apart; with neighbours lost, 20 to 30.
    assert!(middle <= 10.0 && most <= 60.0, "{apart:?}");
}
