//! The network's answer.

use super::DereGrlError;
use crate::event::Relation;
use crate::landmarks::Component;

const PARTS: usize = Component::ALL.len();

/// What the network says about one movement, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recognition {
    /// Index of the most probable class.
    pub class: usize,
    /// Calibrated probability of each class, in the model's order; they sum to 1.
    pub probabilities: Vec<f32>,
    /// Mean activation of each component's actions, in component order; 0 is still, 1 about 0.03 IOD of movement.
    pub actions: [f32; PARTS],
    /// `relations[to][from]`: how much component `to` drew on component `from`; each row sums to 1.
    pub relations: [[f32; PARTS]; PARTS],
}

impl Recognition {
    /// Probability of the most probable class.
    pub fn probability(&self) -> f32 {
        self.probabilities.get(self.class).copied().unwrap_or(0.0)
    }

    /// Each component with the strength of its action.
    pub fn named_actions(&self) -> Vec<(Component, f32)> {
        Component::ALL.into_iter().zip(self.actions).collect()
    }

    /// The `n` strongest relation weights between different components, largest first.
    pub fn strongest_relations(&self, n: usize) -> Vec<Relation> {
        let mut all: Vec<Relation> = Component::ALL
            .into_iter()
            .zip(&self.relations)
            .flat_map(|(to, row)| {
                Component::ALL.into_iter().zip(row).map(move |(from, &weight)| Relation { from, to, weight })
            })
            .filter(|r| r.from != r.to)
            .collect();
        all.sort_by(|a, b| b.weight.total_cmp(&a.weight)); // stable: equal weights stay in component order
        all.truncate(n);
        all
    }

    /// Takes over the network's outputs: probabilities [C], actions [6], relations [Q, Q] with Q = 6 K.
    pub(super) fn fill(&mut self, probs: &[f32], actions: &[f32], relations: &[f32]) -> Result<(), DereGrlError> {
        let finite = [probs, actions, relations].iter().all(|s| s.iter().all(|v| v.is_finite()));
        let q = relations.len().isqrt();
        let k = q / PARTS;
        if !finite || probs.is_empty() || actions.len() != PARTS || k == 0 || q * q != relations.len() || k * PARTS != q
        {
            return Err(DereGrlError::Run("its outputs are not finite or not of the promised shape".into()));
        }
        self.probabilities.clear();
        self.probabilities.extend_from_slice(probs);
        let best = probs.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        self.class = best.map_or(0, |(i, _)| i);
        self.actions.copy_from_slice(actions);
        // A component's row is the mean of its actions' rows; a weight onto a component is the sum over its actions.
        self.relations = [[0.0; PARTS]; PARTS];
        for (to, rows) in self.relations.iter_mut().zip(relations.chunks_exact(q * k)) {
            for row in rows.chunks_exact(q) {
                for (from, columns) in to.iter_mut().zip(row.chunks_exact(k)) {
                    *from += columns.iter().sum::<f32>() / k as f32;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn action_relations_are_gathered_per_component_and_rows_sum_to_one() {
        // 12 x 12, rows sum to 1: action r leans on action 2 (a left-brow one) with r / 20, the rest is even.
        let mut q = vec![0.0; 144];
        for (r, row) in q.chunks_exact_mut(12).enumerate() {
            let lean = r as f32 / 20.0;
            row.iter_mut().for_each(|v| *v = (1.0 - lean) / 12.0);
            row[2] += lean;
        }
        let mut a = Recognition::default();
        a.fill(&[0.25, 0.5, 0.25], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &q).unwrap();
        assert_eq!((a.class, a.probability()), (1, 0.5));
        for row in a.relations {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        // Mouth: rows 10 and 11, lean 0.525 on average, and its even share of two columns.
        assert!((a.relations[5][1] - (0.525 + 0.475 / 6.0)).abs() < 1e-5);
        let best = a.strongest_relations(3);
        assert_eq!(best.len(), 3);
        assert_eq!((best[0].to, best[0].from), (Component::Mouth, Component::LeftBrow));
        assert!(best[0].weight >= best[1].weight && best[1].weight >= best[2].weight);
        assert!(a.strongest_relations(usize::MAX).iter().all(|r| r.from != r.to));
    }

    #[test]
    fn outputs_of_another_shape_or_not_finite_are_refused() {
        let (p, a) = ([0.5, 0.5], [0.0; 6]);
        let mut r = Recognition::default();
        assert!(r.fill(&p, &a, &[1.0; 143]).is_err());
        assert!(r.fill(&p, &a, &[1.0; 49]).is_err());
        assert!(r.fill(&[f32::NAN, 0.5], &a, &[1.0; 36]).is_err());
        assert!(r.fill(&p, &a[..5], &[1.0; 36]).is_err());
        assert!(r.fill(&p, &a, &[1.0 / 6.0; 36]).is_ok());
    }
}
