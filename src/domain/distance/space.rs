//! Means of groups of values, the covariance around them, and distances in units of it.

use crate::domain::cholesky::Cholesky;
use ndarray::{Array1, Array2};

/// How far the covariance is shrunk, 0..1.
const SHRINKAGE: f64 = 0.05;

/// Means of groups of features and the whitening of what differs from them.
#[derive(Debug)]
pub(super) struct Space {
    /// (groups, d)
    pub(super) means: Array2<f64>,
    /// A, (d, d)
    pub(super) whitening: Array2<f64>,
}

impl Space {
    /// Of `features`, (n, d), in `count` groups; none where they are not finite, or do not vary.
    pub(super) fn fit(features: &Array2<f64>, groups: &[usize], count: usize) -> Option<Self> {
        let (rows, dim) = features.dim();
        let mut means = Array2::<f64>::zeros((count, dim));
        let mut members = Array1::<f64>::zeros(count);
        for (row, &group) in features.rows().into_iter().zip(groups) {
            let mut mean = means.row_mut(group);
            mean += &row;
            members[group] += 1.0;
        }
        for (mut mean, &members) in means.rows_mut().into_iter().zip(&members) {
            mean /= members.max(1.0);
        }
        let residuals = residuals(features, &means, groups);
        let mut covariance = residuals.t().dot(&residuals) / rows as f64;
        let spread = covariance.diag().sum() / dim as f64;
        if !(spread.is_finite() && spread > 0.0) {
            return None;
        }
        covariance *= 1.0 - SHRINKAGE;
        covariance
            .diag_mut()
            .mapv_inplace(|v| v + SHRINKAGE * spread);
        Some(Self {
            means,
            whitening: Cholesky::new(&covariance)?.whitening(),
        })
    }

    pub(super) fn distances(&self, features: &Array2<f64>, groups: &[usize]) -> Vec<f64> {
        let whitened = residuals(features, &self.means, groups).dot(&self.whitening);
        let squares = whitened.rows().into_iter().map(|row| row.dot(&row));
        squares.collect()
    }
}

fn residuals(features: &Array2<f64>, means: &Array2<f64>, groups: &[usize]) -> Array2<f64> {
    let mut residuals = features.clone();
    for (mut row, &group) in residuals.rows_mut().into_iter().zip(groups) {
        row -= &means.row(group);
    }
    residuals
}
