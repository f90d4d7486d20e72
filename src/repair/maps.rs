//! What B computes of the clean images on the way to the features.

use super::network::Network;
use super::replicas::{Replicas, concatenate};
use crate::defence::clean::CleanSet;
use crate::engine::{Engine, EngineError};
use crate::onnx::head::{FeatureMap, Head, feature_maps, means};
use crate::onnx::optimize::optimize;
use crate::progress::Cancel;
use crate::tensor::Tensor;
use std::ops::Range;

/// Maps looked at: more gain nothing, and each costs a pass over it.
const MAPS: usize = 10;
/// Images put together at a time.
const CHUNK: usize = 256;

/// Maps of B and their means over space for every clean image.
#[derive(Debug, Default)]
pub(super) struct Maps {
    pub(super) found: Vec<FeatureMap>,
    /// One a map, (n, C).
    pub(super) means: Vec<Tensor>,
}

impl Maps {
    /// Runs B up to its maps once on every image of `set`; none when `cancel` is set meanwhile.
    pub(super) fn measure(
        engine: &Engine,
        network: &Network,
        head: &Head,
        set: &CleanSet,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let found = feature_maps(&network.model, head, MAPS);
        if found.is_empty() {
            return Ok(Self::default());
        }
        let bytes = optimize(&means(&network.model, &found), &[]).to_bytes();
        let replicas = Replicas::load(engine, &bytes)?;
        let mut runs = Vec::new();
        for start in (0..set.len()).step_by(CHUNK) {
            if cancel.is_cancelled() {
                return Ok(Self::default());
            }
            let images = images(set, start..set.len().min(start + CHUNK));
            runs.push(replicas.run(&[&images])?);
        }
        let means = concatenate(runs);
        Ok(Self { found, means })
    }

    /// The means of every map for clean image `row`.
    pub(super) fn rows(&self, row: usize) -> Vec<&[f32]> {
        self.means.iter().map(|means| means.row(row)).collect()
    }
}

/// Images `range` of `set` as one tensor.
pub(super) fn images(set: &CleanSet, range: Range<usize>) -> Tensor {
    let shape = set.grid().batch_shape(range.len());
    let values = range.flat_map(|index| set.image(index)).copied();
    Tensor::new(shape, values.collect())
}
