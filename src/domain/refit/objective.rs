//! Value and gradient of what the refit minimises.

use super::problem::{Column, Evidence, MARGIN, Strength};
use crate::domain::head::LinearHead;
use crate::tensor::Tensor;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

/// The problem with everything that does not depend on the refitted columns worked out.
pub(super) struct Objective {
    /// Clean features over their spread, (n, d).
    clean: Array2<f32>,
    /// Turned features over the spread, (m, d).
    turned: Array2<f32>,
    /// Probabilities of the refitted columns by the old head, (n, S).
    answers: Array2<f32>,
    /// logsumexp of the scores of the columns that stay, clean then turned; minus infinity where all are refitted.
    rest_clean: Vec<f32>,
    rest_turned: Vec<f32>,
    /// Sum over the clean images of what KL holds besides the refitted columns.
    constant: f64,
    /// Column and weight of each turned image.
    targets: Vec<(usize, f64)>,
    /// Old weights in scaled features, (d, S).
    old: Vec<f32>,
    /// Factor on the pull of each column, (S).
    pulls: Vec<f64>,
}

impl Objective {
    pub(super) fn new(
        head: &LinearHead,
        evidence: Evidence<'_>,
        columns: &[Column],
        spread: &[f32],
    ) -> Self {
        let refitted: Vec<usize> = columns.iter().map(|column| column.label as usize).collect();
        let mut stays = vec![true; head.classes()];
        for &label in &refitted {
            stays[label] = false;
        }
        let rest = |scores: &[f32]| {
            log_sum_exp(
                scores
                    .iter()
                    .zip(&stays)
                    .filter(|(_, stays)| **stays)
                    .map(|(s, _)| *s),
            )
        };
        let mut answers = Vec::with_capacity(evidence.clean.rows() * refitted.len());
        let (mut rest_clean, mut constant) = (Vec::new(), 0.0);
        let mut scores = vec![0.0; head.classes()];
        for row in 0..evidence.clean.rows() {
            head.score(evidence.clean.row(row), &mut scores);
            let all = log_sum_exp(scores.iter().copied());
            for (&score, &stays) in scores.iter().zip(&stays) {
                let p = f64::from((score - all).exp());
                constant += p * f64::from(score - all);
                if stays {
                    constant -= p * f64::from(score);
                }
            }
            answers.extend(refitted.iter().map(|&label| (scores[label] - all).exp()));
            rest_clean.push(rest(&scores));
        }
        let rest_turned = (0..evidence.turned.rows())
            .map(|row| {
                head.score(evidence.turned.row(row), &mut scores);
                rest(&scores)
            })
            .collect();
        let classes = head.classes();
        let old = spread.iter().enumerate().flat_map(|(row, spread)| {
            let weights = &head.weights[row * classes..(row + 1) * classes];
            refitted.iter().map(move |&label| weights[label] * spread)
        });
        Self {
            clean: scaled(evidence.clean, spread),
            turned: scaled(evidence.turned, spread),
            answers: matrix(evidence.clean.rows(), refitted.len(), answers),
            rest_clean,
            rest_turned,
            constant,
            targets: targets(evidence.labels, columns),
            old: old.collect(),
            pulls: columns.iter().map(|column| column.pull).collect(),
        }
    }

    /// The old head's columns: weights in scaled features (d, S), then biases (S).
    pub(super) fn start(&self, head: &LinearHead, columns: &[Column]) -> Vec<f32> {
        let bias = columns
            .iter()
            .map(|column| head.bias[column.label as usize]);
        self.old.iter().copied().chain(bias).collect()
    }

