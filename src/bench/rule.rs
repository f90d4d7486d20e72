//! Whose answer is measured: B alone, a repaired network, or B under a policy.

use crate::defence::Policy;
use serde::{Deserialize, Serialize};

/// A rule by which an image is answered or flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// B alone: never flags.
    Badnet,
    /// The lab's rule with the B' of a drop in percentage points.
    Disagreement(f64),
    /// The fine-pruned network alone: never flags.
    FinePruned,
    /// Flagged where B and the fine-pruned network disagree.
    FinePrunedDisagreement,
    /// A policy of the bundle.
    Policy(Policy),
    /// `confirmed` by a B' with three quarters of its channels gone.
    GatedDeep,
    /// `confirmed` by the fine-pruned network.
    GatedFinePruned,
    /// `layered` with the fine-pruned network as the second one.
    LayeredFinePruned,
}

impl Rule {
    /// Every rule, in the order of the tables; drops as given.
    #[must_use]
    pub fn all(drops: &[f64]) -> Vec<Self> {
        let policies = [
            Policy::Transplant,
            Policy::Gated,
            Policy::Strip,
            Policy::Layered,
        ];
        let mut rules = vec![Self::Badnet];
        rules.extend(drops.iter().map(|&drop| Self::Disagreement(drop)));
        rules.extend(policies.map(Self::Policy));
        rules.extend([
            Self::GatedDeep,
            Self::GatedFinePruned,
            Self::LayeredFinePruned,
            Self::FinePruned,
            Self::FinePrunedDisagreement,
        ]);
        rules
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Badnet => f.write_str("BadNet"),
            Self::Disagreement(drop) => write!(f, "`disagreement`, {drop} %"),
            Self::FinePruned => f.write_str("fine-pruned alone"),
            Self::FinePrunedDisagreement => f.write_str("disagreement with fine-pruned"),
            Self::Policy(policy) => write!(f, "`{policy}`"),
            Self::GatedDeep => f.write_str("`confirmed`, deeply pruned B'"),
            Self::GatedFinePruned => f.write_str("`confirmed`, fine-pruned B'"),
            Self::LayeredFinePruned => f.write_str("`layered`, fine-pruned B'"),
        }
    }
}
