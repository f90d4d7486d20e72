//! Where the clean images of each label lie, and how far means are from there.

use super::Groups;
use super::space::Space;
use crate::tensor::Tensor;
use ndarray::{Array1, Array2};

/// Means of the labels and the spread around them. Where some label is the answer to fewer than five images, all have one mean.
#[derive(Debug)]
pub struct LabelSpace {
    space: Space,
    by_label: bool,
}

impl LabelSpace {
    /// Of `values`, (n, d), of images answered `answers`, (n), each below `classes`; none where they are not finite, or do not vary.
    #[must_use]
    pub fn fit(values: &Tensor, answers: &[u32], classes: usize) -> Option<Self> {
        let wide: Vec<f64> = values.data.iter().map(|&value| f64::from(value)).collect();
        let all = Array2::from_shape_vec((values.rows(), values.row_len()), wide).ok()?;
        let answers = answers.iter().map(|&answer| answer as usize).collect();
        let groups = Groups::from_answers(answers, classes);
        Some(Self {
            space: Space::fit(&all, &groups.of_image, groups.count)?,
            by_label: groups.count > 1,
        })
    }

    /// Squared Mahalanobis distance of `values`, (d), from the mean of the images answered `label`, over d.
    #[must_use]
    pub fn from_label(&self, values: &[f64], label: usize) -> f64 {
        let row = if self.by_label { label } else { 0 };
        self.between(values, &self.space.means.row(row).to_vec())
    }

    /// Squared Mahalanobis distance of `a` from `b`, both (d), over d.
    #[must_use]
    pub fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        let difference: Array1<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let whitened = difference.dot(&self.space.whitening);
        whitened.dot(&whitened) / a.len() as f64
    }
}
