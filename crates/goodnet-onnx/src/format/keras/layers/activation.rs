//! Activations: fused into a layer, or layers of their own.

use super::constant;
use super::settings::{check_last_axis, input, number};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node, Tensor};
use serde_json::Value as Json;

/// Name of the `activation` setting; none for linear.
fn named(layer: &Layer) -> Result<Option<&str>, String> {
    match layer.settings.get("activation") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) if name == "linear" => Ok(None),
        Some(Json::String(name)) => Ok(Some(name)),
        Some(other) => {
            let inner = other.get("config").and_then(Json::as_str);
            inner
                .map(Some)
                .ok_or_else(|| format!("expected an activation by name, found {other}"))
        }
    }
}

/// The tensor that a layer writes before its fused activation: the layer's own name where it has none.
pub(super) fn before(layer: &Layer, name: &str) -> String {
    let fused = name == layer.name && !matches!(named(layer), Ok(None));
    if fused {
        format!("{name}_linear")
    } else {
        name.to_owned()
    }
}

/// Applies a layer's fused activation.
pub(super) fn fused(
    builder: &mut Builder<'_>,
    layer: &Layer,
    value: Value,
) -> Result<Value, String> {
    match named(layer)? {
        None => Ok(value),
        Some(name) => apply(builder, layer, name, &value),
    }
}

/// The layer `Activation`.
pub(super) fn layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    fused(builder, layer, value)
}

/// Applies the activation `name`; what it gives is called as the layer.
pub(super) fn apply(
    builder: &mut Builder<'_>,
    layer: &Layer,
    name: &str,
    value: &Value,
) -> Result<Value, String> {
    let from = value.tensor.clone();
    let to = layer.name.as_str();
    let tensor = match name {
        "relu" => builder.node(Node::new("Relu", &[&from], &[to])),
        "sigmoid" => builder.node(Node::new("Sigmoid", &[&from], &[to])),
        "tanh" => builder.node(Node::new("Tanh", &[&from], &[to])),
        "softplus" => builder.node(Node::new("Softplus", &[&from], &[to])),
        "softsign" => builder.node(Node::new("Softsign", &[&from], &[to])),
        "exponential" | "exp" => builder.node(Node::new("Exp", &[&from], &[to])),
        "selu" => builder.node(Node::new("Selu", &[&from], &[to])),
        "elu" => builder.node(with_alpha("Elu", &from, to, 1.0)),
        "leaky_relu" => builder.node(with_alpha("LeakyRelu", &from, to, 0.2)),
        "relu6" => clip(builder, &from, to, 0.0, 6.0),
        "hard_sigmoid" => hard_sigmoid(builder, layer, &from, to),
        "hard_swish" | "hard_silu" => {
            let gate = hard_sigmoid(builder, layer, &from, &format!("{to}_gate"));
            builder.node(Node::new("Mul", &[&from, &gate], &[to]))
        }
        "swish" | "silu" => {
            let gate = builder.node(Node::new("Sigmoid", &[&from], &[&format!("{to}_gate")]));
            builder.node(Node::new("Mul", &[&from, &gate], &[to]))
        }
        "mish" => {
            let soft = builder.node(Node::new("Softplus", &[&from], &[&format!("{to}_soft")]));
            let gate = builder.node(Node::new("Tanh", &[&soft], &[&format!("{to}_gate")]));
            builder.node(Node::new("Mul", &[&from, &gate], &[to]))
        }
        "gelu" => gelu(builder, &from, to),
        "gelu_tanh" => gelu_tanh(builder, &from, to),
        "softmax" => return softmax(builder, to, value),
        other => return Err(format!("activation {other} is not one that goodnet knows")),
    };
    Ok(Value {
        tensor,
        form: value.form,
    })
}

/// clip(x / 6 + 0.5, 0, 1) in Keras 3, clip(x / 5 + 0.5, 0, 1) in Keras 2.
fn hard_sigmoid(builder: &mut Builder<'_>, layer: &Layer, from: &str, to: &str) -> String {
    let slope = if layer.is_keras_2 { 0.2 } else { 1.0 / 6.0 };
    let node = with_alpha("HardSigmoid", from, to, slope).with("beta", Attribute::Float(0.5));
    builder.node(node)
}

/// One node of `op` on `from` and a number.
fn with_number(builder: &mut Builder<'_>, op: &str, from: &str, number: f32, to: &str) -> String {
    let number = builder.constant(&format!("{to}_number"), Tensor::f32([], vec![number]));
    builder.node(Node::new(op, &[from, &number], &[to]))
}

/// x / 2 · (1 + erf(x / sqrt(2))).
fn gelu(builder: &mut Builder<'_>, from: &str, to: &str) -> String {
    let part = |name: &str| format!("{to}_{name}");
    let root = std::f32::consts::FRAC_1_SQRT_2;
    let scaled = with_number(builder, "Mul", from, root, &part("scaled"));
    let error = builder.node(Node::new("Erf", &[&scaled], &[&part("erf")]));
    halved_product(builder, from, &error, to)
}

