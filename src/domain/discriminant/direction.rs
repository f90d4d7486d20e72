//! The direction in which turned images differ from a label's own: Fisher's, with the covariance shrunk.

use crate::domain::cholesky::Cholesky;
use ndarray::{Array1, Array2, Axis};
use std::collections::BTreeMap;

/// An answer to fewer clean images has no mean of its own.
const FEWEST_OF_ANSWER: usize = 5;
/// Share of the mean variance that is added to each.
const SHRINKAGE: f64 = 0.05;

/// A direction and where along it the label's own clean images lie: w, and w m.
pub(super) struct Plane {
    pub(super) weights: Array1<f64>,
    pub(super) offset: f64,
}

impl Plane {
    /// Of clean images with what the network answers to them, turned images, and those that are the label's own, each (rows, d); none
    /// where a set is empty or nothing varies.
    pub(super) fn fit(
        clean: Array2<f64>,
        answers: &[u32],
        turned: Array2<f64>,
        own: &Array2<f64>,
    ) -> Option<Self> {
        let own_mean = own.mean_axis(Axis(0))?;
        let turned_mean = turned.mean_axis(Axis(0))?;
        let residuals = residuals(clean, answers, turned, &turned_mean)?;
        let weights = solve(&residuals, &(&turned_mean - &own_mean))?;
        Some(Self {
            offset: weights.dot(&own_mean),
            weights,
        })
    }
}

/// What differs from the means of the answers, and from that of the turned images: rows R with R'R = S_clean + S_turned.
fn residuals(
    mut clean: Array2<f64>,
    answers: &[u32],
    mut turned: Array2<f64>,
    turned_mean: &Array1<f64>,
) -> Option<Array2<f64>> {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &answer) in answers.iter().enumerate() {
        groups.entry(answer).or_default().push(row);
    }
    let all = clean.mean_axis(Axis(0))?;
    for rows in groups.values() {
        let mean = match rows.len() < FEWEST_OF_ANSWER {
            true => all.clone(),
            false => {
                let members = clean.select(Axis(0), rows);
                members.mean_axis(Axis(0))?
            }
        };
        for &row in rows {
            let mut row = clean.row_mut(row);
            row -= &mean;
        }
    }
    for mut row in turned.rows_mut() {
        row -= turned_mean;
    }
    clean /= (clean.nrows() as f64).sqrt();
    turned /= (turned.nrows() as f64).sqrt();
    ndarray::concatenate(Axis(0), &[clean.view(), turned.view()]).ok()
}

/// x of (R'R + c I) x = b with c the mean of R'R's diagonal times the shrinkage; none where nothing varies.
///
/// With fewer rows than values through the smaller matrix: x = (b - R'(RR' + c I)^-1 R b) / c (Woodbury).
fn solve(r: &Array2<f64>, b: &Array1<f64>) -> Option<Array1<f64>> {
    let (rows, dim) = r.dim();
    let c = SHRINKAGE * r.iter().map(|value| value * value).sum::<f64>() / dim as f64;
    if !(c.is_finite() && c > 0.0) {
        return None;
    }
    let factor = |mut s: Array2<f64>| {
        s.diag_mut().mapv_inplace(|value| value + c);
        Cholesky::new(&s)
    };
    if dim <= rows {
        return Some(factor(r.t().dot(r))?.solve(b));
    }
    let y = factor(r.dot(&r.t()))?.solve(&r.dot(b));
    Some((b - &r.t().dot(&y)) / c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn with_fewer_rows_than_values_the_solution_is_the_same() {
        let r = array![[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]];
        let b = array![1.0, -2.0, 0.5];
        let c = SHRINKAGE * r.iter().map(|value| value * value).sum::<f64>() / 3.0;
        let x = solve(&r, &b).unwrap();
        let back = r.t().dot(&r.dot(&x)) + c * &x;
        for (back, b) in back.iter().zip(&b) {
            assert!((back - b).abs() < 1e-9, "{back} {b}");
        }
        let tall = array![[1.0, 2.0], [0.5, -1.0], [4.0, 1.0]];
        let b = array![1.0, -2.0];
        let c = SHRINKAGE * tall.iter().map(|value| value * value).sum::<f64>() / 2.0;
        let x = solve(&tall, &b).unwrap();
        let back = tall.t().dot(&tall.dot(&x)) + c * &x;
        assert!((&back - &b).iter().all(|gap| gap.abs() < 1e-9));
        assert!(solve(&Array2::zeros((2, 2)), &b).is_none());
    }
}
