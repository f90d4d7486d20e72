//! The repaired network: B with its head refitted and answers withdrawn.

use super::suspects::SuspectDiscriminant;
use crate::bundle::manifest::RepairedRecord;
use crate::domain::distance::{FeatureLimit, WITHDRAWN};
use crate::domain::head::LinearHead;
use crate::onnx::OnnxError;
use crate::onnx::head::{self, Head, Limit, LimitPart, Refit, Withdrawal};
use crate::search::maps::Maps;
use std::collections::BTreeSet;

/// A repaired network.
#[derive(Debug)]
pub(super) struct Repaired {
    /// Rates on backdoored images are filled in when these are measured.
    pub(super) record: RepairedRecord,
    pub(super) bytes: Vec<u8>,
    pub(super) head: Head,
    pub(super) linear: LinearHead,
    /// B's own.
    pub(super) old: LinearHead,
    /// The maps on the way to the features, of which the limit takes some.
    pub(super) maps: Maps,
    pub(super) withdrawn: Withdrawn,
}

/// Which answers are withdrawn.
#[derive(Debug)]
pub(super) struct Withdrawn {
    /// How far images may lie from clean ones; none where too little is known of these.
    pub(super) limit: Option<FeatureLimit>,
    /// Of suspect labels.
    pub(super) discriminants: Vec<SuspectDiscriminant>,
}

impl Withdrawn {
    pub(super) fn is_none(&self) -> bool {
        self.limit.is_none() && self.discriminants.is_empty()
    }

    /// Clean images whose answer is withdrawn when they are kept apart.
    pub(super) fn beyond(&self) -> BTreeSet<usize> {
        let of_limit = self.limit.iter().flat_map(|limit| &limit.beyond);
        let discriminants = self.discriminants.iter();
        let of_discriminants = discriminants.flat_map(|found| &found.plane.beyond);
        of_limit.chain(of_discriminants).copied().collect()
    }
}

impl Repaired {
    /// What its head is written into a graph as.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub(super) fn as_refit(&self) -> Result<Refit<'_>, OnnxError> {
        as_refit(&self.head, &self.linear, &self.maps, &self.withdrawn)
    }

    /// The scores of clean image `row` with features (d), written to `scores`, (N).
    pub(super) fn score(&self, row: usize, features: &[f32], scores: &mut [f32]) {
        self.linear.score(features, scores);
        let beyond = self.over_limits(row, features);
        let beyond = beyond.into_iter().filter(|&distance| distance > 1.0);
        scores[self.label_of_badnet(features)] -= WITHDRAWN * beyond.count() as f32;
        for (label, value) in self.discriminant_values(row, features) {
            if value > 0.0 {
                scores[label as usize] -= WITHDRAWN;
            }
        }
    }

    /// How little clean image `row` with features (d) would have to change for an answer to be withdrawn, or not any more: in units of
    /// the limit, and of the spread of a discriminant over the label's own clean images.
    pub(super) fn gap_to_withdrawal(&self, row: usize, features: &[f32]) -> f32 {
        let values = self.discriminant_values(row, features);
        let gaps = values.map(|(_, value)| value.abs());
        let distances = self.over_limits(row, features);
        let to_limits = distances.iter().map(|distance| (distance - 1.0).abs());
        gaps.chain(to_limits).fold(1.0, f32::min)
    }

    /// The distances of clean image `row` with features (d) over their limits; empty where none is set.
    fn over_limits(&self, row: usize, features: &[f32]) -> Vec<f32> {
        let label = self.label_of_badnet(features);
        let maps = self.maps.rows(row);
        let limit = self.withdrawn.limit.iter();
        let distances = limit.flat_map(|limit| limit.over_limits(features, &maps, label));
        distances.collect()
    }

    fn discriminant_values(
        &self,
        row: usize,
        features: &[f32],
    ) -> impl Iterator<Item = (u32, f32)> {
        let maps = self.maps.rows(row);
        self.withdrawn.discriminants.iter().map(move |found| {
            let values = std::iter::once(features).chain(maps.iter().copied());
            (found.plane.label, found.plane.value(values))
        })
    }

    /// argmax B of features (d).
    fn label_of_badnet(&self, features: &[f32]) -> usize {
        self.old.answer(features).0 as usize
    }
}

pub(super) fn as_refit<'a>(
    head: &'a Head,
    linear: &'a LinearHead,
    maps: &'a Maps,
    withdrawn: &'a Withdrawn,
) -> Result<Refit<'a>, OnnxError> {
    let limit = withdrawn.limit.as_ref().map(|limit| Limit {
        parts: limit
            .parts
            .iter()
            .map(|part| LimitPart {
                map: part.map.and_then(|map| maps.found.get(map)),
                whitening: &part.whitening,
                centres: &part.centres,
            })
            .collect(),
    });
    let discriminant = |found: &'a SuspectDiscriminant| {
        let plane = &found.plane;
        let (features, of_maps) = plane.weights.split_first()?;
        Some(head::Discriminant {
            label: plane.label as usize,
            features,
            maps: maps
                .found
                .iter()
                .zip(of_maps.iter().map(Vec::as_slice))
                .collect(),
            bias: plane.bias,
        })
    };
    Refit::new(head, &linear.weights, &linear.bias)?.with_withdrawal(Withdrawal {
        limit,
        discriminants: withdrawn
            .discriminants
            .iter()
            .filter_map(discriminant)
            .collect(),
        penalty: WITHDRAWN,
    })
}
