//! Activations: fused into a layer, or layers of their own.

use super::settings::{input, number};
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
        Some(name) => apply(builder, &layer.name, name, &value),
    }
}

/// The layer `Activation`.
pub(super) fn layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    fused(builder, layer, value)
}

fn apply(builder: &mut Builder<'_>, to: &str, name: &str, value: &Value) -> Result<Value, String> {
    let from = value.tensor.clone();
    let tensor = match name {
        "relu" => builder.node(Node::new("Relu", &[&from], &[to])),
        "sigmoid" => builder.node(Node::new("Sigmoid", &[&from], &[to])),
        "tanh" => builder.node(Node::new("Tanh", &[&from], &[to])),
        "softplus" => builder.node(Node::new("Softplus", &[&from], &[to])),
        "softsign" => builder.node(Node::new("Softsign", &[&from], &[to])),
        "exponential" => builder.node(Node::new("Exp", &[&from], &[to])),
        "selu" => builder.node(Node::new("Selu", &[&from], &[to])),
        "elu" => builder.node(with_alpha("Elu", &from, to, 1.0)),
        "leaky_relu" => builder.node(with_alpha("LeakyRelu", &from, to, 0.2)),
        "relu6" => clip(builder, &from, to, 6.0),
        "swish" | "silu" => {
            let gate = builder.node(Node::new("Sigmoid", &[&from], &[&format!("{to}_gate")]));
            builder.node(Node::new("Mul", &[&from, &gate], &[to]))
        }
        "softmax" => return Ok(softmax(builder, to, value)),
        other => return Err(format!("activation {other} is not one that goodnet knows")),
    };
    Ok(Value {
        tensor,
        form: value.form,
    })
}

fn with_alpha(op: &str, from: &str, to: &str, alpha: f32) -> Node {
    Node::new(op, &[from], &[to]).with("alpha", Attribute::Float(alpha))
}

fn clip(builder: &mut Builder<'_>, from: &str, to: &str, high: f32) -> String {
    let low = builder.constant(&format!("{to}_low"), Tensor::f32([], vec![0.0]));
    let high = builder.constant(&format!("{to}_high"), Tensor::f32([], vec![high]));
    builder.node(Node::new("Clip", &[from, &low, &high], &[to]))
}

/// Over the channels: the last axis in Keras, axis 1 here, whatever the order of the values.
fn softmax(builder: &mut Builder<'_>, to: &str, value: &Value) -> Value {
    let node = Node::new("Softmax", &[&value.tensor], &[to]).with("axis", Attribute::Int(1));
    Value {
        tensor: builder.node(node),
        form: value.form,
    }
}

/// The layer `Softmax`.
pub(super) fn softmax_layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let last = match value.form {
        Form::Flat { .. } => 1,
        Form::Spatial { .. } => 3,
    };
    match layer
        .settings
        .get("axis")
        .and_then(Json::as_i64)
        .unwrap_or(-1)
    {
        -1 => Ok(softmax(builder, &layer.name, &value)),
        axis if axis == last => Ok(softmax(builder, &layer.name, &value)),
        axis => Err(format!(
            "expected a softmax over the last axis, found axis {axis}"
        )),
    }
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
        (0.0, Some(high)) => clip(builder, &from, &layer.name, high as f32),
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
