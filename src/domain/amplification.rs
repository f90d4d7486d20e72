//! How much more a network makes of a change at its end than at its start.
//!
//! A trigger changes little, and the network makes much of it; what clean networks are drawn to changes much all along. So where a
//! pattern turns images into label t, compare what the network computes of them late and early. With v one of: the features (d)
//! that the head reads, or the means over space of a feature map (C); S the covariance of clean v around the means of the labels;
//! and |x|^2 = x' S^-1 x / d, so that 1 is what clean images of one label differ by:
//!
//! ```text
//! landing(v) = |mean of the turned images' v - mean of v over clean images answered t|^2
//! shift(v)   = |mean of the turned images' v - mean of v over the same images before|^2
//! amplification = sqrt(landing(features) landing(last map)) / geometric mean of shift(map) over the first half of the maps
//! ```
//!
//! The landing, not the shift, counts at the end: a pattern that makes images look like the label's own lands among them.

use super::distance::{CleanValues, LabelSpace};
use crate::tensor::Tensor;

/// A shift below this is noise.
const LEAST_SHIFT: f64 = 1e-3;

/// What the network computes of turned images.
#[derive(Debug, Clone, Copy)]
pub struct TurnedValues<'a> {
    /// The clean image that each was, (m).
    pub images: &'a [usize],
    /// (m, d)
    pub features: &'a Tensor,
    /// One a map, each (m, C).
    pub maps: &'a [Tensor],
}

/// Where clean images lie, at the end of the network and on the way to it.
#[derive(Debug)]
pub struct Amplifier<'a> {
    clean: CleanValues<'a>,
    features: LabelSpace,
    /// By the place of the map, in the order of the network.
    maps: Vec<(usize, LabelSpace)>,
}

impl<'a> Amplifier<'a> {
    /// Of clean images that are answered `answers`, (n), each below `classes`. None where the features, or all maps, are not finite
    /// or do not vary.
    #[must_use]
    pub fn fit(clean: CleanValues<'a>, answers: &[u32], classes: usize) -> Option<Self> {
        let features = LabelSpace::fit(clean.features, answers, classes)?;
        let maps = clean.maps.iter().enumerate();
        let maps: Vec<(usize, LabelSpace)> = maps
            .filter_map(|(place, map)| Some((place, LabelSpace::fit(map, answers, classes)?)))
            .collect();
        (!maps.is_empty()).then_some(Self {
            clean,
            features,
            maps,
        })
    }

    /// The amplification of images that were turned into `label`; none of no image, or where a value is not finite.
    #[must_use]
    pub fn amplification(&self, turned: TurnedValues<'_>, label: usize) -> Option<f64> {
        if turned.images.is_empty() {
            return None;
        }
        let mean_of_map =
            |place: usize| mean((0..turned.images.len()).map(|row| turned.maps[place].row(row)));
        let shift = |(place, space): &(usize, LabelSpace)| {
            let before = turned
                .images
                .iter()
                .map(|&image| self.clean.maps[*place].row(image));
            space
                .between(&mean_of_map(*place), &mean(before))
                .max(LEAST_SHIFT)
        };
        let early = &self.maps[..(self.maps.len() / 2).max(1)];
        let logarithms: f64 = early.iter().map(|map| shift(map).ln()).sum();
        let start = (logarithms / early.len() as f64).exp();
        let (last, space) = self.maps.last()?;
        let features = mean((0..turned.images.len()).map(|row| turned.features.row(row)));
        let landing = self.features.from_label(&features, label)
            * space.from_label(&mean_of_map(*last), label);
        let found = landing.sqrt() / start;
        found.is_finite().then_some(found)
    }
}

/// The mean of `rows`, each (d).
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f64> {
    let (mut sums, mut count) = (Vec::new(), 0.0);
    for row in rows {
        sums.resize(row.len(), 0.0);
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
        count += 1.0;
    }
    sums.into_iter().map(|sum: f64| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 images of two labels at -3 and 3, in the features and in two maps, all (1) wide.
    struct Clean {
        features: Tensor,
        maps: Vec<Tensor>,
        answers: Vec<u32>,
    }

    fn clean() -> Clean {
        let values: Vec<f32> = (0..40)
            .map(|image| {
                let side = if image % 2 == 0 { -3.0 } else { 3.0 };
                side + [0.5, -0.5][image / 2 % 2]
            })
            .collect();
        let tensor = Tensor::new(vec![40, 1], values);
        Clean {
            maps: vec![tensor.clone(), tensor.clone()],
            features: tensor,
            answers: (0..40).map(|image| image % 2).collect(),
        }
    }

    /// Images of label 0 turned into label 1, by this much in the first map, with these features and this last map.
    fn amplification(clean: &Clean, shift: f32, landing: f32) -> Option<f64> {
        let values = CleanValues {
            features: &clean.features,
            maps: &clean.maps,
        };
        let images = [0, 2, 4, 6];
        let rows = |change: &dyn Fn(f32) -> f32| {
            let rows = images.map(|image: usize| change(clean.features.data[image]));
            Tensor::new(vec![4, 1], rows.to_vec())
        };
        let turned = TurnedValues {
            images: &images,
            features: &rows(&|_| landing),
            maps: &[rows(&|value| value + shift), rows(&|_| landing)],
        };
        Amplifier::fit(values, &clean.answers, 2)?.amplification(turned, 1)
    }

    #[test]
    fn it_is_the_distance_at_the_end_over_the_shift_at_the_start() {
        let clean = clean();
        // The variance of every label is 0.25, so a shift by s is s^2 / 0.25, and a landing at v is (v - 3)^2 / 0.25.
        let found = amplification(&clean, 0.5, 5.0).unwrap();
        assert!((found - 16.0).abs() < 1e-6, "{found}");
        let more_at_the_start = amplification(&clean, 2.0, 5.0).unwrap();
        assert!((more_at_the_start - 1.0).abs() < 1e-6);
        let among_the_own = amplification(&clean, 0.5, 3.0).unwrap();
        assert!(among_the_own < 1e-9, "{among_the_own}");
    }

    #[test]
    fn nothing_is_said_of_values_that_are_not_finite_or_never_differ() {
        let clean = clean();
        assert_eq!(amplification(&clean, 0.5, f32::NAN), None);
        let same = Tensor::new(vec![40, 1], vec![1.0; 40]);
        let dead = Clean {
            maps: vec![same.clone(), same],
            ..clean
        };
        assert_eq!(amplification(&dead, 0.5, 5.0), None);
    }
}
