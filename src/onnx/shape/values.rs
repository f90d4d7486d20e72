//! Values of the small integer tensors that carry extents to a `Reshape`.

use super::super::model::{Dim, Tensor, TensorData};
use super::dims::axis;
use super::{Context, MAX_RANK};

/// Longer integer constants carry no shape.
const MAX_VALUES: usize = 8;

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
        "Identity" | "Cast" | "Unsqueeze" | "Squeeze" => value(0).map(<[Dim]>::to_vec),
        _ => None,
    }
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
