//! The matrices with which the parts of a limit and the discriminants are computed side by side.

use super::discriminant::Discriminant;
use super::limit::LimitPart;
use super::maps::FeatureMap;
use super::{Head, Withdrawal};
use crate::Tensor;

/// What the K columns of z and the P columns of q stand for.
///
/// The first columns of z are computed from the features, the others from the means of the maps. Both have a block of d columns
/// for each part of the limit that reads them, then one for each discriminant. The columns of q are the parts, then the
/// discriminants.
pub(super) struct Columns<'a> {
    /// The limit's parts, each with its first column of z.
    parts: Vec<(LimitPart<'a>, usize)>,
    discriminants: &'a [Discriminant<'a>],
    maps: Vec<&'a FeatureMap>,
    of_features: usize,
    of_maps: usize,
    dim: usize,
    classes: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(head: &Head, withdrawal: &'a Withdrawal<'a>) -> Self {
        let parts = withdrawal.limit.iter().flat_map(|limit| &limit.parts);
        let (of_maps, of_features): (Vec<_>, Vec<_>) = parts.partition(|part| part.map.is_some());
        let mut maps = Vec::new();
        for map in withdrawal.maps() {
            if !maps.contains(&map) {
                maps.push(map);
            }
        }
        let discriminants = withdrawal.discriminants.as_slice();
        let mut placed = Vec::new();
        let mut next = 0;
        let mut place = |group: Vec<&LimitPart<'a>>| {
            let first = next;
            for part in group {
                placed.push((*part, next));
                next += part.dim(head);
            }
            next += discriminants.len();
            next - first
        };
        let of_features = place(of_features);
        let of_maps = match maps.is_empty() {
            true => 0,
            false => place(of_maps),
        };
        Self {
            parts: placed,
            discriminants,
            maps,
            of_features,
            of_maps,
            dim: head.dim,
            classes: head.classes,
        }
    }

    /// The maps that are read, each once.
    pub(super) fn maps(&self) -> &[&'a FeatureMap] {
        &self.maps
    }

    /// K.
    fn count(&self) -> usize {
        self.of_features + self.of_maps
    }

    /// P.
    fn reasons(&self) -> usize {
        self.parts.len() + self.discriminants.len()
    }

    /// The first column of z for a discriminant: among those of the features, among those of the maps if there are any.
    fn first_of_discriminants(&self) -> impl Iterator<Item = usize> {
        let ends = [self.of_features, self.count()];
        let count = if self.maps.is_empty() { 1 } else { 2 };
        let ends = ends.into_iter().take(count);
        ends.map(|end| end - self.discriminants.len())
    }

    /// Weights (d, K of the features).
    pub(super) fn of_features(&self) -> Tensor {
        let mut weights = Matrix::zeros(self.dim, self.of_features);
        for (part, first) in self.parts.iter().filter(|(part, _)| part.map.is_none()) {
            weights.place([0, *first], part.whitening, self.dim);
        }
        let first = self.of_features - self.discriminants.len();
        for (place, found) in self.discriminants.iter().enumerate() {
            weights.place([0, first + place], found.features, 1);
        }
        weights.into_tensor()
    }

    /// Bias (K of the features).
    pub(super) fn bias(&self) -> Tensor {
        let mut bias = vec![0.0; self.of_features - self.discriminants.len()];
        bias.extend(self.discriminants.iter().map(|found| found.bias));
        Tensor::f32([bias.len()], bias)
    }

    /// Weights (C of all maps, K of the maps).
    pub(super) fn of_maps(&self) -> Tensor {
        let rows = self.maps.iter().map(|map| map.channels()).sum();
        let mut weights = Matrix::zeros(rows, self.of_maps);
        let first_of_discriminants = self.of_maps - self.discriminants.len();
        let mut row = 0;
        for map in &self.maps {
            for (part, first) in self.parts.iter().filter(|(part, _)| part.map == Some(map)) {
                let at = [row, first - self.of_features];
                weights.place(at, part.whitening, map.channels());
            }
            for (place, found) in self.discriminants.iter().enumerate() {
                for (_, values) in found.maps.iter().filter(|(other, _)| other == map) {
                    weights.place([row, first_of_discriminants + place], values, 1);
                }
            }
            row += map.channels();
        }
        weights.into_tensor()
    }

    /// Zeros (K of the maps).
    pub(super) fn no_bias(&self) -> Tensor {
        Tensor::f32([self.of_maps], vec![0.0; self.of_maps])
    }

    /// Centres (N, K), or (1, K) where no part has one for each label.
    pub(super) fn centres(&self) -> Tensor {
        let by_label = |(part, _): &(LimitPart<'_>, usize)| part.centres.len() > self.width(part);
        let rows = match self.parts.iter().any(by_label) {
            true => self.classes,
            false => 1,
        };
        let mut centres = Matrix::zeros(rows, self.count());
        for (part, first) in &self.parts {
            let mut of_label = part.centres.chunks_exact(self.width(part)).cycle();
            for row in 0..rows {
                let centre = of_label.next().unwrap_or_default();
                centres.place([row, *first], centre, centre.len());
            }
        }
        centres.into_tensor()
    }

    /// S, (K, P): the sum over the columns of a part.
    pub(super) fn sums(&self) -> Tensor {
        let mut sums = Matrix::zeros(self.count(), self.reasons());
        for (reason, (part, first)) in self.parts.iter().enumerate() {
            sums.place([*first, reason], &vec![1.0; self.width(part)], 1);
        }
        sums.into_tensor()
    }

    /// D, (K, P): the sum over the columns of a discriminant.
    pub(super) fn picks(&self) -> Tensor {
        let mut picks = Matrix::zeros(self.count(), self.reasons());
        for first in self.first_of_discriminants() {
            for place in 0..self.discriminants.len() {
                picks.place([first + place, self.parts.len() + place], &[1.0], 1);
            }
        }
        picks.into_tensor()
    }

    /// (P): less what a distance may be at most, 1.
    pub(super) fn limits(&self) -> Tensor {
        let mut limits = vec![-1.0; self.parts.len()];
        limits.resize(self.reasons(), 0.0);
        Tensor::f32([self.reasons()], limits)
    }

    /// (P, N): `value` at the label of each discriminant.
    pub(super) fn labels(&self, value: f32) -> Tensor {
        let mut labels = Matrix::zeros(self.reasons(), self.classes);
        for (place, found) in self.discriminants.iter().enumerate() {
            labels.place([self.parts.len() + place, found.label], &[value], 1);
        }
        labels.into_tensor()
    }

    /// (P, 1): `value` for each part of the limit.
    pub(super) fn far(&self, value: f32) -> Tensor {
        let mut far = vec![value; self.parts.len()];
        far.resize(self.reasons(), 0.0);
        Tensor::f32([self.reasons(), 1], far)
    }

    /// Columns of a part.
    fn width(&self, part: &LimitPart<'_>) -> usize {
        part.map.map_or(self.dim, FeatureMap::channels)
    }
}

/// A matrix that is filled block by block, row-major.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn zeros(rows: usize, columns: usize) -> Self {
        let values = vec![0.0; rows * columns];
        Self {
            rows,
            columns,
            values,
        }
    }

    /// Writes a block of rows of `width`, its first value at (row, column).
    fn place(&mut self, [row, column]: [usize; 2], block: &[f32], width: usize) {
        for (down, values) in block.chunks_exact(width.max(1)).enumerate() {
            let start = (row + down) * self.columns + column;
            self.values[start..start + values.len()].copy_from_slice(values);
        }
    }

    fn into_tensor(self) -> Tensor {
        Tensor::f32([self.rows, self.columns], self.values)
    }
}
