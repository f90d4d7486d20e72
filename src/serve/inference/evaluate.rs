//! From pixels to what the networks say, one image a value: decided at once, or after the checks of its policy.

use super::policy::{ChosenPolicy, Decision, PolicyInput};
use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::engine::{Answers, EngineError, GoodNet};
use crate::tensor::Tensor;

/// What the networks say of one image.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The preprocessed image, a batch of one.
    pixels: Tensor,
    /// The answers to it, one row.
    answers: Answers,
}

/// Runs the networks on `pixels`, images of `shape` (a batch of one) one after another; in order.
///
/// # Errors
/// If a network fails.
pub(crate) fn evaluate(
    networks: &mut GoodNet,
    shape: &[usize],
    pixels: Vec<f32>,
) -> Result<Vec<Evaluated>, EngineError> {
    let image_len: usize = shape.iter().product();
    let images = pixels.len() / image_len.max(1);
    if images == 0 {
        return Ok(Vec::new());
    }
    let mut batch_shape = shape.to_vec();
    batch_shape[0] = images;
    let batch = Tensor::new(batch_shape, pixels);
    let answers = networks.run(batch.view())?;
    if images == 1 {
        return Ok(vec![Evaluated {
            pixels: batch,
            answers,
        }]);
    }
    let one = |row: usize| Evaluated {
        pixels: Tensor::new(shape.to_vec(), batch.row(row).to_vec()),
        answers: answers.of_row(row),
    };
    Ok((0..images).map(one).collect())
}

impl Evaluated {
    /// What `policy` decides, where that takes no more runs of a network; else none.
    #[must_use]
    pub fn decide(&self, policy: &ChosenPolicy) -> Option<Decision> {
        policy.rule.decide_without_checks(&self.input(policy))
    }

    /// What `policy` decides, its checks run.
    ///
    /// # Errors
    /// If a network fails.
    pub fn decide_with_checks(
        &self,
        policy: &ChosenPolicy,
        networks: &mut GoodNet,
    ) -> Result<Decision, EngineError> {
        policy.rule.decide(&self.input(policy), networks)
    }

    /// B's probabilities, (N).
    #[must_use]
    pub fn badnet(&self) -> &[f32] {
        self.answers.badnet(0)
    }

    /// The probabilities of the B' of drop number `drop`, (N).
    #[must_use]
    pub fn pruned(&self, drop: usize) -> &[f32] {
        self.answers.pruned(0, drop)
    }

    /// The probabilities of the repaired network, (N); none where there is no such network.
    #[must_use]
    pub fn repaired(&self) -> Option<&[f32]> {
        self.answers.repaired(0)
    }

    /// Drops T.
    #[must_use]
    pub fn drops(&self) -> usize {
        self.answers.drops()
    }

    fn input(&self, policy: &ChosenPolicy) -> PolicyInput<'_> {
        PolicyInput {
            image: self.pixels.view(),
            badnet: argmax(self.badnet()),
            pruned: argmax(self.pruned(policy.drop)),
            repaired: self.repaired().map(argmax),
            flag: ClassIndex(u32::try_from(self.badnet().len()).unwrap_or(u32::MAX)),
        }
    }
}
