//! The exported networks, and the proof that they answer as the masked original does.

use super::error::RepairError;
use super::evaluate::Evaluation;
use super::measure::StepTallies;
use super::network::Network;
use super::plan::Planned;
use crate::bundle::manifest::{BADNET_FILE, PruneMethod};
use crate::domain::evaluation::NetworkKind;
use crate::domain::mask::ChannelMask;
use crate::domain::scores::argmax;
use crate::domain::sweep::ExportedStep;
use crate::engine::{Engine, Replicas};
use crate::input::dataset::DataSet;
use crate::onnx::prune::{mask_site, prune};
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::Tensor;

/// Probabilities of an exported network may differ from the masked original's by this much.
const TOLERANCE: f32 = 1e-4;

/// Images of each set that exports are run on beside the masked original, before anything is measured with them; what they answer
/// on all images is compared with the sweep after ([`confirm`]).
const CHECKED_IMAGES: usize = 512;

/// Share of images whose answers may differ from the sweep's: two classes that are as good as equal change places by rounding.
const MAX_DIFFERENT: f64 = 1e-3;

/// A network of the bundle.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) file: String,
    pub(super) bytes: Vec<u8>,
    /// Channels removed, ascending; none for B.
    pub(super) removed: Vec<usize>,
    pub(super) method: PruneMethod,
    /// Why they are masked, where they are.
    pub(super) reason: Option<String>,
}

/// B, then B' of every drop that is reached.
pub(super) fn export_all(
    network: &Network,
    planned: &[Planned],
    ranking: &[usize],
) -> Result<Vec<Export>, RepairError> {
    let badnet = Export {
        file: BADNET_FILE.to_owned(),
        bytes: network.model.to_bytes(),
        removed: Vec::new(),
        method: PruneMethod::Removed,
        reason: None,
    };
    let pruned = planned
        .iter()
        .filter_map(|planned| planned.reached.as_ref())
        .map(|reached| {
            let removed = &ranking[..reached.step.channels_removed];
            export(network, reached.file.clone(), removed)
        });
    std::iter::once(Ok(badnet)).chain(pruned).collect()
}

/// The bytes of the export named `file`.
pub(super) fn bytes_of<'a>(exports: &'a [Export], file: &str) -> Option<&'a [u8]> {
    let export = exports.iter().find(|export| export.file == file)?;
    Some(&export.bytes)
}

fn export(network: &Network, file: String, removed: &[usize]) -> Result<Export, RepairError> {
    let mask = ChannelMask::removing(network.site.channels, removed)?;
    let pruned = prune(&network.model, &network.site, &mask);
    Ok(Export {
        file,
        bytes: pruned.model.to_bytes(),
        removed: mask.removed(),
        method: pruned.method,
        reason: pruned.reason,
    })
}

/// What became of the channels at every step that is exported.
pub(super) fn exported_steps(planned: &[Planned], exports: &[Export]) -> Vec<ExportedStep> {
    let exported = |planned: &Planned| {
        let reached = planned.reached.as_ref()?;
        let export = exports.iter().find(|export| export.file == reached.file)?;
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
pub(super) fn sample_batches(sets: &[&DataSet]) -> Result<Vec<Tensor>, RepairError> {
    sets.iter()
        .filter_map(|set| set.batches(CHECKED_IMAGES).next())
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
        let masked = mask_site(&network.model, &network.site, &mask);
        let expected = Replicas::load(engine, &masked.to_bytes())?;
        let found = Replicas::load(engine, &export.bytes)?;
        for batch in batches {
            compare(
                &export.file,
                &expected.run(&[batch])?[0],
                &found.run(&[batch])?[0],
            )?;
        }
        progress.advance(1);
    }
    progress.finish();
    Ok(())
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

    fn scores(values: [f32; 2]) -> Tensor {
        Tensor::new(vec![1, 2], values.into())
    }

    #[test]
    fn another_class_another_probability_and_nan_fail() {
        let expected = scores([0.5, 0.5]);
        assert!(compare("f", &expected, &scores([0.500_05, 0.499_95])).is_ok());
        assert!(compare("f", &expected, &scores([0.499_99, 0.500_01])).is_err());
        assert!(compare("f", &expected, &scores([0.6, 0.4])).is_err());
        assert!(compare("f", &expected, &scores([f32::NAN, f32::NAN])).is_err());
    }
}
