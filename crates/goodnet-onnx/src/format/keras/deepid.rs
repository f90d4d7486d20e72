//! The lab's network, for files that hold its weights alone; sizes follow from the weights.

use super::config::{Config, Layer};
use super::weights::Weights;
use serde_json::{Map, Value, json};

/// The architecture with the filters and classes that `weights` has, for 55 x 47 RGB images.
pub(super) fn config(weights: &Weights) -> Result<Config, String> {
    let conv = |name: &str, from: &str| -> Result<Layer, String> {
        let kernel = shape(weights, name, 4)?;
        let settings = json!({
            "filters": kernel[3], "kernel_size": [kernel[0], kernel[1]], "activation": "relu",
        });
        Ok(layer("Conv2D", name, settings, &[from]))
    };
    let dense = |name: &str, from: &str, activation: &str| -> Result<Layer, String> {
        let kernel = shape(weights, name, 2)?;
        let settings = json!({ "units": kernel[1], "activation": activation });
        Ok(layer("Dense", name, settings, &[from]))
    };
    let pool = |name: &str, from: &str| {
        layer(
            "MaxPooling2D",
            name,
            json!({ "pool_size": [2, 2] }),
            &[from],
        )
    };
    let input = json!({ "batch_shape": [null, 55, 47, 3] });
    let layers = vec![
        layer("InputLayer", "input", input, &[]),
        conv("conv_1", "input")?,
        pool("pool_1", "conv_1"),
        conv("conv_2", "pool_1")?,
        pool("pool_2", "conv_2"),
        conv("conv_3", "pool_2")?,
        pool("pool_3", "conv_3"),
        conv("conv_4", "pool_3")?,
        layer("Flatten", "flatten_1", json!({}), &["pool_3"]),
        layer("Flatten", "flatten_2", json!({}), &["conv_4"]),
        dense("fc_1", "flatten_1", "linear")?,
        dense("fc_2", "flatten_2", "linear")?,
        layer("Add", "add_1", json!({}), &["fc_1", "fc_2"]),
        layer(
            "Activation",
            "activation_1",
            json!({ "activation": "relu" }),
            &["add_1"],
        ),
        dense("output", "activation_1", "softmax")?,
    ];
    Ok(Config {
        layers,
        output: "output".to_owned(),
    })
}

/// The layers that have weights, by name alone.
pub(super) fn named() -> Config {
    let names = [
        "conv_1", "conv_2", "conv_3", "conv_4", "fc_1", "fc_2", "output",
    ];
    Config {
        layers: names
            .map(|name| layer("", name, json!({}), &[]))
            .into_iter()
            .collect(),
        output: String::new(),
    }
}

fn shape(weights: &Weights, layer: &str, rank: usize) -> Result<Vec<usize>, String> {
    let found = weights.shape(layer, "kernel");
    found.filter(|shape| shape.len() == rank).ok_or_else(|| {
        format!("expected the weights of the deepid architecture, found no kernel of rank {rank} for layer {layer}")
    })
}

fn layer(class: &str, name: &str, settings: Value, inputs: &[&str]) -> Layer {
    let settings = match settings {
        Value::Object(settings) => settings,
        _ => Map::new(),
    };
    Layer {
        class: class.to_owned(),
        name: name.to_owned(),
        settings,
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        path: vec![name.to_owned()],
        ..Layer::default()
    }
}
