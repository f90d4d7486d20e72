//! A second network for the policy `confirmed`: B without the channels of a drop, trained on with clean images.

use super::defend::collect;
use super::error::RepairError;
use crate::bundle::Bundle;
use crate::bundle::manifest::BADNET_FILE;
use crate::defence::CleanSet;
use crate::demo::train::{Epoch, FineTuneConfig, fine_prune, round_trip};
use crate::domain::scores::argmax;
use crate::engine::{Engine, SessionConfig};
use crate::input::InputSpec;
use crate::input::dataset::DataSet;
use crate::onnx::Model;
use crate::progress::{Cancel, Progress};
use crate::tensor::{Tensor, TensorView};

/// Images that B and its copy in candle are compared on.
const COMPARED: usize = 32;
/// Largest difference of a probability between them.
const TOLERANCE: f32 = 1e-4;

/// Fine-prunes the BadNet of `bundle` on `clean`: the channels that the drop nearest to `drop` percentage points removes go, the
/// rest is trained on.
///
/// # Errors
/// If the network is not of the lab's architecture, no drop is reached, data cannot be read, or the job is cancelled.
pub fn fine_prune_bundle(
    engine: &Engine,
    bundle: &Bundle,
    clean: &DataSet,
    drop: f64,
    config: &FineTuneConfig,
    (progress, cancel): (&dyn Progress, &Cancel),
    each: impl FnMut(Epoch),
) -> Result<Model, RepairError> {
    let failed = |reason: String| RepairError::FinePruning(reason);
    let (spec, bytes) = (&bundle.manifest().input, bundle.file(BADNET_FILE));
    let badnet = Model::from_bytes(bytes.unwrap_or_default());
    let badnet = badnet.map_err(|error| failed(error.to_string()))?;
    let nearest = bundle
        .manifest()
        .reached()
        .min_by(|(a, _), (b, _)| (a - drop).abs().total_cmp(&(b - drop).abs()));
    let Some((_, record)) = nearest else {
        return Err(failed(
            "expected a drop that is reached, found none".to_owned(),
        ));
    };
    let images = usize::try_from(clean.len()).unwrap_or(usize::MAX);
    let clean = collect(spec, images, clean, config.seed, progress, cancel)?;
    progress.finish();
    let range = range(spec);
    check_architecture(engine, &badnet, range, &clean)?;
    let removed = &record.channels_removed;
    fine_prune(&badnet, removed, (&clean, range), config, each)
        .map_err(|error| failed(error.to_string()))
}

/// The largest value of a channel: 255 where pixels are fed as they are, 1 where they are scaled.
fn range(spec: &InputSpec) -> f32 {
    (255.0 * spec.scale).max(1.0)
}

/// Fails unless what candle reads of `badnet` answers as `badnet` does.
fn check_architecture(
    engine: &Engine,
    badnet: &Model,
    range: f32,
    clean: &CleanSet,
) -> Result<(), RepairError> {
    let copy =
        round_trip(badnet, range).map_err(|error| RepairError::FinePruning(error.to_string()))?;
    let images = clean.len().min(COMPARED);
    let shape = clean.grid().batch_shape(images);
    let data: Vec<f32> = (0..images)
        .flat_map(|image| clean.image(image))
        .copied()
        .collect();
    let answers = |model: &Model| -> Result<Tensor, RepairError> {
        let mut session = engine.load(&model.to_bytes(), &SessionConfig::default())?;
        Ok(session.run_one(TensorView {
            shape: &shape,
            data: &data,
        })?)
    };
    let (expected, found) = (answers(badnet)?, answers(&copy)?);
    let alike = (0..images).all(|row| {
        let (expected, found) = (expected.row(row), found.row(row));
        let close = expected
            .iter()
            .zip(found)
            .all(|(a, b)| (a - b).abs() <= TOLERANCE);
        close && argmax(expected) == argmax(found)
    });
    if expected.shape == found.shape && alike {
        return Ok(());
    }
    Err(RepairError::FinePruning(
        "expected a network of the lab's architecture (DeepID), found one that answers otherwise"
            .to_owned(),
    ))
}
