//! What a layer is called with: Keras 2 writes `["name", 0, 0, {}]`, Keras 3 tensors with a `keras_history`.

use serde_json::{Map, Value};

/// Nesting of a call's arguments that is followed.
const MAX_DEPTH: usize = 8;
/// Keras 2's name of an argument that is a number.
const CONSTANT: &str = "_CONSTANT_VALUE";

/// The output of a layer's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) layer: String,
    /// Which call of the layer; meaningless where it is called once.
    pub(super) call: usize,
    /// Which of the call's outputs.
    pub(super) output: usize,
}

/// One argument: of the layer `T`, or a constant.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Argument<T> {
    /// What another layer gives.
    Layer(T),
    /// Numbers, slices, settings.
    Constant(Value),
}

/// Arguments by keyword; those by position have none.
pub(in super::super) type Arguments<T> = Vec<(Option<String>, Argument<T>)>;

/// The arguments of one of a layer's `inbound_nodes`.
pub(super) fn parse(call: &Value) -> Arguments<Reference> {
    let mut arguments = Vec::new();
    match call {
        Value::Array(items) => keras_2(items, &mut arguments),
        Value::Object(fields) => keras_3(fields, &mut arguments),
        _ => {}
    }
    arguments
}

fn keras_2(items: &[Value], arguments: &mut Arguments<Reference>) {
    let single = items.first().is_some_and(Value::is_string);
    let calls: Vec<&[Value]> = match single {
        true => vec![items],
        false => items
            .iter()
            .filter_map(|item| item.as_array().map(Vec::as_slice))
            .collect(),
    };
    for call in &calls {
        match call {
            [Value::String(name), _, constant, ..] if name == CONSTANT => {
                arguments.push((None, Argument::Constant(constant.clone())));
            }
            call => arguments.extend(history(call).map(|from| (None, Argument::Layer(from)))),
        }
    }
    let keywords = calls.first().and_then(|call| call.get(3)?.as_object());
    for (name, value) in keywords.into_iter().flatten() {
        keyword(name, value, arguments);
    }
}

fn keras_3(fields: &Map<String, Value>, arguments: &mut Arguments<Reference>) {
    let positional = fields.get("args").and_then(Value::as_array);
    for value in positional.into_iter().flatten() {
        let mut found = Vec::new();
        tensors(value, &mut found, 0);
        match found.is_empty() {
            true => arguments.push((None, Argument::Constant(value.clone()))),
            false => arguments.extend(found.into_iter().map(|from| (None, Argument::Layer(from)))),
        }
    }
    let keywords = fields.get("kwargs").and_then(Value::as_object);
    for (name, value) in keywords.into_iter().flatten() {
        keyword(name, value, arguments);
    }
}

/// A keyword's value; masks are for training and for sequences.
fn keyword(name: &str, value: &Value, arguments: &mut Arguments<Reference>) {
    if name == "mask" {
        return;
    }
    let mut found = Vec::new();
    tensors(value, &mut found, 0);
    found.extend(value.as_array().and_then(|items| history(items)));
    let name = || Some(name.to_owned());
    match found.is_empty() {
        true => arguments.push((name(), Argument::Constant(value.clone()))),
        false => arguments.extend(
            found
                .into_iter()
                .map(|from| (name(), Argument::Layer(from))),
        ),
    }
}

/// The tensors of Keras 3 below `value`.
fn tensors(value: &Value, found: &mut Vec<Reference>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| tensors(item, found, depth + 1)),
        Value::Object(fields) => match &fields.get("config").unwrap_or(value)["keras_history"] {
            Value::Array(items) => found.extend(history(items)),
            _ => fields
                .values()
                .for_each(|item| tensors(item, found, depth + 1)),
        },
        _ => {}
    }
}

/// `["name", call, output, …]`.
fn history(items: &[Value]) -> Option<Reference> {
    let [Value::String(layer), call, output, ..] = items else {
        return None;
    };
    let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
    Some(Reference {
        layer: layer.clone(),
        call: index(call)?,
        output: index(output)?,
    })
}

/// `["name", 0, 0]`, or a list of such.
pub(super) fn references(value: &Value) -> Vec<Reference> {
    let Some(items) = value.as_array() else {
        return Vec::new();
    };
    match history(items) {
        Some(one) => vec![one],
        None => items
            .iter()
            .filter_map(|item| history(item.as_array()?))
            .collect(),
    }
}
