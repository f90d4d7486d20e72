//! Axis lists of nodes, wherever their operator set keeps them.

use super::model::{Graph, Node};
use super::shape::axis;

/// Axes that a Reduce node folds, on an input of `rank`; `None` where they are not constant.
pub(super) fn reduced_axes(node: &Node, graph: &Graph, rank: usize) -> Option<Vec<usize>> {
    match node.const_ints(graph, 1, "axes") {
        Some(axes) if !axes.is_empty() => axes.iter().map(|&value| axis(value, rank)).collect(),
        Some(_) => Some((0..rank).collect()),
        None if node.has_input(1) => None,
        None if node.int("noop_with_empty_axes", 0) != 0 => Some(Vec::new()),
        None => Some((0..rank).collect()),
    }
}

/// Axes that a Squeeze or Unsqueeze node names; `None` where it names none or they are not constant.
pub(super) fn named_axes(node: &Node, graph: &Graph, rank: usize) -> Option<Vec<usize>> {
    let axes = node.const_ints(graph, 1, "axes")?;
    axes.iter().map(|&value| axis(value, rank)).collect()
}
