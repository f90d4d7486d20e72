//! What B computes of the clean images on the way to the features.

use super::network::Network;
use crate::defence::clean::CleanSet;
use crate::engine::{Engine, EngineError, SessionConfig};
use crate::onnx::head::{FeatureMap, Head, feature_maps, means};
use crate::onnx::optimize::optimize;
use crate::parallel::in_parallel;
use crate::progress::Cancel;
use crate::tensor::{Tensor, TensorView};

/// Maps looked at: more gain nothing, and each costs a pass over it.
const MAPS: usize = 10;
/// Images of one run.
const BATCH: usize = 32;

/// Maps of B and their means over space for every clean image.
#[derive(Debug, Default)]
pub(super) struct Maps {
    pub(super) found: Vec<FeatureMap>,
    /// One a map, (n, C).
    pub(super) means: Vec<Tensor>,
}

impl Maps {
    /// Runs B up to its maps once on every image of `set`.
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
        let mut sessions = (0..rayon::current_num_threads())
            .map(|_| engine.load(&bytes, &SessionConfig::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let pieces = set.len().div_ceil(BATCH);
        let runs = in_parallel(&mut sessions, pieces, |session, piece| {
            let range = piece * BATCH..set.len().min((piece + 1) * BATCH);
            if cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            let images = range.clone().flat_map(|index| set.image(index));
            let data: Vec<f32> = images.copied().collect();
            let shape = set.grid().batch_shape(range.len());
            let batch = TensorView {
                shape: &shape,
                data: &data,
            };
            session
                .run(&[batch])?
                .into_iter()
                .map(|output| output.into_float())
                .collect()
        })?;
        let mut all: Vec<Tensor> = found
            .iter()
            .map(|map| Tensor::new(vec![0, map.channels()], Vec::new()))
            .collect();
        for run in runs {
            for (all, some) in all.iter_mut().zip(run) {
                all.shape[0] += some.rows();
                all.data.extend_from_slice(&some.data);
            }
        }
        Ok(Self { found, means: all })
    }

    /// The means of every map for clean image `row`.
    pub(super) fn rows(&self, row: usize) -> Vec<&[f32]> {
        self.means.iter().map(|means| means.row(row)).collect()
    }
}
