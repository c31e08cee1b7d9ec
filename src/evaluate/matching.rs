//! Which detection is which event of the truth: one to one, by intersection over union.
//!
//! The MEGC calls a detection right when its intersection over union with an event is at least 0.5, and each event can
//! be found once. Where several detections reach the same events, as many pairs are made as can be (a maximum
//! matching), so the order of the lists does not matter.

use super::Span;

/// The MEGC's threshold.
pub const MEGC_IOU: f64 = 0.5;

/// For each event of `truth`, the detection in `found` that is it, with an intersection over union of at least
/// `least`; each detection is used once. The number of pairs is the largest possible.
pub fn pair(truth: &[Span], found: &[Span], least: f64) -> Vec<Option<usize>> {
    let mut edges: Vec<Vec<(usize, f64)>> = Vec::with_capacity(truth.len());
    for t in truth {
        let near = found.iter().enumerate().map(|(i, f)| (i, t.iou(f)));
        let mut near: Vec<_> = near.filter(|&(_, iou)| iou >= least && iou > 0.0).collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        edges.push(near);
    }
    let mut of_truth = vec![None; truth.len()];
    let mut of_found: Vec<Option<usize>> = vec![None; found.len()];
    // The best pairs first; then every event that is left over looks for a way to free a detection.
    let mut all: Vec<(usize, usize, f64)> =
        edges.iter().enumerate().flat_map(|(t, near)| near.iter().map(move |&(f, iou)| (t, f, iou))).collect();
    all.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    for (t, f, _) in all {
        if let (Some(a @ None), Some(b @ None)) = (of_truth.get_mut(t), of_found.get_mut(f)) {
            (*a, *b) = (Some(f), Some(t));
        }
    }
    for t in 0..truth.len() {
        if of_truth.get(t).is_some_and(Option::is_none) {
            augment(t, &edges, &mut of_truth, &mut of_found);
        }
    }
    of_truth
}

/// Gives the event `start` a detection by passing others on to their alternatives, where that is possible (Berge 1957).
fn augment(start: usize, edges: &[Vec<(usize, f64)>], of_truth: &mut [Option<usize>], of_found: &mut [Option<usize>]) {
    // From which event each detection was reached.
    let mut reached: Vec<Option<usize>> = vec![None; of_found.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(t) = queue.pop_front() {
        for &(f, _) in edges.get(t).map_or(&[][..], |e| e) {
            if reached.get(f).is_none_or(Option::is_some) {
                continue;
            }
            reached[f] = Some(t);
            match of_found[f] {
                Some(owner) => queue.push_back(owner),
                None => return flip(f, &reached, of_truth, of_found),
            }
        }
    }
}

/// Walks back from the free detection `f` and gives each event on the way its new one.
fn flip(f: usize, reached: &[Option<usize>], of_truth: &mut [Option<usize>], of_found: &mut [Option<usize>]) {
    let mut free = Some(f);
    while let Some(f) = free {
        let Some(t) = reached[f] else { return };
        free = of_truth[t].replace(f);
        of_found[f] = Some(t);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn ms(a: i64, b: i64) -> Span {
        Span::new(Timestamp::from_micros(a * 1000), Timestamp::from_micros(b * 1000)).unwrap()
    }

    #[test]
    fn half_is_enough_and_each_counts_once() {
        let truth = [ms(0, 400), ms(1000, 1400)];
        // 200 of 400 ms; 199 of 400 ms; a double of the first.
        assert_eq!(pair(&truth, &[ms(0, 200), ms(1000, 1199), ms(0, 390)], 0.5), [Some(2), None]);
        assert_eq!(pair(&truth, &[ms(0, 200)], 0.5), [Some(0), None]);
        assert_eq!(pair(&truth, &[], 0.5), [None, None]);
        assert_eq!(pair(&[], &[ms(0, 1)], 0.5), []);
    }

    #[test]
    fn the_best_pair_gives_way_where_one_more_event_can_be_found() {
        // Detection 0 fits event 0 best, but event 1 has no other; event 0 can take detection 1.
        let truth = [ms(0, 400), ms(60, 500)];
        let found = [ms(20, 420), ms(0, 210)];
        assert!(truth[0].iou(&found[0]) > truth[1].iou(&found[0]) && truth[1].iou(&found[1]) < 0.5);
        assert_eq!(pair(&truth, &found, 0.5), [Some(1), Some(0)]);
    }

    /// The largest number of pairs, by trying everything.
    fn most(truth: &[Span], found: &[Span], used: u32) -> usize {
        let Some((first, rest)) = truth.split_first() else { return 0 };
        let skipped = most(rest, found, used);
        let taken = (0..found.len())
            .filter(|&i| used & (1 << i) == 0 && first.iou(&found[i]) >= 0.5)
            .map(|i| 1 + most(rest, found, used | (1 << i)))
            .max();
        skipped.max(taken.unwrap_or(0))
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0i64..600, 1i64..400), 0..6)
            .prop_map(|v| v.into_iter().map(|(a, l)| ms(a, a + l)).collect())
    }

    proptest! {
        #[test]
        fn pairs_are_one_to_one_close_enough_and_as_many_as_can_be(truth in spans(), found in spans()) {
            let pairs = pair(&truth, &found, 0.5);
            prop_assert_eq!(pairs.len(), truth.len());
            let mut used: Vec<usize> = pairs.iter().flatten().copied().collect();
            for (t, f) in pairs.iter().enumerate() {
                prop_assert!(f.is_none_or(|f| truth[t].iou(&found[f]) >= 0.5));
            }
            let n = used.len();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), n);
            prop_assert_eq!(n, most(&truth, &found, 0));
        }

        #[test]
        fn order_does_not_change_how_many(truth in spans(), found in spans()) {
            let n = pair(&truth, &found, 0.5).iter().flatten().count();
            let (t, f): (Vec<_>, Vec<_>) = (truth.into_iter().rev().collect(), found.into_iter().rev().collect());
            prop_assert_eq!(n, pair(&t, &f, 0.5).iter().flatten().count());
        }

        #[test]
        fn a_higher_threshold_and_fewer_detections_never_find_more(truth in spans(), found in spans()) {
            let n = |least: f64, found: &[Span]| pair(&truth, found, least).iter().flatten().count();
            prop_assert!(n(0.7, &found) <= n(0.5, &found));
            prop_assert!(found.is_empty() || n(0.5, &found[1..]) <= n(0.5, &found));
        }
    }
}
