//! A linear function that tells which images a trigger for a label may have turned.

use super::maps::FeatureMap;
use super::{Head, check, finite};
use crate::error::OnnxError;

/// Withdraws one label from an image whose features f and means m_j of maps give f w + sum_j m_j w_j + b > 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminant<'a> {
    /// The label, below N.
    pub label: usize,
    /// w, (d).
    pub features: &'a [f32],
    /// The maps, each with w_j (C).
    pub maps: Vec<(&'a FeatureMap, &'a [f32])>,
    /// b.
    pub bias: f32,
}

impl Discriminant<'_> {
    pub(super) fn check(&self, head: &Head) -> Result<(), OnnxError> {
        if self.label >= head.classes {
            return Err(OnnxError::Broken(format!(
                "a discriminant of label {} for {} classes",
                self.label, head.classes
            )));
        }
        check("discriminant", self.features, head.dim)?;
        for (map, weights) in &self.maps {
            check("discriminant", weights, map.channels())?;
        }
        finite("discriminant", &[self.bias])
    }
}
