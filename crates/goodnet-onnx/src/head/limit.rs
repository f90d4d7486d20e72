//! How far from clean images an image may lie.

use super::maps::FeatureMap;
use super::{Head, check, finite};
use crate::error::OnnxError;

/// Withdraws the label t that the head as it was gives to an image which lies too far from clean ones in one of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit<'a> {
    /// The parts, at least one.
    pub parts: Vec<LimitPart<'a>>,
}

/// Values v (d) of an image, beyond the limit where |v A - c_t|^2 > 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitPart<'a> {
    /// The map whose means v are; none where v are the features.
    pub map: Option<&'a FeatureMap>,
    /// A, (d, d), row-major.
    pub whitening: &'a [f32],
    /// c, row-major: (N, d), or (1, d) where it is the same for all classes.
    pub centres: &'a [f32],
}

impl LimitPart<'_> {
    /// Values d of an image.
    pub(super) fn dim(&self, head: &Head) -> usize {
        self.map.map_or(head.dim, FeatureMap::channels)
    }
}

impl<'a> Limit<'a> {
    pub(super) fn maps(&self) -> impl Iterator<Item = &'a FeatureMap> {
        self.parts.iter().filter_map(|part| part.map)
    }

    pub(super) fn check(&self, head: &Head) -> Result<(), OnnxError> {
        if self.parts.is_empty() {
            return Err(OnnxError::Broken("a limit without parts".to_owned()));
        }
        for part in &self.parts {
            let dim = part.dim(head);
            check("whitening", part.whitening, dim * dim)?;
            if part.centres.len() != dim {
                check("centres", part.centres, head.classes * dim)?;
            }
            finite("centres", part.centres)?;
        }
        Ok(())
    }
}
