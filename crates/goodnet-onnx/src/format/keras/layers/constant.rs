//! Numbers in a configuration, brought into the graph's order.

use super::layout::permute_rows;
use crate::Tensor;
use crate::format::keras::build::Form;
use serde_json::Value as Json;

/// Axes of a constant.
const MAX_RANK: usize = 4;

/// Shape and values of a number, of nested lists of equal length, or of what Keras 3 wraps: `{"config": {"value": …}}`.
pub(super) fn numbers(value: &Json) -> Result<(Vec<usize>, Vec<f32>), String> {
    if let Some(inner) = value.get("config").and_then(|config| config.get("value")) {
        return numbers(inner);
    }
    let mut shape = Vec::new();
    let mut first = value;
    while let Json::Array(items) = first {
        shape.push(items.len());
        first = match items.first() {
            Some(item) if shape.len() <= MAX_RANK => item,
            _ => return Err(format!("expected numbers of at most {MAX_RANK} axes")),
        };
    }
    let mut values = Vec::new();
    collect(value, &shape, &mut values)
        .ok_or_else(|| "expected finite numbers in lists of equal length".to_owned())?;
    Ok((shape, values))
}

fn collect(value: &Json, shape: &[usize], values: &mut Vec<f32>) -> Option<()> {
    let Some((&extent, rest)) = shape.split_first() else {
        let number = value.as_f64()? as f32;
        values.push(number.is_finite().then_some(number)?);
        return Some(());
    };
    let items = value.as_array().filter(|items| items.len() == extent)?;
    items
        .iter()
        .try_for_each(|item| collect(item, rest, values))
}

/// A constant of Keras' `shape` for broadcasting over a tensor of `form`: (C, H, W) beside an image, (values) beside (n, values).
pub(super) fn aligned(shape: &[usize], values: Vec<f32>, form: Form) -> Result<Tensor, String> {
    let fail = || format!("a constant of shape {shape:?} does not fit");
    if values.len() == 1 {
        return Ok(Tensor::f32([1], values));
    }
    let extents = match form {
        Form::Spatial {
            channels,
            height,
            width,
        } => vec![1, height, width, channels],
        Form::Flat { len, .. } => vec![1, len],
        Form::Plane { .. } => return Err(fail()),
    };
    let missing = extents.len().checked_sub(shape.len()).ok_or_else(fail)?;
    let mut full = vec![1; missing];
    full.extend(shape);
    let fits = full
        .iter()
        .zip(&extents)
        .all(|(&own, &whole)| own == 1 || own == whole);
    if !fits {
        return Err(fail());
    }
    match (form, full.as_slice()) {
        (_, &[_, height, width, channels]) => Ok(Tensor::f32(
            [channels, height, width],
            permute_rows(&values, [channels, height, width], 1),
        )),
        (
            Form::Flat {
                planes: Some(planes),
                ..
            },
            _,
        ) => Ok(Tensor::f32(
            [values.len()],
            permute_rows(&values, planes, 1),
        )),
        _ => Ok(Tensor::f32([values.len()], values)),
    }
}
