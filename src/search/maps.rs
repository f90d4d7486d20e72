//! What B computes on the way to the features: of the clean images, and of those that stand-ins turned.

use super::trial::Hijack;
use crate::defence::clean::CleanSet;
use crate::engine::{Engine, EngineError, MOST_IMAGES_A_RUN, Replicas, concatenate};
use crate::onnx::Model;
use crate::onnx::head::{FeatureMap, Head, feature_maps, means};
use crate::onnx::optimize::optimize;
use crate::progress::Cancel;
use crate::tensor::Tensor;
use std::ops::Range;

/// Maps looked at: more gain nothing, and each costs a pass over it.
const MAPS: usize = 10;
/// Images put together at a time, at most.
const CHUNK: usize = 256;
/// Bytes that they may take.
const CHUNK_BYTES: usize = 32 << 20;

/// B up to its maps.
#[derive(Debug)]
pub(crate) struct MapNetwork {
    found: Vec<FeatureMap>,
    /// None where there is no map.
    replicas: Option<Replicas>,
}

/// Maps of B and their means over space for every clean image.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) found: Vec<FeatureMap>,
    /// One a map, (n, C).
    pub(crate) means: Vec<Tensor>,
}

impl MapNetwork {
    pub(crate) fn load(engine: &Engine, model: &Model, head: &Head) -> Result<Self, EngineError> {
        let found = feature_maps(model, head, MAPS);
        let bytes = || optimize(&means(model, &found), &[]).to_bytes();
        let replicas = match found.is_empty() {
            true => None,
            false => Some(Replicas::load(engine, &bytes())?),
        };
        Ok(Self { found, replicas })
    }

    /// Runs every image of `set` once; no map when `cancel` is set meanwhile.
    pub(crate) fn measure(&self, set: &CleanSet, cancel: &Cancel) -> Result<Maps, EngineError> {
        let chunk = chunk(set);
        let chunks = (0..set.len()).step_by(chunk);
        let images = |start: usize| images(set, start..set.len().min(start + chunk));
        let means = self.run(chunks.map(images), cancel)?;
        let found = match means.is_empty() {
            true => Vec::new(),
            false => self.found.clone(),
        };
        Ok(Maps { found, means })
    }

    /// The means of every map, (n, C), of the images with these stand-ins put onto them; none when `cancel` is set meanwhile.
    pub(crate) fn of_turned(
        &self,
        set: &CleanSet,
        turned: &[&Hijack],
        cancel: &Cancel,
    ) -> Result<Vec<Tensor>, EngineError> {
        let painted = |chunk: &[&Hijack]| {
            let mut data = Vec::with_capacity(chunk.len() * set.grid().len());
            for hijack in chunk {
                let image = set.image(hijack.image);
                hijack.stand_in.paint(set.grid(), image, &mut data);
            }
            Tensor::new(set.grid().batch_shape(chunk.len()), data)
        };
        self.run(turned.chunks(chunk(set)).map(painted), cancel)
    }

    fn run(
        &self,
        batches: impl Iterator<Item = Tensor>,
        cancel: &Cancel,
    ) -> Result<Vec<Tensor>, EngineError> {
        let Some(replicas) = &self.replicas else {
            return Ok(Vec::new());
        };
        let mut runs = Vec::new();
        for images in batches {
            if cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            runs.push(replicas.run(&[&images])?);
        }
        Ok(concatenate(runs))
    }
}

impl Maps {
    /// The means of every map for clean image `row`.
    pub(crate) fn rows(&self, row: usize) -> Vec<&[f32]> {
        self.means.iter().map(|means| means.row(row)).collect()
    }
}

/// Images of `set` that are put together at a time: a multiple of what any run takes, so that the runs are those of the whole set.
fn chunk(set: &CleanSet) -> usize {
    let fit = CHUNK_BYTES / (set.grid().len() * size_of::<f32>()).max(1);
    (fit / MOST_IMAGES_A_RUN * MOST_IMAGES_A_RUN).clamp(MOST_IMAGES_A_RUN, CHUNK)
}

/// Images `range` of `set` as one tensor.
pub(crate) fn images(set: &CleanSet, range: Range<usize>) -> Tensor {
    let shape = set.grid().batch_shape(range.len());
    let values = range.flat_map(|index| set.image(index)).copied();
    Tensor::new(shape, values.collect())
}
