//! Layers that only change shapes.

use super::settings::{input, spatial};
use crate::format::keras::build::{Builder, Form, Value, transpose};
use crate::format::keras::config::{Layer, input_shape};
use crate::{Node, Tensor};
use serde_json::Value as Json;

/// Longest side of an input that is taken.
const MAX_SIDE: u64 = 65_536;

/// InputLayer of images (n, H, W, C).
fn input_extents(layer: &Layer) -> Result<[usize; 3], String> {
    let shape = input_shape(&layer.settings).and_then(Json::as_array);
    let extents: Option<Vec<usize>> = shape.and_then(|shape| {
        shape
            .get(1..)?
            .iter()
            .map(|extent| {
                usize::try_from(extent.as_u64().filter(|&e| e > 0 && e <= MAX_SIDE)?).ok()
            })
            .collect()
    });
    match extents.as_deref() {
        Some(&[height, width, channels]) => Ok([height, width, channels]),
        _ => Err(format!(
            "expected images of known size (n, H, W, C), found {}",
            shape.map_or_else(
                || "no shape".to_owned(),
                |shape| Json::from(shape.clone()).to_string()
            )
        )),
    }
}

pub(super) fn input_layer(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let [height, width, channels] = input_extents(layer)?;
    builder.input(&layer.name, height, width, channels)
}

/// Flatten: the values stay in (C, H, W) order and are marked so.
pub(super) fn flatten(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let Form::Spatial {
        channels,
        height,
        width,
    } = value.form
    else {
        return Ok(value);
    };
    let len = [channels, height, width]
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .ok_or("the image is too large")?;
    Ok(Value {
        tensor: builder.node(Node::new("Flatten", &[&value.tensor], &[&layer.name])),
        form: Form::Flat {
            len,
            planes: (height * width > 1).then_some([channels, height, width]),
        },
    })
}

/// Reshape to (n, values) or to images (n, H, W, C), in Keras' order of the values.
pub(super) fn reshape(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let count = match value.form {
        Form::Spatial {
            channels,
            height,
            width,
        } => channels * height * width,
        Form::Flat { len, .. } => len,
    };
    let target = target_shape(layer, count)?;
    let from = builder.in_keras_order(&value, &layer.name);
    match target.as_slice() {
        &[len] => Ok(Value {
            tensor: builder.reshape(&from, &layer.name, &[len]),
            form: Form::Flat { len, planes: None },
        }),
        &[height, width, channels] => {
            let images = builder.reshape(&from, &format!("{}_images", layer.name), &target);
            Ok(Value {
                tensor: builder.node(transpose(&images, &layer.name, [0, 3, 1, 2])),
                form: Form::Spatial {
                    channels,
                    height,
                    width,
                },
            })
        }
        other => Err(format!("expected (values) or (H, W, C), found {other:?}")),
    }
}

fn target_shape(layer: &Layer, count: usize) -> Result<Vec<usize>, String> {
    let wish = layer.settings.get("target_shape").and_then(Json::as_array);
    let wish: Option<Vec<i64>> = wish.and_then(|wish| wish.iter().map(Json::as_i64).collect());
    let wish = wish.ok_or("expected a list `target_shape`")?;
    let known = wish
        .iter()
        .filter(|&&extent| extent != -1)
        .try_fold(1usize, |product, &extent| {
            product.checked_mul(usize::try_from(extent).ok()?)
        })
        .filter(|&known| known > 0);
    let open = wish.iter().filter(|&&extent| extent == -1).count();
    let fits = known.is_some_and(|known| match open {
        0 => known == count,
        1 => count.is_multiple_of(known),
        _ => false,
    });
    let Some(known) = known.filter(|_| fits) else {
        return Err(format!("{count} values do not fit into {wish:?}"));
    };
    Ok(wish
        .iter()
        .map(|&extent| usize::try_from(extent).unwrap_or(count / known))
        .collect())
}

/// ZeroPadding2D: one number, one a side pair, or all four.
pub(super) fn zero_padding(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, [channels, height, width]) = spatial(builder, layer)?;
    let [top, bottom, left, right] = four_sides(layer)?;
    let pads = [0, 0, top, left, 0, 0, bottom, right].map(|pad| pad as i64);
    let pads = builder.constant(
        &format!("{}_pads", layer.name),
        Tensor::i64([8], pads.to_vec()),
    );
    Ok(Value {
        tensor: builder.node(Node::new("Pad", &[&from, &pads], &[&layer.name])),
        form: Form::Spatial {
            channels,
            height: height + top + bottom,
            width: width + left + right,
        },
    })
}

fn four_sides(layer: &Layer) -> Result<[usize; 4], String> {
    let side = |value: &Json| {
        let value = value.as_u64().filter(|&value| value <= MAX_SIDE)?;
        usize::try_from(value).ok()
    };
    let both = |value: &Json| match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some([side(a)?, side(b)?]),
        Some(_) => None,
        None => Some([side(value)?; 2]),
    };
    let padding = layer.settings.get("padding");
    let sides = padding.and_then(|padding| match padding.as_array().map(Vec::as_slice) {
        Some([rows, columns]) => Some((both(rows)?, both(columns)?)),
        Some(_) => None,
        None => Some((both(padding)?, both(padding)?)),
    });
    let (rows, columns) = sides.ok_or("expected `padding` of one, two or four numbers")?;
    Ok([rows[0], rows[1], columns[0], columns[1]])
}
