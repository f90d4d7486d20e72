//! What a fit is given.

use crate::tensor::Tensor;

/// By how much the scores of all other labels together must beat the hijacked one's.
pub(super) const MARGIN: f32 = 2.0;

/// A column to be refitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// The label.
    pub label: u32,
    /// Weight of its stand-ins among those of all columns.
    pub weight: f64,
    /// Factor on the pull to its old weights.
    pub pull: f64,
}

/// What a head is refitted on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Features of clean images, (n, d).
    pub clean: &'a Tensor,
    /// Features of images that stand-ins turned, (m, d).
    pub turned: &'a Tensor,
    /// The label that each was turned into, (m); each has a column.
    pub labels: &'a [u32],
}

/// How strongly to refit: the smaller both are, the stronger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// Weight of the clean answers.
    pub clean: f64,
    /// Weight of the old weights.
    pub pull: f64,
}
