//! Opening a batch axis that a file fixes, and making every Reshape follow it.
//!
//! `concrete` follows a graph in plain numbers, `fixed` opens what an exporter has fixed (`targets` are what it tries, `edit` what
//! it does to the graph); here are targets that the graph computes.

mod concrete;
mod edit;
mod fixed;
mod targets;

use super::error::OnnxError;
use super::model::{Dim, Graph, Node, Tensor};
use super::shape::SymbolicShapes;

/// Name that goodnet gives to the batch axis.
pub(super) const BATCH: &str = "n";
/// A stated batch from here on is refused: the network as it came is run with a whole one, to compare.
const MAX_STATED: usize = 4097;
/// How a network is exported with an open batch axis.
pub const CURE: &str = "export it with an open batch axis: torch.onnx.export(..., dynamo=True, \
    dynamic_shapes=({0: torch.export.Dim(\"n\")},)), or dynamo=False, input_names=[\"x\"], dynamic_axes={\"x\": {0: \"n\"}}";

/// Opens the batch axis of the only input.
///
/// Exporters write a batch of 1 into Reshape targets, or compute the target from another tensor's shape. Where shape
/// inference proves that the first extent is the batch, the target becomes a constant that copies it.
///
/// # Errors
/// [`OnnxError::Unsupported`] if the scores keep a fixed batch: something in the graph depends on it.
pub(super) fn open_batch(graph: &mut Graph) -> Result<(), OnnxError> {
    let [input] = graph.inputs.as_mut_slice() else {
        return Ok(());
    };
    let Some(first) = input.shape.as_mut().and_then(|shape| shape.first_mut()) else {
        return Ok(());
    };
    let stated = std::mem::replace(first, batch());
    if let Dim::Fixed(extent @ MAX_STATED..) = stated {
        return Err(OnnxError::Unsupported(format!(
            "a batch of {extent} images fixed in the file; {CURE}"
        )));
    }
    for output in &mut graph.outputs {
        if let Some(first) = output.shape.as_mut().and_then(|shape| shape.first_mut()) {
            *first = batch();
        }
    }
    let opened = match stated {
        Dim::Fixed(extent) if extent > 0 => fixed::open(graph, extent),
        _ => None,
    };
    // Shapes inside the file may state the fixed batch; they are inferred anew.
    graph.value_info.clear();
    let fixed = match (&opened, stated) {
        (None, Dim::Fixed(extent)) => i64::try_from(extent).ok(),
        _ => None,
    };
    if let Some(opened) = opened {
        graph.nodes = opened.nodes;
        graph.initializers = opened.initializers;
    }
    let shapes = follow_batch(graph, fixed);
    let still_fixed = |name: &str| matches!(shapes.get(name), Some([Dim::Fixed(_), ..]));
    match graph
        .outputs
        .iter()
        .find(|output| still_fixed(&output.name))
    {
        None => Ok(()),
        Some(output) => Err(OnnxError::Unsupported(format!(
            "a batch size fixed inside the graph (output {}); {CURE}",
            output.name
        ))),
    }
}

fn batch() -> Dim {
    Dim::Symbol(BATCH.to_owned())
}

/// Patches Reshape targets one by one, since each decides the shapes after it.
fn follow_batch(graph: &mut Graph, fixed: Option<i64>) -> SymbolicShapes {
    let mut shapes = SymbolicShapes::infer(graph);
    for index in 0..graph.nodes.len() {
        let Some(target) = open_target(graph, &graph.nodes[index], &shapes, fixed) else {
            continue;
        };
        let name = graph.fresh_name(&format!("{}_open", graph.nodes[index].inputs[1]));
        graph
            .initializers
            .insert(name.clone(), Tensor::i64([target.len()], target));
        let node = &mut graph.nodes[index];
        node.inputs[1] = name;
        // The new target copies the batch by its 0.
        node.attributes.remove("allowzero");
        shapes = SymbolicShapes::infer(graph);
    }
    shapes
}

/// The target with a batch that is copied, where `node` is a Reshape that has another one and it is proven to be right.
fn open_target(
    graph: &Graph,
    node: &Node,
    shapes: &SymbolicShapes,
    fixed: Option<i64>,
) -> Option<Vec<i64>> {
    if !node.is("Reshape") || node.inputs.len() != 2 {
        return None;
    }
    let [first, rest @ ..] = shapes.get(&node.inputs[0])? else {
        return None;
    };
    if *first != batch() {
        return None;
    }
    match graph.initializers.get(&node.inputs[1]) {
        Some(target) => constant_target(target.as_i64()?, rest, fixed?),
        None => computed_target(shapes.get(&node.outputs[0])?),
    }
}

/// A constant target that begins with the fixed batch: the rest must hold as many values as the input's rest.
fn constant_target(target: &[i64], rest: &[Dim], fixed: i64) -> Option<Vec<i64>> {
    let (first, wishes) = target.split_first()?;
    if *first != fixed {
        return None;
    }
    if !wishes.contains(&-1) {
        let have = rest
            .iter()
            .try_fold(1_i64, |product, dim| product.checked_mul(number(dim)?))?;
        let want = wishes
            .iter()
            .try_fold(1_i64, |product, wish| product.checked_mul(*wish))?;
        if have != want {
            return None;
        }
    }
    Some(std::iter::once(0).chain(wishes.iter().copied()).collect())
}

/// A target that the graph computes: known if it is the batch and then numbers.
fn computed_target(output: &[Dim]) -> Option<Vec<i64>> {
    let (first, rest) = output.split_first()?;
    if *first != batch() {
        return None;
    }
    std::iter::once(Some(0))
        .chain(rest.iter().map(number))
        .collect()
}

fn number(dim: &Dim) -> Option<i64> {
    match dim {
        Dim::Fixed(extent) => i64::try_from(*extent).ok(),
        Dim::Symbol(_) | Dim::Unknown => None,
    }
}
