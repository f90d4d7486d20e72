//! Which images a trigger may have turned into a label: a linear function of what the network computes on the way.
//!
//! Stand-ins turned clean images into label t. With v what the network computes of an image, its features and the means of
//! its maps in one row, each scaled by its spread over the clean images, the function is Fisher's linear discriminant
//! between these images and the clean ones answered t:
//!
//! ```text
//! g(v) = w (v - m) - h,   w = (S_clean + S_turned + shrinkage)^-1 (m_turned - m)
//! ```
//!
//! m is the mean of the clean images answered t, m_turned that of the turned ones, S_clean the covariance of clean images around the
//! means of their answers, S_turned that of the turned ones around their mean. Where g > 0, label t is withdrawn. Unlike the
//! refitted head, g also reads what came before the features: noise or a wave all over the image may end in features like the
//! label's own, but not begin so.
//!
//! The threshold h comes from images kept apart: half-way between the clean images answered t and the turned ones where these are
//! apart, else as many clean ones lie beyond it as are allowed to.
//! Source: Fisher, *The Use of Multiple Measurements in Taxonomic Problems* (1936).

use super::cholesky::Cholesky;
use crate::tensor::Tensor;
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// With fewer turned images too little is known of a trigger.
pub const FEWEST_TURNED: usize = 40;
/// With fewer clean images answered with the label, all clean images stand for them.
const FEWEST_OWN: usize = 20;
/// An answer to fewer clean images has no mean of its own.
const FEWEST_OF_ANSWER: usize = 5;
/// Clean images that covariances are taken of, at most.
const MOST_CLEAN: usize = 1000;
/// Parts of the images; each is judged by a function fitted on the others.
const FOLDS: usize = 5;
/// Share of the mean spread of a source that is added to that of each of its values: one that hardly moves stays so.
const LEAST_SPREAD: f64 = 0.05;
/// Share of the mean variance that is added to each.
const SHRINKAGE: f64 = 0.05;
/// Share of the turned images that counts as the odd ones.
const ODD: f64 = 0.02;

/// What a discriminant is fitted on. A source is a matrix with one row an image: the features, or the means of a map.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// Of the clean images, each (n, d).
    pub clean: &'a [&'a Tensor],
    /// What the network answers to them, (n).
    pub answers: &'a [u32],
    /// Of the images turned into the label, the same sources, each (m, d).
    pub turned: &'a [&'a Tensor],
    /// The clean image that each of these was, (m).
    pub images: &'a [usize],
}

/// A linear function that is above 0 for images that a trigger for a label turned.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminant {
    /// The label.
    pub label: u32,
    /// w, one vector (d) a source, in units of its spread over the clean images answered so.
    pub weights: Vec<Vec<f32>>,
    /// -(w m + h)
    pub bias: f32,
    /// Share of the turned images above 0 when they were kept apart.
    pub caught: f64,
    /// Clean images answered with the label that were above 0 when they were kept apart.
    pub beyond: Vec<usize>,
}

/// No discriminant can be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDiscriminant {
    /// Too few turned images.
    #[error("expected at least {FEWEST_TURNED} images turned into it, found {0}")]
    FewTurned(usize),
    /// Values that are not finite, or the same for all images.
    #[error("what the network computes of clean images is not finite, or does not vary")]
    Values,
}

impl Discriminant {
    /// Fits the discriminant of `label`; at most `most_beyond` of the clean images answered so lie beyond it when they are kept apart:
    /// image i in part i mod 5. A turned image is in the part of the clean one that it was.
    ///
    /// # Errors
    /// As [`NoDiscriminant`] tells.
    pub fn fit(sides: Sides<'_>, label: u32, most_beyond: usize) -> Result<Self, NoDiscriminant> {
        let turned = sides.images.len();
        if turned < FEWEST_TURNED {
            return Err(NoDiscriminant::FewTurned(turned));
        }
        let rows = Rows::new(sides, label)?;
        let apart: Vec<Apart> = (0..FOLDS)
            .into_par_iter()
            .map(|fold| rows.apart(fold))
            .collect::<Result<_, _>>()?;
        let own: Vec<(usize, f64)> = apart.iter().flat_map(|part| part.own.clone()).collect();
        let turned: Vec<f64> = apart.iter().flat_map(|part| part.turned.clone()).collect();
        let threshold = threshold(own.iter().map(|(_, score)| *score), &turned, most_beyond);
        let unit = spread(own.iter().map(|(_, score)| *score)).max(f64::from(f32::MIN_POSITIVE));
        let plane = rows.plane(|_| true)?;
        let above = turned.iter().filter(|&&score| score > threshold).count();
        let beyond = own.iter().filter(|(_, score)| *score > threshold);
        Ok(Self {
            label,
            weights: rows.unscaled(&plane.weights, unit),
            bias: (-(plane.offset + threshold) / unit) as f32,
            caught: above as f64 / turned.len() as f64,
            beyond: beyond
                .map(|&(row, _)| row)
                .filter(|&row| sides.answers[row] == label)
                .collect(),
        })
    }

