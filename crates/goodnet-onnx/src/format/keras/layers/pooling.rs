//! Pooling.

use super::settings::{flag, padding, pair, spatial};
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
    let (from, [channels, ..]) = spatial(builder, layer)?;
    if flag(layer, "keepdims", false) {
        return Ok(Value {
            tensor: builder.node(Node::new(op, &[&from], &[&layer.name])),
            form: Form::Spatial {
                channels,
                height: 1,
                width: 1,
            },
        });
    }
    let pooled = builder.node(Node::new(
        op,
        &[&from],
        &[&format!("{}_pooled", layer.name)],
    ));
    Ok(Value {
        tensor: builder.node(Node::new("Flatten", &[&pooled], &[&layer.name])),
        form: Form::Flat {
            len: channels,
            planes: None,
        },
    })
}