    /// L at `x`, its gradient written to `gradient`; both laid out as [`Objective::start`].
    pub(super) fn value(&self, x: &[f32], strength: Strength, gradient: &mut [f32]) -> f64 {
        let (dim, width) = (self.clean.ncols(), self.pulls.len());
        let (weights, bias) = x.split_at(dim * width);
        let Ok(matrix) = ArrayView2::from_shape((dim, width), weights) else {
            return f64::NAN;
        };
        let mut clean = self.clean.dot(&matrix);
        let mut turned = self.turned.dot(&matrix);
        for scores in [&mut clean, &mut turned] {
            for mut row in scores.rows_mut() {
                row.iter_mut()
                    .zip(bias)
                    .for_each(|(score, bias)| *score += bias);
            }
        }
        let loss = self.keep_clean(&mut clean, strength.clean) + self.lose_turned(&mut turned);
        let (by_weight, by_bias) = gradient.split_at_mut(dim * width);
        let Ok(mut by_weight) = ArrayViewMut2::from_shape((dim, width), by_weight) else {
            return f64::NAN;
        };
        by_weight.assign(&self.clean.t().dot(&clean));
        by_weight += &self.turned.t().dot(&turned);
        let sums = clean.sum_axis(Axis(0)) + turned.sum_axis(Axis(0));
        by_bias
            .iter_mut()
            .zip(&sums)
            .for_each(|(by, sum)| *by = *sum);
        loss + self.pull(weights, strength.pull, gradient)
    }

    /// The clean part of L; turns scores (n, S) into its derivatives by them.
    fn keep_clean(&self, scores: &mut Array2<f32>, weight: f64) -> f64 {
        let factor = weight / self.clean.nrows().max(1) as f64;
        let mut divergence = self.constant;
        let rows = scores.rows_mut().into_iter().zip(self.answers.rows());
        for ((mut row, answers), &rest) in rows.zip(&self.rest_clean) {
            let all = log_sum_exp(row.iter().copied().chain([rest]));
            divergence += f64::from(all);
            for (score, &answer) in row.iter_mut().zip(answers) {
                divergence -= f64::from(answer * *score);
                *score = ((*score - all).exp() - answer) * factor as f32;
            }
        }
        factor * divergence
    }

    /// The stand-ins' part of L; turns scores (m, S) into its derivatives by them.
    fn lose_turned(&self, scores: &mut Array2<f32>) -> f64 {
        let mut loss = 0.0;
        let rows = scores.rows_mut().into_iter().zip(&self.targets);
        for ((mut row, &(target, weight)), &rest) in rows.zip(&self.rest_turned) {
            let own = std::mem::replace(&mut row[target], f32::NEG_INFINITY);
            let others = log_sum_exp(row.iter().copied().chain([rest]));
            let excess = f64::from(own - others + MARGIN);
            loss += weight * softplus(excess);
            let slope = (weight / (1.0 + (-excess).exp())) as f32;
            row.iter_mut()
                .for_each(|score| *score = -(*score - others).exp() * slope);
            row[target] = slope;
        }
        loss
    }

    /// The pull to the old weights, added to the gradient.
    fn pull(&self, weights: &[f32], pull: f64, gradient: &mut [f32]) -> f64 {
        let mut loss = 0.0;
        let columns = self.pulls.iter().cycle();
        let pairs = weights.iter().zip(&self.old);
        for ((by, (weight, old)), factor) in gradient.iter_mut().zip(pairs).zip(columns) {
            let moved = weight - old;
            loss += pull * factor * f64::from(moved * moved);
            *by += (2.0 * pull * factor) as f32 * moved;
        }
        loss
    }
}

/// Column and weight of each turned image: the columns' weights, shared out evenly, 1 in all.
fn targets(labels: &[u32], columns: &[Column]) -> Vec<(usize, f64)> {
    let place = |label: &u32| columns.iter().position(|column| column.label == *label);
    let places: Vec<usize> = labels
        .iter()
        .map(|label| place(label).unwrap_or(0))
        .collect();
    let mut counts = vec![0usize; columns.len()];
    for &place in &places {
        counts[place] += 1;
    }
    let present = columns.iter().zip(&counts).filter(|(_, count)| **count > 0);
    let all: f64 = present.map(|(column, _)| column.weight).sum();
    places
        .into_iter()
        .map(|place| (place, columns[place].weight / all / counts[place] as f64))
        .collect()
}

fn scaled(features: &Tensor, spread: &[f32]) -> Array2<f32> {
    let values = features
        .data
        .chunks_exact(spread.len().max(1))
        .flat_map(|row| row.iter().zip(spread).map(|(value, spread)| value / spread));
    matrix(features.rows(), spread.len(), values.collect())
}

/// A matrix over `values`, which are as many as its cells by construction.
fn matrix(rows: usize, columns: usize, values: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), values).unwrap_or_default()
}

