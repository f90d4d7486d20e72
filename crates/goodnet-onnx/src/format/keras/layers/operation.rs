//! Operations on tensors: `TFOpLambda` and `SlicingOpLambda` of Keras 2, `keras.ops` of Keras 3.

use super::settings::{check_last_axis, first_argument, setting};
use super::{activation, constant, merge, pooling, shape, slice};
use crate::Node;
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::{Argument, Layer};
use serde_json::Value as Json;

/// Is the layer an operation?
pub(super) fn is_operation(layer: &Layer) -> bool {
    layer.is_operation || matches!(layer.class.as_str(), "TFOpLambda" | "SlicingOpLambda")
}

/// Adds an operation and gives its output.
pub(super) fn add(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    match name(layer).as_str() {
        "add" | "biasadd" | "addv2" => binary(builder, layer, "Add"),
        "subtract" | "sub" => binary(builder, layer, "Sub"),
        "multiply" | "mul" => binary(builder, layer, "Mul"),
        "truediv" | "truedivide" | "divide" => binary(builder, layer, "Div"),
        "maximum" => binary(builder, layer, "Max"),
        "minimum" => binary(builder, layer, "Min"),
        "pow" | "power" => binary(builder, layer, "Pow"),
        "negative" => unary(builder, layer, "Neg"),
        "abs" | "absolute" => unary(builder, layer, "Abs"),
        "sqrt" => unary(builder, layer, "Sqrt"),
        "square" => square(builder, layer),
        "cast" => cast(builder, layer),
        "identity" | "stopgradient" => first_argument(builder, layer),
        "clipbyvalue" | "clip" => clip(builder, layer),
        "gelu" => gelu(builder, layer),
        "leakyrelu" => with_alpha(builder, layer, "LeakyRelu", 0.2),
        "elu" => with_alpha(builder, layer, "Elu", 1.0),
        "softmax" => {
            let value = first_argument(builder, layer)?;
            check_last_axis(setting(layer, &["axis"]), &value)?;
            activation::softmax(builder, &layer.name, &value)
        }
        "concat" | "concatenate" => {
            let axis = setting(layer, &["axis"]).and_then(Json::as_i64);
            merge::concatenate_along(builder, layer, axis.unwrap_or(-1))
        }
        "mean" | "reducemean" => reduce(builder, layer, "GlobalAveragePool"),
        "max" | "amax" | "reducemax" => reduce(builder, layer, "GlobalMaxPool"),
        "squeeze" => squeeze(builder, layer),
        "getitem" => slice::get_item(builder, layer),
        "stack" => slice::stack(builder, layer),
        "relu" | "relu6" | "sigmoid" | "tanh" | "silu" | "swish" | "softplus" | "softsign"
        | "exp" | "selu" | "mish" => {
            let value = first_argument(builder, layer)?;
            activation::apply(builder, layer, &name(layer), &value)
        }
        "hardsigmoid" => {
            let value = first_argument(builder, layer)?;
            activation::apply(builder, layer, "hard_sigmoid", &value)
        }
        "hardsilu" | "hardswish" => {
            let value = first_argument(builder, layer)?;
            activation::apply(builder, layer, "hard_silu", &value)
        }
        _ => Err(format!(
            "operation {} is not one that goodnet knows",
            function_name(layer)
        )),
    }
}

/// What the operation is called: the function of Keras 2, `math.truediv`, or the class of Keras 3, `TrueDivide`.
fn function_name(layer: &Layer) -> &str {
    let function = layer.settings.get("function").and_then(Json::as_str);
    function.unwrap_or(&layer.class)
}

fn name(layer: &Layer) -> String {
    let last = function_name(layer).rsplit('.').next().unwrap_or_default();
    last.replace('_', "").to_ascii_lowercase()
}

fn number(layer: &Layer, names: &[&str]) -> Result<Option<f32>, String> {
    let Some(given) = setting(layer, names) else {
        return Ok(None);
    };
    match constant::numbers(given)?.1.as_slice() {
        &[number] => Ok(Some(number)),
        _ => Err(format!("expected one number `{}`", names[0])),
    }
}

