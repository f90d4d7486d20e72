//! Which channel is pruned first.

use serde::{Deserialize, Serialize};

/// What a ranking sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankedBy {
    /// The mean of |activation|; the mean activation where the site is rectified.
    MeanAbsoluteActivation,
}

impl std::fmt::Display for RankedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MeanAbsoluteActivation => f.write_str("mean |activation|"),
        }
    }
}

/// The channels in ascending order of mean absolute activation; ties: lower channel first.
///
/// `means`: (C), finite (as [`super::activation::ChannelMeans::means`] gives them). Negative zero equals zero.
/// Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018: the dormant neurons go first.
#[must_use]
pub fn rank(means: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|&a, &b| (means[a] + 0.0).total_cmp(&(means[b] + 0.0)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_lower_channel() {
        assert_eq!(rank(&[0.5, 0.0, -0.0, 0.5, 0.1]), [1, 2, 4, 0, 3]);
    }

    /// Repeatedly takes the first smallest channel that is left.
    fn naive(means: &[f64]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..means.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let mut at = 0;
            for i in 1..left.len() {
                if means[left[i]] < means[left[at]] {
                    at = i;
                }
            }
            order.push(left.remove(at));
        }
        order
    }

    proptest! {
        #[test]
        fn agrees_with_selection_by_hand(means in prop::collection::vec(prop::sample::select(vec![-1.0, 0.0, -0.0, 0.25, 0.5, 3.0]), 0..40)) {
            prop_assert_eq!(rank(&means), naive(&means));
        }
    }
}
