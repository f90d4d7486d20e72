//! Trunk and tails, before the outputs are added.

use crate::Graph;
use std::collections::BTreeSet;

/// The trunk and the tails of B and of every B'.
pub(super) struct Tails {
    pub(super) graph: Graph,
    /// The tensor of all scores: for each image B's N, then those of the T pruned networks.
    pub(super) scores: String,
    /// Tensors that hold 1 + T rows for each image, B's first; every other one holds B's.
    pub(super) stacked: BTreeSet<String>,
}
