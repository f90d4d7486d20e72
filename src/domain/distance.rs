//! How far features may lie from those of clean images before the answer to them is withdrawn.
//!
//! A trigger that takes a label over seldom makes the head read what it reads of the label's own images: most of the change lies in
//! directions in which clean images hardly differ. With f the features (d) of an image that is answered t, m_t the mean over the
//! clean images answered t, and S the covariance of clean features around these means, shrunk towards a multiple of the identity,
//! the squared Mahalanobis distance is
//!
//! ```text
//! D(f) = (f - m_t)' S^-1 (f - m_t) = |f A - c_t|^2,   A = L^-T with S = L L',   c_t = m_t A
//! ```
//!
//! The limit is chosen by clean images kept apart: of these only a given share lies beyond it. B's label t of an image beyond it is
//! withdrawn: the repaired network may answer with any label but that, and so disagrees with B. Source of the distance: Lee, Lee, Lee, Shin, *A Simple Unified Framework for
//! Detecting Out-of-Distribution Samples and Adversarial Attacks*, NeurIPS 2018.

use super::head::LinearHead;
use crate::tensor::Tensor;
use ndarray::{Array1, Array2, ArrayView2, Axis, aview1};

/// With fewer clean images even one beyond the limit is too large a share of them.
pub const FEWEST_IMAGES: usize = 200;
/// With more features the matrix A would be larger than most networks.
pub const MOST_FEATURES: usize = 4096;
/// Every class has a mean of its own where each is the answer to at least this many clean images.
const FEWEST_OF_CLASS: usize = 5;
/// How far the covariance is shrunk, 0..1.
const SHRINKAGE: f64 = 0.05;
/// Parts of the clean images; the distances of each are measured from the others.
const FOLDS: usize = 5;
/// What is taken from the score of a label that is withdrawn: more than scores ever differ by.
pub const WITHDRAWN: f32 = 1e9;

/// Where clean features lie, and how far from there others may.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureLimit {
    /// A, (d, d) in row-major order.
    pub whitening: Vec<f32>,
    /// c, (N, d) in row-major order.
    pub centres: Vec<f32>,
    /// The largest squared distance at which an answer stands.
    pub limit: f32,
    /// Clean images.
    pub images: usize,
    /// Of these, beyond the limit when they were kept apart.
    pub beyond: Vec<usize>,
    /// Does every class have a mean of its own?
    pub by_class: bool,
}

/// No limit can be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoLimit {
    /// Too few clean images.
    #[error("expected at least {FEWEST_IMAGES} clean images, found {0}")]
    FewImages(usize),
    /// Too many features.
    #[error("expected at most {MOST_FEATURES} features before the last layer, found {0}")]
    ManyFeatures(usize),
    /// Features that are not finite, or the same for all images.
    #[error("the features before the last layer are not finite, or do not vary")]
    Features,
}

impl FeatureLimit {
    /// Sets the limit so that at most `share` (0..1) of the clean images lie beyond it when they are kept apart: image i in part
    /// i mod 5. `features` (n, d); the answers are those of `head`.
    ///
    /// # Errors
    /// As [`NoLimit`] tells.
    pub fn fit(features: &Tensor, head: &LinearHead, share: f64) -> Result<Self, NoLimit> {
        let (rows, dim, classes) = (features.rows(), head.dim(), head.classes());
        if rows < FEWEST_IMAGES {
            return Err(NoLimit::FewImages(rows));
        }
        if dim > MOST_FEATURES {
            return Err(NoLimit::ManyFeatures(dim));
        }
        let values: Vec<f64> = features
            .data
            .iter()
            .map(|&value| f64::from(value))
            .collect();
        let all = ArrayView2::from_shape((rows, dim), &values).map_err(|_| NoLimit::Features)?;
        let answers: Vec<usize> = (0..rows)
            .map(|row| head.answer(features.row(row)).0 as usize)
            .collect();
        let by_class = (0..classes)
            .all(|class| answers.iter().filter(|&&a| a == class).count() >= FEWEST_OF_CLASS);
        let classes_of = |rows: &[usize]| -> Vec<usize> {
            let class = |&row: &usize| if by_class { answers[row] } else { 0 };
            rows.iter().map(class).collect()
        };
        let groups = if by_class { classes } else { 1 };
        let mut distances = vec![0.0; rows];
        for fold in 0..FOLDS {
            let (apart, others): (Vec<usize>, Vec<usize>) =
                (0..rows).partition(|row| row % FOLDS == fold);
            let space = Space::fit(&all.select(Axis(0), &others), &classes_of(&others), groups)?;
            let found = space.distances(&all.select(Axis(0), &apart), &classes_of(&apart));
            for (row, distance) in apart.into_iter().zip(found) {
                distances[row] = distance;
            }
        }
        let limit = limit(&distances, share);
        let every: Vec<usize> = (0..rows).collect();
        let space = Space::fit(&all.to_owned(), &classes_of(&every), groups)?;
        let centres = space.means.dot(&space.whitening);
        let row = |class: usize| centres.row(if by_class { class } else { 0 });
        Ok(Self {
            whitening: space.whitening.iter().map(|&value| value as f32).collect(),
            centres: (0..classes)
                .flat_map(|class| row(class).to_vec())
                .map(|value| value as f32)
                .collect(),
            limit: limit as f32,
            images: rows,
            beyond: (0..rows).filter(|&row| distances[row] > limit).collect(),
            by_class,
        })
    }

