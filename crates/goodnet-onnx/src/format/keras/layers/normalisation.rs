//! Normalisation and rescaling.

use super::constant;
use super::layout::permute_rows;
use super::settings::{check_last_axis, flag, input, number};
use crate::format::keras::build::{Builder, Form, Value, transpose};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node, Tensor};
use serde_json::Value as Json;

/// BatchNormalization over the channels, with the moving averages: gamma · (x - mean) / sqrt(var + epsilon) + beta.
pub(super) fn batch(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    check_last_axis(layer.settings.get("axis"), &value)?;
    let features = features(&value)?;
    let get = |name: &str, used: bool, default: f32| match used {
        true => Ok(builder.weights.get(&layer.name, name, &[features])?.values),
        false => Ok::<_, String>(vec![default; features]),
    };
    let gamma = get("gamma", flag(layer, "scale", true), 1.0)?;
    let beta = get("beta", flag(layer, "center", true), 0.0)?;
    let mean = get("moving_mean", true, 0.0)?;
    let variance = get("moving_variance", true, 1.0)?;
    let epsilon = number(layer, "epsilon").unwrap_or(1e-3) as f32;
    let tensor = match value.form {
        Form::Spatial { .. } | Form::Plane { .. } => normalise(
            builder,
            layer,
            &value.tensor,
            [gamma, beta, mean, variance],
            epsilon,
        ),
        Form::Flat { planes, .. } => {
            let scale: Vec<f32> = (0..features)
                .map(|i| gamma[i] / (variance[i] + epsilon).sqrt())
                .collect();
            let shift: Vec<f32> = (0..features)
                .map(|i| beta[i] - mean[i] * scale[i])
                .collect();
            let ordered = |values: Vec<f32>| match planes {
                Some(planes) => permute_rows(&values, planes, 1),
                None => values,
            };
            scale_and_shift(
                builder,
                layer,
                &value.tensor,
                ordered(scale),
                ordered(shift),
            )
        }
    };
    Ok(Value { tensor, ..value })
}

fn normalise(
    builder: &mut Builder<'_>,
    layer: &Layer,
    from: &str,
    parts: [Vec<f32>; 4],
    epsilon: f32,
) -> String {
    let mut inputs = vec![from.to_owned()];
    for (name, values) in ["gamma", "beta", "mean", "variance"].into_iter().zip(parts) {
        let tensor = Tensor::f32([values.len()], values);
        inputs.push(builder.constant(&format!("{}_{name}", layer.name), tensor));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let node = Node::new("BatchNormalization", &inputs, &[&layer.name])
        .with("epsilon", Attribute::Float(epsilon));
    builder.node(node)
}

fn scale_and_shift(
    builder: &mut Builder<'_>,
    layer: &Layer,
    from: &str,
    scale: Vec<f32>,
    shift: Vec<f32>,
) -> String {
    let name = &layer.name;
    let scale = builder.constant(&format!("{name}_scale"), Tensor::f32([scale.len()], scale));
    let shift = builder.constant(&format!("{name}_shift"), Tensor::f32([shift.len()], shift));
    let scaled = builder.node(Node::new(
        "Mul",
        &[from, &scale],
        &[&format!("{name}_scaled")],
    ));
    builder.node(Node::new("Add", &[&scaled, &shift], &[name]))
}

/// Extent of the last axis.
fn features(value: &Value) -> Result<usize, String> {
    match value.form {
        Form::Spatial { channels, .. } => Ok(channels),
        Form::Flat { len, .. } => Ok(len),
        Form::Plane { .. } => Err("expected an image, found (n, H, W)".to_owned()),
    }
}

/// LayerNormalization over the channels of every pixel: gamma · (x - mean) / sqrt(var + epsilon) + beta.
pub(super) fn layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    check_last_axis(layer.settings.get("axis"), &value)?;
    if flag(layer, "rms_scaling", false) {
        return Err("expected a mean taken off, found rms_scaling".to_owned());
    }
    let features = features(&value)?;
    let mut weight = |name: &str, used: bool, default: f32| {
        let values = match used {
            true => builder.weights.get(&layer.name, name, &[features])?.values,
            false => vec![default; features],
        };
        let values = match value.form {
            Form::Flat {
                planes: Some(planes),
                ..
            } => permute_rows(&values, planes, 1),
            _ => values,
        };
        let values = Tensor::f32([features], values);
        Ok::<_, String>(builder.constant(&format!("{}_{name}", layer.name), values))
    };
    let gamma = weight("gamma", flag(layer, "scale", true), 1.0)?;
    let beta = weight("beta", flag(layer, "center", true), 0.0)?;
    let epsilon = number(layer, "epsilon").unwrap_or(1e-3) as f32;
    let name = &layer.name;
    let node = |from: &str, to: &str| {
        Node::new("LayerNormalization", &[from, &gamma, &beta], &[to])
            .with("axis", Attribute::Int(-1))
            .with("epsilon", Attribute::Float(epsilon))
    };
    if matches!(value.form, Form::Flat { .. }) {
        let tensor = builder.node(node(&value.tensor, name));
        return Ok(Value { tensor, ..value });
    }
    let last = builder.in_keras_order(&value, name);
    let normal = builder.node(node(&last, &format!("{name}_normal")));
    let tensor = builder.node(transpose(&normal, name, [0, 3, 1, 2]));
    Ok(Value { tensor, ..value })
}

