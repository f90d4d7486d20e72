//! The clean images of a search, and what the network says of them.

use super::network::Network;
use crate::defence::clean::CleanSet;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::parallel::in_parallel;
use crate::tensor::{Tensor, TensorView};

/// Images of one run while answers are collected.
const BATCH: usize = 32;

/// Clean images with what the network answers for them, and what it reads before its last linear layer.
#[derive(Debug)]
pub struct CleanImages<'a> {
    set: &'a CleanSet,
    /// What the network answers, (n).
    pub answers: Vec<u32>,
    /// Features, (n, d).
    pub features: Tensor,
    /// Number of classes N.
    pub classes: u32,
    /// Median over the images of the best score minus the second best: the unit of margins. At least 1e-3.
    pub unit: f32,
}

impl<'a> CleanImages<'a> {
    /// Asks the network about every image of `set`.
    ///
    /// # Errors
    /// If a network fails.
    pub fn ask<C: Network>(networks: &mut [C], set: &'a CleanSet) -> Result<Self, C::Error> {
        let pieces = set.len().div_ceil(BATCH);
        let responses = in_parallel(networks, pieces, |network, piece| {
            let range = piece * BATCH..set.len().min((piece + 1) * BATCH);
            let mut data = Vec::with_capacity(range.len() * set.grid().len());
            for index in range.clone() {
                data.extend_from_slice(set.image(index));
            }
            network.respond(TensorView {
                shape: &set.grid().batch_shape(range.len()),
                data: &data,
            })
        })?;
        let dim = responses.first().map_or(0, |r| r.features.row_len());
        let classes = responses.first().map_or(0, |r| r.scores.row_len());
        let mut features = Vec::with_capacity(set.len() * dim);
        let (mut answers, mut gaps) = (Vec::new(), Vec::new());
        for response in &responses {
            features.extend_from_slice(&response.features.data);
            for row in 0..response.scores.rows() {
                let scores = response.scores.row(row);
                let ClassIndex(answer) = argmax(scores);
                answers.push(answer);
                gaps.push(margin(scores, answer));
            }
        }
        gaps.sort_by(f32::total_cmp);
        Ok(Self {
            set,
            answers,
            features: Tensor::new(vec![set.len(), dim], features),
            classes: u32::try_from(classes).unwrap_or(u32::MAX),
            unit: gaps.get(gaps.len() / 2).copied().unwrap_or(1.0).max(1e-3),
        })
    }

    /// Where pixels lie.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        self.set.grid()
    }

    /// The values of image `index`.
    #[must_use]
    pub fn image(&self, index: usize) -> &[f32] {
        self.set.image(index)
    }

    /// The true label of image `index`.
    #[must_use]
    pub fn label(&self, index: usize) -> u32 {
        self.set.label(index)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Are there no images?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// `count` of the images `among` that the network does not answer with `label`, all different where there are enough.
    #[must_use]
    pub fn others(
        &self,
        among: &[usize],
        label: u32,
        count: usize,
        draws: &mut Draws,
    ) -> Vec<usize> {
        let others: Vec<usize> = among
            .iter()
            .copied()
            .filter(|&index| self.answers[index] != label)
            .collect();
        let chosen = draws.sample(others.len(), count);
        chosen.into_iter().map(|place| others[place]).collect()
    }
}

/// `scores[label]` minus the best other score; minus infinity where there is no such label, infinity where there is no other.
#[must_use]
pub fn margin(scores: &[f32], label: u32) -> f32 {
    let Some(&own) = scores.get(label as usize) else {
        return f32::NEG_INFINITY;
    };
    let others = scores
        .iter()
        .enumerate()
        .filter(|(class, _)| *class != label as usize);
    own - others
        .map(|(_, &score)| score)
        .fold(f32::NEG_INFINITY, f32::max)
}