    /// g of an image from its values, one vector (d) a source.
    #[must_use]
    pub fn value<'v>(&self, values: impl IntoIterator<Item = &'v [f32]>) -> f32 {
        let product = |(weights, values): (&Vec<f32>, &[f32])| -> f32 {
            weights.iter().zip(values).map(|(w, v)| w * v).sum()
        };
        self.weights.iter().zip(values).map(product).sum::<f32>() + self.bias
    }
}

/// A direction and where along it the label's own clean images lie: w, and w m.
struct Plane {
    weights: Array1<f64>,
    offset: f64,
}

/// Scores of images kept apart.
struct Apart {
    /// The clean image, and its score.
    own: Vec<(usize, f64)>,
    turned: Vec<f64>,
}

/// Scaled values of the images, all sources in one row.
struct Rows {
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
    fn new(sides: Sides<'_>, label: u32) -> Result<Self, NoDiscriminant> {
        let all: Vec<usize> = (0..sides.answers.len()).collect();
        let numbers = evenly(&all, MOST_CLEAN);
        let mut own: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&row| sides.answers[row] == label)
            .collect();
        if own.len() < FEWEST_OWN {
            own = all;
        }
        let own_numbers = evenly(&own, MOST_CLEAN);
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
    fn plane(&self, takes: impl Fn(usize) -> bool) -> Result<Plane, NoDiscriminant> {
        let chosen = |numbers: &[usize]| -> Vec<usize> {
            (0..numbers.len())
                .filter(|&at| takes(numbers[at]))
                .collect()
        };
        let clean_rows = chosen(&self.numbers);
        let clean = self.clean.select(Axis(0), &clean_rows);
        let turned = self.turned.select(Axis(0), &chosen(&self.images));
        let own = self.own.select(Axis(0), &chosen(&self.own_numbers));
        let mean = |rows: &Array2<f64>| rows.mean_axis(Axis(0)).ok_or(NoDiscriminant::Values);
        let (own_mean, turned_mean) = (mean(&own)?, mean(&turned)?);
        let answers: Vec<u32> = clean_rows.iter().map(|&row| self.answers[row]).collect();
        let residuals = residuals(clean, &answers, turned, &turned_mean)?;
        let weights =
            solve(&residuals, &(&turned_mean - &own_mean)).ok_or(NoDiscriminant::Values)?;
        Ok(Plane {
            offset: weights.dot(&own_mean),
            weights,
        })
    }

