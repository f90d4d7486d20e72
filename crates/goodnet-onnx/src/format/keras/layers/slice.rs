//! Channels taken out of an image and put together again: the order of colours reversed.

use super::merge;
use super::settings::{first_argument, setting};
use crate::format::keras::build::{Builder, Form, Value};
use crate::format::keras::config::{Argument, Layer};
use crate::{Attribute, Node, Tensor};
use serde_json::Value as Json;

/// `x[..., ::-1]`, the channels reversed, or `x[..., k]`, one of them.
pub(super) fn get_item(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    let value = first_argument(builder, layer)?;
    let Form::Spatial {
        channels,
        height,
        width,
    } = value.form
    else {
        return Err("expected an image".to_owned());
    };
    let (picked, form) = match last_of(index(layer)?)? {
        Pick::Reversed => ((0..channels).rev().collect(), value.form),
        Pick::One(at) => {
            let at = if at < 0 { at + channels as i64 } else { at };
            let at = usize::try_from(at).ok().filter(|&at| at < channels);
            let at = at.ok_or_else(|| format!("expected one of {channels} channels"))?;
            (vec![at], Form::Plane { height, width })
        }
    };
    let picked: Vec<i64> = picked.into_iter().map(|at| at as i64).collect();
    let picked = Tensor::i64([picked.len()], picked);
    let picked = builder.constant(&format!("{}_channels", layer.name), picked);
    let node = Node::new("Gather", &[&value.tensor, &picked], &[&layer.name])
        .with("axis", Attribute::Int(1));
    Ok(Value {
        tensor: builder.node(node),
        form,
    })
}

enum Pick {
    Reversed,
    One(i64),
}

/// What is in the brackets.
fn index(layer: &Layer) -> Result<&[Json], String> {
    let positional = layer
        .arguments
        .iter()
        .skip(1)
        .find_map(|(_, argument)| match argument {
            Argument::Constant(value) => Some(value),
            Argument::Layer(_) => None,
        });
    let given = setting(layer, &["slice_spec", "key"]).or(positional);
    let given = given.and_then(Json::as_array).map(Vec::as_slice);
    given.ok_or_else(|| "expected a list of slices".to_owned())
}

/// What is done to the last axis; all before it must be kept whole.
fn last_of(index: &[Json]) -> Result<Pick, String> {
    let refused = || "expected x[..., ::-1] or x[..., k], found another slice".to_owned();
    let Some((last, before)) = index.split_last() else {
        return Err(refused());
    };
    let is_ellipsis = |value: &Json| value["class_name"] == "__ellipsis__";
    let reaches_last = match before {
        [one] => is_ellipsis(one),
        [_, _, _] => before.iter().all(|value| steps(value) == Some([None; 3])),
        _ => false,
    };
    if !reaches_last {
        return Err(refused());
    }
    if let Some(at) = last.as_i64() {
        return Ok(Pick::One(at));
    }
    match steps(last) {
        Some([None, None, Some(-1)]) => Ok(Pick::Reversed),
        _ => Err(refused()),
    }
}

/// Start, stop and step of a slice.
fn steps(value: &Json) -> Option<[Option<i64>; 3]> {
    let fields = value.get("config").unwrap_or(value).as_object()?;
    let mut found = [None; 3];
    for (at, name) in ["start", "stop", "step"].into_iter().enumerate() {
        found[at] = match fields.get(name)? {
            Json::Null => None,
            number => Some(number.as_i64()?),
        };
    }
    Some(found)
}

/// Channels stacked along a new last axis.
pub(super) fn stack(builder: &mut Builder<'_>, layer: &Layer) -> Result<Value, String> {
    if !matches!(
        setting(layer, &["axis"]).and_then(Json::as_i64),
        Some(-1 | 3)
    ) {
        return Err("expected a stack along a new last axis".to_owned());
    }
    let values = merge::inputs(builder, layer)?;
    let [
        Value {
            form: Form::Plane { height, width },
            ..
        },
        ..,
    ] = values.as_slice()
    else {
        return Err("expected channels of an image".to_owned());
    };
    let (height, width) = (*height, *width);
    if values
        .iter()
        .any(|value| value.form != Form::Plane { height, width })
    {
        return Err("expected channels of one size".to_owned());
    }
    let names: Vec<&str> = values.iter().map(|value| value.tensor.as_str()).collect();
    let node = Node::new("Concat", &names, &[&layer.name]).with("axis", Attribute::Int(1));
    Ok(Value {
        tensor: builder.node(node),
        form: Form::Spatial {
            channels: values.len(),
            height,
            width,
        },
    })
}
