//! Means of groups of values, the covariance around them, and distances in units of it.

use ndarray::{Array1, Array2, aview1};

/// How far the covariance is shrunk, 0..1.
const SHRINKAGE: f64 = 0.05;

/// Means of groups of features and the whitening of what differs from them.
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
            whitening: whitening(&covariance)?,
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

/// L^-T for S = L L' (Cholesky); none where S is not positive definite.
fn whitening(s: &Array2<f64>) -> Option<Array2<f64>> {
    let dim = s.nrows();
    let mut l: Vec<f64> = s.iter().copied().collect();
    for row in 0..dim {
        let (above, here) = l.split_at_mut(row * dim);
        for column in 0..row {
            let other = &above[column * dim..(column + 1) * dim];
            let known = aview1(&other[..column]).dot(&aview1(&here[..column]));
            here[column] = (here[column] - known) / other[column];
        }
        let rest = here[row] - aview1(&here[..row]).dot(&aview1(&here[..row]));
        if rest.is_nan() || rest <= 0.0 {
            return None;
        }
        here[row] = rest.sqrt();
    }
    // Row k is column k of L^-1, by forward substitution.
    let mut inverse = Array2::<f64>::zeros((dim, dim));
    for (k, mut column) in inverse.rows_mut().into_iter().enumerate() {
        for row in k..dim {
            let done: f64 = (k..row).map(|j| l[row * dim + j] * column[j]).sum();
            let unit = f64::from(u8::from(row == k));
            column[row] = (unit - done) / l[row * dim + row];
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::whitening;

    #[test]
    fn distances_are_those_of_the_formula_worked_out_by_hand() {
        // One group, variances 4 and 1 on the axes, no shrinkage to speak of: whiten by hand with the shrunk values.
        let s = ndarray::array![[4.0, 1.0], [1.0, 2.0]];
        let a = whitening(&s).unwrap();
        // S^-1 = 1/7 [[2, -1], [-1, 4]]
        let y = ndarray::array![[1.0, 3.0]].dot(&a);
        let distance = y.row(0).dot(&y.row(0));
        assert!(
            (distance - (2.0 - 6.0 + 36.0) / 7.0).abs() < 1e-12,
            "{distance}"
        );
    }
}
