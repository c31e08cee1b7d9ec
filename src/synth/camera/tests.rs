//! The camera against what it says of itself.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::synth::light::light;

fn shoot(config: CameraConfig, noise: f32, ms: f64) -> Luma {
    let scene = Plane::filled(64, 48, light(100.0));
    let mut out = Luma::default();
    let place = Some((Px::new(32.0, 20.0), 10.0));
    Camera::new(config, noise, 7, 64).expose(3, Timestamp::default().plus_ms(ms), &scene, place, &mut out);
    out
}

fn mean(l: &Luma) -> f32 {
    l.pixels().iter().map(|&v| f32::from(v)).sum::<f32>() / l.pixels().len() as f32
}

#[test]
fn an_ideal_camera_gives_the_grey_back() {
    assert!(shoot(CameraConfig::default(), 0.0, 10.0).pixels().iter().all(|&v| v == 100));
}

#[test]
fn noise_has_its_size_and_repeats() {
    let a = shoot(CameraConfig::default(), 2.0, 10.0);
    assert_eq!(a, shoot(CameraConfig::default(), 2.0, 10.0));
    let var = a.pixels().iter().map(|&v| (f32::from(v) - 100.0).powi(2)).sum::<f32>() / a.pixels().len() as f32;
    // Read noise and shot noise at grey 100, and rounding.
    let expected = 0.4 * 4.0 + 0.6 * 4.0 * 100.0 / 128.0 + 1.0 / 12.0;
    assert!((var / expected - 1.0).abs() < 0.15, "{var} {expected}");
}

#[test]
fn flicker_follows_its_frequency_and_a_whole_period_of_exposure_takes_it_away() {
    let lamp = CameraConfig { flicker: 0.2, flicker_hz: 100.0, ..CameraConfig::default() };
    let bright = mean(&shoot(lamp, 0.0, 2.5));
    let dark = mean(&shoot(lamp, 0.0, 7.5));
    // 1.2 and 0.8 of the light, through the gamma.
    assert!(
        (bright - 100.0 * 1.2f32.powf(1.0 / 2.2)).abs() < 0.6 && (dark - 100.0 * 0.8f32.powf(1.0 / 2.2)).abs() < 0.6
    );
    assert!((mean(&shoot(lamp, 0.0, 12.5)) - bright).abs() < 1e-3);
    let long = CameraConfig { shutter_ms: 10.0, ..lamp };
    assert!((mean(&shoot(long, 0.0, 2.5)) - 100.0).abs() < 0.5);
    let rolling = shoot(CameraConfig { rolling_ms: 10.0, ..lamp }, 0.0, 0.0);
    assert!(rolling.row(12)[5] > 105 && rolling.row(36)[5] < 95, "a bright and a dark band");
}

#[test]
fn steps_have_their_size_and_number_and_are_in_the_truth() {
    let config = CameraConfig { light_steps: 20.0, light_step: 0.1, ..CameraConfig::default() };
    let camera = Camera::new(config, 0.0, 7, 64);
    let all = camera.disturbances(Timestamp::from_secs(600.0));
    assert!((150..250).contains(&all.len()), "{}", all.len());
    let first = all[0].onset;
    let grey = |ms: f64| mean(&shoot(config, 0.0, first.as_secs() * 1e3 + ms));
    let ratio = light(grey(1.0)) / light(grey(-1.0));
    assert!((ratio - 1.1).abs() < 0.02 || (ratio - 0.9).abs() < 0.02, "{ratio}");
}

#[test]
fn a_hand_covers_the_face_when_the_truth_says_so() {
    let config = CameraConfig { occlusions: 10.0, ..CameraConfig::default() };
    let camera = Camera::new(config, 0.0, 7, 64);
    let all = camera.disturbances(Timestamp::from_secs(60.0));
    assert!((4..=16).contains(&all.len()), "{}", all.len());
    let d = all[0];
    let middle = d.onset.plus_micros(d.offset.micros_since(d.onset) / 2);
    let changed = |t: Timestamp| shoot(config, 0.0, t.as_secs() * 1e3).pixels().iter().filter(|&&v| v != 100).count();
    assert!(changed(middle) > 120 && changed(d.onset.plus_ms(-1.0)) == 0 && changed(d.offset) == 0);
}

#[test]
fn compression_changes_the_picture_and_less_so_at_high_quality() {
    let error = |jpeg: u8| {
        let with = shoot(CameraConfig { jpeg, ..CameraConfig::default() }, 5.0, 1.0);
        let without = shoot(CameraConfig::default(), 5.0, 1.0);
        with.pixels().iter().zip(without.pixels()).map(|(a, b)| f32::from(a.abs_diff(*b)).powi(2)).sum::<f32>()
    };
    assert!(error(30) > 2.0 * error(95) && error(95) > 0.0);
}

#[test]
fn an_exposure_lies_around_its_time() {
    let camera = Camera::new(CameraConfig { shutter_ms: 10.0, ..CameraConfig::default() }, 0.0, 1, 8);
    let times: Vec<i64> = camera.exposure(Timestamp::from_micros(50_000)).map(Timestamp::as_micros).collect();
    assert!(times.iter().zip([46_000, 48_000, 50_000, 52_000, 54_000]).all(|(a, b)| (a - b).abs() <= 1), "{times:?}");
    let still = Camera::new(CameraConfig::default(), 0.0, 1, 8);
    assert_eq!(still.exposure(Timestamp::from_micros(5)).count(), 1);
}
