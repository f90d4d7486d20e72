//! The whole GoodNet as one graph, checked against the separate networks.

use super::error::RepairError;
use super::evaluate::{BatchClasses, BundleNetworks};
use super::network::Network;
use super::plan::Planned;
use super::repaired::Repaired;
use crate::bundle::manifest::{GOODNET_FILE, GoodnetRecord};
use crate::domain::label::ClassIndex;
use crate::domain::mask::ChannelMask;
use crate::domain::scores::argmax;
use crate::domain::verdict::disagreement;
use crate::engine::{Engine, EngineError, Output, Session, SessionConfig, images_a_run};
use crate::onnx::fuse::fuse_repaired;
use crate::tensor::{Tensor, TensorView};

/// `goodnet.onnx` and what the manifest says of it.
#[derive(Debug)]
pub(super) struct GoodNet {
    pub(super) record: GoodnetRecord,
    pub(super) bytes: Vec<u8>,
}

/// Fuses B and every B' that is reached; none where no drop is reached or the graph cannot be fused (with a warning).
pub(super) fn build(
    network: &Network,
    planned: &[Planned],
    ranking: &[usize],
    repaired: Option<&Repaired>,
    warn: impl FnOnce(&str),
) -> Result<Option<GoodNet>, RepairError> {
    let reached = planned
        .iter()
        .filter_map(|p| Some((p.drop, p.reached.as_ref()?)));
    let mut drops = Vec::new();
    let mut masks = Vec::new();
    for (drop, reached) in reached {
        let removed = &ranking[..reached.step.channels_removed];
        drops.push(drop);
        masks.push(ChannelMask::removing(network.site.channels, removed)?);
    }
    if masks.is_empty() {
        return Ok(None);
    }
    let refit = repaired.and_then(|repaired| repaired.as_refit().ok());
    match fuse_repaired(&network.model, &network.site, &masks, refit.as_ref()) {
        Ok(fused) => Ok(Some(GoodNet {
            record: GoodnetRecord {
                file: GOODNET_FILE.to_owned(),
                drops,
                shared: fused.shared,
                repaired: refit.is_some(),
                reason: fused.reason,
            },
            bytes: fused.model.to_bytes(),
        })),
        Err(error) => {
            warn(&format!(
                "{GOODNET_FILE} is left out, the networks are served one by one: {error}"
            ));
            Ok(None)
        }
    }
}

/// Runs the one graph beside the separate networks.
///
/// # Errors
/// [`RepairError::Verification`] if a class or a verdict differs on any image.
pub(super) fn verify(
    engine: &Engine,
    goodnet: &GoodNet,
    networks: &BundleNetworks,
    classes: u32,
    batches: &[Tensor],
) -> Result<(), RepairError> {
    let mut session = engine.load(&goodnet.bytes, &SessionConfig::default())?;
    for batch in batches {
        let BatchClasses {
            badnet,
            repaired,
            pruned,
        } = networks.answers(batch)?;
        let images = images_a_run(batch.row_len() * size_of::<f32>());
        for start in (0..batch.rows()).step_by(images) {
            let end = batch.rows().min(start + images);
            let answers = run(&mut session, batch, start, end)?;
            for (row, answer) in answers.iter().enumerate() {
                let image = start + row;
                let expected = Verdicts {
                    badnet: badnet[image],
                    repaired: repaired.as_ref().map(|classes| classes[image]),
                    pruned: pruned.iter().map(|classes| classes[image]).collect(),
                    verdicts: pruned
                        .iter()
                        .map(|p| {
                            disagreement(ClassIndex(badnet[image]), ClassIndex(p[image]), classes).0
                        })
                        .collect(),
                };
                if *answer != expected {
                    return Err(RepairError::Verification {
                        file: GOODNET_FILE.to_owned(),
                        found: format!("{answer:?} instead of {expected:?} on image {image}"),
                    });
                }
            }
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Verdicts {
    badnet: u32,
    repaired: Option<u32>,
    pruned: Vec<u32>,
    verdicts: Vec<u32>,
}

/// The answers for the rows `start..end`: (n, N), (n, T, N) and (n, T).
fn run(
    session: &mut Session,
    images: &Tensor,
    start: usize,
    end: usize,
) -> Result<Vec<Verdicts>, RepairError> {
    let mut shape = images.shape.clone();
    shape[0] = end - start;
    let len = images.row_len();
    let view = TensorView {
        shape: &shape,
        data: &images.data[start * len..end * len],
    };
    let mut outputs = session.run(&[view])?.into_iter();
    let mut next = || {
        let output = outputs.next();
        output.ok_or_else(|| EngineError::Mismatch {
            expected: "an output for every network".to_owned(),
            found: "fewer".to_owned(),
        })
    };
    let (badnet, pruned, verdicts) = (
        next()?.into_float()?,
        next()?.into_float()?,
        next()?.into_int()?,
    );
    let repaired = outputs.next().map(Output::into_float).transpose()?;
    let drops = pruned.shape[1];
    let classes = badnet.row_len();
    let answer = |row: usize| Verdicts {
        badnet: argmax(badnet.row(row)).0,
        repaired: repaired.as_ref().map(|scores| argmax(scores.row(row)).0),
        pruned: pruned
            .row(row)
            .chunks_exact(classes)
            .map(|scores| argmax(scores).0)
            .collect(),
        verdicts: verdicts.data[row * drops..(row + 1) * drops]
            .iter()
            .map(|&verdict| u32::try_from(verdict).unwrap_or(u32::MAX))
            .collect(),
    };
    Ok((0..end - start).map(answer).collect())
}
