//! Constant inputs of layers.

use crate::model::{Graph, Node};

/// The shape of input `input` of `node`; none where it is no constant.
pub(super) fn constant_shape<'a>(
    graph: &'a Graph,
    node: &Node,
    input: usize,
) -> Option<&'a [usize]> {
    let tensor = graph.initializers.get(node.inputs.get(input)?)?;
    Some(&tensor.shape)
}

/// Why a layer cannot be narrowed.
pub(super) fn no_constant(node: &Node) -> String {
    format!(
        "{} has no constant weights of the expected shape",
        node.name
    )
}
