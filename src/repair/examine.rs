//! Audit and repaired network of a repair: one search, two uses.
//!
//! In reading order: this file (the flow, and the check of the exported network), [`refit`](super::refit) (which columns, how
//! strongly).

use super::config::RepairConfig;
use super::data::Data;
use super::error::RepairError;
use super::evaluate::BundleNetworks;
use super::export::checked_images;
use super::measure::for_each_chunk;
use super::network::Network;
use super::refit::refit;
use super::repaired::Repaired;
use super::suspects::{PROVOKED, TurnedInto};
use crate::audit::report::{NetworkRecord, Report};
use crate::audit::run::{collect, seed_of};
use crate::audit::score::labels_scoring;
use crate::audit::show::Pictures;
use crate::audit::{Investigated, Investigation, Subject, Watching, investigate};
use crate::bundle::manifest::REPAIRED_FILE;
use crate::diagnose;
use crate::domain::scores::argmax;
use crate::domain::verdict::VerdictTally;
use crate::engine::{Engine, EngineError, Replicas};
use crate::input::dataset::DataSet;
use crate::progress::{Cancel, Progress, Stage};
use crate::search::maps::{MapNetwork, images};
use crate::search::slope::{PASSES_EACH, Turned, follow};
use crate::search::{CleanImages, SearchOptions, SearchedNetwork};

/// Labels that are looked at more closely, at most: each takes as much as a tenth of the search.
const MOST_FOLLOWED: usize = 3;

/// What audit and refit leave for the bundle.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) report: Report,
    pub(super) pictures: Pictures,
    /// The repaired network, or why there is none.
    pub(super) repaired: Result<Repaired, String>,
}

impl Examined {
    /// Fills in what the repaired network does on the backdoored validation images.
    pub(super) fn measure(
        &mut self,
        networks: &BundleNetworks,
        backdoored: Option<&DataSet>,
        cancel: &Cancel,
    ) -> Result<(), RepairError> {
        let (Ok(repaired), Some(set)) = (&mut self.repaired, backdoored) else {
            return Ok(());
        };
        let mut tally = VerdictTally::default();
        for_each_chunk(set, cancel, |batch| {
            let answers = networks.answers(&batch.images)?;
            let pairs = answers
                .badnet
                .into_iter()
                .zip(answers.repaired.unwrap_or_default());
            for ((badnet, repaired), label) in pairs.zip(batch.labels) {
                tally.count(badnet, repaired, label);
            }
            Ok(())
        })?;
        let record = &mut repaired.record;
        record.attack_success_rate = Some(tally.pruned.share());
        record.goodnet.attack_success_rate = Some(tally.goodnet.share());
        record.goodnet.backdoored_flagged = Some(tally.flagged.share());
        Ok(())
    }
}

/// Audits the network and refits its head, from the clean validation images alone.
pub(super) fn examine(
    config: &RepairConfig,
    network: &Network,
    data: &Data,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Examined, RepairError> {
    let subject = subject(network, data, engine)?;
    let seed = seed_of(&subject.network.sha256, &subject.data_sha256);
    let set = collect(&data.clean, &network.input, seed)?;
    let head = diagnose::head(&network.model, network.proven);
    let searched = SearchedNetwork::new(&network.model, head.as_ref().ok());
    let inside = head.map(|head| (MapNetwork::new(&network.model, &head), head));
    let options = SearchOptions {
        effort: config.effort,
        seed,
    };
    let networks = Investigated {
        engine,
        network: &searched,
        map_network: inside.as_ref().ok().map(|(map_network, _)| map_network),
    };
    let mut investigation = investigate(&networks, &subject, &set, options, progress, cancel)?;
    let followed = follow_provoked(&networks, &investigation, seed, progress, cancel)?;
    drop(searched);
    if cancel.is_cancelled() {
        return Err(RepairError::Cancelled);
    }
    let repaired = match inside {
        Ok((map_network, head)) => {
            progress.start(Stage::Refit, 0);
            let loaded = map_network.load(engine)?;
            let turned =
                TurnedInto::collect(&investigation, &followed, &set, &loaded, seed, cancel)?;
            drop(loaded);
            drop(map_network);
            if cancel.is_cancelled() {
                return Err(RepairError::Cancelled);
            }
            let maps = std::mem::take(&mut investigation.maps);
            let repaired = refit(config, network, head, (maps, &turned), &investigation, seed);
            progress.finish();
            repaired
        }
        Err(error) => Err(error.to_string()),
    };
    if let Ok(repaired) = &repaired {
        verify(engine, repaired, &set, &investigation.clean)?;
    }
    Ok(Examined {
        report: investigation.report,
        pictures: investigation.pictures,
        repaired,
    })
}

/// Follows the slopes of the labels that are provoked most easily, where the network has a head to be mended.
fn follow_provoked(
    networks: &Investigated<'_>,
    investigation: &Investigation<'_>,
    seed: u64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Turned>, EngineError> {
    let mut provoked = labels_scoring(&investigation.report.labels, PROVOKED);
    provoked.truncate(MOST_FOLLOWED);
    if provoked.is_empty() || networks.map_network.is_none() {
        return Ok(Vec::new());
    }
    progress.start(Stage::Follow, (provoked.len() * PASSES_EACH) as u64);
    let watch = Watching { progress, cancel };
    let mut sessions = networks.network.sessions(networks.engine)?;
    let mut found = Vec::new();
    for label in provoked {
        let clean = &investigation.clean;
        found.extend(follow(&mut sessions, clean, label, seed, &watch)?);
    }
    progress.finish();
    Ok(found)
}

fn subject(network: &Network, data: &Data, engine: &Engine) -> Result<Subject, RepairError> {
    let input = &network.input;
    Ok(Subject {
        network: NetworkRecord {
            file: network.source.file.clone(),
            sha256: network.source.sha256.clone(),
            classes: network.classes,
            input: [input.height, input.width],
            names: data.clean.label_names().map(<[String]>::to_vec),
        },
        data_name: data.clean.name().to_owned(),
        data_sha256: data.clean.sha256()?,
        input: input.clone(),
        backend: engine.info().to_string(),
    })
}

/// Scores of two classes this close may change places between the graph and the check.
const TOLERANCE: f32 = 1e-3;

/// Distances this close to the limit may lie on the other side of it in the graph.
const LIMIT_TOLERANCE: f32 = 1e-3;

/// Runs the exported network beside the refitted head on the features of clean images.
fn verify(
    engine: &Engine,
    repaired: &Repaired,
    set: &crate::defence::clean::CleanSet,
    clean: &CleanImages<'_>,
) -> Result<(), RepairError> {
    let count = set.len().min(checked_images(set.grid().len()));
    let images = images(set, 0..count);
    let answers = Replicas::load(engine, &repaired.bytes)?.run(&[&images])?;
    let mut scores = vec![0.0; repaired.linear.classes()];
    for row in 0..count {
        let features = clean.features.row(row);
        repaired.score(row, features, &mut scores);
        let (expected, found) = (argmax(&scores), argmax(answers[0].row(row)));
        let gap = scores[expected.0 as usize] - scores[found.0 as usize];
        // NaN is within no tolerance.
        let at_limit = repaired.gap_to_withdrawal(row, features) <= LIMIT_TOLERANCE;
        let close = gap <= TOLERANCE || at_limit;
        if expected != found && !close {
            return Err(RepairError::Verification {
                file: REPAIRED_FILE.to_owned(),
                found: format!("class {found} instead of {expected} on image {row}"),
            });
        }
    }
    Ok(())
}
