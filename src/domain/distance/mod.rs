//! How far from clean images an image may lie before the answer to it is withdrawn.
//!
//! A trigger that takes a label over seldom makes the network compute what it computes of the label's own images: most of the change
//! lies in directions in which clean images hardly differ. Looked at are the features that the head reads and, of some maps
//! (C, H, W) on the way to them, the means over H and W: a pattern all over the image may end as features like the label's own, but
//! not begin so. With v one of these (d) of an image that is answered t, m_t the mean over the clean images answered t, and S the
//! covariance of clean v around these means, shrunk towards a multiple of the identity, the squared Mahalanobis distance is
//!
//! ```text
//! D(v) = (v - m_t)' S^-1 (v - m_t) = |v A - c_t|^2,   A = L^-T with S = L L',   c_t = m_t A
//! ```
//!
//! The limits are chosen by clean images held out: of these only a given share lies beyond that of the features, and a given share
//! beyond that of any map, where every map's distance counts in units of what one clean image in a hundred exceeds. B's label t of
//! an image beyond one of them is withdrawn: the repaired network may answer with any label but that, and so disagrees with B.
//! Source of the distance, and of asking several layers: Lee, Lee, Lee, Shin, *A Simple Unified Framework for Detecting
//! Out-of-Distribution Samples and Adversarial Attacks*, NeurIPS 2018.
//!
//! In reading order: this file (the limits), `groups` (whose mean an image is measured from), `measured` (the distances of clean
//! images), `space` (m and A), `label_space`.

mod groups;
mod label_space;
mod measured;
mod space;

use super::head::LinearHead;
use crate::tensor::Tensor;
use groups::Groups;
pub use label_space::LabelSpace;
use measured::{Measured, MeasuredMap, limit};

/// With fewer clean images even one beyond the limit is too large a share of them.
pub const FEWEST_IMAGES: usize = 200;
/// With more values the matrix A would be larger than most networks.
pub const MOST_FEATURES: usize = 4096;
/// What is taken from the score of a label that is withdrawn: more than scores ever differ by.
pub const WITHDRAWN: f32 = 1e9;

/// Values of clean images, one row an image.
#[derive(Debug, Clone, Copy)]
pub struct CleanValues<'a> {
    /// What the head reads, (n, d).
    pub features: &'a Tensor,
    /// Means of maps, each (n, C).
    pub maps: &'a [Tensor],
}

/// Shares of the clean images, 0..1, that may lie beyond the limits when they are held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Beyond that of the features.
    pub features: f64,
    /// Beyond that of any map.
    pub maps: f64,
}

/// Where clean images lie, and how far from there others may.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureLimit {
    /// The features first, then the maps in their order.
    pub parts: Vec<LimitPart>,
    /// Clean images.
    pub images: usize,
    /// Of these, beyond a limit when they were held out.
    pub beyond: Vec<usize>,
    /// Does every class have a mean of its own?
    pub by_class: bool,
}

/// The limit of one kind of values.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitPart {
    /// The map whose means they are, by its place; none for the features.
    pub map: Option<usize>,
    /// The largest squared distance at which an answer stands.
    pub distance: f64,
    /// A over the root of that distance, (d, d) in row-major order.
    pub whitening: Vec<f32>,
    /// c over the root of that distance, in row-major order: (N, d), or (1, d) where all classes have the same.
    pub centres: Vec<f32>,
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
    /// Sets the limits so that at most `shares` of the clean images lie beyond them when they are held out: image i in part
    /// i mod 5. The answers are those of `head`. A map whose means are not finite, or do not vary, has no limit.
    ///
    /// # Errors
    /// As [`NoLimit`] tells.
    pub fn fit(clean: CleanValues<'_>, head: &LinearHead, shares: Shares) -> Result<Self, NoLimit> {
        let (rows, dim) = (clean.features.rows(), head.dim());
        if rows < FEWEST_IMAGES {
            return Err(NoLimit::FewImages(rows));
        }
        if dim > MOST_FEATURES {
            return Err(NoLimit::ManyFeatures(dim));
        }
        let groups = Groups::new(clean.features, head);
        let features = Measured::new(clean.features, &groups).ok_or(NoLimit::Features)?;
        let limit = limit(&features.held_out_distances, shares.features);
        let mut beyond: Vec<bool> = features
            .held_out_distances
            .iter()
            .map(|&d| d > limit)
            .collect();
        let mut parts = vec![features.part(None, limit)];
        let maps = MeasuredMap::all(clean.maps, &groups);
        let farthest: Vec<f64> = (0..rows)
            .map(|row| {
                let units = maps
                    .iter()
                    .map(|map| map.measured.held_out_distances[row] / map.unit);
                units.fold(0.0, f64::max)
            })
            .collect();
        let units = self::limit(&farthest, shares.maps);
        parts.extend(maps.iter().map(|map| {
            let limit = units * map.unit;
            map.measured.part(Some(map.place), limit)
        }));
        for (beyond, far) in beyond.iter_mut().zip(&farthest) {
            *beyond |= *far > units;
        }
        Ok(Self {
            parts,
            images: rows,
            beyond: (0..rows).filter(|&row| beyond[row]).collect(),
            by_class: groups.count > 1,
        })
    }

    /// The distances of an image that is answered `class` over their limits, one a part, from its features (d) and the means of all
    /// maps, each (C): where one is above 1 the answer does not stand. NaN stands.
    pub fn over_limits(
        &self,
        features: &[f32],
        maps: &[&[f32]],
        class: usize,
    ) -> impl Iterator<Item = f32> {
        self.parts.iter().map(move |part| {
            let values = part.map.map_or(features, |map| maps[map]);
            part.distance_over_limit(values, class)
        })
    }
}

