//! Whose mean an image is measured from.

use crate::domain::head::LinearHead;
use crate::tensor::Tensor;

/// Every class has a mean of its own where each is the answer to at least this many clean images.
const FEWEST_OF_CLASS: usize = 5;

/// The group of every clean image: its answer, or one for all.
pub(super) struct Groups {
    pub(super) of_image: Vec<usize>,
    pub(super) count: usize,
}

impl Groups {
    pub(super) fn new(features: &Tensor, head: &LinearHead) -> Self {
        let rows = 0..features.rows();
        let answers: Vec<usize> = rows
            .map(|row| head.answer(features.row(row)).0 as usize)
            .collect();
        Self::from_answers(answers, head.classes())
    }

    /// The answers themselves where each of `classes` is the answer to [`FEWEST_OF_CLASS`] images or more.
    pub(super) fn from_answers(answers: Vec<usize>, classes: usize) -> Self {
        let mut sizes = vec![0; classes];
        for &answer in &answers {
            sizes[answer] += 1;
        }
        match sizes.iter().all(|&size| size >= FEWEST_OF_CLASS) {
            true => Self {
                of_image: answers,
                count: classes,
            },
            false => Self {
                of_image: vec![0; answers.len()],
                count: 1,
            },
        }
    }

    pub(super) fn of_rows(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.of_image[row]).collect()
    }
}
