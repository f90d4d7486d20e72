//! The configuration as it is written: models of layers and of models.

use super::call::{self, Argument, Arguments, Reference};
use super::{MAX_LAYERS, MAX_NESTED, input_shape};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A model.
pub(super) struct RawModel {
    pub(super) layers: Vec<RawLayer>,
    pub(super) inputs: Vec<Reference>,
    pub(super) outputs: Vec<Reference>,
}

/// A layer, or a model that is used as one.
pub(super) struct RawLayer {
    pub(super) class: String,
    pub(super) name: String,
    pub(super) settings: Map<String, Value>,
    pub(super) is_operation: bool,
    pub(super) is_keras_2: bool,
    /// The group of its weights in files of Keras 3.
    pub(super) group: String,
    pub(super) calls: Vec<Arguments<Reference>>,
    pub(super) model: Option<RawModel>,
}

fn is_model(class: &str) -> bool {
    matches!(class, "Sequential" | "Functional" | "Model")
}

/// Reads `{"class_name": …, "config": …}` of a model.
pub(super) fn model(root: &Value, depth: usize) -> Result<RawModel, String> {
    if depth > MAX_NESTED {
        return Err(format!(
            "expected at most {MAX_NESTED} models inside each other, found more"
        ));
    }
    let class = root["class_name"].as_str().unwrap_or_default();
    if !is_model(class) {
        return Err(format!(
            "expected a Functional or Sequential model, found {class:?}"
        ));
    }
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
    let mut counts = HashMap::new();
    let layers: Result<Vec<RawLayer>, String> = layers
        .iter()
        .map(|value| layer(value, depth, &mut counts))
        .collect();
    match class {
        "Sequential" => sequential(layers?, depth),
        _ => functional(layers?, &root["config"]),
    }
}

fn layer(
    value: &Value,
    depth: usize,
    counts: &mut HashMap<String, usize>,
) -> Result<RawLayer, String> {
    let class = value["class_name"]
        .as_str()
        .ok_or("expected layers with a class name")?;
    let settings = value["config"].as_object().cloned().unwrap_or_default();
    let name = value["name"]
        .as_str()
        .or_else(|| settings.get("name")?.as_str())
        .ok_or("expected layers with a name")?;
    let calls = value["inbound_nodes"].as_array();
    let calls = calls.map_or(&[][..], Vec::as_slice);
    let inner = match is_model(class) {
        true => Some(model(value, depth + 1).map_err(|reason| format!("model {name}: {reason}"))?),
        false => None,
    };
    Ok(RawLayer {
        class: class.to_owned(),
        name: name.to_owned(),
        is_operation: inner.is_none() && is_operation(value, class, &settings, calls),
        is_keras_2: calls.iter().any(Value::is_array) || settings.contains_key("batch_input_shape"),
        settings: if inner.is_some() {
            Map::new()
        } else {
            settings
        },
        group: group(class, counts),
        calls: calls.iter().map(call::parse).collect(),
        model: inner,
    })
}

/// Operations of Keras 3 come from its module `ops`; where the module is not given, only layers can be trained.
fn is_operation(
    value: &Value,
    class: &str,
    settings: &Map<String, Value>,
    calls: &[Value],
) -> bool {
    match value["module"].as_str() {
        Some(module) => module.contains(".ops."),
        None => {
            class != "InputLayer"
                && !settings.contains_key("trainable")
                && calls.iter().any(Value::is_object)
        }
    }
}

/// The class in snake case, numbered from the second on.
fn group(class: &str, counts: &mut HashMap<String, usize>) -> String {
    let class = snake_case(class);
    let count = counts.entry(class.clone()).or_default();
    *count += 1;
    match *count - 1 {
        0 => class,
        before => format!("{class}_{before}"),
    }
}

fn reference(layer: &RawLayer) -> Reference {
    Reference {
        layer: layer.name.clone(),
        call: 0,
        output: 0,
    }
}

/// Every layer reads the one before.
fn sequential(mut layers: Vec<RawLayer>, depth: usize) -> Result<RawModel, String> {
    let first = layers.first().ok_or("expected layers, found none")?;
    if first.class != "InputLayer" {
        layers.insert(0, implied_input(first, depth)?);
    }
    let is_keras_2 = layers.iter().any(|layer| layer.is_keras_2);
    for at in 1..layers.len() {
        let before = reference(&layers[at - 1]);
        layers[at].calls = vec![vec![(None, Argument::Layer(before))]];
        layers[at].is_keras_2 = is_keras_2;
    }
    let end = |layer: Option<&RawLayer>| layer.map(reference).into_iter().collect();
    Ok(RawModel {
        inputs: end(layers.first()),
        outputs: end(layers.last()),
        layers,
    })
}

/// A Sequential model may state its input's shape on the first layer alone, or on the input of the model that is its first layer; inside
/// another model it needs none.
fn implied_input(first: &RawLayer, depth: usize) -> Result<RawLayer, String> {
    let mut inner = first;
    while let Some(model) = &inner.model {
        let input = model.inputs.first();
        let input = input.and_then(|input| model.layers.iter().find(|l| l.name == input.layer));
        match input {
            Some(input) => inner = input,
            None => break,
        }
    }
    let shape = input_shape(&inner.settings).cloned();
    if shape.is_none() && depth == 0 {
        return Err(format!(
            "layer {}: expected an input shape, found none",
            first.name
        ));
    }
    let mut settings = Map::new();
    settings.insert("batch_shape".to_owned(), shape.unwrap_or(json!(null)));
    Ok(RawLayer {
        class: "InputLayer".to_owned(),
        // Keras' own name for it; one that a later layer has too is refused with the graph.
        name: format!("{}_input", first.name),
        settings,
        is_operation: false,
        is_keras_2: inner.is_keras_2,
        group: String::new(),
        calls: Vec::new(),
        model: None,
    })
}

fn functional(layers: Vec<RawLayer>, config: &Value) -> Result<RawModel, String> {
    Ok(RawModel {
        layers,
        inputs: call::references(&config["input_layers"]),
        outputs: call::references(&config["output_layers"]),
    })
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
            ("PReLU", "p_re_lu"),
            ("TFOpLambda", "tf_op_lambda"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("Dense", "dense"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
