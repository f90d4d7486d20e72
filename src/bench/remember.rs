//! A network that is not asked twice about the same image.
//!
//! All policies paste the same bands onto the same donors, so that one image's checks overlap. The answers are the same
//! as without it; forward passes are counted by the checks, which know nothing of it.

use crate::defence::Classify;
use crate::domain::label::ClassIndex;
use crate::tensor::TensorView;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A network and its answers so far.
#[derive(Debug)]
pub(super) struct Remembering<C> {
    network: C,
    answers: HashMap<u64, ClassIndex>,
}

impl<C> Remembering<C> {
    pub(super) fn new(network: C) -> Self {
        Self {
            network,
            answers: HashMap::new(),
        }
    }

    /// Forgets every answer.
    pub(super) fn forget(&mut self) {
        self.answers.clear();
    }

    /// The network itself, for timing.
    pub(super) fn network(&mut self) -> &mut C {
        &mut self.network
    }
}

impl<C: Classify> Classify for Remembering<C> {
    type Error = C::Error;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, C::Error> {
        let images = batch.shape.first().copied().unwrap_or(0);
        let len = batch.data.len() / images.max(1);
        let rows: Vec<&[f32]> = batch.data.chunks_exact(len.max(1)).collect();
        let keys: Vec<u64> = rows.iter().map(|row| key(row)).collect();
        let new: Vec<usize> = (0..rows.len())
            .filter(|&row| !self.answers.contains_key(&keys[row]))
            .collect();
        if !new.is_empty() {
            let data: Vec<f32> = new.iter().flat_map(|&row| rows[row]).copied().collect();
            let mut shape = batch.shape.to_vec();
            shape[0] = new.len();
            let answers = self.network.classify(TensorView {
                shape: &shape,
                data: &data,
            })?;
            self.answers
                .extend(new.iter().map(|&row| keys[row]).zip(answers));
        }
        Ok(keys.iter().map(|key| self.answers[key]).collect())
    }

    fn second(&mut self, batch: TensorView<'_>) -> Result<Option<Vec<ClassIndex>>, C::Error> {
        self.network.second(batch)
    }
}

/// Equal images have equal keys; among the few hundred images kept at a time, others have equal keys with a probability
/// below 1e-14.
fn key(image: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in image {
        value.to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn an_image_is_run_once_until_it_is_forgotten_and_answers_keep_their_order() {
        let mut runs = 0;
        let network = |batch: TensorView<'_>| -> Result<Vec<ClassIndex>, Infallible> {
            runs += batch.shape[0];
            Ok(batch.data.iter().map(|&x| ClassIndex(x as u32)).collect())
        };
        let mut network = Remembering::new(network);
        let mut ask = |data: &[f32]| -> Vec<u32> {
            let shape = [data.len(), 1, 1, 1];
            let view = TensorView {
                shape: &shape,
                data,
            };
            let answers = network.classify(view).unwrap();
            answers.into_iter().map(|class| class.0).collect()
        };
        assert_eq!(ask(&[3.0, 5.0]), [3, 5]);
        assert_eq!(ask(&[5.0, 9.0, 3.0]), [5, 9, 3]);
        network.forget();
        let view = TensorView {
            shape: &[1, 1, 1, 1],
            data: &[3.0],
        };
        network.classify(view).unwrap();
        drop(network);
        assert_eq!(runs, 4);
    }
}
