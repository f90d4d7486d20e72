//! What a discriminant is fitted on: values of the images, scaled, all sources in one row.

use super::direction::Plane;
use super::{NoDiscriminant, Sides};
use crate::domain::held_out::{FOLDS, spread_out};
use crate::tensor::Tensor;
use ndarray::{Array1, Array2, Axis};

/// With fewer clean images answered with the label, all clean images stand for them.
const FEWEST_OWN: usize = 20;
/// Clean images that covariances are taken of, at most.
const MOST_CLEAN: usize = 1000;
/// Share of the mean spread of a source that is added to that of each of its values: one that hardly moves stays so.
const LEAST_SPREAD: f64 = 0.05;

/// Scores of images kept apart.
pub(super) struct Apart {
    /// The clean image, and its score.
    pub(super) own: Vec<(usize, f64)>,
    pub(super) turned: Vec<f64>,
}

/// Scaled values of the images, all sources in one row.
pub(super) struct Rows {
    /// What each value was multiplied by, and how many values a source has.
    scales: Vec<f64>,
    widths: Vec<usize>,
    /// Clean images for the covariance, with their numbers and answers.
    clean: Array2<f64>,
    numbers: Vec<usize>,
    answers: Vec<u32>,
    /// Those answered with the label, or standing for them.
    own: Array2<f64>,
    own_numbers: Vec<usize>,
    turned: Array2<f64>,
    /// The clean image that each was.
    images: Vec<usize>,
}

impl Rows {
    pub(super) fn new(sides: Sides<'_>, label: u32) -> Result<Self, NoDiscriminant> {
        let all: Vec<usize> = (0..sides.answers.len()).collect();
        let numbers = spread_out(&all, MOST_CLEAN);
        let mut own: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&row| sides.answers[row] == label)
            .collect();
        if own.len() < FEWEST_OWN {
            own = all;
        }
        let own_numbers = spread_out(&own, MOST_CLEAN);
        let scales = scales(sides.clean, &numbers)?;
        let scaled = |sources: &[&Tensor], rows: &[usize]| {
            let values = rows.iter().flat_map(|&row| {
                let values = sources.iter().flat_map(move |source| source.row(row));
                values
                    .zip(&scales)
                    .map(|(&value, scale)| f64::from(value) * scale)
            });
            let values: Vec<f64> = values.collect();
            let finite = values.iter().all(|value| value.is_finite());
            let rows = Array2::from_shape_vec((rows.len(), scales.len()), values);
            rows.ok().filter(|_| finite).ok_or(NoDiscriminant::Values)
        };
        let turned_rows: Vec<usize> = (0..sides.images.len()).collect();
        Ok(Self {
            clean: scaled(sides.clean, &numbers)?,
            own: scaled(sides.clean, &own_numbers)?,
            turned: scaled(sides.turned, &turned_rows)?,
            answers: numbers.iter().map(|&row| sides.answers[row]).collect(),
            widths: sides.clean.iter().map(|source| source.row_len()).collect(),
            images: sides.images.to_vec(),
            numbers,
            own_numbers,
            scales,
        })
    }

    /// The direction from the images whose number `takes`.
    pub(super) fn plane(&self, takes: impl Fn(usize) -> bool) -> Result<Plane, NoDiscriminant> {
        let chosen = |numbers: &[usize]| -> Vec<usize> {
            (0..numbers.len())
                .filter(|&at| takes(numbers[at]))
                .collect()
        };
        let clean = chosen(&self.numbers);
        let answers: Vec<u32> = clean.iter().map(|&row| self.answers[row]).collect();
        Plane::fit(
            self.clean.select(Axis(0), &clean),
            &answers,
            self.turned.select(Axis(0), &chosen(&self.images)),
            &self.own.select(Axis(0), &chosen(&self.own_numbers)),
        )
        .ok_or(NoDiscriminant::Values)
    }

    /// The scores of the images of a part, by the direction that the others give.
    pub(super) fn apart(&self, fold: usize) -> Result<Apart, NoDiscriminant> {
        let plane = self.plane(|number| number % FOLDS != fold)?;
        let scores = |rows: &Array2<f64>, numbers: &[usize]| -> Vec<(usize, f64)> {
            let of_part = (0..numbers.len()).filter(|&at| numbers[at] % FOLDS == fold);
            of_part
                .map(|at| (numbers[at], rows.row(at).dot(&plane.weights) - plane.offset))
                .collect()
        };
        let turned = scores(&self.turned, &self.images);
        Ok(Apart {
            own: scores(&self.own, &self.own_numbers),
            turned: turned.into_iter().map(|(_, score)| score).collect(),
        })
    }

    /// The weights for values as they are, over `unit`, one vector a source.
    pub(super) fn unscaled(&self, weights: &Array1<f64>, unit: f64) -> Vec<Vec<f32>> {
        let values: Vec<f32> = weights
            .iter()
            .zip(&self.scales)
            .map(|(weight, scale)| (weight * scale / unit) as f32)
            .collect();
        let mut rest = values.as_slice();
        let mut sources = Vec::new();
        for &width in &self.widths {
            let (source, after) = rest.split_at(width);
            sources.push(source.to_vec());
            rest = after;
        }
        sources
    }
}

/// 1 / (spread + a part of the mean spread of its source), for every value.
fn scales(sources: &[&Tensor], rows: &[usize]) -> Result<Vec<f64>, NoDiscriminant> {
    let mut scales = Vec::new();
    for source in sources {
        let of_value = |at: usize| spread(rows.iter().map(|&row| f64::from(source.row(row)[at])));
        let spreads: Vec<f64> = (0..source.row_len()).map(of_value).collect();
        let least = LEAST_SPREAD * spreads.iter().sum::<f64>() / spreads.len().max(1) as f64;
        if !(least.is_finite() && least > 0.0) {
            return Err(NoDiscriminant::Values);
        }
        scales.extend(spreads.into_iter().map(|spread| 1.0 / (spread + least)));
    }
    Ok(scales)
}

/// Standard deviation.
pub(super) fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt()
}
