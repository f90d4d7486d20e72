//! Cholesky's factor of a symmetric, positive definite matrix.

use ndarray::{Array1, Array2, aview1};

/// L, lower triangular, with S = L L'.
#[derive(Debug, Clone)]
pub struct Cholesky {
    /// (d, d), row-major; what lies above the diagonal is not read.
    factor: Vec<f64>,
    dim: usize,
}

impl Cholesky {
    /// The factor of `s`, (d, d); none where `s` is not positive definite or not finite.
    #[must_use]
    pub fn new(s: &Array2<f64>) -> Option<Self> {
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
        Some(Self { factor: l, dim })
    }

    /// x of S x = b, for b (d).
    #[must_use]
    pub fn solve(&self, b: &Array1<f64>) -> Array1<f64> {
        let mut x = b.to_vec();
        for row in 0..self.dim {
            let known = aview1(&self.row(row)[..row]).dot(&aview1(&x[..row]));
            x[row] = (x[row] - known) / self.at(row, row);
        }
        for row in (0..self.dim).rev() {
            x[row] /= self.at(row, row);
            let (before, here) = x.split_at_mut(row);
            for (value, factor) in before.iter_mut().zip(self.row(row)) {
                *value -= factor * here[0];
            }
        }
        Array1::from(x)
    }

    /// L^-T: |v L^-T|^2 = v S^-1 v'.
    #[must_use]
    pub fn whitening(&self) -> Array2<f64> {
        // Row k is column k of L^-1, by forward substitution.
        let mut inverse = Array2::<f64>::zeros((self.dim, self.dim));
        for (k, mut column) in inverse.rows_mut().into_iter().enumerate() {
            for row in k..self.dim {
                let done: f64 = (k..row).map(|j| self.at(row, j) * column[j]).sum();
                let unit = f64::from(u8::from(row == k));
                column[row] = (unit - done) / self.at(row, row);
            }
        }
        inverse
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.factor[row * self.dim..(row + 1) * self.dim]
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.factor[row * self.dim + column]
    }
}

#[cfg(test)]
mod tests {
    use super::Cholesky;
    use ndarray::array;

    // S^-1 = 1/7 [[2, -1], [-1, 4]]
    fn factor() -> Cholesky {
        Cholesky::new(&array![[4.0, 1.0], [1.0, 2.0]]).unwrap()
    }

    #[test]
    fn whitened_lengths_are_those_of_the_inverse_worked_out_by_hand() {
        let y = array![[1.0, 3.0]].dot(&factor().whitening());
        let squared = y.row(0).dot(&y.row(0));
        assert!(
            (squared - (2.0 - 6.0 + 36.0) / 7.0).abs() < 1e-12,
            "{squared}"
        );
    }

    #[test]
    fn a_system_is_solved_as_by_hand() {
        let x = factor().solve(&array![1.0, 3.0]);
        assert!((x[0] + 1.0 / 7.0).abs() < 1e-12 && (x[1] - 11.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(Cholesky::new(&array![[f64::NAN]]).is_none());
    }
}
