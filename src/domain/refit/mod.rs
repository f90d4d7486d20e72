//! Refitting the head so that it obeys no trigger.
//!
//! Stand-ins for a trigger turned clean images into other labels. What the head read of these images tells what a trigger
//! for the label looks like there. The head's columns are refitted: stand-in features must not get the label that they
//! were turned into, and clean images must be answered as before. With A clean features, M stand-in features (row i turned into
//! t_i), z = f V + b, p0 the answers of the old head and V0 its weights:
//!
//! ```text
//! L(V, b) = clean mean_A KL(p0 || softmax z) + sum_M w_i softplus(z_t - logsumexp_{j != t} z_j + margin)
//!         + pull sum_c pull_c |V_c - V0_c|^2
//! ```
//!
//! Features are scaled by their spread over the clean images, so that the pull to the old weights is alike in all of them. With
//! one column the problem is convex; with more it is smooth, and started from the old head.
//!
//! In reading order: this file (the fit), `problem` (what it is given), `objective` (its value and gradient), `minimise`, [`cost`] (what it may cost), [`choose`](mod@choose)
//! (how strongly).

pub mod choose;
pub mod cost;
mod minimise;
mod objective;
mod problem;

pub use choose::{Choice, Crossed, Refused, choose};
pub use cost::{Bounds, Cost};
pub use problem::{Column, Evidence, Strength};

use super::head::LinearHead;
use crate::tensor::Tensor;
use objective::Objective;

/// Share of the spread over all features that is added to each one's: a feature that hardly moves stays so.
const LEAST_SPREAD: f64 = 0.05;
/// Steps of one fit at most.
const ITERATIONS: usize = 60;

/// Refits `columns` of `head`.
#[must_use]
pub fn refit(
    head: &LinearHead,
    evidence: Evidence<'_>,
    columns: &[Column],
    strength: Strength,
) -> LinearHead {
    Fit::new(head, evidence, columns).run(strength)
}

/// A problem with the solution of its last run, from which the next one starts.
struct Fit<'a> {
    head: &'a LinearHead,
    columns: &'a [Column],
    spread: Vec<f32>,
    objective: Objective,
    x: Vec<f32>,
}

impl<'a> Fit<'a> {
    fn new(head: &'a LinearHead, evidence: Evidence<'_>, columns: &'a [Column]) -> Self {
        let spread = spread(evidence.clean);
        let objective = Objective::new(head, evidence, columns, &spread);
        Self {
            head,
            columns,
            x: objective.start(head, columns),
            spread,
            objective,
        }
    }

    fn run(&mut self, strength: Strength) -> LinearHead {
        let start = std::mem::take(&mut self.x);
        let value = |x: &[f32], gradient: &mut [f32]| self.objective.value(x, strength, gradient);
        self.x = minimise::minimise(value, start, ITERATIONS);
        self.unscaled()
    }

    /// The solution as a head.
    fn unscaled(&self) -> LinearHead {
        let (classes, width) = (self.head.classes(), self.columns.len());
        let mut head = self.head.clone();
        let (weights, bias) = self.x.split_at(self.spread.len() * width);
        for (place, column) in self.columns.iter().enumerate() {
            let label = column.label as usize;
            head.bias[label] = bias[place];
            for (row, spread) in self.spread.iter().enumerate() {
                head.weights[row * classes + label] = weights[row * width + place] / spread;
            }
        }
        head
    }
}

/// Standard deviation of each feature over the rows of `features`, and [`LEAST_SPREAD`] of that of all values; (d), above 0.
fn spread(features: &Tensor) -> Vec<f32> {
    let (rows, dim) = (features.rows(), features.row_len());
    let deviation = |sum: f64, squares: f64, count: f64| {
        let mean = sum / count.max(1.0);
        (squares / count.max(1.0) - mean * mean).max(0.0).sqrt()
    };
    let (mut sums, mut squares) = (vec![0.0f64; dim], vec![0.0f64; dim]);
    for row in 0..rows {
        for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(features.row(row)) {
            *sum += f64::from(value);
            *square += f64::from(value) * f64::from(value);
        }
    }
    let all = deviation(sums.iter().sum(), squares.iter().sum(), (rows * dim) as f64);
    let least = (LEAST_SPREAD * all).max(1e-6);
    sums.iter()
        .zip(&squares)
        .map(|(&sum, &squares)| (deviation(sum, squares, rows as f64) + least) as f32)
        .collect()
}
