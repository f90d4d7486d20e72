//! The network as the checks see it: a batch of images in, one class an image out.

use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::engine::{EngineError, Session};
use crate::tensor::{Tensor, TensorView};

/// Answers a batch of images with one class each.
pub trait Classify {
    /// Why it could not.
    type Error;

    /// The classes of `batch`, (B, C, H, W) or (B, H, W, C), in its order; (B).
    ///
    /// # Errors
    /// If the network fails.
    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, Self::Error>;
}

impl<F, E> Classify for F
where
    F: FnMut(TensorView<'_>) -> Result<Vec<ClassIndex>, E>,
{
    type Error = E;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, E> {
        self(batch)
    }
}

/// A session of a network whose first output is (B, N) scores.
#[derive(Debug)]
pub struct SessionClassifier {
    session: Session,
}

impl SessionClassifier {
    /// Wraps `session`.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self { session }
    }
}

impl Classify for SessionClassifier {
    type Error = EngineError;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, EngineError> {
        let scores = self.session.run_one(batch)?;
        let images = batch.shape.first().copied().unwrap_or(0);
        if scores.rows() != images {
            return Err(EngineError::Mismatch {
                expected: format!("scores for {images} images"),
                found: format!("{:?}", scores.shape),
            });
        }
        Ok(classes(&scores))
    }
}

/// The best class of each row of `scores`, (B, N).
#[must_use]
pub fn classes(scores: &Tensor) -> Vec<ClassIndex> {
    (0..scores.rows())
        .map(|row| argmax(scores.row(row)))
        .collect()
}
