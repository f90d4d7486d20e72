//! The dense layer.

use super::activation;
use super::layout::permute_rows;
use super::settings::{count, flag, input, spatial};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::{Attribute, Node, Tensor};

/// Dense on (n, values): kernel (values, units), its rows permuted where the values lie in (C, H, W) order.
pub(super) fn dense(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = input(builder, layer)?;
    let (len, planes) = match value.form {
        Form::Flat { len, planes } => (len, planes),
        Form::Spatial { .. } => return pixelwise(builder, layer),
        Form::Plane { .. } => return Err("expected (n, values), found (n, H, W)".to_owned()),
    };
    let units = count(layer, "units")?;
    let mut kernel = builder
        .weights
        .get(&layer.name, "kernel", &[len, units])?
        .values;
    if let Some(planes) = planes {
        kernel = permute_rows(&kernel, planes, units);
    }
    let kernel = builder.constant(
        &format!("{}_kernel", layer.name),
        Tensor::f32([len, units], kernel),
    );
    let mut inputs = vec![value.tensor, kernel];
    if flag(layer, "use_bias", true) {
        let bias = builder.weights.get(&layer.name, "bias", &[units])?;
        inputs.push(builder.constant(
            &format!("{}_bias", layer.name),
            Tensor::f32([units], bias.values),
        ));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let output = activation::before(layer, &layer.name);
    let value = Value {
        tensor: builder.node(Node::new("Gemm", &inputs, &[&output])),
        form: Form::Flat {
            len: units,
            planes: None,
        },
    };
    activation::fused(builder, layer, value)
}

/// Dense on (n, H, W, C): on the channels of every pixel, a convolution of 1 x 1.
fn pixelwise(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, [channels, height, width]) = spatial(builder, layer)?;
    let units = count(layer, "units")?;
    let kernel = builder
        .weights
        .get(&layer.name, "kernel", &[channels, units])?
        .values;
    let by_unit = (0..units * channels).map(|at| kernel[at % channels * units + at / channels]);
    let kernel = Tensor::f32([units, channels, 1, 1], by_unit.collect::<Vec<f32>>());
    let mut inputs = vec![
        from,
        builder.constant(&format!("{}_kernel", layer.name), kernel),
    ];
    if flag(layer, "use_bias", true) {
        let bias = builder.weights.get(&layer.name, "bias", &[units])?.values;
        let bias = Tensor::f32([units], bias);
        inputs.push(builder.constant(&format!("{}_bias", layer.name), bias));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let output = activation::before(layer, &layer.name);
    let node =
        Node::new("Conv", &inputs, &[&output]).with("kernel_shape", Attribute::Ints(vec![1, 1]));
    let value = Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels: units,
            height,
            width,
        },
    };
    activation::fused(builder, layer, value)
}