/// Minus infinity over nothing.
fn log_sum_exp(scores: impl Iterator<Item = f32> + Clone) -> f32 {
    let most = scores.clone().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    most + scores.map(|score| (score - most).exp()).sum::<f32>().ln()
}

fn softplus(value: f64) -> f64 {
    value.max(0.0) + (-value.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The formula of the module, word for word, over all N columns.
    fn naive(
        head: &LinearHead,
        old: &LinearHead,
        evidence: Evidence<'_>,
        columns: &[Column],
        spread: &[f32],
        strength: Strength,
    ) -> f64 {
        let log_softmax = |head: &LinearHead, features: &[f32]| -> Vec<f64> {
            let mut scores = vec![0.0; head.classes()];
            head.score(features, &mut scores);
            let all = scores.iter().map(|&s| f64::from(s).exp()).sum::<f64>().ln();
            scores.iter().map(|&s| f64::from(s) - all).collect()
        };
        let mut loss = 0.0;
        for row in 0..evidence.clean.rows() {
            let (before, after) = (
                log_softmax(old, evidence.clean.row(row)),
                log_softmax(head, evidence.clean.row(row)),
            );
            let divergence: f64 = before
                .iter()
                .zip(&after)
                .map(|(b, a)| b.exp() * (b - a))
                .sum();
            loss += strength.clean * divergence / evidence.clean.rows() as f64;
        }
        for (row, (target, weight)) in targets(evidence.labels, columns).into_iter().enumerate() {
            let after = log_softmax(head, evidence.turned.row(row));
            let target = columns[target].label as usize;
            let others: f64 = after
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != target)
                .map(|(_, z)| z.exp())
                .sum();
            loss += weight * softplus(after[target] - others.ln() + f64::from(MARGIN));
        }
        for column in columns {
            for (row, spread) in spread.iter().enumerate() {
                let at = row * head.classes() + column.label as usize;
                loss += strength.pull
                    * column.pull
                    * f64::from((head.weights[at] - old.weights[at]) * spread).powi(2);
            }
        }
        loss
    }

    proptest! {
        /// Value as the naive formula, gradient as its differences, for all columns and for some.
        #[test]
        fn value_and_gradient_are_those_of_the_formula(
            values in prop::collection::vec(-1.0f32..1.0, 200),
            some in any::<bool>(),
        ) {
            let (dim, classes) = (3, 4);
            let mut next = values.into_iter().cycle();
            let mut take = |count: usize| (&mut next).take(count).collect::<Vec<f32>>();
            let old = LinearHead { weights: take(dim * classes), bias: take(classes) };
            let (clean, turned) = (Tensor::new(vec![5, dim], take(5 * dim)), Tensor::new(vec![4, dim], take(4 * dim)));
            let columns: Vec<Column> = if some { vec![1, 3] } else { vec![0, 1, 2, 3] }
                .into_iter()
                .map(|label| Column { label, weight: 1.0 + f64::from(label), pull: 0.5 + f64::from(label) })
                .collect();
            let labels = [1, 3, 3, 1];
            let evidence = Evidence { clean: &clean, turned: &turned, labels: &labels };
            let mut fit = super::super::Fit::new(&old, evidence, &columns);
            for (value, change) in fit.x.iter_mut().zip(take(40)) {
                *value += change;
            }
            let (width, strength) = (columns.len(), Strength { clean: 50.0, pull: 0.3 });
            let mut gradient = vec![0.0; dim * width + width];
            let found = fit.objective.value(&fit.x, strength, &mut gradient);
            let expected = naive(&fit.unscaled(), &old, evidence, &columns, &fit.spread, strength);
            prop_assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} {expected}");
            for place in 0..fit.x.len() {
                let step = 1e-2;
                let mut at = |change: f32| {
                    let old = fit.x[place];
                    fit.x[place] = old + change;
                    let value = fit.objective.value(&fit.x, strength, &mut vec![0.0; gradient.len()]);
                    fit.x[place] = old;
                    value
                };
                let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
                prop_assert!((slope - f64::from(gradient[place])).abs() < 2e-2 * slope.abs().max(1.0), "{slope} {}", gradient[place]);
            }
        }
    }
}
