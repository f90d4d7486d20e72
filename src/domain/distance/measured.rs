//! The distances of clean images that were held out.

use super::LimitPart;
use super::groups::Groups;
use super::space::Space;
use crate::domain::held_out::{FOLDS, threshold};
use crate::tensor::Tensor;
use ndarray::{Array2, ArrayView2, Axis};

/// Share of clean images whose distance in a map is above the unit that it counts in.
const UNIT_SHARE: f64 = 0.01;

/// One kind of values of the clean images.
pub(super) struct Measured {
    /// Squared distances of the images when they are held out, (n).
    pub(super) held_out_distances: Vec<f64>,
    /// Of all images.
    space: Space,
}

impl Measured {
    /// None where the values are not finite, or the same for all images.
    pub(super) fn new(values: &Tensor, groups: &Groups) -> Option<Self> {
        let (rows, dim) = (values.rows(), values.row_len());
        let wide: Vec<f64> = values.data.iter().map(|&value| f64::from(value)).collect();
        let all = ArrayView2::from_shape((rows, dim), &wide).ok()?;
        let mut held_out_distances = vec![0.0; rows];
        for fold in 0..FOLDS {
            let (held_out, others): (Vec<usize>, Vec<usize>) =
                (0..rows).partition(|row| row % FOLDS == fold);
            let of_others = all.select(Axis(0), &others);
            let space = Space::fit(&of_others, &groups.of_rows(&others), groups.count)?;
            let found =
                space.distances(&all.select(Axis(0), &held_out), &groups.of_rows(&held_out));
            for (row, distance) in held_out.into_iter().zip(found) {
                held_out_distances[row] = distance;
            }
        }
        Some(Self {
            held_out_distances,
            space: Space::fit(&all.to_owned(), &groups.of_image, groups.count)?,
        })
    }

    pub(super) fn part(&self, map: Option<usize>, distance: f64) -> LimitPart {
        let Space { means, whitening } = &self.space;
        // A limit of zero lets nothing pass that differs at all.
        let root = distance.sqrt().max(f64::from(f32::MIN_POSITIVE));
        let scaled = |values: &Array2<f64>| values.iter().map(|v| (v / root) as f32).collect();
        LimitPart {
            map,
            distance,
            whitening: scaled(whitening),
            centres: scaled(&means.dot(whitening)),
        }
    }
}

/// The means of a map whose distances can be told.
pub(super) struct MeasuredMap {
    pub(super) place: usize,
    pub(super) measured: Measured,
    /// What a hundredth of the images exceed; above 0.
    pub(super) unit: f64,
}

impl MeasuredMap {
    pub(super) fn all(maps: &[Tensor], groups: &Groups) -> Vec<Self> {
        let measured = maps.iter().map(|map| Measured::new(map, groups));
        let measured = measured.enumerate().filter_map(|(place, measured)| {
            let measured = measured?;
            Some(Self {
                place,
                unit: limit(&measured.held_out_distances, UNIT_SHARE),
                measured,
            })
        });
        measured.filter(|map| map.unit > 0.0).collect()
    }
}

/// The limit that a `share` of the distances exceed.
pub(super) fn limit(distances: &[f64], share: f64) -> f64 {
    threshold(distances, (share * distances.len() as f64) as usize)
}
