//! Reading a layer's settings.

use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::{Argument, Layer};
use serde_json::Value as Json;

/// What the one layer before gives.
pub(super) fn input(builder: &Builder<'_>, layer: &Layer) -> Result<Value, String> {
    match layer.inputs.as_slice() {
        [name] => builder.value(name),
        names => Err(format!("expected one input, found {}", names.len())),
    }
}

/// The first argument, which must be what a layer gives.
pub(super) fn first_argument(builder: &Builder<'_>, layer: &Layer) -> Result<Value, String> {
    match layer.arguments.first() {
        Some((_, Argument::Layer(name))) => builder.value(name),
        _ => Err("expected what a layer gives, found a constant".to_owned()),
    }
}

/// An image from the one layer before: its tensor, channels, height and width.
pub(super) fn spatial(
    builder: &Builder<'_>,
    layer: &Layer,
) -> Result<(String, [usize; 3]), String> {
    let value = input(builder, layer)?;
    match value.form {
        Form::Spatial {
            channels,
            height,
            width,
        } => Ok((value.tensor, [channels, height, width])),
        Form::Flat { .. } => Err("expected an image (n, H, W, C), found (n, values)".to_owned()),
        Form::Plane { .. } => Err("expected an image (n, H, W, C), found (n, H, W)".to_owned()),
    }
}

pub(super) fn refuse_channels_first(layer: &Layer) -> Result<(), String> {
    match layer.settings.get("data_format").and_then(Json::as_str) {
        Some("channels_first") => Err("expected channels last, found channels first".to_owned()),
        _ => Ok(()),
    }
}

/// A setting `axis` that stands for the channels, as a number or a list of one; none is taken as the last.
pub(super) fn check_last_axis(axis: Option<&Json>, value: &Value) -> Result<(), String> {
    let last = match value.form {
        Form::Flat { .. } => 1,
        Form::Spatial { .. } => 3,
        Form::Plane { .. } => return Err("expected an image, found (n, H, W)".to_owned()),
    };
    let Some(given) = axis.filter(|axis| !axis.is_null()) else {
        return Ok(());
    };
    let number = match given.as_array().map(Vec::as_slice) {
        Some([one]) => one.as_i64(),
        Some(_) => None,
        None => given.as_i64(),
    };
    match number {
        Some(-1) => Ok(()),
        Some(axis) if axis == last => Ok(()),
        _ => Err(format!("expected the last axis, found axis {given}")),
    }
}

/// A setting of the layer, or a constant that it is called with by keyword.
pub(super) fn setting<'a>(layer: &'a Layer, names: &[&str]) -> Option<&'a Json> {
    let called = layer.arguments.iter().find_map(|(keyword, argument)| {
        let keyword = keyword.as_deref()?;
        match argument {
            Argument::Constant(value) if names.contains(&keyword) => Some(value),
            _ => None,
        }
    });
    let given = called.or_else(|| names.iter().find_map(|&name| layer.settings.get(name)));
    given.filter(|value| !value.is_null())
}

pub(super) fn flag(layer: &Layer, name: &str, default: bool) -> bool {
    layer
        .settings
        .get(name)
        .and_then(Json::as_bool)
        .unwrap_or(default)
}

pub(super) fn number(layer: &Layer, name: &str) -> Option<f64> {
    layer.settings.get(name).and_then(as_number)
}

/// A number as it stands, or as Keras 3 wraps NumPy values: `{"config": {"value": …}}`.
fn as_number(value: &Json) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.get("config")?.get("value")?.as_f64())
}

pub(super) fn count(layer: &Layer, name: &str) -> Result<usize, String> {
    let value = layer.settings.get(name).and_then(Json::as_u64);
    value
        .and_then(|value| usize::try_from(value).ok())
        .filter(|&value| value > 0)
        .ok_or_else(|| format!("expected a positive number `{name}`"))
}

/// Two positive numbers, or one that stands for both.
pub(super) fn pair(layer: &Layer, name: &str, default: [usize; 2]) -> Result<[usize; 2], String> {
    let as_count = |value: &Json| {
        let value = usize::try_from(value.as_u64()?).ok()?;
        (value > 0).then_some(value)
    };
    let parsed = match layer.settings.get(name) {
        None | Some(Json::Null) => Some(default),
        Some(Json::Array(values)) => match values.as_slice() {
            [a, b] => as_count(a).zip(as_count(b)).map(|(a, b)| [a, b]),
            _ => None,
        },
        Some(value) => as_count(value).map(|value| [value, value]),
    };
    parsed.ok_or_else(|| format!("expected one or two positive numbers `{name}`"))
}

/// Padding of one axis, before and after, as TensorFlow computes it.
///
/// valid: none. same: output = ceil(input / stride), the odd pixel after.
fn axis_padding(
    same: bool,
    input: usize,
    window: usize,
    stride: usize,
) -> Option<(usize, usize, usize)> {
    if !same {
        return Some((0, 0, input.checked_sub(window)? / stride + 1));
    }
    let output = input.div_ceil(stride);
    let total = ((output - 1) * stride + window).saturating_sub(input);
    Some((total / 2, total - total / 2, output))
}

/// `pads` for ONNX, and the height and width of the output.
pub(super) fn padding(
    layer: &Layer,
    size: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
) -> Result<(Vec<i64>, [usize; 2]), String> {
    let same = match layer.settings.get("padding").and_then(Json::as_str) {
        Some("same") => true,
        None | Some("valid") => false,
        Some(other) => return Err(format!("expected padding valid or same, found {other:?}")),
    };
    let reach = |axis: usize| {
        let steps = (kernel[axis] - 1).checked_mul(dilation[axis]);
        steps.and_then(|steps| steps.checked_add(1))
    };
    let axis = |axis: usize| axis_padding(same, size[axis], reach(axis)?, strides[axis]);
    let (Some(rows), Some(columns)) = (axis(0), axis(1)) else {
        return Err(format!("a window of {kernel:?} does not fit into {size:?}"));
    };
    let pads = [rows.0, columns.0, rows.1, columns.1].map(|pad| pad as i64);
    Ok((pads.to_vec(), [rows.2, columns.2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_pixel_after() {
        assert_eq!(axis_padding(true, 5, 3, 2), Some((1, 1, 3)));
        assert_eq!(axis_padding(true, 6, 3, 2), Some((0, 1, 3)));
        assert_eq!(axis_padding(true, 5, 2, 1), Some((0, 1, 5)));
        assert_eq!(axis_padding(false, 5, 3, 2), Some((0, 0, 2)));
        assert_eq!(axis_padding(false, 2, 3, 1), None);
    }
}