impl LimitPart {
    /// D over its limit, of values (d) of an image that is answered `class`.
    fn distance_over_limit(&self, values: &[f32], class: usize) -> f32 {
        let dim = values.len();
        let mut whitened = vec![0.0; dim];
        for (&value, row) in values.iter().zip(self.whitening.chunks_exact(dim)) {
            for (sum, weight) in whitened.iter_mut().zip(row) {
                *sum += value * weight;
            }
        }
        let one = self.centres.len() == dim;
        let at = if one { 0 } else { class * dim };
        let centre = &self.centres[at..at + dim];
        let squares = whitened.iter().zip(centre);
        squares
            .map(|(value, centre)| (value - centre).powi(2))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const SHARES: Shares = Shares {
        features: 0.01,
        maps: 0.0,
    };

    fn fit(features: &Tensor, maps: &[Tensor], head: &LinearHead) -> Result<FeatureLimit, NoLimit> {
        FeatureLimit::fit(CleanValues { features, maps }, head, SHARES)
    }

    #[test]
    fn what_clean_images_never_do_is_beyond_the_limit() {
        let (features, head) = clean();
        let limit = fit(&features, &[], &head).unwrap();
        assert!(limit.by_class);
        assert_eq!(limit.beyond.len(), 4);
        let beyond = |features: [f32; 2]| {
            let class = head.answer(&features).0 as usize;
            let mut distances = limit.over_limits(&features, &[], class);
            distances.any(|distance| distance > 1.0)
        };
        assert!(!beyond([3.0, 0.0]));
        assert!(beyond([3.0, 2.0]), "the second feature is out of place");
        assert!(beyond([-3.0, 2.0]));
        assert!(!beyond([3.0, f32::NAN]), "nothing is said of NaN");
    }

    #[test]
    fn what_clean_images_never_do_in_a_map_is_beyond_the_limit_whatever_the_features() {
        let (features, head) = clean();
        let dead = Tensor::new(vec![400, 1], vec![f32::NAN; 400]);
        let map = Tensor::new(
            vec![400, 2],
            features.data.iter().map(|v| v * 10.0).collect(),
        );
        let limit = fit(&features, &[dead, map], &head).unwrap();
        let maps: Vec<Option<usize>> = limit.parts.iter().map(|part| part.map).collect();
        assert_eq!(maps, [None, Some(1)], "the first map has no limit");
        assert_eq!(
            limit.beyond.len(),
            4,
            "no image may lie beyond that of a map"
        );
        let beyond = |map: [f32; 2]| {
            let maps = [&[0.0][..], &map];
            let mut distances = limit.over_limits(&[3.0, 0.0], &maps, 0);
            distances.any(|distance| distance > 1.0)
        };
        assert!(!beyond([30.0, 0.0]));
        assert!(beyond([30.0, 20.0]));
        assert!(
            beyond([-30.0, 0.0]),
            "that is how images of the other class begin"
        );
    }

    #[test]
    fn without_enough_images_of_a_class_all_have_one_mean() {
        let (mut features, head) = clean();
        for row in features.data.chunks_exact_mut(2) {
            row[0] = row[0].abs();
        }
        let limit = fit(&features, &[], &head).unwrap();
        assert!(!limit.by_class);
        assert_eq!(limit.parts[0].centres.len(), 2);
    }

    #[test]
    fn too_few_images_and_features_that_do_not_vary_are_refused() {
        let (_, head) = clean();
        let few = Tensor::new(vec![199, 2], vec![1.0; 398]);
        assert_eq!(fit(&few, &[], &head), Err(NoLimit::FewImages(199)));
        let same = Tensor::new(vec![200, 2], vec![1.0; 400]);
        assert_eq!(fit(&same, &[], &head), Err(NoLimit::Features));
    }
}
