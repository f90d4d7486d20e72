//! Pooling.

use super::settings::{flag, input, padding, pair, spatial};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node};

/// Max or average pooling over windows; an average leaves padding out, as in TensorFlow.
pub(super) fn window(builder: &mut Builder<'_>, layer: &Layer, op: &str) -> Result<Value, String> {
    let (from, [channels, height, width]) = spatial(builder, layer)?;
    let size = pair(layer, "pool_size", [2, 2])?;
    let strides = pair(layer, "strides", size)?;
    let (pads, [out_height, out_width]) = padding(layer, [height, width], size, strides, [1, 1])?;
    let ints = |values: [usize; 2]| Attribute::Ints(values.map(|value| value as i64).to_vec());
    let node = Node::new(op, &[&from], &[&layer.name])
        .with("kernel_shape", ints(size))
        .with("strides", ints(strides))
        .with("pads", Attribute::Ints(pads));
    Ok(Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels,
            height: out_height,
            width: out_width,
        },
    })
}

/// Max or average over all positions.
pub(super) fn global(builder: &mut Builder<'_>, layer: &Layer, op: &str) -> Result<Value, String> {
    let value = input(builder, layer)?;
    over_all(builder, layer, &value, op, flag(layer, "keepdims", false))
}

/// Max or average over all positions of `value`, as an image of one pixel where axes are kept.
pub(super) fn over_all(
    builder: &mut Builder<'_>,
    layer: &Layer,
    value: &Value,
    op: &str,
    keeps_axes: bool,
) -> Result<Value, String> {
    let Form::Spatial { channels, .. } = value.form else {
        return Err("expected an image (n, H, W, C), found another shape".to_owned());
    };
    let to = match keeps_axes {
        true => layer.name.clone(),
        false => format!("{}_pooled", layer.name),
    };
    let pooled = builder.node(Node::new(op, &[&value.tensor], &[&to]));
    if keeps_axes {
        return Ok(Value {
            tensor: pooled,
            form: Form::Spatial {
                channels,
                height: 1,
                width: 1,
            },
        });
    }
    Ok(Value {
        tensor: builder.node(Node::new("Flatten", &[&pooled], &[&layer.name])),
        form: Form::Flat {
            len: channels,
            planes: None,
        },
    })
}
