//! Classes: indices 0..N-1 of the network, and the index N with which GoodNet says "flagged".

use serde::{Deserialize, Serialize};

/// Index of a class, 0..N-1 for a network of N classes; GoodNet also answers N, "class N+1".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassIndex(pub u32);

impl ClassIndex {
    /// The index as a position in a slice of N probabilities.
    #[must_use]
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

impl From<u32> for ClassIndex {
    fn from(index: u32) -> Self {
        Self(index)
    }
}

impl std::fmt::Display for ClassIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
