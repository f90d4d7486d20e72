//! Appending nodes to a graph.

use crate::site::Site;
use crate::{Attribute, Graph, Node, Tensor};

/// What every name that fusing gives begins with, the outputs' own apart.
pub(super) const PREFIX: &str = "goodnet_";

/// A graph that grows at its end, with names of its own.
pub(super) struct Builder<'a> {
    pub(super) graph: &'a mut Graph,
}

impl Builder<'_> {
    pub(super) fn push(&mut self, node: Node) {
        self.graph.nodes.push(node);
    }

    /// A free tensor name.
    pub(super) fn fresh(&self, stem: &str) -> String {
        self.graph.fresh_name(&format!("{PREFIX}{stem}"))
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

    /// Appends a `Gather` of `rows` along axis 1 to a tensor of that name.
    pub(super) fn gather_rows(&mut self, input: &str, rows: Tensor, output: &str) {
        let rows = self.constant("rows", rows);
        let gather = Node::new("Gather", &[input, &rows], &[output]);
        self.push(gather.with("axis", Attribute::Int(1)));
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

/// Renames what bears a name that fusing gives, [`PREFIX`] and more or one of `outputs`, so that all of these are free.
pub(super) fn free_names(graph: &mut Graph, site: &mut Site, outputs: &[&str]) {
    let prefix = unused_prefix(graph);
    let rename = |name: &mut String| {
        if name.starts_with(PREFIX) || outputs.contains(&name.as_str()) {
            name.insert_str(0, &prefix);
        }
    };
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(rename);
        node.outputs.iter_mut().for_each(rename);
    }
    let ports = graph.inputs.iter_mut().chain(&mut graph.outputs);
    for value in ports.chain(&mut graph.value_info) {
        rename(&mut value.name);
    }
    let constants = std::mem::take(&mut graph.initializers);
    for (mut name, constant) in constants {
        rename(&mut name);
        graph.initializers.insert(name, constant);
    }
    rename(&mut site.tensor);
}

/// What no name of the graph begins with: `inner` and more `_` than any name has there.
fn unused_prefix(graph: &Graph) -> String {
    const STEM: &str = "inner";
    let outputs = graph.nodes.iter().flat_map(|node| &node.outputs);
    let inputs = graph.inputs.iter().map(|input| &input.name);
    let used = outputs
        .chain(inputs)
        .chain(graph.initializers.keys())
        .filter_map(|name| name.strip_prefix(STEM))
        .map(|rest| rest.len() - rest.trim_start_matches('_').len())
        .max();
    let free = used.unwrap_or(0) + 1;
    format!("{STEM}{}", "_".repeat(free))
}
