#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

/// A smooth texture with structure in all directions, moved by (dx, dy).
fn texture(dx: f32, dy: f32) -> Plane {
    let mut p = Plane::new(64, 64);
    for v in 0..64 {
        for (u, o) in p.row_mut(v).iter_mut().enumerate() {
            let (x, y) = (u as f32 - dx, v as f32 - dy);
            *o = (0.5 * x + 0.1 * y).sin() + (0.4 * y - 0.15 * x).cos() + (0.21 * x + 0.33 * y).sin();
        }
    }
    p
}

fn bank(plane: &Plane, at: [f32; 2], size: usize) -> Bank {
    let mut b = Bank::default();
    b.reset(1, size, size as f32 / 4.0, true);
    let side = b.side();
    let warp = patch::Warp::around(at, [[1.0, 0.0], [0.0, 1.0]], side);
    patch::cubic(plane, &warp, side, b.context_mut(0));
    b.prepare(0);
    b
}

#[test]
fn a_shifted_patch_is_found_to_hundredths_of_a_pixel() {
    let key = texture(0.0, 0.0);
    let mut s = Scratch::default();
    for (size, limit) in [(8, 0.06), (12, 0.03), (16, 0.03), (20, 0.03)] {
        let b = bank(&key, [31.3, 30.6], size);
        for (dx, dy) in [(0.0, 0.0), (0.37, -0.81), (1.9, 1.2), (-2.6, 0.45)] {
            let now = texture(dx, dy);
            let p = b
                .search(0, &now, [31.3, 30.6], None, 8.0, &mut s)
                .unwrap_or_else(|| panic!("{size}: {dx} {dy} not found"));
            let error = (p[0] - 31.3 - dx).hypot(p[1] - 30.6 - dy);
            assert!(error < limit, "window {size}: error {error} at {dx} {dy}");
            let m = b.compare(0, &now, p, &mut s);
            assert!(m.correlation > 0.99 && m.deviation < 0.05, "{m:?}");
            let back = b
                .backward(0, &now, p, [1.0, -0.5], None, &mut s)
                .unwrap_or_else(|| panic!("{size}: {dx} {dy} no way back"));
            assert!(back < 0.05, "window {size}: back {back}");
        }
    }
}

#[test]
fn brightness_of_the_window_drops_out() {
    let key = texture(0.0, 0.0);
    let b = bank(&key, [31.0, 30.0], 16);
    let mut now = texture(0.6, 0.3);
    for v in now.values_mut() {
        *v += 5.0;
    }
    let p = b.search(0, &now, [31.0, 30.0], None, 8.0, &mut Scratch::default()).unwrap();
    assert!((p[0] - 31.6).hypot(p[1] - 30.3) < 0.03, "{p:?}");
}

#[test]
fn a_flat_patch_and_an_edge_are_told_apart_from_texture() {
    let mut s = Scratch::default();
    let flat = Plane::new(64, 64);
    assert!(bank(&flat, [31.0, 31.0], 16).search(0, &flat, [31.0, 31.0], None, 8.0, &mut s).is_none());
    let mut edge = Plane::new(64, 64);
    for v in 0..64 {
        for (u, o) in edge.row_mut(v).iter_mut().enumerate() {
            *o = 1.0 / (1.0 + (-(u as f32 - 31.0)).exp());
        }
    }
    let b = bank(&edge, [31.0, 31.0], 16);
    assert!(b.search(0, &edge, [31.0, 31.0], None, 8.0, &mut s).is_none(), "an edge fixes only one axis");
    // with a belief the edge decides across, the belief along
    let b = bank(&edge, [31.0, 31.0], 16);
    let belief = Belief { at: [30.0, 29.0], deviation: 1.0, noise: 0.01 };
    let p = b.search(0, &edge, [30.0, 31.0], Some(&belief), 8.0, &mut s).unwrap();
    assert!((p[0] - 31.0).abs() < 0.05 && (p[1] - 29.0).abs() < 0.1, "{p:?}");
}

#[test]
fn patches_at_the_border_and_absurd_places_are_harmless() {
    let key = texture(0.0, 0.0);
    let mut s = Scratch::default();
    let b = bank(&key, [2.0, 62.0], 16);
    let p = b.search(0, &texture(0.4, -0.3), [2.0, 62.0], None, 8.0, &mut s);
    assert!(p.is_none_or(|p| p[0].is_finite() && p[1].is_finite()));
    for start in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
        b.search(0, &key, [start, start], None, 8.0, &mut s);
        b.compare(0, &key, [start, start], &mut s);
        b.backward(0, &key, [start, start], [0.0, 0.0], None, &mut s);
        assert!(b.search(7, &key, [1.0, 1.0], None, 8.0, &mut s).is_none());
    }
}
