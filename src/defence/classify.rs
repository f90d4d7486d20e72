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

    /// What the owner's second network answers for `batch`, in its order; none where there is no such network.
    ///
    /// # Errors
    /// If that network fails.
    fn second(&mut self, batch: TensorView<'_>) -> Result<Option<Vec<ClassIndex>>, Self::Error>;
}

impl<F, E> Classify for F
where
    F: FnMut(TensorView<'_>) -> Result<Vec<ClassIndex>, E>,
{
    type Error = E;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, E> {
        self(batch)
    }

    fn second(&mut self, _batch: TensorView<'_>) -> Result<Option<Vec<ClassIndex>>, E> {
        Ok(None)
    }
}

/// Sessions of networks whose first output is (B, N) scores: B, and the owner's second network if there is one.
#[derive(Debug)]
pub struct SessionClassifier {
    session: Session,
    second: Option<Session>,
}

impl SessionClassifier {
    /// Wraps `session`.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            second: None,
        }
    }

    /// The same with `second` as the second network.
    #[must_use]
    pub fn with_second(self, second: Option<Session>) -> Self {
        Self { second, ..self }
    }
}

impl Classify for SessionClassifier {
    type Error = EngineError;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, EngineError> {
        answers(&mut self.session, batch)
    }

    fn second(&mut self, batch: TensorView<'_>) -> Result<Option<Vec<ClassIndex>>, EngineError> {
        let second = self.second.as_mut();
        second.map(|session| answers(session, batch)).transpose()
    }
}

fn answers(session: &mut Session, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, EngineError> {
    let scores = session.run_one(batch)?;
    let images = batch.shape.first().copied().unwrap_or(0);
    if scores.rows() != images {
        return Err(EngineError::Mismatch {
            expected: format!("scores for {images} images"),
            found: format!("{:?}", scores.shape),
        });
    }
    Ok(classes(&scores))
}

/// The best class of each row of `scores`, (B, N).
#[must_use]
pub fn classes(scores: &Tensor) -> Vec<ClassIndex> {
    (0..scores.rows())
        .map(|row| argmax(scores.row(row)))
        .collect()
}
