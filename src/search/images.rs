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
    reaches: Vec<f32>,
}

/// Images of a label that would have to agree before its reach is believed more than that of all labels together.
const PRIOR_IMAGES: f32 = 4.0;

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
        let (mut answers, mut gaps) = (Vec::new(), Vec::<f32>::new());
        for response in &responses {
            features.extend_from_slice(&response.features.data);
            for row in 0..response.scores.rows() {
                let scores = response.scores.row(row);
                let ClassIndex(answer) = argmax(scores);
                answers.push(answer);
                gaps.push(margin(scores, answer));
            }
        }
        let classes = u32::try_from(classes).unwrap_or(u32::MAX);
        let unit = median(gaps.clone()).unwrap_or(1.0).max(1e-3);
        Ok(Self {
            reaches: reaches(classes, &answers, &gaps, unit),
            set,
            answers,
            features: Tensor::new(vec![set.len(), dim], features),
            classes,
            unit,
        })
    }

    /// How clearly the network knows `label` by itself: the median margin of the clean images that it answers so, in units of
    /// [`unit`](Self::unit), drawn towards 1 where they are few; 1 where there are none. At least 0.1.
    ///
    /// A label with a long reach is what strange images are drawn to: trousers are two bars, a bag is a box.
    #[must_use]
    pub fn reach(&self, label: u32) -> f32 {
        self.reaches.get(label as usize).copied().unwrap_or(1.0)
    }

    /// The images with their labels.
    #[must_use]
    pub fn set(&self) -> &'a CleanSet {
        self.set
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

/// [`CleanImages::reach`] of every label.
fn reaches(classes: u32, answers: &[u32], gaps: &[f32], unit: f32) -> Vec<f32> {
    let mut of_label: Vec<Vec<f32>> = vec![Vec::new(); classes as usize];
    for (&answer, &gap) in answers.iter().zip(gaps) {
        if let Some(gaps) = of_label.get_mut(answer as usize) {
            gaps.push(gap / unit);
        }
    }
    let reach = |gaps: Vec<f32>| {
        let count = gaps.len() as f32;
        let median = median(gaps).unwrap_or(1.0);
        ((count * median + PRIOR_IMAGES) / (count + PRIOR_IMAGES)).max(0.1)
    };
    of_label.into_iter().map(reach).collect()
}

/// The upper of the middle values; none of none.
pub(super) fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_of_a_label_is_its_own_median_margin_drawn_towards_one_where_images_are_few() {
        let answers: Vec<u32> = [vec![0; 96], vec![1; 4]].concat();
        let gaps: Vec<f32> = [vec![6.0; 96], vec![1.0; 4]].concat();
        let found = reaches(3, &answers, &gaps, 2.0);
        assert!((found[0] - (96.0 * 3.0 + 4.0) / 100.0).abs() < 1e-6);
        assert!((found[1] - (4.0 * 0.5 + 4.0) / 8.0).abs() < 1e-6);
        assert!((found[2] - 1.0).abs() < 1e-6, "no image, no opinion");
    }
}
