//! Layers between QuantizeLinear and DequantizeLinear (QDQ): weights are integers behind a DequantizeLinear of their own, the values on
//! the way pass through pairs of both.

use super::carried::Carried;
use super::edit::Edit;
use crate::model::{Graph, Node, Tensor, TensorData};

/// ONNX's numbers of the element types `uint8` and `int8`.
const UINT8: i32 = 2;
/// See [`UINT8`].
const INT8: i32 = 3;

/// A weight of a layer: a constant, or a constant that a DequantizeLinear of its own widens.
pub(super) struct Weight<'a> {
    /// The node that reads the constant, and by which input.
    node: usize,
    input: usize,
    pub(super) shape: &'a [usize],
    /// The axis whose entries have a scale and a zero point each, where they are not one for all.
    by_axis: Option<usize>,
    /// Inputs of the DequantizeLinear.
    parameters: usize,
}

/// The weight that input `input` of node `index` is; none where it is no constant, or other layers read it widened too.
pub(super) fn weight(graph: &Graph, index: usize, input: usize) -> Option<Weight<'_>> {
    let name = graph.nodes[index].inputs.get(input)?;
    if let Some(tensor) = graph.initializers.get(name) {
        return Some(Weight {
            node: index,
            input,
            shape: &tensor.shape,
            by_axis: None,
            parameters: 0,
        });
    }
    // Exporters put it before its reader.
    let makes = |node: &Node| node.is("DequantizeLinear") && node.outputs.first() == Some(name);
    let node = graph.nodes[..index].iter().rposition(makes)?;
    let dequantised = &graph.nodes[node];
    let is_known = |name: &String| name.is_empty() || graph.initializers.contains_key(name);
    let shared = graph.consumers(name).count() != 1 || graph.is_output(name);
    if shared || !dequantised.inputs.iter().all(is_known) {
        return None;
    }
    let tensor = graph.initializers.get(dequantised.inputs.first()?)?;
    let scale = graph.initializers.get(dequantised.inputs.get(1)?)?;
    let rank = tensor.shape.len();
    let by_axis = match scale.shape.as_slice() {
        [] | [1] => None,
        [_] => {
            let axis = dequantised.int("axis", 1);
            Some(crate::shape::axis(axis, rank)?)
        }
        _ => return None,
    };
    Some(Weight {
        node,
        input: 0,
        shape: &tensor.shape,
        by_axis,
        parameters: dequantised
            .inputs
            .iter()
            .filter(|name| !name.is_empty())
            .count(),
    })
}

impl Weight<'_> {
    /// Keeps only the entries `keep` along `axis`.
    pub(super) fn keep(&self, axis: usize, keep: &[usize], edits: &mut Vec<Edit>) {
        edits.push(Edit::slice(self.node, self.input, axis, keep));
        if self.by_axis == Some(axis) {
            edits.extend((1..self.parameters).map(|input| Edit::slice(self.node, input, 0, keep)));
        }
    }
}

/// Quantising the site's values, or back: one scale and one zero point for all of them.
///
/// # Errors
/// If they are not constants, or one a channel.
pub(super) fn pass(graph: &Graph, node: &Node, carried: Carried) -> Result<Carried, String> {
    let (scale, zero, [low, high]) = parameters(graph, node)
        .ok_or_else(|| format!("{} has no single scale and zero point of 8 bits", node.name))?;
    Ok(match node.is("QuantizeLinear") {
        true => carried.map(|_, value| ((value / scale).round_ties_even() + zero).clamp(low, high)),
        false => carried.map(|_, value| (value - zero) * scale),
    })
}

/// Is it QuantizeLinear or DequantizeLinear with one scale and zero point for all channels?
pub(super) fn treats_all_alike(graph: &Graph, node: &Node) -> bool {
    parameters(graph, node).is_some()
}

/// Scale, zero point, and the lowest and highest integer.
fn parameters(graph: &Graph, node: &Node) -> Option<(f32, f32, [f32; 2])> {
    let constant = |input: usize| graph.initializers.get(node.inputs.get(input)?);
    let scale = single(constant(1)?.as_f32()?)?;
    let Some(zero) = constant(2) else {
        let is_uint8 = [0, i64::from(UINT8)].contains(&node.int("output_dtype", 0));
        return (is_uint8 && !node.has_input(2)).then_some((scale, 0.0, [0.0, 255.0]));
    };
    let (zero, range) = zero_point(zero)?;
    Some((scale, zero, range))
}

fn single(values: &[f32]) -> Option<f32> {
    match values {
        [value] => Some(*value),
        _ => None,
    }
}

fn zero_point(tensor: &Tensor) -> Option<(f32, [f32; 2])> {
    let TensorData::Other(element, raw) = &tensor.data else {
        return None;
    };
    match (*element, raw.as_slice()) {
        (UINT8, &[byte]) => Some((f32::from(byte), [0.0, 255.0])),
        (INT8, &[byte]) => Some((f32::from(byte.cast_signed()), [-128.0, 127.0])),
        _ => None,
    }
}
