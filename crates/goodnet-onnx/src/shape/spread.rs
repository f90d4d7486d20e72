//! Operators that cut, repeat or resample a tensor.

use super::super::model::Dim;
use super::Context;
use super::dims::{axis, broadcast, fixed};

/// Split: one shape an output; `None` for the outputs whose extent is not known.
pub(super) fn split(node: &Context<'_>) -> Option<Vec<Vec<Dim>>> {
    let input = node.input(0)?;
    let along = axis(node.node.int("axis", 0), input.len())?;
    let count = node.node.outputs.len();
    let extents: Vec<Dim> = match (node.ints(1, "split"), fixed(&input[along])) {
        (Some(parts), _) if parts.len() == count => parts
            .iter()
            .map(|&part| usize::try_from(part).map_or(Dim::Unknown, Dim::Fixed))
            .collect(),
        (None, Some(extent)) if !node.node.has_input(1) && count > 0 => {
            // The last part is smaller where the extent is no multiple of the number of parts.
            let part = extent.div_ceil(count);
            let of = |index: usize| extent.saturating_sub(index * part).min(part);
            (0..count).map(|index| Dim::Fixed(of(index))).collect()
        }
        _ => vec![Dim::Unknown; count],
    };
    let shape_of = |extent: Dim| {
        let mut shape = input.to_vec();
        shape[along] = extent;
        shape
    };
    Some(extents.into_iter().map(shape_of).collect())
}

/// Expand: the input broadcast to a target whose values are known.
pub(super) fn expand(node: &Context<'_>) -> Option<Vec<Dim>> {
    broadcast(node.input(0)?, &target(node, 1)?)
}

/// ConstantOfShape: its input's values.
pub(super) fn constant_of_shape(node: &Context<'_>) -> Option<Vec<Dim>> {
    target(node, 0)
}

/// A target shape by value; -1, which stands for no extent here, makes it unknown.
fn target(node: &Context<'_>, index: usize) -> Option<Vec<Dim>> {
    let values = node.shapes.values(node.node.inputs.get(index)?)?;
    let open = values.contains(&Dim::Fixed(usize::MAX));
    (!open).then(|| values.to_vec())
}

/// Where: all three inputs broadcast.
pub(super) fn choice(node: &Context<'_>) -> Option<Vec<Dim>> {
    let shape = broadcast(node.input(0)?, node.input(1)?)?;
    broadcast(&shape, node.input(2)?)
}

/// Resize and Upsample: sizes by value, or the extents times constant scales, rounded down.
pub(super) fn resize(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let sizes = node.node.inputs.get(3).filter(|name| !name.is_empty());
    if node.node.is("Resize")
        && let Some(sizes) = sizes
    {
        let plain = !node.node.attributes.contains_key("axes");
        let values = node.shapes.values(sizes)?;
        return (plain && values.len() == input.len()).then(|| values.to_vec());
    }
    let scales = match (node.node.is("Upsample"), node.node.inputs.len()) {
        (true, _) => 1,
        (false, 2) => 1,
        _ => 2,
    };
    let name = node.node.inputs.get(scales)?;
    let scales = node.graph.initializers.get(name)?.as_f32()?;
    let scaled = |(dim, &scale): (&Dim, &f32)| match fixed(dim) {
        _ if scale == 1.0 => dim.clone(),
        Some(extent) => Dim::Fixed((extent as f64 * f64::from(scale)).floor() as usize),
        None => Dim::Unknown,
    };
    (scales.len() == input.len()).then(|| input.iter().zip(scales).map(scaled).collect())
}

/// Tile: every extent times its number of repeats.
pub(super) fn tile(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let repeats = node.shapes.values(node.node.inputs.get(1)?)?;
    let repeated = |(dim, repeat): (&Dim, &Dim)| match (dim, repeat) {
        (_, Dim::Fixed(1)) => dim.clone(),
        (Dim::Fixed(1), _) => repeat.clone(),
        (Dim::Fixed(a), Dim::Fixed(b)) => a.checked_mul(*b).map_or(Dim::Unknown, Dim::Fixed),
        _ => Dim::Unknown,
    };
    (repeats.len() == input.len()).then(|| input.iter().zip(repeats).map(repeated).collect())
}

/// DepthToSpace and SpaceToDepth: channels against pixels.
pub(super) fn shuffle(node: &Context<'_>) -> Option<Vec<Dim>> {
    let [batch, channels, height, width] = node.input(0)? else {
        return None;
    };
    let block = usize::try_from(node.node.int("blocksize", 0))
        .ok()
        .filter(|&b| b > 0)?;
    let deeper = node.node.is("SpaceToDepth");
    let times = |dim: &Dim, by: usize| fixed(dim).and_then(|value| value.checked_mul(by));
    let over = |dim: &Dim, by: usize| fixed(dim).map(|value| value / by);
    let change = |dim: &Dim, by: usize, grows: bool| {
        let changed = if grows { times(dim, by) } else { over(dim, by) };
        changed.map_or(Dim::Unknown, Dim::Fixed)
    };
    Some(vec![
        batch.clone(),
        change(channels, block.checked_mul(block)?, deeper),
        change(height, block, !deeper),
        change(width, block, !deeper),
    ])
}
