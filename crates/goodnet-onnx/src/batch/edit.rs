//! Edits of a graph that let it follow the batch.

use super::concrete::Concrete;
use crate::model::{Attribute, Graph, Node, Tensor};
use std::collections::BTreeMap;

/// What a node needs so that it follows the batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
    /// Another target for a `Reshape`.
    Target(Vec<i64>),
    /// These inputs of a `Concat` are expanded along `axis` to the extent that input `like` has there.
    Expand {
        inputs: Vec<usize>,
        like: usize,
        axis: usize,
        rank: usize,
    },
}

/// `graph` with `edits`, by the index of their node.
pub(super) fn edited(graph: &Graph, edits: BTreeMap<usize, Edit>) -> Graph {
    let mut graph = graph.clone();
    let nodes = std::mem::take(&mut graph.nodes);
    let mut pending: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut edits = edits;
    // Names must be fresh among all nodes, those that are not back yet too.
    graph.nodes.clone_from(&nodes);
    for (index, mut node) in nodes.into_iter().enumerate() {
        match edits.remove(&index) {
            None => {}
            Some(Edit::Target(target)) => {
                let tensor = Tensor::i64([target.len()], target);
                node.inputs[1] = constant(&mut graph, &format!("{}_open", node.inputs[1]), tensor);
                node.attributes.remove("allowzero");
            }
            Some(Edit::Expand {
                inputs,
                like,
                axis,
                rank,
            }) => {
                let target = extent_of(&mut graph, &mut pending, &node.inputs[like], axis, rank);
                for input in inputs {
                    let name = graph.fresh_name(&format!("{}_open", node.inputs[input]));
                    let expand = Node::new("Expand", &[&node.inputs[input], &target], &[&name]);
                    push(&mut graph, &mut pending, expand);
                    node.inputs[input] = name;
                }
            }
        }
        pending.push(node);
    }
    graph.nodes = pending;
    graph.remove_unused();
    graph
}

/// Bounds of a `Slice` that are computed, and the same at both sizes, as constants: other passes look for such.
pub(super) fn settle_bounds(graph: &mut Graph, stated: &Concrete, open: &Concrete) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let bounds = node.inputs.get(1..).unwrap_or_default();
        let computed = bounds
            .iter()
            .any(|name| !name.is_empty() && !graph.initializers.contains_key(name));
        if !node.is("Slice") || !computed {
            continue;
        }
        let values: Option<Vec<Vec<i64>>> = bounds
            .iter()
            .map(|name| {
                let values = stated.integers(name).filter(|_| !name.is_empty())?;
                (open.integers(name) == Some(values)).then(|| values.to_vec())
            })
            .collect();
        let Some(values) = values else {
            continue;
        };
        for (at, values) in values.into_iter().enumerate() {
            let wish = format!("{}_settled", graph.nodes[index].inputs[at + 1]);
            let name = constant(graph, &wish, Tensor::i64([values.len()], values));
            graph.nodes[index].inputs[at + 1] = name;
        }
    }
    graph.remove_unused();
}

/// Keeps a new node's names taken, and puts it where it belongs.
fn push(graph: &mut Graph, pending: &mut Vec<Node>, node: Node) {
    graph.nodes.push(node.clone());
    pending.push(node);
}

fn constant(graph: &mut Graph, wish: &str, tensor: Tensor) -> String {
    let name = graph.fresh_name(wish);
    graph.initializers.insert(name.clone(), tensor);
    name
}

/// A tensor of `rank` extents: what `tensor` has in `axis`, and 1 elsewhere.
fn extent_of(
    graph: &mut Graph,
    pending: &mut Vec<Node>,
    tensor: &str,
    axis: usize,
    rank: usize,
) -> String {
    let shape = graph.fresh_name(&format!("{tensor}_shape"));
    push(graph, pending, Node::new("Shape", &[tensor], &[&shape]));
    let at = i64::try_from(axis).unwrap_or(0);
    let index = constant(
        graph,
        &format!("{tensor}_batch_axis"),
        Tensor::i64([1], vec![at]),
    );
    let batch = graph.fresh_name(&format!("{tensor}_batch"));
    let gather = Node::new("Gather", &[&shape, &index], &[&batch]).with("axis", Attribute::Int(0));
    push(graph, pending, gather);
    let ones = constant(graph, &format!("{tensor}_ones"), Tensor::i64([1], vec![1]));
    let parts: Vec<&str> = (0..rank)
        .map(|index| if index == axis { &batch } else { &ones })
        .map(String::as_str)
        .collect();
    let target = graph.fresh_name(&format!("{tensor}_batch_shape"));
    let concat = Node::new("Concat", &parts, &[&target]).with("axis", Attribute::Int(0));
    push(graph, pending, concat);
    target
}
