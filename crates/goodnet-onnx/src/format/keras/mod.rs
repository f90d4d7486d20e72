//! Keras HDF5 and `.keras` archives to ONNX.
//!
//! In reading order: `config` (what the file says of its layers), `weights` (their numbers), `grouped` and `archive` (where they are: in
//! groups by name; numbered, alone or in a ZIP file), `build` (the graph in the making), `layers` (one function a layer kind), `deepid`
//! (the lab's architecture, for weights alone).
//!
//! Keras keeps images as (n, H, W, C), ONNX as (n, C, H, W): the imported graph transposes once, at the input, and
//! flattened tensors stay in C, H, W order with the rows of the next dense layer permuted to match.

mod archive;
mod build;
mod config;
mod deepid;
mod grouped;
mod layers;
mod weights;

use super::{Architecture, Imported};
use build::Builder;
use config::Config;
use hdf5_pure::{AttrValue, File};
use std::io::Read;
use std::path::Path;
use weights::Weights;

/// Reads a Keras file; errors are one line without the file's name.
pub(super) fn read(path: &Path, architecture: Option<Architecture>) -> Result<Imported, String> {
    let file = File::open_streaming(path)
        .map_err(|error| format!("expected a whole HDF5 file, found {error}"))?;
    let attributes = file
        .root()
        .attrs()
        .map_err(|error| format!("expected a whole HDF5 file, found {error}"))?;
    match attributes.get("model_config").map(text) {
        Some(Ok(text)) => {
            let config = Config::parse(text)?;
            let variables = grouped::variables(&file_group(&file)?, &config)?;
            let weights = Weights::new(&file, variables);
            Ok(Imported {
                model: build_model(&config, &weights)?,
                format: "keras",
                beside: Vec::new(),
            })
        }
        Some(Err(reason)) => Err(reason),
        None => weights_alone(&file, architecture),
    }
}

/// Reads a `.keras` archive; errors are one line without the file's name.
pub(super) fn read_archive(path: &Path) -> Result<Imported, String> {
    archive::read(path)
}

/// HDF5 has several kinds of text; h5py writes most of them.
fn text(value: &AttrValue) -> Result<&str, String> {
    match value {
        AttrValue::String(text)
        | AttrValue::StringSized { value: text, .. }
        | AttrValue::AsciiString(text)
        | AttrValue::AsciiStringSized { value: text, .. }
        | AttrValue::VarLenString(text)
        | AttrValue::VarLenAsciiString(text) => Ok(text),
        _ => Err("expected `model_config` as text, found another type".to_owned()),
    }
}

/// Whole models keep their weights below `model_weights`.
fn file_group(file: &File) -> Result<hdf5_pure::Group, String> {
    file.group("model_weights")
        .map_err(|error| format!("expected a group `model_weights`, found none ({error})"))
}

fn weights_alone(file: &File, architecture: Option<Architecture>) -> Result<Imported, String> {
    let (config, beside) = match architecture {
        Some(Architecture::Deepid) => {
            let weights = Weights::new(file, grouped::variables(&file.root(), &deepid::named())?);
            (deepid::config(&weights)?, Vec::new())
        }
        Some(Architecture::File(path)) => (Config::parse(&description(&path)?)?, vec![path]),
        None => {
            return Err(
                "expected a whole Keras model, found weights without an architecture; name it with --architecture: deepid, or the JSON that model.to_json() writes"
                    .to_owned(),
            );
        }
    };
    let is_numbered = file.group("layers").is_ok_and(|layers| {
        let groups = layers.groups().unwrap_or_default();
        groups.iter().any(|name| {
            let vars = layers.group(name).and_then(|group| group.group("vars"));
            vars.is_ok()
        })
    });
    let variables = match is_numbered {
        true => archive::variables(file, &config)?,
        false => grouped::variables(&file.root(), &config)?,
    };
    Ok(Imported {
        model: build_model(&config, &Weights::new(file, variables))?,
        format: "keras-weights",
        beside,
    })
}

/// The layers' description in a file beside the weights.
fn description(path: &Path) -> Result<String, String> {
    let fail = |found: String| {
        format!(
            "expected the JSON of model.to_json() in {}, found {found}",
            path.display()
        )
    };
    let file = crate::files::open_plain(path).map_err(|error| fail(error.to_string()))?;
    let mut text = String::new();
    let read = file
        .take(archive::MAX_CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| fail(error.to_string()))?;
    match read as u64 > archive::MAX_CONFIG_BYTES {
        true => Err(fail(format!(
            "more than {} bytes",
            archive::MAX_CONFIG_BYTES
        ))),
        false => Ok(text),
    }
}

fn build_model(config: &Config, weights: &Weights) -> Result<crate::Model, String> {
    let mut builder = Builder::new(weights);
    for layer in &config.layers {
        let value = layers::add(&mut builder, layer)
            .map_err(|reason| format!("layer {} ({}): {reason}", layer.name, layer.class))?;
        builder.define(&layer.name, value);
    }
    builder.finish(&config.output)
}
