//! Points that know their coordinate frame, and the similarity that carries one frame into another.
//!
//! Two frames exist. **Pixels**: (0, 0) is the centre of the top-left pixel, x to the right, y down.
//! **Face frame**: the origin is midway between the two eye centres, x runs from the subject's right eye
//! to the left eye (left to right in the picture), y down the face, and the unit is the inter-ocular
//! distance (IOD), the distance between the eye centres. The compiler keeps them apart.

use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Mul, Sub};

/// Marks image-pixel coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pixels;
/// Marks face-frame coordinates, in inter-ocular distances.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FaceFrame;

/// A point, or a displacement, in the coordinate frame `S`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "[f32; 2]", into = "[f32; 2]")]
pub struct Point<S: Copy> {
    /// To the right in the picture.
    pub x: f32,
    /// Down.
    pub y: f32,
    frame: PhantomData<S>,
}

/// A point in image pixels.
pub type Px = Point<Pixels>;
/// A point in the face frame, in IOD.
pub type Iod = Point<FaceFrame>;

impl<S: Copy> Point<S> {
    /// The point (x, y).
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y, frame: PhantomData }
    }

    /// Length of the vector from the origin.
    pub fn norm(self) -> f32 {
        self.x.hypot(self.y)
    }

    /// Distance to `other`.
    pub fn distance(self, other: Self) -> f32 {
        (self - other).norm()
    }

    /// Neither coordinate is infinite or NaN.
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }

    /// The mean of some points; the origin when there are none.
    pub fn mean(points: impl IntoIterator<Item = Self>) -> Self {
        let (mut sum, mut n) = (Self::new(0.0, 0.0), 0u32);
        for p in points {
            sum += p;
            n += 1;
        }
        sum * (1.0 / n.max(1) as f32)
    }
}

impl<S: Copy> From<[f32; 2]> for Point<S> {
    fn from([x, y]: [f32; 2]) -> Self {
        Self::new(x, y)
    }
}
impl<S: Copy> From<Point<S>> for [f32; 2] {
    fn from(p: Point<S>) -> Self {
        [p.x, p.y]
    }
}
impl<S: Copy> Add for Point<S> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self::new(self.x + o.x, self.y + o.y)
    }
}
impl<S: Copy> AddAssign for Point<S> {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl<S: Copy> Sub for Point<S> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self::new(self.x - o.x, self.y - o.y)
    }
}
impl<S: Copy> Mul<f32> for Point<S> {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        Self::new(self.x * k, self.y * k)
    }
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, not negative.
    pub width: f32,
    /// Height, not negative.
    pub height: f32,
}

impl Rect {
    /// The smallest rectangle around some points.
    pub fn around(points: impl IntoIterator<Item = Px>) -> Self {
        let (mut x0, mut y0, mut x1, mut y1) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        for p in points {
            (x0, x1) = (x0.min(p.x), x1.max(p.x));
            (y0, y1) = (y0.min(p.y), y1.max(p.y));
        }
        if x0 > x1 { Self::default() } else { Self { x: x0, y: y0, width: x1 - x0, height: y1 - y0 } }
    }

    /// The middle.
    pub fn centre(&self) -> Px {
        Px::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Area of the overlap over area of the union, 0 to 1.
    pub fn iou(&self, o: &Self) -> f32 {
        let w = ((self.x + self.width).min(o.x + o.width) - self.x.max(o.x)).max(0.0);
        let h = ((self.y + self.height).min(o.y + o.height) - self.y.max(o.y)).max(0.0);
        let both = w * h;
        let union = self.width * self.height + o.width * o.height - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
}

/// A square region of the picture, turned: where a landmark network looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roi {
    /// Its middle.
    pub centre: Px,
    /// Its side, in pixels.
    pub side: f32,
    /// Angle of its x axis in radians, positive clockwise as seen (y runs down).
    pub angle: f32,
}

/// A similarity (turn, uniform scale, shift) from frame `A` to frame `B`: `x' = a x - b y + tx`, `y' = b x + a y + ty`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity<A: Copy, B: Copy> {
    /// Scale times cosine.
    pub a: f32,
    /// Scale times sine.
    pub b: f32,
    /// Shift in x.
    pub tx: f32,
    /// Shift in y.
    pub ty: f32,
    frames: PhantomData<(A, B)>,
}

