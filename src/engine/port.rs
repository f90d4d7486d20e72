//! What goes into a network and comes out of it.

use super::error::{EngineError, mismatch};
use crate::tensor::{IntTensor, Tensor};

/// How a session runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Threads inside one run; 1 by default, since goodnet runs many sessions side by side. tract has one at all times.
    pub intra_threads: usize,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { intra_threads: 1 }
    }
}

/// Images in one run at most.
pub const MOST_IMAGES_A_RUN: usize = 32;

/// Images in one run of a network whose inputs for an image take `bytes`: [`MOST_IMAGES_A_RUN`], large enough to amortise the call; fewer of large
/// images, 2 at least: more gain nothing there, and a session keeps the memory of its largest run.
#[must_use]
pub fn images_a_run(bytes: usize) -> usize {
    const MOST_BYTES: usize = 1 << 20;
    (MOST_BYTES / bytes.max(1)).clamp(2, MOST_IMAGES_A_RUN)
}

/// Name and shape of an input or output; `None` is an open extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Extents.
    pub shape: Vec<Option<usize>>,
}

impl Port {
    /// The error for a port that holds neither f32 nor i64.
    pub(super) fn of_other_type(name: &str, found: &dyn std::fmt::Debug) -> EngineError {
        mismatch(
            &format!("{name} to be a tensor of f32 or i64"),
            &format!("{found:?}"),
        )
    }
}

/// What a network answers on one output.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Scores, activations.
    Float(Tensor),
    /// Classes, verdicts.
    Int(IntTensor),
}

impl Output {
    /// The scores.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] if the output holds integers.
    pub fn into_float(self) -> Result<Tensor, EngineError> {
        match self {
            Self::Float(tensor) => Ok(tensor),
            Self::Int(_) => Err(mismatch("an f32 output", "an i64 output")),
        }
    }

    /// The integers.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] if the output holds floats.
    pub fn into_int(self) -> Result<IntTensor, EngineError> {
        match self {
            Self::Int(tensor) => Ok(tensor),
            Self::Float(_) => Err(mismatch("an i64 output", "an f32 output")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::images_a_run;

    #[test]
    fn small_images_run_by_thirty_two_and_large_ones_by_two() {
        for (side, images) in [(1, 32), (47, 32), (64, 21), (224, 2), (4096, 2)] {
            assert_eq!(images_a_run(side * side * 3 * 4), images, "{side}");
        }
        assert_eq!(images_a_run(0), 32);
    }
}
