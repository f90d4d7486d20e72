//! Layers that join several tensors.

use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node};
use serde_json::Value as Json;

pub(super) fn inputs(builder: &Builder<'_>, layer: &Layer) -> Result<Vec<Value>, String> {
    if layer.inputs.len() < 2 {
        return Err(format!(
            "expected at least two inputs, found {}",
            layer.inputs.len()
        ));
    }
    layer
        .inputs
        .iter()
        .map(|name| builder.value(name))
        .collect()
}

/// Flat values of different orders are brought into Keras' own.
fn aligned(builder: &mut Builder<'_>, layer: &Layer, values: Vec<Value>) -> Vec<Value> {
    if values.windows(2).all(|pair| pair[0].form == pair[1].form) {
        return values;
    }
    let align = |(number, value): (usize, Value)| match value.form {
        Form::Flat { len, .. } => Value {
            tensor: builder.in_keras_order(&value, &format!("{}_{number}", layer.name)),
            form: Form::Flat { len, planes: None },
        },
        Form::Spatial { .. } | Form::Plane { .. } => value,
    };
    values.into_iter().enumerate().map(align).collect()
}

/// Add and its kin, of tensors of one shape, or of images of which one axis or several have an extent of 1.
pub(super) fn elementwise(
    builder: &mut Builder<'_>,
    layer: &Layer,
    op: &str,
) -> Result<Value, String> {
    let values = inputs(builder, layer)?;
    let values = aligned(builder, layer, values);
    let forms = values.iter().skip(1).map(|value| value.form);
    let form = forms
        .into_iter()
        .try_fold(values[0].form, spread)
        .ok_or("expected tensors of one shape, found several")?;
    if op == "Sub" && values.len() != 2 {
        return Err(format!("expected two inputs, found {}", values.len()));
    }
    let variadic = matches!(op, "Max" | "Min" | "Mean");
    let mut last = values[0].tensor.clone();
    if variadic {
        let names: Vec<&str> = values.iter().map(|value| value.tensor.as_str()).collect();
        last = builder.node(Node::new(op, &names, &[&layer.name]));
    }
    let count = values.len();
    for (number, value) in values.iter().enumerate().skip(1).take_while(|_| !variadic) {
        let to = match number + 1 == count {
            true => layer.name.clone(),
            false => format!("{}_{number}", layer.name),
        };
        last = builder.node(Node::new(op, &[&last, &value.tensor], &[&to]));
    }
    Ok(Value { tensor: last, form })
}

/// The form of two tensors after broadcasting.
pub(super) fn spread(one: Form, other: Form) -> Option<Form> {
    let (
        Form::Spatial {
            channels,
            height,
            width,
        },
        Form::Spatial {
            channels: more_channels,
            height: more_height,
            width: more_width,
        },
    ) = (one, other)
    else {
        return (one == other).then_some(one);
    };
    let extent = |a: usize, b: usize| (a == b || a == 1 || b == 1).then_some(a.max(b));
    Some(Form::Spatial {
        channels: extent(channels, more_channels)?,
        height: extent(height, more_height)?,
        width: extent(width, more_width)?,
    })
}

/// Concatenate along the channels (the last axis in Keras), or along height or width.
pub(super) fn concatenate(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let axis = layer.settings.get("axis").and_then(Json::as_i64);
    concatenate_along(builder, layer, axis.unwrap_or(-1))
}

/// Joins what the layer reads along Keras' axis `keras_axis`.
pub(super) fn concatenate_along(
    builder: &mut Builder<'_>,
    layer: &Layer,
    keras_axis: i64,
) -> Result<Value, String> {
    let values = inputs(builder, layer)?;
    let flat = values
        .iter()
        .all(|value| matches!(value.form, Form::Flat { .. }));
    let (axis, form, names) = if flat {
        if !matches!(keras_axis, -1 | 1) {
            return Err(format!("expected axis 1, found {keras_axis}"));
        }
        let mut len = 0;
        let mut names = Vec::new();
        for (number, value) in values.iter().enumerate() {
            if let Form::Flat { len: more, .. } = value.form {
                len += more;
            }
            names.push(builder.in_keras_order(value, &format!("{}_{number}", layer.name)));
        }
        (1, Form::Flat { len, planes: None }, names)
    } else {
        let axis = match keras_axis {
            -1 | 3 => 1,
            1 | -3 => 2,
            2 | -2 => 3,
            other => return Err(format!("expected axis 1 to 3, found {other}")),
        };
        let form = joined(&values, axis)?;
        let names = values.iter().map(|value| value.tensor.clone()).collect();
        (axis, form, names)
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = Node::new("Concat", &names, &[&layer.name]).with("axis", Attribute::Int(axis));
    Ok(Value {
        tensor: builder.node(node),
        form,
    })
}

/// The form of images joined along axis 1 (C), 2 (H) or 3 (W).
fn joined(values: &[Value], axis: i64) -> Result<Form, String> {
    let mut extents: Option<[usize; 3]> = None;
    let at = usize::try_from(axis - 1).unwrap_or(0);
    for value in values {
        let Form::Spatial {
            channels,
            height,
            width,
        } = value.form
        else {
            return Err("expected images, found (n, values) among them".to_owned());
        };
        let next = [channels, height, width];
        extents = Some(match extents {
            None => next,
            Some(mut sum) => {
                if (0..3).any(|axis| axis != at && sum[axis] != next[axis]) {
                    return Err(format!(
                        "expected images that differ in one axis only, found {sum:?} and {next:?}"
                    ));
                }
                sum[at] += next[at];
                sum
            }
        });
    }
    let [channels, height, width] = extents.ok_or("expected inputs, found none")?;
    Ok(Form::Spatial {
        channels,
        height,
        width,
    })
}
