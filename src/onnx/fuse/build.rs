//! Appending nodes to a graph.

use crate::onnx::{Attribute, Graph, Node, Tensor};

/// A graph that grows at its end, with names of its own.
pub(super) struct Builder<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) opset: i64,
}

impl Builder<'_> {
    pub(super) fn push(&mut self, node: Node) {
        self.graph.nodes.push(node);
    }

    /// A free tensor name.
    pub(super) fn fresh(&self, stem: &str) -> String {
        self.graph.fresh_name(&format!("goodnet_{stem}"))
    }

    /// Adds a constant; gives its name.
    pub(super) fn constant(&mut self, stem: &str, tensor: Tensor) -> String {
        let name = self.fresh(stem);
        self.graph.initializers.insert(name.clone(), tensor);
        name
    }

    /// Appends a `Reshape`; gives the name of its output.
    pub(super) fn reshape(&mut self, input: &str, shape: &[i64], stem: &str) -> String {
        let output = self.fresh(stem);
        self.reshape_to(input, shape, &output);
        output
    }

    /// Appends a `Reshape` to a tensor of that name.
    pub(super) fn reshape_to(&mut self, input: &str, shape: &[i64], output: &str) {
        let shape = self.constant("shape", Tensor::i64([shape.len()], shape.to_vec()));
        self.push(Node::new("Reshape", &[input, &shape], &[output]));
    }

    /// Appends a `Split` of axis 1 into 1 and `rest`; the sizes became an input in operator set 13.
    pub(super) fn split(&mut self, input: &str, outputs: [&str; 2], rest: usize) {
        let sizes = vec![1, as_i64(rest)];
        let mut node = Node::new("Split", &[input], &outputs).with("axis", Attribute::Int(1));
        if self.opset < 13 {
            node = node.with("split", Attribute::Ints(sizes));
        } else {
            let sizes = self.constant("sizes", Tensor::i64([2], sizes));
            node.inputs.push(sizes);
        }
        self.push(node);
    }

    /// Appends a `Relu`; gives the name of its output.
    pub(super) fn relu(&mut self, input: &str) -> String {
        let output = self.fresh(&format!("{input}_relu"));
        self.push(Node::new("Relu", &[input], &[&output]));
        output
    }

    /// Appends a `Concat` along axis 1; gives the name of its output.
    pub(super) fn concat(&mut self, inputs: &[&str], stem: &str) -> String {
        let output = self.fresh(stem);
        self.push(Node::new("Concat", inputs, &[&output]).with("axis", Attribute::Int(1)));
        output
    }
}

/// A count as ONNX writes it.
pub(super) fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Renames the inner tensor `name`, if there is one, so that an output can have that name.
pub(super) fn free_name(graph: &mut Graph, name: &str) {
    if graph.fresh_name(name) == name {
        return;
    }
    let other = graph.fresh_name(&format!("{name}_inner"));
    let outputs = graph.outputs.iter_mut().map(|output| &mut output.name);
    let inner = graph
        .nodes
        .iter_mut()
        .flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    for tensor in outputs.chain(inner).filter(|tensor| *tensor == name) {
        tensor.clone_from(&other);
    }
    if let Some(constant) = graph.initializers.remove(name) {
        graph.initializers.insert(other, constant);
    }
}
