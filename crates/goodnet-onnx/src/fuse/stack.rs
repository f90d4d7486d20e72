//! Tails stacked along the batch axis: for each image B's copy of the site, then one for each mask.

use super::batchwise::Context;
use super::build::{Builder, as_i64};
use super::first::{FirstLayers, Sharing};
use super::tails::Tails;
use crate::mask::ChannelMask;
use crate::shape::{Shapes, infer};
use crate::site::Site;
use crate::{Graph, Model, Node, Tensor};
use std::collections::BTreeSet;

/// The trunk and one stacked tail; the scores are (n * (1 + T), N).
///
/// # Errors
/// The reason, in words, why the tail cannot be stacked.
pub(super) fn stack(model: &Model, site: &Site, masks: &[ChannelMask]) -> Result<Tails, String> {
    let source = &model.graph;
    let shapes = infer(source);
    let tail_tensors = source.dependents(&[&site.tensor]);
    let is_tail = |node: &Node| node.inputs.iter().any(|input| tail_tensors.contains(input));
    let (tail, trunk): (Vec<&Node>, Vec<&Node>) = source.nodes.iter().partition(|n| is_tail(n));
    check(model, &shapes, &tail, &tail_tensors)?;

    let mut graph = Graph {
        nodes: trunk.into_iter().cloned().collect(),
        ..source.clone()
    };
    let shares = FirstLayers::plan(source, &shapes, site, masks);
    let mut whole = None;
    let mut stacked = BTreeSet::new();
    let mut builder = Builder { graph: &mut graph };
    let mut first = FirstLayers::new(site, masks);
    for node in tail {
        match shares.get(node.outputs[0].as_str()) {
            Some(Sharing::Conv { extents, relu }) => {
                first.conv(&mut builder, node, extents, relu.as_deref());
                stacked.insert(relu.as_ref().unwrap_or(&node.outputs[0]).clone());
            }
            Some(Sharing::Joined) => {}
            Some(Sharing::Product) => {
                first.product(&mut builder, node);
                stacked.insert(node.outputs[0].clone());
            }
            Some(Sharing::Flatten) => builder.push(node.clone()),
            None => {
                let mut node = node.clone();
                for input in node
                    .inputs
                    .iter_mut()
                    .filter(|input| **input == site.tensor)
                {
                    let site = whole.get_or_insert_with(|| masked(&mut builder, site, masks));
                    input.clone_from(site);
                }
                stacked.extend(node.outputs.iter().cloned());
                builder.push(node);
            }
        }
    }
    Ok(Tails {
        graph,
        scores: source.outputs[0].name.clone(),
        stacked,
    })
}

/// Can the tail run on a longer batch and answer row by row?
fn check(
    model: &Model,
    shapes: &Shapes,
    tail: &[&Node],
    tail_tensors: &BTreeSet<String>,
) -> Result<(), String> {
    let row_shape = |tensor: &str| {
        let shape = shapes.get(tensor)?;
        shape
            .get(1..)?
            .iter()
            .copied()
            .collect::<Option<Vec<usize>>>()
    };
    let context = Context {
        graph: &model.graph,
        opset: model.opset(),
        batched: tail_tensors,
        row_shape: &row_shape,
    };
    let inputs = model.graph.inputs.iter().map(|input| input.name.as_str());
    let image = model.graph.dependents(&inputs.collect::<Vec<&str>>());
    for node in tail {
        let is_weighted = node.is("Conv") || node.is("Gemm") || node.is("MatMul");
        let known = |input: &String| {
            input.is_empty()
                || tail_tensors.contains(input)
                || model.graph.initializers.contains_key(input)
                // Weights that are stored as integers and widened.
                || (is_weighted && !image.contains(input))
        };
        let label = format!("{} {}", node.op_type, node.name);
        if let Some(other) = node.inputs.iter().find(|input| !known(input)) {
            return Err(format!(
                "{label} after the site reads {other} from before it"
            ));
        }
        if !context.is_batchwise(node) {
            return Err(format!(
                "{label} is not known to treat each image of a batch by itself"
            ));
        }
    }
    Ok(())
}

/// Appends the site times every mask: (n, C, H, W) to (n * (1 + T), C, H, W), B's copy of each image first.
fn masked(builder: &mut Builder<'_>, site: &Site, masks: &[ChannelMask]) -> String {
    let (channels, area) = (as_i64(site.channels), as_i64(site.height * site.width));
    let factors = std::iter::once(ChannelMask::keep_all(site.channels).factors())
        .chain(masks.iter().map(ChannelMask::factors))
        .flatten()
        .collect();
    let factors = Tensor::f32([1, 1 + masks.len(), site.channels, 1], factors);
    let factors = builder.constant("masks", factors);
    let single = builder.reshape(&site.tensor, &[0, 1, channels, area], "site");
    let product = builder.fresh("site_masked");
    builder.push(Node::new("Mul", &[&single, &factors], &[&product]));
    let (height, width) = (as_i64(site.height), as_i64(site.width));
    builder.reshape(&product, &[-1, channels, height, width], "site_stacked")
}