/// Normalization: (x - mean) / max(sqrt(variance), 1e-7), or back where it is inverted; the numbers are settings or were learnt.
pub(super) fn adapted(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let axis = layer.settings.get("axis");
    let is_one_number = axis
        .is_some_and(|axis| axis.is_null() || axis.as_array().is_some_and(std::vec::Vec::is_empty));
    if !is_one_number {
        check_last_axis(axis, &value)?;
    }
    let features = features(&value)?;
    let numbers = |name: &str| match layer.settings.get(name) {
        Some(given) if !given.is_null() => constant::numbers(given).map(|(_, values)| values),
        _ if is_one_number => Ok(builder.weights.get(&layer.name, name, &[])?.values),
        _ => Ok(builder.weights.get(&layer.name, name, &[features])?.values),
    };
    let (mean, variance) = (numbers("mean")?, numbers("variance")?);
    let deviation = variance.iter().map(|v| v.sqrt().max(SMALLEST_DEVIATION));
    let deviation: Vec<f32> = deviation.collect();
    let steps = match flag(layer, "invert", false) {
        false => [("Sub", "mean", mean), ("Div", "deviation", deviation)],
        true => [("Mul", "deviation", deviation), ("Add", "mean", mean)],
    };
    steps_by_feature(builder, layer, &value, steps)
}

/// Keras' `epsilon()`.
const SMALLEST_DEVIATION: f32 = 1e-7;

/// Applies operators with a number each, or a number a feature.
fn steps_by_feature(
    builder: &mut Builder<'_>,
    layer: &Layer,
    value: &Value,
    steps: [(&str, &str, Vec<f32>); 2],
) -> Result<Value, String> {
    let mut tensor = value.tensor.clone();
    let last = steps.len() - 1;
    for (at, (op, part, values)) in steps.into_iter().enumerate() {
        let values = constant::aligned(&[values.len()], values, value.form)?;
        let values = builder.constant(&format!("{}_{part}", layer.name), values);
        let to = match at == last {
            true => layer.name.clone(),
            false => format!("{}_step", layer.name),
        };
        tensor = builder.node(Node::new(op, &[&tensor, &values], &[&to]));
    }
    Ok(Value {
        tensor,
        form: value.form,
    })
}

/// Rescaling: x · scale + offset, one number each or one a channel.
pub(super) fn rescaling(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let numbers = |name: &str, default: f32| match layer.settings.get(name) {
        None | Some(Json::Null) => Ok(vec![default]),
        Some(given) => constant::numbers(given).map(|(_, values)| values),
    };
    let (scale, offset) = (numbers("scale", 1.0)?, numbers("offset", 0.0)?);
    let steps = [("Mul", "scale", scale), ("Add", "shift", offset)];
    steps_by_feature(builder, layer, &value, steps)
}

/// LayerScale of Keras' ConvNeXt: x · gamma, by channel.
pub(super) fn layer_scale(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let gamma = builder
        .weights
        .get(&layer.name, "gamma", &[features(&value)?])?;
    let gamma = constant::aligned(&gamma.shape, gamma.values, value.form)?;
    let gamma = builder.constant(&format!("{}_gamma", layer.name), gamma);
    let node = Node::new("Mul", &[&value.tensor, &gamma], &[&layer.name]);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}
