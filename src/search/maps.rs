//! What B computes on the way to the features: of the clean images, and of those that stand-ins turned.

use super::trial::Hijack;
use crate::defence::clean::CleanSet;
use crate::engine::{Engine, EngineError, Replicas, concatenate};
use crate::input::dataset::images_a_chunk;
use crate::onnx::Model;
use crate::onnx::head::{FeatureMap, Head, feature_maps, means};
use crate::onnx::optimize::optimize;
use crate::progress::{Cancel, Progress, Quiet};
use crate::tensor::Tensor;
use std::ops::Range;

/// Maps looked at: more gain nothing, and each costs a pass over it.
const MAPS: usize = 10;

/// B up to its maps, to be loaded when it is to run: before and after the search, not all through it.
#[derive(Debug)]
pub(crate) struct MapNetwork {
    found: Vec<FeatureMap>,
    /// None where there is no map.
    file: Option<Vec<u8>>,
}

/// B up to its maps, loaded.
#[derive(Debug)]
pub(crate) struct LoadedMaps<'a> {
    found: &'a [FeatureMap],
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
    pub(crate) fn new(model: &Model, head: &Head) -> Self {
        let found = feature_maps(model, head, MAPS);
        let file = || optimize(&means(model, &found), &[]).to_bytes();
        Self {
            file: (!found.is_empty()).then(file),
            found,
        }
    }

    pub(crate) fn load(&self, engine: &Engine) -> Result<LoadedMaps<'_>, EngineError> {
        let file = self.file.as_ref();
        let replicas = file.map(|file| Replicas::load(engine, file)).transpose()?;
        Ok(LoadedMaps {
            found: &self.found,
            replicas,
        })
    }
}

impl LoadedMaps<'_> {
    /// Runs every image of `set` once; no map when `cancel` is set meanwhile.
    pub(crate) fn measure(
        &self,
        set: &CleanSet,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Maps, EngineError> {
        let chunk = images_a_chunk(set.grid().len());
        let chunks = (0..set.len()).step_by(chunk);
        let images = |start: usize| images(set, start..set.len().min(start + chunk));
        let means = self.run(chunks.map(images), progress, cancel)?;
        let found = match means.is_empty() {
            true => Vec::new(),
            false => self.found.to_vec(),
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
        let chunks = turned.chunks(images_a_chunk(set.grid().len()));
        let painted = |chunk: &[&Hijack]| {
            let mut data = Vec::with_capacity(chunk.len() * set.grid().len());
            for hijack in chunk {
                let image = set.image(hijack.image);
                hijack.stand_in.paint(set.grid(), image, &mut data);
            }
            Tensor::new(set.grid().batch_shape(chunk.len()), data)
        };
        self.run(chunks.map(painted), &Quiet, cancel)
    }

    fn run(
        &self,
        batches: impl Iterator<Item = Tensor>,
        progress: &dyn Progress,
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
            progress.advance(images.rows() as u64);
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

/// Images `range` of `set` as one tensor.
pub(crate) fn images(set: &CleanSet, range: Range<usize>) -> Tensor {
    let shape = set.grid().batch_shape(range.len());
    let values = range.flat_map(|index| set.image(index)).copied();
    Tensor::new(shape, values.collect())
}
