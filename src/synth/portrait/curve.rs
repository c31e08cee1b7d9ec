//! Smooth curves through a few points, and soft edges.

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn ramp(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A bell of height 1 around 0 with standard deviation 1.
pub(super) fn bell(x: f32) -> f32 {
    (-0.5 * x * x).exp()
}

/// A two-dimensional bell.
pub(super) fn bump(dx: f32, dy: f32, sx: f32, sy: f32) -> f32 {
    (-0.5 * ((dx / sx).powi(2) + (dy / sy).powi(2))).exp()
}

/// From `a` to `b`.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// The value at `x` of a cubic Hermite curve through `points`, which are sorted by x; constant beyond the ends.
pub(crate) fn curve(points: &[(f32, f32)], x: f32) -> f32 {
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return 0.0 };
    if x <= first.0 {
        return first.1;
    }
    if x >= last.0 {
        return last.1;
    }
    let slope = |a: (f32, f32), b: (f32, f32)| (b.1 - a.1) / (b.0 - a.0).max(1e-6);
    for (i, pair) in points.windows(2).enumerate() {
        let &[a, b] = pair else { continue };
        if x > b.0 {
            continue;
        }
        let inner = slope(a, b);
        let before = i.checked_sub(1).and_then(|j| points.get(j)).map_or(inner, |&p| slope(p, b));
        let after = points.get(i + 2).map_or(inner, |&n| slope(a, n));
        let (h, t) = (b.0 - a.0, (x - a.0) / (b.0 - a.0).max(1e-6));
        let (t2, t3) = (t * t, t * t * t);
        return a.1 * (2.0 * t3 - 3.0 * t2 + 1.0)
            + before * h * (t3 - 2.0 * t2 + t)
            + b.1 * (3.0 * t2 - 2.0 * t3)
            + after * h * (t3 - t2);
    }
    last.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_its_points_and_stays_at_its_ends() {
        let points = [(0.0, 1.0), (1.0, 3.0), (2.5, -1.0)];
        for (x, y) in points {
            assert!((curve(&points, x) - y).abs() < 1e-6);
        }
        assert_eq!(curve(&points, 9.0), -1.0);
        assert_eq!(curve(&[], 0.0), 0.0);
    }
}
