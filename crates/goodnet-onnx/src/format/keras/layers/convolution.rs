//! Convolutions.

use super::activation;
use super::settings::{count, flag, padding, pair, spatial};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::Layer;
use crate::format::keras::weights::Weight;
use crate::{Attribute, Node, Tensor};

/// One convolution node to be.
struct Convolution {
    /// (filters, input channels of a group, kH, kW).
    kernel: Tensor,
    bias: Option<Tensor>,
    groups: usize,
    size: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
}

/// Conv2D: kernel (kH, kW, C / groups, filters).
pub(super) fn conv2d(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, form) = spatial(builder, layer)?;
    let filters = count(layer, "filters")?;
    let groups = layer
        .settings
        .get("groups")
        .map_or(Ok(1), |_| count(layer, "groups"))?;
    let [rows, columns] = pair(layer, "kernel_size", [1, 1])?;
    if !form[0].is_multiple_of(groups) || !filters.is_multiple_of(groups) {
        return Err(format!(
            "{groups} groups do not divide {} channels and {filters} filters",
            form[0]
        ));
    }
    let shape = [rows, columns, form[0] / groups, filters];
    let kernel = builder.weights.get(&layer.name, "kernel", &shape)?;
    let convolution = Convolution {
        kernel: filters_first(&kernel),
        bias: bias(builder, layer, filters)?,
        groups,
        size: [rows, columns],
        strides: pair(layer, "strides", [1, 1])?,
        dilation: pair(layer, "dilation_rate", [1, 1])?,
    };
    convolve(builder, layer, &from, form, convolution, &layer.name)
        .and_then(|value| activation::fused(builder, layer, value))
}

/// DepthwiseConv2D: kernel (kH, kW, C, multiplier); filter c · multiplier + m reads channel c.
pub(super) fn depthwise(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, form) = spatial(builder, layer)?;
    let (kernel, size, filters) = depthwise_kernel(builder, layer, form[0])?;
    let convolution = Convolution {
        kernel,
        bias: bias(builder, layer, filters)?,
        groups: form[0],
        size,
        strides: pair(layer, "strides", [1, 1])?,
        dilation: pair(layer, "dilation_rate", [1, 1])?,
    };
    convolve(builder, layer, &from, form, convolution, &layer.name)
        .and_then(|value| activation::fused(builder, layer, value))
}

/// SeparableConv2D: a depthwise convolution, then a pointwise one with the bias.
pub(super) fn separable(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let (from, form) = spatial(builder, layer)?;
    let (kernel, size, between) = depthwise_kernel(builder, layer, form[0])?;
    let first = Convolution {
        kernel,
        bias: None,
        groups: form[0],
        size,
        strides: pair(layer, "strides", [1, 1])?,
        dilation: pair(layer, "dilation_rate", [1, 1])?,
    };
    let inner = format!("{}_depthwise", layer.name);
    let value = convolve(builder, layer, &from, form, first, &inner)?;
    let Form::Spatial {
        channels,
        height,
        width,
    } = value.form
    else {
        return Err("expected an image".to_owned());
    };
    let filters = count(layer, "filters")?;
    let shape = [1, 1, between, filters];
    let kernel = builder
        .weights
        .get(&layer.name, "pointwise_kernel", &shape)?;
    let second = Convolution {
        kernel: filters_first(&kernel),
        bias: bias(builder, layer, filters)?,
        groups: 1,
        size: [1, 1],
        strides: [1, 1],
        dilation: [1, 1],
    };
    let form = [channels, height, width];
    convolve(builder, layer, &value.tensor, form, second, &layer.name)
        .and_then(|value| activation::fused(builder, layer, value))
}

fn depthwise_kernel(
    builder: &Builder<'_>,
    layer: &Layer,
    channels: usize,
) -> Result<(Tensor, [usize; 2], usize), String> {
    let size @ [rows, columns] = pair(layer, "kernel_size", [1, 1])?;
    let multiplier = layer
        .settings
        .get("depth_multiplier")
        .map_or(Ok(1), |_| count(layer, "depth_multiplier"))?;
    let shape = [rows, columns, channels, multiplier];
    // Keras 3 calls the weight of a depthwise layer `kernel`, Keras 2 `depthwise_kernel`.
    let name = match builder.weights.shape(&layer.name, "depthwise_kernel") {
        Some(_) => "depthwise_kernel",
        None => "kernel",
    };
    let Weight { values, .. } = builder.weights.get(&layer.name, name, &shape)?;
    let filters = channels * multiplier;
    let mut moved = Vec::with_capacity(values.len());
    for filter in 0..filters {
        moved.extend((0..rows * columns).map(|position| values[position * filters + filter]));
    }
    Ok((
        Tensor::f32([filters, 1, rows, columns], moved),
        size,
        filters,
    ))
}

/// (kH, kW, C, filters) to (filters, C, kH, kW).
fn filters_first(kernel: &Weight) -> Tensor {
    let &[rows, columns, channels, filters] = kernel.shape.as_slice() else {
        return Tensor::f32([0], Vec::new());
    };
    let mut values = Vec::with_capacity(kernel.values.len());
    for filter in 0..filters {
        for channel in 0..channels {
            values.extend(
                (0..rows * columns).map(|position| {
                    kernel.values[(position * channels + channel) * filters + filter]
                }),
            );
        }
    }
    Tensor::f32([filters, channels, rows, columns], values)
}

fn bias(builder: &Builder<'_>, layer: &Layer, filters: usize) -> Result<Option<Tensor>, String> {
    if !flag(layer, "use_bias", true) {
        return Ok(None);
    }
    let bias = builder.weights.get(&layer.name, "bias", &[filters])?;
    Ok(Some(Tensor::f32([filters], bias.values)))
}

fn convolve(
    builder: &mut Builder<'_>,
    layer: &Layer,
    from: &str,
    [_, height, width]: [usize; 3],
    convolution: Convolution,
    name: &str,
) -> Result<Value, String> {
    let Convolution {
        size,
        strides,
        dilation,
        ..
    } = convolution;
    // A pointwise step of a separable convolution pads nothing, whatever the layer says: its window is one pixel.
    let (pads, [out_height, out_width]) = padding(layer, [height, width], size, strides, dilation)?;
    let filters = convolution.kernel.shape[0];
    let kernel = builder.constant(&format!("{name}_kernel"), convolution.kernel);
    let mut inputs = vec![from.to_owned(), kernel];
    if let Some(bias) = convolution.bias {
        inputs.push(builder.constant(&format!("{name}_bias"), bias));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let output = activation::before(layer, name);
    let ints = |values: [usize; 2]| Attribute::Ints(values.map(|value| value as i64).to_vec());
    let node = Node::new("Conv", &inputs, &[&output])
        .with("kernel_shape", ints(size))
        .with("strides", ints(strides))
        .with("dilations", ints(dilation))
        .with("pads", Attribute::Ints(pads))
        .with("group", Attribute::Int(convolution.groups as i64));
    Ok(Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels: filters,
            height: out_height,
            width: out_width,
        },
    })
}
