//! Values of the small integer tensors that carry extents to a `Reshape`.

use super::super::model::{Attribute, Dim, Tensor, TensorData};
use super::dims::{Extents, axis};
use super::{Context, MAX_RANK};

/// Longer integer constants carry no shape.
const MAX_VALUES: usize = 8;
/// ONNX's numbers of `int32`, `int64` and `bool`.
const INTEGERS: [i64; 3] = [6, 7, 9];

/// Extents in a constant; -1 ("the rest", for a Reshape) becomes the largest number.
pub(super) fn of_constant(tensor: &Tensor) -> Option<Vec<Dim>> {
    if tensor.data.len()? > MAX_VALUES {
        return None;
    }
    let values: Vec<i64> = match &tensor.data {
        TensorData::I64(values) => values.clone(),
        // tf2onnx computes shapes in 32 bits and casts.
        TensorData::I32(values) => values.iter().map(|&value| i64::from(value)).collect(),
        _ => return None,
    };
    let extent = |value: i64| match value {
        -1 => Some(Dim::Fixed(usize::MAX)),
        value => usize::try_from(value).ok().map(Dim::Fixed),
    };
    values.into_iter().map(extent).collect()
}

/// Values of a node's first output.
pub(super) fn output(node: &Context<'_>) -> Option<Vec<Dim>> {
    let value =
        |index: usize| -> Option<&[Dim]> { node.shapes.values(node.node.inputs.get(index)?) };
    match node.node.op_type.as_str() {
        "Shape" => shape(node),
        "Gather" => gather(node, value(0)?),
        "Slice" => slice(node, value(0)?),
        "Concat" => concat((0..node.node.inputs.len()).map(value)),
        // As floats they would not be rounded by a division.
        "Cast" if !INTEGERS.contains(&node.node.int("to", 0)) => None,
        "Identity" | "Cast" | "Unsqueeze" | "Squeeze" => value(0).map(<[Dim]>::to_vec),
        "Add" | "Sub" | "Mul" | "Div" | "Equal" => binary(&node.node.op_type, value(0)?, value(1)?),
        "Where" => choice(value(0)?, value(1)?, value(2)?),
        "ConstantOfShape" => repeated(node, value(0)?),
        "Reshape" => value(0).map(<[Dim]>::to_vec),
        _ => None,
    }
}

/// -1 as [`of_constant`] has it.
const REST: Dim = Dim::Fixed(usize::MAX);

/// Element by element, a single value beside every one of the other; `Equal` gives 1 or 0.
fn binary(op: &str, a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let count = broadcast_len(&[a, b])?;
    let at =
        |values: &[Dim], index: usize| values[if values.len() == 1 { 0 } else { index }].clone();
    (0..count)
        .map(|index| calculate(op, &at(a, index), &at(b, index)))
        .collect()
}

fn broadcast_len(parts: &[&[Dim]]) -> Option<usize> {
    let count = parts.iter().map(|part| part.len()).max()?;
    let fits = |part: &&[Dim]| part.len() == 1 || part.len() == count;
    parts.iter().all(fits).then_some(count)
}

fn calculate(op: &str, a: &Dim, b: &Dim) -> Option<Dim> {
    match (op, a, b) {
        ("Equal", _, _) => equal(a, b).map(|same| Dim::Fixed(usize::from(same))),
        ("Mul", Dim::Fixed(1), other)
        | ("Mul", other, Dim::Fixed(1))
        | ("Div", other, Dim::Fixed(1)) => Some(other.clone()),
        _ if *a == REST || *b == REST => None,
        ("Add", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_add(*b).map(Dim::Fixed),
        ("Sub", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_sub(*b).map(Dim::Fixed),
        ("Div", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_div(*b).map(Dim::Fixed),
        ("Mul", Dim::Fixed(a), Dim::Fixed(b)) => a.checked_mul(*b).map(Dim::Fixed),
        ("Div", Dim::Symbol(_), _) => {
            let whole = Extents::product(std::slice::from_ref(a))?;
            whole.quotient(&Extents::product(std::slice::from_ref(b))?)
        }
        _ => Some(Dim::Unknown),
    }
}

/// An extent that is a symbol is never -1.
fn equal(a: &Dim, b: &Dim) -> Option<bool> {
    match (a, b) {
        (Dim::Fixed(a), Dim::Fixed(b)) => Some(a == b),
        (Dim::Symbol(a), Dim::Symbol(b)) if a == b => Some(true),
        _ if *a == REST || *b == REST => Some(false),
        _ => None,
    }
}

fn choice(condition: &[Dim], yes: &[Dim], no: &[Dim]) -> Option<Vec<Dim>> {
    let count = broadcast_len(&[condition, yes, no])?;
    let at =
        |values: &[Dim], index: usize| values[if values.len() == 1 { 0 } else { index }].clone();
    (0..count)
        .map(|index| match at(condition, index) {
            Dim::Fixed(0) => Some(at(no, index)),
            Dim::Fixed(1) => Some(at(yes, index)),
            _ => None,
        })
        .collect()
}

/// ConstantOfShape of one axis: its value as often as the input says.
fn repeated(node: &Context<'_>, count: &[Dim]) -> Option<Vec<Dim>> {
    let [Dim::Fixed(count)] = count else {
        return None;
    };
    if *count > MAX_VALUES {
        return None;
    }
    let Some(Attribute::Tensor(value)) = node.node.attributes.get("value") else {
        return None;
    };
    let value = of_constant(value)?;
    let [value] = value.as_slice() else {
        return None;
    };
    Some(vec![value.clone(); *count])
}

/// The parts, one after the other; `None` where one is unknown or they are too many for a shape.
fn concat<'a>(parts: impl Iterator<Item = Option<&'a [Dim]>>) -> Option<Vec<Dim>> {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(part?);
        if whole.len() > MAX_RANK {
            return None;
        }
    }
    Some(whole)
}

fn shape(node: &Context<'_>) -> Option<Vec<Dim>> {
    let dims = node.input(0)?;
    let rank = i64::try_from(dims.len()).ok()?;
    let bound = |value: i64| {
        (if value < 0 {
            value.saturating_add(rank)
        } else {
            value
        })
        .clamp(0, rank)
    };
    let start = usize::try_from(bound(node.node.int("start", 0))).ok()?;
    let end = usize::try_from(bound(node.node.int("end", rank))).ok()?;
    Some(dims.get(start..end)?.to_vec())
}

fn gather(node: &Context<'_>, values: &[Dim]) -> Option<Vec<Dim>> {
    let indices = node.graph.initializers.get(node.node.inputs.get(1)?)?;
    let indices = indices
        .as_i64()
        .filter(|indices| indices.len() <= MAX_RANK)?;
    indices
        .iter()
        .map(|&index| Some(values[axis(index, values.len())?].clone()))
        .collect()
}

fn slice(node: &Context<'_>, values: &[Dim]) -> Option<Vec<Dim>> {
    let one = |index, name| match node.ints(index, name)?.as_slice() {
        [value] => Some(*value),
        _ => None,
    };
    if node.node.has_input(4) && one(4, "steps")? != 1 {
        return None;
    }
    let length = values.len() as i64;
    let bound = |value: i64| {
        (if value < 0 {
            value.saturating_add(length)
        } else {
            value
        })
        .clamp(0, length)
    };
    let start = usize::try_from(bound(one(1, "starts")?)).ok()?;
    let end = usize::try_from(bound(one(2, "ends")?)).ok()?;
    Some(values.get(start..end)?.to_vec())
}
