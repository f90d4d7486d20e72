//! Where the classes lie in a tensor, and what a constant adds to each of them.

use crate::shape::Shape;
use crate::{Graph, Node, Tensor};

/// The axis of the N classes in a tensor whose other axes, the batch at the front apart, have extent 1.
pub(super) fn class_axis(shape: &Shape, classes: usize) -> Option<usize> {
    let (_, rest) = shape.split_first()?;
    let at = rest.iter().position(|extent| *extent == Some(classes))?;
    let single = |(index, extent): (usize, &Option<usize>)| index == at || *extent == Some(1);
    rest.iter().enumerate().all(single).then_some(at + 1)
}

/// What a constant adds to each class of a tensor of `rank` with the classes on `axis`; none where it is not the same
/// at every place, or no f32.
pub(super) fn per_class(
    tensor: &Tensor,
    rank: usize,
    axis: usize,
    classes: usize,
) -> Option<Vec<f32>> {
    let values = tensor.as_f32()?;
    let first = rank.checked_sub(tensor.shape.len())?;
    let mut extents = tensor.shape.iter().enumerate();
    let even =
        extents.all(|(index, &extent)| extent == 1 || (first + index == axis && extent == classes));
    match (even, values) {
        (true, [value]) => Some(vec![*value; classes]),
        (true, values) => (values.len() == classes).then(|| values.to_vec()),
        (false, _) => None,
    }
}

/// The constant `name`, through nodes that hand it on.
pub(super) fn constant<'g>(graph: &'g Graph, mut name: &'g str) -> Option<&'g Tensor> {
    loop {
        if let Some(tensor) = graph.initializers.get(name) {
            return Some(tensor);
        }
        let node = graph
            .producer(name)
            .filter(|node| node.is("Identity") && !node.inputs.is_empty())?;
        name = &node.inputs[0];
    }
}

/// A node as messages name it: operator, and its name or that of what it makes.
pub(super) fn label(node: &Node) -> String {
    let name = match node.name.as_str() {
        "" => node.outputs.first().map_or("", String::as_str),
        name => name,
    };
    format!("{} {name}", node.op_type)
}
