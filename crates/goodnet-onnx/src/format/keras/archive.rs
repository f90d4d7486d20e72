//! `.keras` files, the default format of Keras 3: a ZIP archive of `config.json` and `model.weights.h5`.
//!
//! The weights of a layer are numbered, `layers/GROUP/vars/0` and so on, in the order in which the layer makes them; the group is
//! named after the layer's class, and an attribute of `vars` holds the layer's name (Keras 3.4 and later). A model among the layers has a group
//! `layers` of its own. Files of weights alone (`.weights.h5`) are `model.weights.h5`.

use super::super::Imported;
use super::build_model;
use super::config::{Config, Layer};
use super::weights::{Variables, Weights};
use hdf5_pure::{Dataset, File, Group};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

/// Longest description of the layers, in bytes.
pub(super) const MAX_CONFIG_BYTES: u64 = 64 << 20;
/// Longest file of weights, in bytes: the ONNX format itself ends there.
const MAX_WEIGHT_BYTES: u64 = 2 << 30;
/// Weights of one layer.
const MAX_VARIABLES: usize = 16;

/// Reads a `.keras` file; errors are one line without the file's name.
pub(super) fn read(path: &Path) -> Result<Imported, String> {
    let file = crate::files::open_plain(path).map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(file)
        .map_err(|error| format!("expected a whole .keras archive, found {error}"))?;
    let config = entry(&mut archive, "config.json", MAX_CONFIG_BYTES)?;
    let config = String::from_utf8(config)
        .map_err(|error| format!("expected `config.json` as UTF-8, found {error}"))?;
    let config = Config::parse(&config)?;
    let weights = entry(&mut archive, "model.weights.h5", MAX_WEIGHT_BYTES)?;
    let file = File::from_bytes(weights)
        .map_err(|error| format!("expected whole weights in HDF5, found {error}"))?;
    let weights = Weights::new(&file, variables(&file, &config)?);
    Ok(Imported {
        model: build_model(&config, &weights)?,
        format: "keras",
        beside: Vec::new(),
    })
}

fn entry(
    archive: &mut ZipArchive<std::fs::File>,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|error| {
        format!(
            "expected a .keras archive with `{name}`, found none ({error}); export ONNX otherwise"
        )
    })?;
    let mut bytes = Vec::new();
    let read = entry.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("expected a whole `{name}`, found {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!(
            "expected at most {limit} bytes of `{name}`, found more"
        ));
    }
    Ok(bytes)
}

/// The weights of every layer by their names.
pub(super) fn variables(file: &File, config: &Config) -> Result<Variables, String> {
    let mut models = Models {
        root: file.root(),
        known: HashMap::new(),
    };
    let mut found = Variables::new();
    for layer in &config.layers {
        if let Some(group) = models.group(&layer.path, &layer.groups)?
            && let Ok(vars) = group.group("vars")
        {
            found.insert(layer.name.clone(), named(layer, &vars)?);
        }
    }
    Ok(found)
}

/// The groups of the models that were looked into, by the groups around them.
struct Models {
    root: Group,
    known: HashMap<Vec<String>, Layers>,
}

/// The groups of a model's layers, by the layers' names where the file has them, else by their own.
struct Layers {
    by_name: HashMap<String, Group>,
    by_group: HashMap<String, Group>,
}

impl Models {
    /// The group of a layer; none where it has no weights.
    fn group(&mut self, path: &[String], groups: &[String]) -> Result<Option<Group>, String> {
        let mut group = self.root.clone();
        for (at, (name, own)) in path.iter().zip(groups).enumerate() {
            let around = path[..at].to_vec();
            let layers = match self.known.entry(around) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => free.insert(Layers::from_group(&group)?),
            };
            let next = layers
                .by_name
                .get(name)
                .or_else(|| layers.by_group.get(own));
            match next {
                Some(next) => group = next.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(group))
    }
}

impl Layers {
    fn from_group(model: &Group) -> Result<Self, String> {
        let layers = model.group("layers").map_err(|error| {
            format!("expected a group `layers` of weights, found none ({error})")
        })?;
        let mut by_name = HashMap::new();
        let mut by_group = HashMap::new();
        for name in layers.groups().map_err(|error| error.to_string())? {
            let group = layers.group(&name).map_err(|error| error.to_string())?;
            let attributes = group.group("vars").and_then(|vars| vars.attrs());
            let attributes = attributes.unwrap_or_default();
            let layer = attributes
                .get("name")
                .and_then(|value| super::text(value).ok());
            match layer {
                Some(layer) => by_name.insert(layer.to_owned(), group),
                None => by_group.insert(name, group),
            };
        }
        Ok(Self { by_name, by_group })
    }
}

/// The numbered weights of a layer by the names that whole models in HDF5 give them.
fn named(layer: &Layer, vars: &Group) -> Result<BTreeMap<String, Dataset>, String> {
    let is_on =
        |setting: &str| layer.settings.get(setting) != Some(&serde_json::Value::Bool(false));
    let names: Vec<&str> = match layer.class.as_str() {
        "BatchNormalization" => [("gamma", is_on("scale")), ("beta", is_on("center"))]
            .into_iter()
            .filter_map(|(name, is_on)| is_on.then_some(name))
            .chain(["moving_mean", "moving_variance"])
            .collect(),
        "LayerNormalization" => [("gamma", is_on("scale")), ("beta", is_on("center"))]
            .into_iter()
            .filter_map(|(name, is_on)| is_on.then_some(name))
            .collect(),
        "Normalization" => vec!["mean", "variance"],
        "PReLU" => vec!["alpha"],
        "LayerScale" => vec!["gamma"],
        "SeparableConv2D" => vec!["depthwise_kernel", "pointwise_kernel", "bias"],
        _ => vec!["kernel", "bias"],
    };
    let numbers = vars.datasets().map_err(|error| error.to_string())?;
    if numbers.len() > MAX_VARIABLES {
        return Err(format!(
            "layer {}: expected at most {MAX_VARIABLES} weights, found {}",
            layer.name,
            numbers.len()
        ));
    }
    let mut found = BTreeMap::new();
    for (number, name) in names.into_iter().enumerate() {
        let number = number.to_string();
        if numbers.contains(&number) {
            let data = vars.dataset(&number).map_err(|error| error.to_string())?;
            found.insert(name.to_owned(), data);
        }
    }
    Ok(found)
}
