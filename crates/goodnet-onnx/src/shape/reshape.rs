//! Operators that regroup axes.

use super::super::axes::named_axes;
use super::super::model::Dim;
use super::dims::{Extents, axis, fixed};
use super::{Context, MAX_RANK};

/// Flatten to two axes.
pub(super) fn flatten(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let value = node.node.int("axis", 1);
    let at = match usize::try_from(value) {
        Ok(at) if at == input.len() => at,
        _ => axis(value, input.len())?,
    };
    Some(vec![grouped(&input[..at]), grouped(&input[at..])])
}

/// Several axes as one.
fn grouped(dims: &[Dim]) -> Dim {
    if let [dim] = dims {
        return dim.clone();
    }
    Extents::product(dims)
        .and_then(|product| {
            product.quotient(&Extents {
                number: 1,
                symbols: Vec::new(),
            })
        })
        .unwrap_or(Dim::Unknown)
}

/// Reshape to a target whose values are known.
pub(super) fn reshape(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let allow_zero = node.node.int("allowzero", 0) != 0;
    let target = match node.node.ints("shape") {
        Some(values) => {
            return resolve(
                input,
                values.iter().map(|&v| Entry::from_value(v)),
                allow_zero,
            );
        }
        None => node.node.inputs.get(1)?,
    };
    if let Some(constant) = node.graph.initializers.get(target) {
        let values = constant.as_i64()?;
        return resolve(
            input,
            values.iter().map(|&v| Entry::from_value(v)),
            allow_zero,
        );
    }
    let values = node.shapes.values(target)?;
    let entries = values.iter().map(|dim| match dim {
        // Extents computed in the graph carry -1 as the largest number, see `values::of_constant`.
        Dim::Fixed(usize::MAX) => Entry::Rest,
        other => Entry::Extent(other.clone()),
    });
    resolve(input, entries, allow_zero)
}

/// One value of a Reshape's target.
enum Entry {
    Extent(Dim),
    Rest,
    Invalid,
}

impl Entry {
    fn from_value(value: i64) -> Self {
        match value {
            -1 => Self::Rest,
            value => usize::try_from(value).map_or(Self::Invalid, |v| Self::Extent(Dim::Fixed(v))),
        }
    }
}

fn resolve(
    input: &[Dim],
    target: impl Iterator<Item = Entry>,
    allow_zero: bool,
) -> Option<Vec<Dim>> {
    let mut shape = Vec::new();
    let mut rest = None;
    // One more than is followed, so that it is unknown and not cut short.
    for (index, entry) in target.take(MAX_RANK + 1).enumerate() {
        match entry {
            Entry::Invalid => return None,
            Entry::Rest if rest.is_some() => return None,
            Entry::Rest => {
                rest = Some(index);
                shape.push(Dim::Fixed(1));
            }
            Entry::Extent(Dim::Fixed(0)) if !allow_zero => shape.push(input.get(index)?.clone()),
            Entry::Extent(dim) => shape.push(dim),
        }
    }
    if let Some(index) = rest {
        let whole = Extents::product(input);
        let others = Extents::product(&shape);
        let quotient = whole
            .zip(others)
            .and_then(|(whole, others)| whole.quotient(&others));
        shape[index] = quotient.unwrap_or(Dim::Unknown);
    }
    Some(shape)
}

/// Squeeze: the named axes, or all of extent 1.
pub(super) fn squeeze(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    if !node.node.has_input(1) && node.node.ints("axes").is_none() {
        let open = input.iter().any(|dim| fixed(dim).is_none());
        let remaining = input.iter().filter(|dim| **dim != Dim::Fixed(1)).cloned();
        return (!open).then(|| remaining.collect());
    }
    let axes = named_axes(node.node, node.graph, input.len())?;
    let remaining = input
        .iter()
        .enumerate()
        .filter(|(index, _)| !axes.contains(index));
    Some(remaining.map(|(_, dim)| dim.clone()).collect())
}

/// Unsqueeze: a new axis of extent 1 at each named place of the output.
pub(super) fn unsqueeze(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let count = node.ints(1, "axes")?.len();
    let rank = input.len() + count;
    let axes = named_axes(node.node, node.graph, rank)?;
    let mut rest = input.iter();
    (0..rank)
        .map(|index| {
            if axes.contains(&index) {
                Some(Dim::Fixed(1))
            } else {
                rest.next().cloned()
            }
        })
        .collect()
}
