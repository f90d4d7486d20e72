//! Layers that change height and width by interpolation.

use super::settings::{count, flag, pair, spatial};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node, Tensor};
use serde_json::Value as Json;

/// Pixels of a side that are made.
const MAX_SIDE: usize = 65_536;

/// UpSampling2D: every pixel repeated, or bilinear between the pixels' centres.
pub(super) fn up_sampling(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, [_, height, width]) = spatial(builder, layer)?;
    let [rows, columns] = pair(layer, "size", [2, 2])?;
    let to = height.checked_mul(rows).zip(width.checked_mul(columns));
    let (height, width) = to.ok_or("the image is too large")?;
    let scales = Tensor::f32([4], vec![1.0, 1.0, rows as f32, columns as f32]);
    let scales = builder.constant(&format!("{}_scales", layer.name), scales);
    resize(
        builder,
        layer,
        &[&from, "", &scales],
        [height, width],
        "nearest",
    )
}

/// Resizing, to a fixed size without regard to the aspect.
pub(super) fn resizing(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, form @ [channels, height, width]) = spatial(builder, layer)?;
    for name in ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"] {
        if flag(layer, name, false) {
            return Err(format!("`{name}` is not supported"));
        }
    }
    let to = [count(layer, "height")?, count(layer, "width")?];
    if form[1..] == to {
        return Ok(Value {
            tensor: from,
            form: Form::Spatial {
                channels,
                height,
                width,
            },
        });
    }
    match interpolation(layer, "bilinear") {
        "bilinear" => {
            let sizes = sizes(builder, layer, &from, channels, to);
            resize(builder, layer, &[&from, "", "", &sizes], to, "bilinear")
        }
        other => Err(format!("expected bilinear interpolation, found {other:?}")),
    }
}

fn interpolation<'a>(layer: &'a Layer, default: &'a str) -> &'a str {
    let given = layer.settings.get("interpolation").and_then(Json::as_str);
    given.unwrap_or(default)
}

/// (batch, channels, height, width) as a tensor: the batch is open.
fn sizes(
    builder: &mut Builder<'_>,
    layer: &Layer,
    from: &str,
    channels: usize,
    [height, width]: [usize; 2],
) -> String {
    let name = |part: &str| format!("{}_{part}", layer.name);
    let rest = [channels, height, width].map(|extent| extent as i64);
    let rest = builder.constant(&name("rest"), Tensor::i64([3], rest.to_vec()));
    let zero = builder.constant(&name("zero"), Tensor::i64([1], vec![0]));
    let shape = builder.node(Node::new("Shape", &[from], &[&name("shape")]));
    let along = Attribute::Int(0);
    let batch = Node::new("Gather", &[&shape, &zero], &[&name("batch")]);
    let batch = builder.node(batch.with("axis", along.clone()));
    let sizes = Node::new("Concat", &[&batch, &rest], &[&name("sizes")]);
    builder.node(sizes.with("axis", along))
}

fn resize(
    builder: &mut Builder<'_>,
    layer: &Layer,
    inputs: &[&str],
    [height, width]: [usize; 2],
    default: &str,
) -> Result<Value, String> {
    let (_, [channels, ..]) = spatial(builder, layer)?;
    if height > MAX_SIDE || width > MAX_SIDE {
        return Err(format!(
            "expected at most {MAX_SIDE} pixels a side, found {height} x {width}"
        ));
    }
    let (mode, coordinates) = match interpolation(layer, default) {
        "nearest" => ("nearest", "asymmetric"),
        "bilinear" => ("linear", "half_pixel"),
        other => {
            return Err(format!(
                "expected nearest or bilinear interpolation, found {other:?}"
            ));
        }
    };
    let text = |text: &str| Attribute::String(text.as_bytes().to_vec());
    let node = Node::new("Resize", inputs, &[&layer.name])
        .with("mode", text(mode))
        .with("coordinate_transformation_mode", text(coordinates))
        .with("nearest_mode", text("floor"));
    Ok(Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels,
            height,
            width,
        },
    })
}
