//! The network under repair: its graph, its input, its site.

use super::config::RepairConfig;
use super::error::RepairError;
use crate::bundle::manifest::SourceRecord;
use crate::engine::Engine;
use crate::format::{self, Imported};
use crate::input::InputSpec;
use crate::onnx::{self, Model, OnnxError, cut::Cut, site::Site};
use std::path::{Path, PathBuf};

/// B, ready to be cut and pruned.
#[derive(Debug)]
pub(super) struct Network {
    path: PathBuf,
    pub(super) source: SourceRecord,
    pub(super) model: Model,
    /// Where goodnet put an operator behind the scores: the network without it.
    pub(super) as_delivered: Option<Model>,
    /// Is it the network as delivered because its scores proved to be probabilities?
    pub(super) proven: bool,
    pub(super) site: Site,
    /// Why the site is another than the last pooling layer, where none was named and it is.
    pub(super) site_note: Option<String>,
    pub(super) input: InputSpec,
    pub(super) classes: u32,
}

impl Network {
    /// Reads the network, opens its batch axis, makes it answer probabilities, and finds the site.
    ///
    /// Where that took more than names, the network is run beside the one that was delivered.
    pub(super) fn read(config: &RepairConfig, engine: &Engine) -> Result<Self, RepairError> {
        let path = &config.model;
        let network = |source: OnnxError| RepairError::Network {
            path: path.clone(),
            source,
        };
        let imported = format::read_network(path, &config.read)?;
        let model = onnx::prepare(&imported.model).map_err(network)?;
        let as_delivered = onnx::prepare_as_delivered(&imported.model).map_err(network)?;
        crate::import::check(engine, path, &imported.model)?;
        let ports = onnx::ports(&model).map_err(network)?;
        let (site, note) = choose(&model, config.site.as_deref()).map_err(network)?;
        let (as_delivered, _) = onnx::site::expose(&as_delivered, &site);
        let (model, site) = onnx::site::expose(&model, &site);
        let input = config
            .pixels
            .spec((ports.height, ports.width, ports.channels), ports.layout);
        Ok(Self {
            path: path.clone(),
            source: source_record(path, &imported)?,
            classes: ports.classes,
            as_delivered: (as_delivered != model).then_some(as_delivered),
            model,
            proven: false,
            site,
            site_note: note,
            input,
        })
    }

    /// The network in two parts: up to the site, and after it.
    pub(super) fn cut(&self) -> Result<Cut, RepairError> {
        onnx::cut::cut(&self.model, &self.site).map_err(|source| RepairError::Network {
            path: self.path.clone(),
            source,
        })
    }
}

/// The site that is named or, with a note where it is no pooling layer, the default one.
fn choose(model: &Model, named: Option<&str>) -> Result<(Site, Option<String>), OnnxError> {
    if let Some(name) = named {
        return Ok((onnx::site::find(model, name)?, None));
    }
    let choice = onnx::site::default_choice(model)?;
    let tensor = &choice.site.tensor;
    let note = choice
        .reason
        .map(|reason| format!("the site is {tensor}: {reason} (--site names another)"));
    Ok((choice.site, note))
}

fn source_record(path: &Path, imported: &Imported) -> Result<SourceRecord, RepairError> {
    let sha256 = imported.sha256(path).map_err(|source| RepairError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(SourceRecord {
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        format: imported.format.to_owned(),
        sha256,
    })
}
