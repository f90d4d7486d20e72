//! Layers that only change shapes.

use super::settings::{count, input, spatial};
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
    if matches!(value.form, Form::Flat { .. }) {
        return Ok(value);
    }
    flattened(builder, &layer.name, &value)
}

/// An image's values as (n, values), in (C, H, W) order.
pub(super) fn flattened(
    builder: &mut Builder<'_>,
    to: &str,
    value: &Value,
) -> Result<Value, String> {
    let Form::Spatial {
        channels,
        height,
        width,
    } = value.form
    else {
        return Err("expected an image (n, H, W, C), found another shape".to_owned());
    };
    let len = [channels, height, width]
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
        .ok_or("the image is too large")?;
    Ok(Value {
        tensor: builder.node(Node::new("Flatten", &[&value.tensor], &[to])),
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
        Form::Plane { .. } => return Err("expected an image, found (n, H, W)".to_owned()),
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
    let [top, bottom, left, right] = four_sides(layer, "padding")?;
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

/// Cropping2D: rows and columns cut off, as [`zero_padding`] adds them.
pub(super) fn cropping(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let sides = four_sides(layer, "cropping")?;
    crop(builder, layer, sides)
}

/// CenterCrop, of images that are no smaller than the crop: the odd pixel is cut off at the end.
pub(super) fn center_crop(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (_, [_, height, width]) = spatial(builder, layer)?;
    let [to_height, to_width] = [count(layer, "height")?, count(layer, "width")?];
    let (Some(rows), Some(columns)) = (height.checked_sub(to_height), width.checked_sub(to_width))
    else {
        return Err(format!(
            "expected images of at least {to_height} x {to_width}, found {height} x {width}"
        ));
    };
    let (top, left) = (rows / 2, columns / 2);
    crop(builder, layer, [top, rows - top, left, columns - left])
}

fn crop(
    builder: &mut Builder<'_>,
    layer: &Layer,
    [top, bottom, left, right]: [usize; 4],
) -> Result<Value, String> {
    let (from, [channels, height, width]) = spatial(builder, layer)?;
    let rest = |extent: usize, cut: [usize; 2]| {
        let rest = extent.checked_sub(cut[0])?.checked_sub(cut[1])?;
        (rest > 0).then_some(rest)
    };
    let (Some(rows), Some(columns)) = (rest(height, [top, bottom]), rest(width, [left, right]))
    else {
        return Err(format!("nothing is left of {height} x {width} pixels"));
    };
    let name = &layer.name;
    let mut ints = |part: &str, values: [usize; 2]| {
        let values = Tensor::i64([2], values.map(|value| value as i64).to_vec());
        builder.constant(&format!("{name}_{part}"), values)
    };
    let starts = ints("starts", [top, left]);
    let ends = ints("ends", [top + rows, left + columns]);
    let axes = ints("axes", [2, 3]);
    let node = Node::new("Slice", &[&from, &starts, &ends, &axes], &[name]);
    Ok(Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels,
            height: rows,
            width: columns,
        },
    })
}

fn four_sides(layer: &Layer, setting: &str) -> Result<[usize; 4], String> {
    let side = |value: &Json| {
        let value = value.as_u64().filter(|&value| value <= MAX_SIDE)?;
        usize::try_from(value).ok()
    };
    let both = |value: &Json| match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some([side(a)?, side(b)?]),
        Some(_) => None,
        None => Some([side(value)?; 2]),
    };
    let padding = layer.settings.get(setting);
    let sides = padding.and_then(|padding| match padding.as_array().map(Vec::as_slice) {
        Some([rows, columns]) => Some((both(rows)?, both(columns)?)),
        Some(_) => None,
        None => Some((both(padding)?, both(padding)?)),
    });
    let (rows, columns) =
        sides.ok_or_else(|| format!("expected `{setting}` of one, two or four numbers"))?;
    Ok([rows[0], rows[1], columns[0], columns[1]])
}
