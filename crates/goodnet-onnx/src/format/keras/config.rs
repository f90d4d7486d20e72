//! `model_config`: the layers of a Functional or Sequential model, as Keras 2 and Keras 3 write them.

use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// Layers that a model may have.
const MAX_LAYERS: usize = 10_000;

/// The layers in the order of the file (inputs before readers), and the one that gives the scores.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) layers: Vec<Layer>,
    pub(super) output: String,
}

/// One layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) class: String,
    pub(super) name: String,
    pub(super) settings: Map<String, Value>,
    pub(super) inputs: Vec<String>,
}

impl Config {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(text)
            .map_err(|error| format!("expected `model_config` as JSON, found {error}"))?;
        let class = root["class_name"].as_str().unwrap_or_default();
        let layers = root["config"]["layers"]
            .as_array()
            // Keras 2.2 and older write a Sequential model's layers as a bare list.
            .or_else(|| root["config"].as_array())
            .ok_or("expected `model_config` with a list of layers")?;
        if layers.len() > MAX_LAYERS {
            return Err(format!(
                "expected at most {MAX_LAYERS} layers, found {}",
                layers.len()
            ));
        }
        match class {
            "Sequential" => sequential(layers),
            "Functional" | "Model" => functional(layers, &root["config"]),
            other => Err(format!(
                "expected a Functional or Sequential model, found {other:?}"
            )),
        }
    }
}

fn sequential(layers: &[Value]) -> Result<Config, String> {
    let mut parsed: Vec<Layer> = Vec::new();
    for layer in layers {
        let mut layer = parse_layer(layer)?;
        if parsed.is_empty() && layer.class != "InputLayer" {
            parsed.push(implied_input(&layer)?);
        }
        layer.inputs = parsed
            .last()
            .map(|last| last.name.clone())
            .into_iter()
            .collect();
        parsed.push(layer);
    }
    let output = parsed
        .last()
        .ok_or("expected layers, found none")?
        .name
        .clone();
    Ok(Config {
        layers: parsed,
        output,
    })
}

/// A Sequential model may state its input's shape on the first layer alone.
fn implied_input(first: &Layer) -> Result<Layer, String> {
    let shape = input_shape(&first.settings)
        .ok_or_else(|| format!("layer {}: expected an input shape, found none", first.name))?;
    let mut settings = Map::new();
    settings.insert("batch_shape".to_owned(), shape.clone());
    Ok(Layer {
        class: "InputLayer".to_owned(),
        // Keras' own name for it; one that a later layer has too is refused with the graph.
        name: format!("{}_input", first.name),
        settings,
        inputs: Vec::new(),
    })
}

/// The shape with the batch, by the names that Keras 2 and 3 give it.
pub(super) fn input_shape(settings: &Map<String, Value>) -> Option<&Value> {
    settings
        .get("batch_shape")
        .or_else(|| settings.get("batch_input_shape"))
}

fn functional(layers: &[Value], config: &Value) -> Result<Config, String> {
    let mut parsed = Vec::new();
    for value in layers {
        let mut layer = parse_layer(value)?;
        let calls = value["inbound_nodes"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        if calls.len() > 1 {
            return Err(format!(
                "layer {}: used more than once, which is not supported",
                layer.name
            ));
        }
        for call in calls {
            collect_inputs(call, &mut layer.inputs, 0);
        }
        parsed.push(layer);
    }
    let mut outputs = Vec::new();
    collect_history(&config["output_layers"], &mut outputs);
    let [output] = outputs.as_slice() else {
        return Err(format!("expected one output, found {}", outputs.len()));
    };
    Ok(Config {
        layers: in_order(parsed)?,
        output: output.clone(),
    })
}

fn parse_layer(value: &Value) -> Result<Layer, String> {
    let class = value["class_name"]
        .as_str()
        .ok_or("expected layers with a class name")?;
    let settings = value["config"].as_object().cloned().unwrap_or_default();
    let name = value["name"]
        .as_str()
        .or_else(|| settings.get("name")?.as_str());
    Ok(Layer {
        class: class.to_owned(),
        name: name.ok_or("expected layers with a name")?.to_owned(),
        settings,
        inputs: Vec::new(),
    })
}

/// Nesting of a call's arguments that is followed.
const MAX_DEPTH: usize = 8;

/// The layers that a call reads: Keras 2 writes `["name", 0, 0, {}]`, Keras 3 tensors with a `keras_history`.
fn collect_inputs(value: &Value, inputs: &mut Vec<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => {
                inputs.push(name.clone())
            }
            items => items
                .iter()
                .for_each(|item| collect_inputs(item, inputs, depth + 1)),
        },
        Value::Object(fields) => {
            if let Some(history) = fields.get("keras_history") {
                collect_history(history, inputs);
                return;
            }
            for part in ["args", "config"] {
                if let Some(part) = fields.get(part) {
                    collect_inputs(part, inputs, depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// `["name", 0, 0]`, or a list of such.
fn collect_history(value: &Value, names: &mut Vec<String>) {
    let Some(items) = value.as_array() else {
        return;
    };
    match items.first() {
        Some(Value::String(name)) => names.push(name.clone()),
        _ => items.iter().for_each(|item| {
            if let Some(name) = item.get(0).and_then(Value::as_str) {
                names.push(name.to_owned());
            }
        }),
    }
}

/// Every layer after those that it reads, in the given order where it is free.
fn in_order(layers: Vec<Layer>) -> Result<Vec<Layer>, String> {
    let mut place = HashMap::new();
    for (index, layer) in layers.iter().enumerate() {
        if place.insert(layer.name.as_str(), index).is_some() {
            return Err(format!("layer {}: given twice", layer.name));
        }
    }
    let mut missing: Vec<usize> = layers.iter().map(|layer| layer.inputs.len()).collect();
    let mut readers = vec![Vec::new(); layers.len()];
    for (index, layer) in layers.iter().enumerate() {
        for input in &layer.inputs {
            if let Some(&from) = place.get(input.as_str()) {
                readers[from].push(index);
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..layers.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(layers.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if let Some(stuck) = missing.iter().position(|&count| count > 0) {
        return Err(format!(
            "layer {}: reads a layer that is missing or reads it",
            layers[stuck].name
        ));
    }
    let mut layers: Vec<Option<Layer>> = layers.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|index| layers[index].take())
        .collect())
}
