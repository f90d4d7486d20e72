//! Donors: clean images that B answers rightly, onto which parts of a request's image are pasted or blended.

use super::clean::CleanSet;
use super::random::Draws;
use std::collections::{BTreeMap, BTreeSet};

/// Clean images with their labels, (D, image values).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Donors {
    /// The images.
    pub images: Vec<Vec<f32>>,
    /// What B rightly answers for each.
    pub labels: Vec<u32>,
}

impl Donors {
    /// Number of donors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// How many donors the most frequent label has.
    #[must_use]
    pub fn most_of_a_label(&self) -> usize {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &label in &self.labels {
            *counts.entry(label).or_default() += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }

    /// Up to `count` donors of other labels than `label`, in the order that `draws` gives.
    #[must_use]
    pub fn pick(&self, label: u32, count: usize, draws: &mut Draws) -> Vec<&[f32]> {
        let others: Vec<usize> = (0..self.len())
            .filter(|&donor| self.labels[donor] != label)
            .collect();
        draws
            .sample(others.len(), count)
            .into_iter()
            .map(|place| self.images[others[place]].as_slice())
            .collect()
    }
}

/// Draws up to `count` donors among the images `right` that B answers rightly, one a label while labels last, and
/// gives their positions in `clean`.
#[must_use]
pub fn choose(clean: &CleanSet, right: &[usize], count: usize, seed: u64) -> Vec<usize> {
    let mut draws = Draws::numbered(seed, "donors", 0);
    let mut labels = BTreeSet::new();
    let (mut order, repeats): (Vec<usize>, Vec<usize>) = draws
        .sample(right.len(), right.len())
        .into_iter()
        .map(|place| right[place])
        .partition(|&image| labels.insert(clean.label(image)));
    order.extend(repeats);
    order.truncate(count);
    order
}

/// The donors at `positions` of `clean`.
#[must_use]
pub fn gather(clean: &CleanSet, positions: &[usize]) -> Donors {
    Donors {
        images: positions
            .iter()
            .map(|&image| clean.image(image).to_vec())
            .collect(),
        labels: positions.iter().map(|&image| clean.label(image)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn donors_of_the_images_own_label_are_never_picked() {
        let donors = Donors {
            images: (0..6).map(|i| vec![i as f32]).collect(),
            labels: vec![0, 1, 2, 0, 1, 2],
        };
        for seed in 0..20 {
            let picked = donors.pick(1, 8, &mut Draws::numbered(seed, "test", 0));
            assert_eq!(picked.len(), 4);
            assert!(
                picked
                    .iter()
                    .all(|image| image[0] != 1.0 && image[0] != 4.0)
            );
        }
    }
}
