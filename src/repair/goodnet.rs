//! The whole GoodNet as one graph, checked against the separate networks.

use super::error::RepairError;
use super::evaluate::BundleNetworks;
use super::export::{self, Export};
use super::network::Network;
use super::plan::Planned;
use super::repaired::Repaired;
use crate::bundle::BundleWriter;
use crate::bundle::manifest::{BADNET_FILE, GOODNET_FILE, GoodnetRecord};
use crate::domain::label::ClassIndex;
use crate::domain::mask::ChannelMask;
use crate::domain::scores::argmax;
use crate::domain::verdict::disagreement;
use crate::engine::{
    Engine, EngineError, GoodNetFiles, NetworkFiles, Output, Session, SessionConfig, pieces,
};
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

/// Loads what answers: the one graph, or every network by itself.
pub(super) fn load(
    engine: &Engine,
    goodnet: Option<&GoodNet>,
    exports: &[Export],
    repaired: Option<&Repaired>,
    writer: &BundleWriter,
    drops: Vec<f64>,
) -> Result<BundleNetworks, RepairError> {
    let in_graph = goodnet.is_some_and(|goodnet| goodnet.record.repaired);
    let own = repaired.filter(|_| !in_graph);
    let load = |networks: NetworkFiles<'_>| {
        let files = GoodNetFiles {
            networks,
            repaired: own.map(|repaired| repaired.bytes.as_slice()),
        };
        BundleNetworks::load(engine, &files, drops, repaired.is_some())
    };
    if let Some(goodnet) = goodnet {
        return load(NetworkFiles::Fused {
            graph: &goodnet.bytes,
            drops: goodnet.record.drops.len(),
        });
    }
    let pruned = exports.iter().map(|export| writer.read(&export.file));
    let pruned: Vec<Vec<u8>> = pruned.collect::<Result<_, _>>()?;
    load(NetworkFiles::Separate {
        badnet: &writer.read(BADNET_FILE)?,
        pruned: pruned.iter().map(Vec::as_slice).collect(),
    })
}

/// Runs the one graph beside the networks one by one.
///
/// # Errors
/// [`RepairError::Verification`] if a class or a verdict differs on any image.
pub(super) fn verify(
    engine: &Engine,
    goodnet: &GoodNet,
    exports: &[Export],
    repaired: Option<&Repaired>,
    writer: &BundleWriter,
    classes: u32,
    batches: &[Tensor],
) -> Result<(), RepairError> {
    let repaired = repaired.filter(|_| goodnet.record.repaired);
    let expected = one_by_one(engine, exports, repaired, writer, classes, batches)?;
    let mut session = engine.load(&goodnet.bytes, &SessionConfig::default())?;
    for (batch, expected) in batches.iter().zip(expected) {
        let batch = batch.view();
        for piece in pieces(&[batch]) {
            let start = piece.start;
            let answers = run(&mut session, batch.part(piece).view())?;
            for (image, (answer, expected)) in (start..).zip(answers.iter().zip(&expected[start..]))
            {
                if answer != expected {
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

/// What B, every B' and the repaired network answer for every image of every batch. One network is in memory at a time.
fn one_by_one(
    engine: &Engine,
    exports: &[Export],
    repaired: Option<&Repaired>,
    writer: &BundleWriter,
    classes: u32,
    batches: &[Tensor],
) -> Result<Vec<Vec<Verdicts>>, RepairError> {
    let answers = |network: &[u8]| -> Result<Vec<Vec<u32>>, RepairError> {
        let scores = export::scores(engine, network, batches)?;
        let classes = |scores: &Tensor| {
            let rows = 0..scores.rows();
            rows.map(|row| argmax(scores.row(row)).0).collect()
        };
        Ok(scores.iter().map(classes).collect())
    };
    let badnet = answers(&writer.read(BADNET_FILE)?)?;
    let pruned = exports
        .iter()
        .map(|export| answers(&writer.read(&export.file)?));
    let pruned: Vec<_> = pruned.collect::<Result<_, _>>()?;
    let repaired = repaired
        .map(|repaired| answers(&repaired.bytes))
        .transpose()?;
    let of_image = |batch: usize, image: usize| {
        let badnet = badnet[batch][image];
        let pruned: Vec<u32> = pruned.iter().map(|answers| answers[batch][image]).collect();
        let verdict = |p: &u32| disagreement(ClassIndex(badnet), ClassIndex(*p), classes).0;
        Verdicts {
            badnet,
            repaired: repaired.as_ref().map(|answers| answers[batch][image]),
            verdicts: pruned.iter().map(verdict).collect(),
            pruned,
        }
    };
    let of_batch = |(index, batch): (usize, &Tensor)| {
        let images = 0..batch.rows();
        images.map(|image| of_image(index, image)).collect()
    };
    Ok(batches.iter().enumerate().map(of_batch).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Verdicts {
    badnet: u32,
    repaired: Option<u32>,
    pruned: Vec<u32>,
    verdicts: Vec<u32>,
}

/// The answers for n images: of (n, N), (n, T, N) and (n, T).
fn run(session: &mut Session, images: TensorView<'_>) -> Result<Vec<Verdicts>, RepairError> {
    let mut outputs = session.run(&[images])?.into_iter();
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
    Ok((0..images.rows()).map(answer).collect())
}
