//! The repair flow: model file and data sets in, bundle out.
//!
//! [`repair`] reads as the flow: network, data, ranking, sweep, drops, exports, verification, audit and repaired network, final
//! table, bundle.

mod assemble;
mod columns;
pub mod config;
mod data;
mod defend;
mod error;
mod evaluate;
mod examine;
mod export;
mod goodnet;
mod measure;
mod network;
mod plan;
mod refit;
mod repaired;
pub mod report;
mod samples;
mod suspects;
mod tails;

pub use crate::input::pixels::PixelRule;
pub use crate::progress::{Cancel, Progress, Quiet, Stage};
pub use config::{DataPaths, RepairConfig};
pub use defend::{PolicyRow, evaluate_gated};
pub use error::RepairError;
pub use evaluate::{BundleNetworks, Evaluation};

use crate::audit::Report;
use crate::bundle::BundleWriter;
use crate::bundle::manifest::{Manifest, REPAIRED_FILE};
use crate::defence::{Artefacts, AttackRates};
use crate::diagnose::{self, Questioned};
use crate::domain::sweep::Sweep;
use crate::engine::Engine;
use data::Data;
use network::Network;

/// What a repair did.
#[derive(Debug)]
pub struct RepairOutcome {
    /// The manifest of the bundle.
    pub manifest: Manifest,
    /// What the audit found, where one was asked for.
    pub audit: Option<Report>,
    /// The sweep.
    pub sweep: Sweep,
    /// The final table.
    pub evaluation: Evaluation,
    /// What the policy `gated` needs, where it was asked for.
    pub defence: Option<Artefacts>,
    /// What it does on the backdoored images; empty without such images.
    pub attacks: Vec<AttackRates>,
}

/// Repairs the network of `config` and writes the bundle.
///
/// # Errors
/// If an input cannot be used, an exported network does not answer as the masked original, or the bundle cannot be
/// written. Nothing is written then, and whatever was at the target before is untouched.
pub fn repair(
    config: &RepairConfig,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RepairOutcome, RepairError> {
    if config.defend && config.effort == 0 {
        return Err(RepairError::DefendWithoutSearch);
    }
    let mut writer = BundleWriter::create(&config.out, config.force)?;
    let mut network = Network::read(config, engine)?;
    let data = Data::open(config, &network, progress)?;
    let questioned = Questioned {
        model: &network.model,
        as_delivered: network.as_delivered.take(),
        input: &network.input,
        classes: network.classes,
    };
    let insist = config.allow_poor;
    if let Some(model) = diagnose::check(questioned, &data.clean, engine, progress, insist)? {
        network.model = model;
        network.proven = true;
    }
    let mut measured = measure::measure(&network, &data, engine, progress, cancel)?;
    let planned = plan::plan(&config.drops, &measured);
    plan::check(&planned, &measured, progress, config.allow_poor)?;
    measured.sweep.warnings = plan::warnings(&config.drops, &measured.sweep, &network, progress);
    let exports = export::export_all(&network, &planned, &measured.ranking, &mut writer)?;
    measured.sweep.exports = export::exported_steps(&planned, &exports);
    let batches = export::sample_batches(&data.validation(), &network.input)?;
    export::verify(
        engine, &network, &exports, &writer, &batches, progress, cancel,
    )?;
    let mut examined = (config.effort > 0)
        .then(|| examine::examine(config, &network, &data, engine, progress, cancel))
        .transpose()?;
    let repaired = examined.as_ref().and_then(|e| e.repaired.as_ref().ok());
    let goodnet = goodnet::build(&network, &planned, &measured.ranking, repaired, |message| {
        progress.warn(message);
    })?;
    if let Some(goodnet) = &goodnet {
        let classes = network.classes;
        goodnet::verify(
            engine, goodnet, &exports, repaired, &writer, classes, &batches,
        )?;
    }
    let drops = plan::drops(&planned);
    let networks = goodnet::load(engine, goodnet.as_ref(), &exports, repaired, &writer, drops)?;
    let evaluation = networks.evaluate(
        data.for_final_clean(),
        data.for_final_backdoored(),
        progress,
        cancel,
    )?;
    if data.final_clean_was_swept() {
        export::confirm(&planned, &measured.clean, &evaluation)?;
    }
    if let Some(examined) = &mut examined {
        examined.measure(&networks, data.backdoored.as_ref(), cancel)?;
        if let Err(reason) = &examined.repaired {
            progress.warn(&format!("{REPAIRED_FILE} is left out: {reason}"));
        }
    }
    let defence = match (&examined, config.defend) {
        (Some(examined), true) => Some(defend::calibrate(
            config, &network, &data, examined, engine, progress, cancel,
        )?),
        _ => None,
    };
    let attacks = match &defence {
        Some(defence) => defend::attack_rates(
            defence, &network, &networks, &data, engine, progress, cancel,
        )?,
        None => Vec::new(),
    };
    let job = assemble::Job {
        config,
        examined: examined.as_ref(),
        defence: defence.as_ref(),
        attacks: &attacks,
        network: &network,
        data: &data,
        measured: &measured,
        planned: &planned,
        exports: &exports,
        goodnet: goodnet.as_ref(),
        networks: &networks,
        evaluation: &evaluation,
    };
    let manifest = job.write(writer)?;
    Ok(RepairOutcome {
        audit: examined.map(|examined| examined.report),
        manifest,
        sweep: measured.sweep,
        evaluation,
        defence: defence.map(|defence| defence.artefacts),
        attacks,
    })
}
