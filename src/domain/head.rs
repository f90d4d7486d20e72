//! The last linear layer of a classifier.

use super::label::ClassIndex;
use super::scores::argmax;
use crate::tensor::Tensor;

/// The *head*: features (n, d) to scores (n, N), `z = f W + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// W, (d, N) in row-major order.
    pub weights: Vec<f32>,
    /// b, (N).
    pub bias: Vec<f32>,
}

impl LinearHead {
    /// Number of classes N.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// Number of features d.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    /// The scores of one image's features (d), written to `scores`, (N).
    pub fn score(&self, features: &[f32], scores: &mut [f32]) {
        scores.copy_from_slice(&self.bias);
        for (&feature, weights) in features.iter().zip(self.weights.chunks_exact(scores.len())) {
            // Half of the features behind a rectifier are zero.
            if feature != 0.0 {
                for (score, weight) in scores.iter_mut().zip(weights) {
                    *score += feature * weight;
                }
            }
        }
    }

    /// The answer to one image's features (d): argmax of its scores; ties and NaN as [`argmax`].
    #[must_use]
    pub fn answer(&self, features: &[f32]) -> ClassIndex {
        let mut scores = vec![0.0; self.classes()];
        self.score(features, &mut scores);
        argmax(&scores)
    }

    /// The scores (n, N) of `features` (n, d).
    #[must_use]
    pub fn scores(&self, features: &Tensor) -> Tensor {
        let (rows, classes) = (features.rows(), self.classes());
        let mut data = vec![0.0; rows * classes];
        for (row, scores) in data.chunks_exact_mut(classes.max(1)).enumerate() {
            self.score(features.row(row), scores);
        }
        Tensor::new(vec![rows, classes], data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_as_worked_out_by_hand() {
        let head = LinearHead {
            weights: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            bias: vec![0.5, 0.0, -1.0],
        };
        assert_eq!((head.dim(), head.classes()), (2, 3));
        let features = Tensor::new(vec![2, 2], vec![1.0, 0.0, 2.0, -1.0]);
        let scores = head.scores(&features);
        assert_eq!(scores.data, [1.5, 2.0, 2.0, -1.5, -1.0, -1.0]);
    }
}