    /// The scores of the images of a part, by the direction that the others give.
    fn apart(&self, fold: usize) -> Result<Apart, NoDiscriminant> {
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
    fn unscaled(&self, weights: &Array1<f64>, unit: f64) -> Vec<Vec<f32>> {
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
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt()
}

/// What differs from the means of the answers, and from that of the turned images: rows R with R'R = S_clean + S_turned.
fn residuals(
    mut clean: Array2<f64>,
    answers: &[u32],
    mut turned: Array2<f64>,
    turned_mean: &Array1<f64>,
) -> Result<Array2<f64>, NoDiscriminant> {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &answer) in answers.iter().enumerate() {
        groups.entry(answer).or_default().push(row);
    }
    let all = clean.mean_axis(Axis(0)).ok_or(NoDiscriminant::Values)?;
    for rows in groups.values() {
        let mean = match rows.len() < FEWEST_OF_ANSWER {
            true => all.clone(),
            false => {
                let members = clean.select(Axis(0), rows);
                members.mean_axis(Axis(0)).ok_or(NoDiscriminant::Values)?
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
    ndarray::concatenate(Axis(0), &[clean.view(), turned.view()])
        .map_err(|_| NoDiscriminant::Values)
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

/// Half-way between the label's own images and the turned ones where these are apart, the odd ones among the turned left out; else
/// half-way between the last own image within it and the first beyond, of which there may be `most_beyond`.
fn threshold(own: impl Iterator<Item = f64>, turned: &[f64], most_beyond: usize) -> f64 {
    let mut own: Vec<f64> = own.collect();
    own.sort_unstable_by(f64::total_cmp);
    let mut turned = turned.to_vec();
    turned.sort_unstable_by(f64::total_cmp);
    let largest = own.last().copied().unwrap_or(0.0);
    let odd = (ODD * turned.len() as f64) as usize;
    if let Some(&low) = turned.get(odd)
        && low > largest
    {
        return f64::midpoint(largest, low);
    }
    let last = own.len().saturating_sub(1 + most_beyond);
    let next = own.get(last + 1).copied().unwrap_or(largest);
    f64::midpoint(own.get(last).copied().unwrap_or(largest), next)
}

/// At most `most` of `rows`, in even steps.
fn evenly(rows: &[usize], most: usize) -> Vec<usize> {
    let count = rows.len();
    if count <= most {
        return rows.to_vec();
    }
    (0..most).map(|step| rows[step * count / most]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// A deterministic number within -0.5..0.5.
    fn noise(seed: usize) -> f32 {
        ((seed * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5
    }

    /// Two classes told by the sign of the only feature; of the two means of a map the second is `second`.
    fn images(count: usize, side: impl Fn(usize) -> f32, second: f32) -> [Tensor; 2] {
        let features = (0..count).map(|image| side(image) + noise(image));
        let means = (0..count).flat_map(|image| {
            let second = second + 0.1 * noise(3 * image + 1);
            [noise(5 * image + 2), second]
        });
        [
            Tensor::new(vec![count, 1], features.collect()),
            Tensor::new(vec![count, 2], means.collect()),
        ]
    }

    fn fitted(turned: &[Tensor; 2], count: usize) -> Result<Discriminant, NoDiscriminant> {
        let side = |image: usize| if image.is_multiple_of(2) { 3.0 } else { -3.0 };
        let clean = images(400, side, 0.0);
        let answers: Vec<u32> = (0..400).map(|image| image % 2).collect();
        let images: Vec<usize> = (0..count).map(|row| (2 * row + 1) % 400).collect();
        let sides = Sides {
            clean: &clean.each_ref(),
            answers: &answers,
            turned: &turned.each_ref(),
            images: &images,
        };
        Discriminant::fit(sides, 0, 0)
    }

    #[test]
    fn images_that_began_otherwise_are_told_whatever_their_features() {
        // Features like those of class 0, but the map's second mean is off.
        let turned = images(100, |_| 3.0, 0.5);
        let found = fitted(&turned, 100).unwrap();
        assert_eq!(found.caught, 1.0);
        assert_eq!(found.beyond, Vec::<usize>::new());
        let value = |feature: f32, means: [f32; 2]| found.value([&[feature][..], &means]);
        assert!(value(3.0, [0.0, 0.5]) > 0.0);
        assert!(value(3.0, [0.0, 0.0]) < 0.0);
        assert!(value(3.0, [0.4, 0.0]) < 0.0);
    }

    #[test]
    fn too_few_turned_images_and_values_that_are_no_numbers_are_refused() {
        let few = images(39, |_| 3.0, 0.5);
        assert_eq!(fitted(&few, 39), Err(NoDiscriminant::FewTurned(39)));
        let mut broken = images(100, |_| 3.0, 0.5);
        broken[1].data[7] = f32::NAN;
        assert_eq!(fitted(&broken, 100), Err(NoDiscriminant::Values));
    }

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

    #[test]
    fn the_threshold_is_between_the_two_or_lets_as_many_pass_as_allowed() {
        let own = || [1.0, 2.0, 3.0, 4.0].into_iter();
        assert_eq!(threshold(own(), &[6.0, 7.0], 0), 5.0);
        assert_eq!(threshold(own(), &[3.5, 7.0], 0), 4.0);
        assert_eq!(threshold(own(), &[3.5, 7.0], 1), 3.5);
    }
}