fn unary(builder: &mut Builder<'_>, layer: &Layer, op: &str) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let node = Node::new(op, &[&value.tensor], &[&layer.name]);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}

fn square(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let node = Node::new("Mul", &[&value.tensor, &value.tensor], &[&layer.name]);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}

/// Everything is f32 already.
fn cast(builder: &Builder<'_>, layer: &Layer) -> Result<Value, String> {
    match setting(layer, &["dtype"]).and_then(Json::as_str) {
        Some("float32") => first_argument(builder, layer),
        other => Err(format!("expected a cast to float32, found {other:?}")),
    }
}

fn clip(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let low = number(layer, &["clip_value_min", "x_min"])?;
    let high = number(layer, &["clip_value_max", "x_max"])?;
    let (Some(low), Some(high)) = (low, high) else {
        return Err("expected two numbers as bounds".to_owned());
    };
    Ok(Value {
        tensor: activation::clip(builder, &value.tensor, &layer.name, low, high),
        ..value
    })
}

fn gelu(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let by_tanh = match setting(layer, &["approximate"]).map(Json::as_bool) {
        Some(Some(by_tanh)) => by_tanh,
        // The defaults of tf.nn.gelu and keras.ops.gelu.
        None => !layer.is_keras_2,
        Some(None) => return Err("expected `approximate` as true or false".to_owned()),
    };
    let name = if by_tanh { "gelu_tanh" } else { "gelu" };
    activation::apply(builder, layer, name, &value)
}

fn with_alpha(
    builder: &mut Builder<'_>,
    layer: &Layer,
    op: &str,
    default: f32,
) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let alpha = number(layer, &["alpha", "negative_slope"])?.unwrap_or(default);
    let node = activation::with_alpha(op, &value.tensor, &layer.name, alpha);
    Ok(Value {
        tensor: builder.node(node),
        ..value
    })
}

/// An operator of two tensors, one of which may be a constant.
fn binary(builder: &mut Builder<'_>, layer: &Layer, op: &str) -> Result<Value, String> {
    const OPERANDS: [&str; 7] = ["x", "y", "x1", "x2", "value", "bias", "name"];
    let operands: Vec<&Argument<String>> = layer
        .arguments
        .iter()
        .filter(|(keyword, argument)| match keyword.as_deref() {
            None => true,
            Some("name" | "data_format") => false,
            Some(keyword) => OPERANDS.contains(&keyword) || matches!(argument, Argument::Layer(_)),
        })
        .map(|(_, argument)| argument)
        .collect();
    let (form, names) = match operands.as_slice() {
        [Argument::Layer(_), Argument::Layer(_)] => {
            return match op {
                "Div" | "Pow" => Err("expected a constant as the second operand".to_owned()),
                _ => merge::elementwise(builder, layer, op),
            };
        }
        [Argument::Layer(name), Argument::Constant(other)] => {
            let value = builder.value(name)?;
            let other = constant_of(builder, layer, other, value.form)?;
            (value.form, [value.tensor, other])
        }
        [Argument::Constant(other), Argument::Layer(name)] => {
            let value = builder.value(name)?;
            let other = constant_of(builder, layer, other, value.form)?;
            (value.form, [other, value.tensor])
        }
        _ => return Err(format!("expected two operands, found {}", operands.len())),
    };
    let node = Node::new(op, &[&names[0], &names[1]], &[&layer.name]);
    Ok(Value {
        tensor: builder.node(node),
        form,
    })
}

fn constant_of(
    builder: &mut Builder<'_>,
    layer: &Layer,
    given: &Json,
    form: Form,
) -> Result<String, String> {
    let (shape, values) = constant::numbers(given)?;
    let values = constant::aligned(&shape, values, form)?;
    Ok(builder.constant(&format!("{}_constant", layer.name), values))
}

/// A mean or the largest value over height and width.
fn reduce(builder: &mut Builder<'_>, layer: &Layer, op: &str) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let axes = setting(layer, &["axis"]);
    if !are_height_and_width(axes) {
        return Err(format!(
            "expected the axes of height and width, found {}",
            axes.unwrap_or(&Json::Null)
        ));
    }
    let keeps = setting(layer, &["keepdims", "keep_dims"]).and_then(Json::as_bool);
    pooling::over_all(builder, layer, &value, op, keeps.unwrap_or(false))
}

fn are_height_and_width(axes: Option<&Json>) -> bool {
    let axes: Option<Vec<i64>> = axes
        .and_then(Json::as_array)
        .and_then(|axes| axes.iter().map(Json::as_i64).collect());
    let mut axes = axes.unwrap_or_default();
    for axis in &mut axes {
        *axis = if *axis < 0 { *axis + 4 } else { *axis };
    }
    axes.sort_unstable();
    axes == [1, 2]
}

/// An image of one pixel as (n, values).
fn squeeze(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let is_pixel = matches!(
        value.form,
        Form::Spatial {
            height: 1,
            width: 1,
            ..
        }
    );
    if !is_pixel || !are_height_and_width(setting(layer, &["axis"])) {
        return Err("expected an image of one pixel, squeezed over height and width".to_owned());
    }
    shape::flattened(builder, &layer.name, &value)
}
