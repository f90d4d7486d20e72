//! The exported networks, and the proof that they answer as the masked original does.

use super::error::RepairError;
use super::evaluate::Evaluation;
use super::measure::StepTallies;
use super::network::Network;
use super::plan::Planned;
use crate::bundle::BundleWriter;
use crate::bundle::manifest::{BADNET_FILE, PruneMethod};
use crate::domain::evaluation::NetworkKind;
use crate::domain::mask::ChannelMask;
use crate::domain::scores::argmax;
use crate::domain::sweep::ExportedStep;
use crate::engine::{Engine, Replicas};
use crate::input::InputSpec;
use crate::input::dataset::DataSet;
use crate::onnx::prune::{mask_site, prune};
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::Tensor;

/// Probabilities of an exported network may differ from the masked original's by this much.
const TOLERANCE: f32 = 1e-4;

/// Images of `values` f32 each that exports are run on beside what they were made from, before anything is measured with them: 512,
/// fewer of large ones (16 MiB), 8 at least. What is answered on all images is compared with the sweep after ([`confirm`]).
pub(super) fn checked_images(values: usize) -> usize {
    const MOST_BYTES: usize = 16 << 20;
    (MOST_BYTES / (values * size_of::<f32>()).max(1)).clamp(8, 512)
}

/// Share of images whose answers may differ from the sweep's: two classes that are as good as equal change places by rounding.
const MAX_DIFFERENT: f64 = 1e-3;

/// A pruned network of the bundle. Its bytes are in the bundle's folder: all of them together are several times the network.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) file: String,
    /// Channels removed, ascending.
    pub(super) removed: Vec<usize>,
    pub(super) method: PruneMethod,
    /// Why they are masked, where they are.
    pub(super) reason: Option<String>,
}

/// Writes B, and B' of every drop that is reached; the latter in their order.
pub(super) fn export_all(
    network: &Network,
    planned: &[Planned],
    ranking: &[usize],
    writer: &mut BundleWriter,
) -> Result<Vec<Export>, RepairError> {
    writer.add(BADNET_FILE, &network.model.to_bytes())?;
    let reached = planned
        .iter()
        .filter_map(|planned| planned.reached.as_ref());
    let exports = reached.map(|reached| {
        let removed = &ranking[..reached.step.channels_removed];
        let mask = ChannelMask::removing(network.site.channels, removed)?;
        let pruned = prune(&network.model, &network.site, &mask);
        writer.add(&reached.file, &pruned.model.to_bytes())?;
        Ok(Export {
            file: reached.file.clone(),
            removed: mask.removed(),
            method: pruned.method,
            reason: pruned.reason,
        })
    });
    exports.collect()
}

/// The export named `file`.
pub(super) fn find<'a>(exports: &'a [Export], file: &str) -> Option<&'a Export> {
    exports.iter().find(|export| export.file == file)
}

/// What became of the channels at every step that is exported.
pub(super) fn exported_steps(planned: &[Planned], exports: &[Export]) -> Vec<ExportedStep> {
    let exported = |planned: &Planned| {
        let reached = planned.reached.as_ref()?;
        let export = find(exports, &reached.file)?;
        Some(ExportedStep {
            step: reached.step.step,
            method: export.method,
            reason: export.reason.clone(),
        })
    };
    let mut steps: Vec<ExportedStep> = planned.iter().filter_map(exported).collect();
    steps.dedup();
    steps
}

/// The first images of every set, as batches.
pub(super) fn sample_batches(
    sets: &[&DataSet],
    input: &InputSpec,
) -> Result<Vec<Tensor>, RepairError> {
    let images = checked_images(input.image_len());
    sets.iter()
        .filter_map(|set| set.batches(images).next())
        .map(|batch| Ok(batch?.images))
        .collect()
}

