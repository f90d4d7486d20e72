//! Normalisation and rescaling.

use super::dense::permute_rows;
use super::settings::{flag, input, number};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node, Tensor};
use serde_json::Value as Json;

/// BatchNormalization over the channels, with the moving averages: gamma · (x - mean) / sqrt(var + epsilon) + beta.
pub(super) fn batch(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let (features, last) = match value.form {
        Form::Spatial { channels, .. } => (channels, 3),
        Form::Flat { len, .. } => (len, 1),
    };
    let axis = layer.settings.get("axis");
    let axis = axis.and_then(|axis| axis.as_i64().or_else(|| axis.get(0)?.as_i64()));
    if !matches!(axis, None | Some(-1)) && axis != Some(last) {
        return Err(format!("expected the last axis, found {axis:?}"));
    }
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
        Form::Spatial { .. } => normalise(
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

/// Rescaling: x · scale + offset, one number each.
pub(super) fn rescaling(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let single = |name: &str, default: f64| match layer.settings.get(name) {
        None | Some(Json::Null) => Ok(default),
        Some(_) => number(layer, name).ok_or_else(|| format!("expected one number `{name}`")),
    };
    let (scale, offset) = (single("scale", 1.0)? as f32, single("offset", 0.0)? as f32);
    let tensor = scale_and_shift(builder, layer, &value.tensor, vec![scale], vec![offset]);
    Ok(Value { tensor, ..value })
}
