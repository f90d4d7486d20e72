//! `.keras` files, the default format of Keras 3: a ZIP archive of `config.json` and `model.weights.h5`.
//!
//! The weights of a layer are numbered, `layers/GROUP/vars/0` and so on, in the order in which the layer makes them; the group is
//! named after the layer's class, and an attribute of `vars` holds the layer's name (Keras 3.4 and later).

use super::super::Imported;
use super::build_model;
use super::config::{Config, Layer};
use super::weights::Weights;
use hdf5_pure::{Dataset, File, Group};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

/// Longest description of the layers, in bytes.
const MAX_CONFIG_BYTES: u64 = 64 << 20;
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
    let weights = Weights::of(&file, variables(&file, &config)?);
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

type Variables = BTreeMap<String, BTreeMap<String, Dataset>>;

/// The weights of every layer by their names.
fn variables(file: &File, config: &Config) -> Result<Variables, String> {
    let layers = file
        .group("layers")
        .map_err(|error| format!("expected a group `layers` of weights, found none ({error})"))?;
    let mut by_name: HashMap<String, Group> = HashMap::new();
    let mut by_group: HashMap<String, Group> = HashMap::new();
    for name in layers.groups().map_err(|error| error.to_string())? {
        let Ok(vars) = layers.group(&name).and_then(|group| group.group("vars")) else {
            continue;
        };
        let attributes = vars.attrs().unwrap_or_default();
        match attributes
            .get("name")
            .and_then(|value| super::text(value).ok())
        {
            Some(layer) => by_name.insert(layer.to_owned(), vars),
            None => by_group.insert(name, vars),
        };
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found = Variables::new();
    for layer in &config.layers {
        let class = snake_case(&layer.class);
        let count = seen.entry(class.clone()).or_default();
        let group = match *count {
            0 => class.clone(),
            count => format!("{class}_{count}"),
        };
        *count += 1;
        if let Some(vars) = by_name.get(&layer.name).or_else(|| by_group.get(&group)) {
            found.insert(layer.name.clone(), named(layer, vars)?);
        }
    }
    Ok(found)
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

/// Keras' name for a class: `BatchNormalization` is `batch_normalization`, `Conv2D` is `conv2d`, `ReLU` is `re_lu`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let begins_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || (before != '_' && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins_word {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_are_named_as_keras_names_them() {
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("Dense", "dense"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