/// x / 2 · (1 + tanh(sqrt(2 / pi) · (x + 0.044715 · x³))).
fn gelu_tanh(builder: &mut Builder<'_>, from: &str, to: &str) -> String {
    let part = |name: &str| format!("{to}_{name}");
    let square = builder.node(Node::new("Mul", &[from, from], &[&part("square")]));
    let cube = builder.node(Node::new("Mul", &[&square, from], &[&part("cube")]));
    let cube = with_number(builder, "Mul", &cube, 0.044_715, &part("cube_scaled"));
    let sum = builder.node(Node::new("Add", &[from, &cube], &[&part("sum")]));
    let root = (2.0 / std::f32::consts::PI).sqrt();
    let scaled = with_number(builder, "Mul", &sum, root, &part("scaled"));
    let tanh = builder.node(Node::new("Tanh", &[&scaled], &[&part("tanh")]));
    halved_product(builder, from, &tanh, to)
}

/// x / 2 · (1 + gate).
fn halved_product(builder: &mut Builder<'_>, from: &str, gate: &str, to: &str) -> String {
    let gate = with_number(builder, "Add", gate, 1.0, &format!("{to}_gate"));
    let half = with_number(builder, "Mul", from, 0.5, &format!("{to}_half"));
    builder.node(Node::new("Mul", &[&half, &gate], &[to]))
}

pub(super) fn with_alpha(op: &str, from: &str, to: &str, alpha: f32) -> Node {
    Node::new(op, &[from], &[to]).with("alpha", Attribute::Float(alpha))
}

pub(super) fn clip(builder: &mut Builder<'_>, from: &str, to: &str, low: f32, high: f32) -> String {
    let low = builder.constant(&format!("{to}_low"), Tensor::f32([], vec![low]));
    let high = builder.constant(&format!("{to}_high"), Tensor::f32([], vec![high]));
    builder.node(Node::new("Clip", &[from, &low, &high], &[to]))
}

/// Over the channels: the last axis in Keras, axis 1 here, whatever the order of the values.
pub(super) fn softmax(builder: &mut Builder<'_>, to: &str, value: &Value) -> Result<Value, String> {
    if matches!(value.form, Form::Plane { .. }) {
        return Err("expected an image or (n, values), found (n, H, W)".to_owned());
    }
    let node = Node::new("Softmax", &[&value.tensor], &[to]).with("axis", Attribute::Int(1));
    Ok(Value {
        tensor: builder.node(node),
        form: value.form,
    })
}

/// The layer `Softmax`.
pub(super) fn softmax_layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    check_last_axis(layer.settings.get("axis"), &value)?;
    softmax(builder, &layer.name, &value)
}

/// The layer `ReLU`: slope below 0, optional bound above.
pub(super) fn relu(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let slope = number(layer, "negative_slope").unwrap_or(0.0);
    let threshold = number(layer, "threshold").unwrap_or(0.0);
    if threshold != 0.0 {
        return Err(format!("expected a threshold of 0, found {threshold}"));
    }
    let from = value.tensor.clone();
    let tensor = match (slope, number(layer, "max_value")) {
        (0.0, None) => builder.node(Node::new("Relu", &[&from], &[&layer.name])),
        (0.0, Some(high)) => clip(builder, &from, &layer.name, 0.0, high as f32),
        (slope, None) => builder.node(with_alpha("LeakyRelu", &from, &layer.name, slope as f32)),
        (slope, Some(high)) => {
            return Err(format!(
                "a slope of {slope} with a bound of {high} is not supported"
            ));
        }
    };
    Ok(Value { tensor, ..value })
}

/// The layer `LeakyReLU`: `alpha` in Keras 2, `negative_slope` in Keras 3, 0.3 by default.
pub(super) fn leaky_relu(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let slope = number(layer, "negative_slope")
        .or_else(|| number(layer, "alpha"))
        .unwrap_or(0.3);
    let node = with_alpha("LeakyRelu", &value.tensor, &layer.name, slope as f32);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}

/// The layer `PReLU`: a slope below 0 for every value, or for every channel where the spatial axes share it.
pub(super) fn prelu(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let shared: Vec<u64> = match layer.settings.get("shared_axes") {
        Some(Json::Array(axes)) => axes.iter().filter_map(Json::as_u64).collect(),
        _ => Vec::new(),
    };
    let extent = |axis: u64, extent: usize| if shared.contains(&axis) { 1 } else { extent };
    let shape = match value.form {
        Form::Flat { len, .. } => vec![extent(1, len)],
        Form::Spatial {
            channels,
            height,
            width,
        } => vec![extent(1, height), extent(2, width), extent(3, channels)],
        Form::Plane { .. } => return Err("expected an image, found (n, H, W)".to_owned()),
    };
    let slope = builder.weights.get(&layer.name, "alpha", &shape)?;
    let slope = constant::aligned(&slope.shape, slope.values, value.form)?;
    let slope = builder.constant(&format!("{}_slope", layer.name), slope);
    let node = Node::new("PRelu", &[&value.tensor, &slope], &[&layer.name]);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}

/// The layer `ELU`.
pub(super) fn elu(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let alpha = number(layer, "alpha").unwrap_or(1.0);
    let node = with_alpha("Elu", &value.tensor, &layer.name, alpha as f32);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}
