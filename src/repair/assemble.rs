//! Everything that was found out and made, put into the bundle.

use super::config::RepairConfig;
use super::data::Data;
use super::defend::Defence;
use super::error::RepairError;
use super::evaluate::{BundleNetworks, Evaluation};
use super::examine::Examined;
use super::export::{self, Export};
use super::goodnet::GoodNet;
use super::measure::Measured;
use super::network::Network;
use super::plan::Planned;
use super::repaired::Repaired;
use super::report::{sweep_csv, sweep_png, sweep_svg};
use super::samples;
use crate::audit::run::files;
use crate::bundle::BundleWriter;
use crate::bundle::manifest::{
    ARTEFACTS_FILE, ATTACKS_FILE, AUDIT_FOLDER, DONORS_FILE, DropRecord, EVALUATION_JSON, Manifest,
    PrunedRecord, SCHEMA_VERSION, SWEEP_CSV, SWEEP_JSON, SWEEP_PNG, SWEEP_SVG, SampleKind,
    SampleRecord, SiteRecord,
};
use crate::defence::AttackRates;
use crate::defence::artefacts::donor_bytes;
use crate::defence::grid::Grid;
use serde::Serialize;
use std::collections::BTreeMap;

/// A repair whose networks are verified.
pub(super) struct Job<'a> {
    pub(super) config: &'a RepairConfig,
    pub(super) examined: Option<&'a Examined>,
    pub(super) defence: Option<&'a Defence>,
    pub(super) attacks: &'a [AttackRates],
    pub(super) network: &'a Network,
    pub(super) data: &'a Data,
    pub(super) measured: &'a Measured,
    pub(super) planned: &'a [Planned],
    pub(super) exports: &'a [Export],
    pub(super) goodnet: Option<&'a GoodNet>,
    pub(super) networks: &'a BundleNetworks,
    pub(super) evaluation: &'a Evaluation,
}

impl Job<'_> {
    /// Writes the bundle, whose pruned networks are there already, and gives its manifest.
    pub(super) fn write(&self, mut writer: BundleWriter) -> Result<Manifest, RepairError> {
        if let Some(goodnet) = self.goodnet {
            writer.add(&goodnet.record.file, &goodnet.bytes)?;
        }
        if let Some(repaired) = self.repaired() {
            writer.add(&repaired.record.file, &repaired.bytes)?;
        }
        self.write_audit(&mut writer)?;
        self.write_reports(&mut writer)?;
        self.write_defence(&mut writer)?;
        let samples = self.write_samples(&mut writer)?;
        Ok(writer.finish(self.manifest(samples)?)?)
    }

    fn repaired(&self) -> Option<&'_ Repaired> {
        self.examined?.repaired.as_ref().ok()
    }

    fn write_audit(&self, writer: &mut BundleWriter) -> Result<(), RepairError> {
        let Some(examined) = self.examined else {
            return Ok(());
        };
        let files = files(&examined.report, &examined.pictures)
            .map_err(|error| RepairError::Report(error.to_string()))?;
        for (name, bytes) in files {
            writer.add(&format!("{AUDIT_FOLDER}/{name}"), &bytes)?;
        }
        Ok(())
    }

    fn write_reports(&self, writer: &mut BundleWriter) -> Result<(), RepairError> {
        let sweep = &self.measured.sweep;
        writer.add(SWEEP_JSON, &json(sweep)?)?;
        writer.add(SWEEP_CSV, sweep_csv(sweep).as_bytes())?;
        writer.add(EVALUATION_JSON, &json(self.evaluation)?)?;
        let marks: Vec<(f64, usize)> = self
            .planned
            .iter()
            .filter_map(|planned| Some((planned.drop, planned.reached.as_ref()?.step.step)))
            .collect();
        let svg = sweep_svg(sweep, &marks);
        writer.add(SWEEP_SVG, svg.as_bytes())?;
        if self.config.png {
            let png = sweep_png(&svg).map_err(RepairError::Report)?;
            writer.add(SWEEP_PNG, &png)?;
        }
        Ok(())
    }

    fn write_defence(&self, writer: &mut BundleWriter) -> Result<(), RepairError> {
        let Some(defence) = self.defence else {
            return Ok(());
        };
        let json = defence
            .artefacts
            .to_json()
            .map_err(|error| RepairError::Report(error.to_string()))?;
        writer.add(ARTEFACTS_FILE, &json)?;
        let grid = Grid::new(&self.network.input);
        writer.add(DONORS_FILE, &donor_bytes(&defence.donors, &grid))?;
        if !self.attacks.is_empty() {
            writer.add(ATTACKS_FILE, &self::json(&self.attacks)?)?;
        }
        Ok(())
    }

    fn write_samples(&self, writer: &mut BundleWriter) -> Result<Vec<SampleRecord>, RepairError> {
        let sets = [
            (SampleKind::Clean, Some(&self.data.clean)),
            (SampleKind::Triggered, self.data.backdoored.as_ref()),
        ];
        let mut records = Vec::new();
        for (kind, data) in sets {
            let Some(data) = data else { continue };
            let chosen = samples::choose(
                data,
                kind,
                self.networks,
                self.network.classes,
                self.config.samples,
            )?;
            for sample in chosen {
                writer.add(&sample.record.file, &sample.png)?;
                records.push(sample.record);
            }
        }
        Ok(records)
    }

    fn manifest(&self, samples: Vec<SampleRecord>) -> Result<Manifest, RepairError> {
        let site = &self.network.site;
        Ok(Manifest {
            schema_version: SCHEMA_VERSION,
            tool: concat!("goodnet ", env!("CARGO_PKG_VERSION")).to_owned(),
            source: self.network.source.clone(),
            classes: self.network.classes,
            labels: self.data.clean.label_names().map(<[String]>::to_vec),
            input: self.network.input.clone(),
            exact_decode: self.config.exact_decode,
            site: SiteRecord {
                tensor: site.tensor.clone(),
                layer: site.layer.clone(),
                channels: site.channels,
                mean_activation: self.measured.means.clone(),
                ranked_by: self.measured.sweep.ranked_by,
                ranking: self.measured.ranking.clone(),
            },
            data: self.data.records()?,
            drops: self.planned.iter().map(|p| self.drop_record(p)).collect(),
            repaired: self.repaired().map(|repaired| repaired.record.clone()),
            goodnet: self.goodnet.map(|goodnet| goodnet.record.clone()),
            samples,
            files: BTreeMap::new(),
            digest: String::new(),
        })
    }

    fn drop_record(&self, planned: &Planned) -> DropRecord {
        let pruned = planned.reached.as_ref().and_then(|reached| {
            let export = export::find(self.exports, &reached.file)?;
            Some(PrunedRecord {
                file: reached.file.clone(),
                step: reached.step.step,
                channels_removed: export.removed.clone(),
                method: export.method,
                reason: export.reason.clone(),
                clean_accuracy: reached.step.clean_accuracy,
                accuracy_drop_pp: reached.step.accuracy_drop_pp,
                attack_success_rate: reached.step.attack_success_rate,
                goodnet: reached.goodnet,
            })
        });
        DropRecord {
            drop: planned.drop,
            pruned,
        }
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, RepairError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| RepairError::Report(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}
