//! Shape inference for the operators that image classifiers use.
//!
//! An operator that is not known here yields an unknown shape, never an error; where inference knows nothing the
//! shape that the file states is taken. Small integer tensors (what `Shape`, `Gather` and `Concat` compute for a
//! `Reshape`) are followed by value, with symbolic extents. Rank, lists and all of it together are bounded (`limits`), so
//! that inference takes time and memory in line with the file's size.

mod dims;
mod limits;
mod ops;
mod reshape;
mod shaped;
mod spread;
mod values;
mod window;

use super::model::{Dim, Graph, Node};
use std::collections::HashMap;

pub(super) use dims::axis;
use dims::fixed;
pub(super) use limits::MAX_RANK;
use limits::Room;
pub use shaped::ShapedModel;

/// Extents of a tensor, `None` where open.
pub type Shape = Vec<Option<usize>>;

/// Shapes of all tensors whose rank is known.
pub type Shapes = HashMap<String, Shape>;

/// Infers the shapes of `graph`, from its inputs and constants down; symbols count as open.
#[must_use]
pub fn infer(graph: &Graph) -> Shapes {
    SymbolicShapes::infer(graph).into_open()
}

/// Inferred shape of every tensor of a graph, as far as it is known, with the symbols of its inputs.
#[derive(Debug, Clone, Default)]
pub(super) struct SymbolicShapes {
    shapes: HashMap<String, Vec<Dim>>,
    values: HashMap<String, Vec<Dim>>,
    room: Room,
}

impl SymbolicShapes {
    /// Infers the shapes of `graph`.
    pub(super) fn infer(graph: &Graph) -> Self {
        let mut shapes = Self::begin(graph);
        let stated: HashMap<&str, &Vec<Dim>> = graph
            .value_info
            .iter()
            .chain(&graph.outputs)
            .filter_map(|info| Some((info.name.as_str(), info.shape.as_ref()?)))
            .collect();
        for node in &graph.nodes {
            shapes.add(graph, node, &stated);
        }
        shapes
    }

    /// The shapes of the inputs and constants of `graph`.
    pub(super) fn begin(graph: &Graph) -> Self {
        let mut shapes = Self::default();
        for input in &graph.inputs {
            shapes.set(&input.name, input.shape.clone());
        }
        for (name, tensor) in &graph.initializers {
            let dims = tensor.shape.iter().copied().map(Dim::Fixed).collect();
            shapes.set(name, Some(dims));
            if let Some(values) = values::of_constant(tensor) {
                shapes.set_values(name, values);
            }
        }
        shapes
    }

    /// Adds what `node` gives, from what is known before it, else as `stated`.
    pub(super) fn add(&mut self, graph: &Graph, node: &Node, stated: &HashMap<&str, &Vec<Dim>>) {
        let context = Context {
            graph,
            node,
            shapes: self,
        };
        let known = node.domain.is_empty();
        let shape = known.then(|| ops::output(&context)).flatten();
        let value = known.then(|| values::output(&context)).flatten();
        let parts = node.is("Split").then(|| spread::split(&context)).flatten();
        let Some(first) = node.outputs.first() else {
            return;
        };
        if let Some(value) = value {
            self.set_values(first, value);
        }
        self.set(first, shape);
        for (output, part) in node.outputs.iter().zip(parts.unwrap_or_default()) {
            self.set(output, Some(part));
        }
        for output in &node.outputs {
            if let (None, Some(&dims)) = (self.get(output), stated.get(output.as_str())) {
                self.set(output, Some(dims.clone()));
            }
        }
    }

    /// The same with open extents in place of symbols.
    pub(super) fn into_open(self) -> Shapes {
        let open = |dims: Vec<Dim>| dims.iter().map(fixed).collect();
        self.shapes
            .into_iter()
            .map(|(name, dims)| (name, open(dims)))
            .collect()
    }

    /// Bytes that a copy takes, about.
    pub(super) fn size(&self) -> usize {
        let dims = |(name, dims): (&String, &Vec<Dim>)| name.len() + size_of::<Dim>() * dims.len();
        let shapes: usize = self.shapes.iter().map(dims).sum();
        shapes + self.values.iter().map(dims).sum::<usize>()
    }

    pub(super) fn set(&mut self, tensor: &str, shape: Option<Vec<Dim>>) {
        if let Some(shape) = shape.and_then(|shape| self.room.take(shape)) {
            self.shapes.insert(tensor.to_owned(), shape);
        }
    }

    fn set_values(&mut self, tensor: &str, values: Vec<Dim>) {
        if let Some(values) = self.room.take(values) {
            self.values.insert(tensor.to_owned(), values);
        }
    }

    /// Extents of `tensor`, `None` where not even the rank is known.
    pub(super) fn get(&self, tensor: &str) -> Option<&[Dim]> {
        self.shapes.get(tensor).map(Vec::as_slice)
    }

    /// The values of an integer tensor that holds extents, where they are known.
    pub(super) fn values(&self, tensor: &str) -> Option<&[Dim]> {
        self.values.get(tensor).map(Vec::as_slice)
    }
}

/// One node with what is known before it.
struct Context<'a> {
    graph: &'a Graph,
    node: &'a Node,
    shapes: &'a SymbolicShapes,
}

impl<'a> Context<'a> {
    fn input(&self, index: usize) -> Option<&'a [Dim]> {
        self.shapes.get(self.node.inputs.get(index)?)
    }

    /// Integers from the constant input `index`, or from attribute `name` as older operator sets have it.
    fn ints(&self, index: usize, name: &str) -> Option<Vec<i64>> {
        self.node.const_ints(self.graph, index, name)
    }
}

impl Node {
    /// Integers from the constant input `index`, or from attribute `name` as older operator sets have it: one or two an axis
    /// at most.
    pub(super) fn const_ints(&self, graph: &Graph, index: usize, name: &str) -> Option<Vec<i64>> {
        let values = match self.ints(name) {
            Some(values) => values,
            None => graph.initializers.get(self.inputs.get(index)?)?.as_i64()?,
        };
        (values.len() <= 2 * MAX_RANK).then(|| values.to_vec())
    }

    /// Is input `index` present?
    pub(super) fn has_input(&self, index: usize) -> bool {
        self.inputs.get(index).is_some_and(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests;