impl<A: Copy, B: Copy> Similarity<A, B> {
    /// From its four numbers.
    pub const fn new(a: f32, b: f32, tx: f32, ty: f32) -> Self {
        Self { a, b, tx, ty, frames: PhantomData }
    }

    /// The image of a point.
    pub fn apply(&self, p: Point<A>) -> Point<B> {
        Point::new(self.a * p.x - self.b * p.y + self.tx, self.b * p.x + self.a * p.y + self.ty)
    }

    /// The image of a displacement: turned and scaled, not shifted.
    pub fn apply_vector(&self, p: Point<A>) -> Point<B> {
        Point::new(self.a * p.x - self.b * p.y, self.b * p.x + self.a * p.y)
    }

    /// Scale factor.
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Turn in radians.
    pub fn angle(&self) -> f32 {
        self.b.atan2(self.a)
    }

    /// The way back; `None` when the scale is zero.
    pub fn inverse(&self) -> Option<Similarity<B, A>> {
        let d = self.a * self.a + self.b * self.b;
        if !(d.is_finite() && d > 1e-20) {
            return None;
        }
        let (a, b) = (self.a / d, -self.b / d);
        Some(Similarity::new(a, b, -(a * self.tx - b * self.ty), -(b * self.tx + a * self.ty)))
    }

    /// Weighted least-squares similarity that carries each `from` point onto its `to` point
    /// (closed form in two dimensions; Umeyama 1991). Pairs with weight 0 do not count.
    /// `None` with fewer than two distinct weighted points or numbers that are not finite.
    pub fn fit(pairs: impl Iterator<Item = (Point<A>, Point<B>, f32)> + Clone) -> Option<Self> {
        let (mut w, mut ax, mut ay, mut bx, mut by) = (0f64, 0f64, 0f64, 0f64, 0f64);
        for (p, q, k) in pairs.clone() {
            let k = f64::from(k);
            w += k;
            ax += k * f64::from(p.x);
            ay += k * f64::from(p.y);
            bx += k * f64::from(q.x);
            by += k * f64::from(q.y);
        }
        if !(w.is_finite() && w > 0.0) {
            return None;
        }
        let (ax, ay, bx, by) = (ax / w, ay / w, bx / w, by / w);
        let (mut dot, mut cross, mut spread) = (0f64, 0f64, 0f64);
        for (p, q, k) in pairs {
            let k = f64::from(k);
            let (px, py) = (f64::from(p.x) - ax, f64::from(p.y) - ay);
            let (qx, qy) = (f64::from(q.x) - bx, f64::from(q.y) - by);
            dot += k * (px * qx + py * qy);
            cross += k * (px * qy - py * qx);
            spread += k * (px * px + py * py);
        }
        if !(spread.is_finite() && dot.is_finite() && cross.is_finite() && spread > 1e-12) {
            return None;
        }
        let (a, b) = (dot / spread, cross / spread);
        Some(Self::new(a as f32, b as f32, (bx - a * ax + b * ay) as f32, (by - b * ax - a * ay) as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_similarity_recovers_turn_scale_and_shift() {
        let truth = Similarity::<Pixels, FaceFrame>::new(0.3, -0.2, 4.0, -7.0);
        let from = [Px::new(1.0, 2.0), Px::new(30.0, 4.0), Px::new(-5.0, 44.0)];
        let fit = Similarity::fit(from.iter().map(|&p| (p, truth.apply(p), 1.0))).unwrap_or(truth);
        for p in from {
            assert!(fit.apply(p).distance(truth.apply(p)) < 1e-4);
            let back = truth.inverse().map(|i| i.apply(truth.apply(p)));
            assert!(back.is_some_and(|q| q.distance(p) < 1e-3));
        }
    }

    #[test]
    fn a_fit_without_spread_is_refused() {
        let p = Px::new(3.0, 3.0);
        assert!(Similarity::<Pixels, Pixels>::fit([(p, p, 1.0), (p, p, 1.0)].into_iter()).is_none());
        assert!(Similarity::<Pixels, Pixels>::fit(std::iter::empty()).is_none());
    }
}