    /// D of features (d) that are answered `class`.
    #[must_use]
    pub fn distance(&self, features: &[f32], class: usize) -> f32 {
        let dim = features.len();
        let mut whitened = vec![0.0; dim];
        for (&feature, row) in features.iter().zip(self.whitening.chunks_exact(dim)) {
            for (sum, weight) in whitened.iter_mut().zip(row) {
                *sum += feature * weight;
            }
        }
        let centre = &self.centres[class * dim..(class + 1) * dim];
        whitened
            .iter()
            .zip(centre)
            .map(|(value, centre)| (value - centre).powi(2))
            .sum()
    }

    /// Withdraws `label`, B's, in `scores`, (N), where `features` lie beyond the limit. NaN is not beyond it.
    pub fn withdraw(&self, features: &[f32], label: usize, scores: &mut [f32]) {
        if self.distance(features, label) > self.limit {
            scores[label] -= WITHDRAWN;
        }
    }
}

/// Half-way between the last distance within the limit and the first beyond; the largest one where none may be beyond.
fn limit(distances: &[f64], share: f64) -> f64 {
    let mut sorted = distances.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let beyond = (share * sorted.len() as f64) as usize;
    let last = sorted.len() - 1 - beyond.min(sorted.len() - 1);
    let next = sorted.get(last + 1).copied().unwrap_or(sorted[last]);
    f64::midpoint(sorted[last], next)
}

/// Means of groups of features and the whitening of what differs from them.
struct Space {
    /// (groups, d)
    means: Array2<f64>,
    /// A, (d, d)
    whitening: Array2<f64>,
}

impl Space {
    fn fit(features: &Array2<f64>, groups: &[usize], count: usize) -> Result<Self, NoLimit> {
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
            return Err(NoLimit::Features);
        }
        covariance *= 1.0 - SHRINKAGE;
        covariance
            .diag_mut()
            .mapv_inplace(|v| v + SHRINKAGE * spread);
        Ok(Self {
            means,
            whitening: whitening(&covariance)?,
        })
    }

    fn distances(&self, features: &Array2<f64>, groups: &[usize]) -> Vec<f64> {
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

/// L^-T for S = L L' (Cholesky).
fn whitening(s: &Array2<f64>) -> Result<Array2<f64>, NoLimit> {
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
            return Err(NoLimit::Features);
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
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scores::argmax;

    /// Two classes told by the sign of the first feature; the second one hardly varies.
    fn clean() -> (Tensor, LinearHead) {
        let rows = (0..400).flat_map(|image: i32| {
            let side = if image % 2 == 0 { 3.0 } else { -3.0 };
            let wave = |step: i32| f64::from((image * step) % 97) as f32 / 97.0 - 0.5;
            [side + wave(31), 0.01 * wave(53)]
        });
        let head = LinearHead {
            weights: vec![1.0, -1.0, 0.0, 0.0],
            bias: vec![0.0, 0.0],
        };
        (Tensor::new(vec![400, 2], rows.collect()), head)
    }

    #[test]
    fn what_clean_images_never_do_is_beyond_the_limit_and_loses_its_label() {
        let (features, head) = clean();
        let limit = FeatureLimit::fit(&features, &head, 0.01).unwrap();
        assert!(limit.by_class);
        assert_eq!(limit.beyond.len(), 4);
        let answer = |features: [f32; 2]| {
            let mut scores = vec![0.0; 2];
            head.score(&features, &mut scores);
            limit.withdraw(&features, argmax(&scores).0 as usize, &mut scores);
            argmax(&scores).0
        };
        assert_eq!(answer([3.0, 0.0]), 0);
        assert_eq!(answer([3.0, 2.0]), 1, "the second feature is out of place");
        assert_eq!(answer([-3.0, 2.0]), 0);
        assert_eq!(answer([3.0, f32::NAN]), 0, "nothing is said of NaN");
    }

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

    #[test]
    fn without_enough_images_of_a_class_all_have_one_mean() {
        let (mut features, head) = clean();
        for row in features.data.chunks_exact_mut(2) {
            row[0] = row[0].abs();
        }
        let limit = FeatureLimit::fit(&features, &head, 0.0).unwrap();
        assert!(!limit.by_class);
        assert!(limit.beyond.is_empty());
        assert_eq!(limit.centres[..2], limit.centres[2..]);
    }

    #[test]
    fn too_few_images_and_features_that_do_not_vary_are_refused() {
        let (_, head) = clean();
        let few = Tensor::new(vec![199, 2], vec![1.0; 398]);
        assert_eq!(
            FeatureLimit::fit(&few, &head, 0.01),
            Err(NoLimit::FewImages(199))
        );
        let same = Tensor::new(vec![200, 2], vec![1.0; 400]);
        assert_eq!(
            FeatureLimit::fit(&same, &head, 0.01),
            Err(NoLimit::Features)
        );
    }
}