/// Runs every pruned network beside the original with the site masked, on real images.
///
/// # Errors
/// [`RepairError::Verification`] if a class differs or a probability by more than 1e-4.
pub(super) fn verify(
    engine: &Engine,
    network: &Network,
    exports: &[Export],
    writer: &BundleWriter,
    batches: &[Tensor],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), RepairError> {
    let pruned: Vec<&Export> = exports.iter().filter(|e| !e.removed.is_empty()).collect();
    progress.start(Stage::Verify, pruned.len() as u64);
    for export in pruned {
        if cancel.is_cancelled() {
            return Err(RepairError::Cancelled);
        }
        let mask = ChannelMask::removing(network.site.channels, &export.removed)?;
        let masked = mask_site(&network.model, &network.site, &mask).to_bytes();
        let expected = scores(engine, &masked, batches)?;
        let found = scores(engine, &writer.read(&export.file)?, batches)?;
        for (expected, found) in expected.iter().zip(&found) {
            compare(&export.file, expected, found)?;
        }
        progress.advance(1);
    }
    progress.finish();
    Ok(())
}

/// The scores of one network for every batch. It is in memory only meanwhile.
pub(super) fn scores(
    engine: &Engine,
    network: &[u8],
    batches: &[Tensor],
) -> Result<Vec<Tensor>, RepairError> {
    let network = Replicas::load(engine, network)?;
    let run = |batch| {
        Ok(network
            .run(&[batch])?
            .into_iter()
            .next()
            .unwrap_or_default())
    };
    batches.iter().map(run).collect()
}

fn compare(file: &str, expected: &Tensor, found: &Tensor) -> Result<(), RepairError> {
    let fail = |found: String| {
        Err(RepairError::Verification {
            file: file.to_owned(),
            found,
        })
    };
    if expected.shape != found.shape {
        return fail(format!("scores of shape {:?}", found.shape));
    }
    for row in 0..expected.rows() {
        let (want, have) = (expected.row(row), found.row(row));
        let (class, other) = (argmax(want), argmax(have));
        if class != other {
            return fail(format!("class {other} instead of {class} on image {row}"));
        }
        // NaN is within no tolerance: a network that answers NaN fails.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE;
        if !want.iter().zip(have).all(close) {
            return fail(format!(
                "probabilities that differ by more than {TOLERANCE} on image {row}"
            ));
        }
    }
    Ok(())
}

/// Compares what the exported networks answer on all clean images with what the sweep counted there.
///
/// # Errors
/// [`RepairError::Verification`] if more images differ than rounding explains.
pub(super) fn confirm(
    planned: &[Planned],
    swept: &StepTallies,
    evaluation: &Evaluation,
) -> Result<(), RepairError> {
    for planned in planned {
        let Some(reached) = &planned.reached else {
            continue;
        };
        let expected = &swept.steps[reached.step.channels_removed];
        let of = |kind: NetworkKind| {
            let mut rows = evaluation.rows.iter();
            rows.find(|row| row.network == kind && row.drop == Some(planned.drop))
        };
        let found = |kind: NetworkKind| of(kind).map(|row| row.clean_accuracy);
        let flagged = of(NetworkKind::Goodnet).and_then(|row| row.clean_flagged);
        for (what, expected, found) in [
            ("accuracy", expected.pruned, found(NetworkKind::Pruned)),
            (
                "accuracy beside B",
                expected.goodnet,
                found(NetworkKind::Goodnet),
            ),
            ("share of flagged images", expected.flagged, flagged),
        ] {
            let expected = expected.share();
            let found = found.map_or(f64::NAN, |share| share.value);
            // NaN is within no tolerance.
            let close = (found - expected).abs() <= MAX_DIFFERENT;
            if !close {
                return Err(RepairError::Verification {
                    file: reached.file.clone(),
                    found: format!("a clean {what} of {found} instead of the sweep's {expected}"),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: [f32; 2]) -> Tensor {
        Tensor::new(vec![1, 2], values.into())
    }

    #[test]
    fn another_class_another_probability_and_nan_fail() {
        let expected = of([0.5, 0.5]);
        assert!(compare("f", &expected, &of([0.500_05, 0.499_95])).is_ok());
        assert!(compare("f", &expected, &of([0.499_99, 0.500_01])).is_err());
        assert!(compare("f", &expected, &of([0.6, 0.4])).is_err());
        assert!(compare("f", &expected, &of([f32::NAN, f32::NAN])).is_err());
    }

    #[test]
    fn five_hundred_small_images_are_checked_and_eight_large_ones() {
        for (side, images) in [(1, 512), (47, 512), (64, 341), (224, 27), (4096, 8)] {
            assert_eq!(checked_images(side * side * 3), images, "{side}");
        }
    }
}
