//! A span of time, and how much two of them have in common.

use crate::time::Timestamp;

/// Onset to offset of an expression, in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    onset: Timestamp,
    offset: Timestamp,
}

impl Span {
    /// `None` unless onset <= offset.
    pub fn new(onset: Timestamp, offset: Timestamp) -> Option<Self> {
        (onset <= offset).then_some(Self { onset, offset })
    }

    /// First moment.
    pub const fn onset(&self) -> Timestamp {
        self.onset
    }

    /// Last moment.
    pub const fn offset(&self) -> Timestamp {
        self.offset
    }

    /// Length in milliseconds.
    pub fn ms(&self) -> f64 {
        self.offset.ms_since(self.onset)
    }

    /// Milliseconds that both have.
    pub fn overlap_ms(&self, other: &Self) -> f64 {
        self.offset.min(other.offset).ms_since(self.onset.max(other.onset)).max(0.0)
    }

    /// Intersection over union, 0 to 1; 0 when neither has a length.
    pub fn iou(&self, other: &Self) -> f64 {
        let both = self.overlap_ms(other);
        let union = self.ms() + other.ms() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn span(a: i64, b: i64) -> Span {
        Span::new(Timestamp::from_micros(a), Timestamp::from_micros(b)).unwrap()
    }

    #[test]
    fn overlaps_by_hand() {
        // 100 to 300 ms and 200 to 400 ms: 100 of 300 ms.
        assert!((span(100_000, 300_000).iou(&span(200_000, 400_000)) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(span(0, 10).iou(&span(10, 20)), 0.0);
        assert_eq!(span(0, 10).iou(&span(0, 10)), 1.0);
        assert_eq!(span(5, 5).iou(&span(5, 5)), 0.0);
        assert!(Span::new(Timestamp::from_micros(2), Timestamp::from_micros(1)).is_none());
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_bounded_and_does_not_care_when(
            a in 0i64..1_000_000, la in 0i64..1_000_000, b in 0i64..1_000_000, lb in 0i64..1_000_000,
            shift in -1_000_000_000i64..1_000_000_000,
        ) {
            let (p, q) = (span(a, a + la), span(b, b + lb));
            let iou = p.iou(&q);
            prop_assert!((0.0..=1.0).contains(&iou));
            prop_assert_eq!(iou, q.iou(&p));
            prop_assert_eq!(iou, span(a + shift, a + la + shift).iou(&span(b + shift, b + lb + shift)));
        }
    }
}
