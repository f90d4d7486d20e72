//! Who makes and who reads a tensor, and what a convolution is made of.

use crate::{Attribute, Graph, Node, Tensor};

/// Positions of the nodes that read `tensor`, once for each node.
pub(crate) fn readers(graph: &Graph, tensor: &str) -> Vec<usize> {
    graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.inputs.iter().any(|input| input == tensor))
        .map(|(index, _)| index)
        .collect()
}

/// Position of the node that makes `tensor`.
pub(crate) fn maker(graph: &Graph, tensor: &str) -> Option<usize> {
    graph
        .nodes
        .iter()
        .position(|node| node.outputs.iter().any(|output| output == tensor))
}

/// Does exactly one node read `tensor`, and nobody outside the graph?
pub(crate) fn is_read_once(graph: &Graph, tensor: &str) -> bool {
    !graph.is_output(tensor) && readers(graph, tensor).len() == 1
}

/// Names every node after its first output: ONNX Runtime refuses a graph in which two nodes have one name.
pub(crate) fn name_nodes(graph: &mut Graph) {
    for node in &mut graph.nodes {
        node.name = node.outputs.first().cloned().unwrap_or_default();
    }
}

/// Are all of these integer-list attributes absent or equal to `value` throughout?
pub(crate) fn ints_are(node: &Node, names: &[&str], value: i64) -> bool {
    names.iter().all(|name| {
        node.ints(name)
            .is_none_or(|list| list.iter().all(|&entry| entry == value))
    })
}

/// Is the padding written out, as opposed to left to the input's size?
pub(crate) fn has_explicit_padding(node: &Node) -> bool {
    match node.attributes.get("auto_pad") {
        None => true,
        Some(Attribute::String(mode)) => mode == b"NOTSET",
        Some(_) => false,
    }
}

/// Weights and bias of an ungrouped two-dimensional convolution over constants.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// (O, I, KH, KW).
    pub(crate) shape: [usize; 4],
    /// Row-major weights.
    pub(crate) weights: Vec<f32>,
    /// (O), zeros where the node has none.
    pub(crate) bias: Vec<f32>,
}

impl Kernel {
    /// Reads the kernel of `node`; none where the node is anything else or its constants do not fit together.
    pub(crate) fn from_node(graph: &Graph, node: &Node) -> Option<Self> {
        if !node.is("Conv") || node.int("group", 1) != 1 {
            return None;
        }
        let weights = graph.initializers.get(node.inputs.get(1)?)?;
        let shape: [usize; 4] = weights.shape.as_slice().try_into().ok()?;
        let bias = match node.inputs.get(2).filter(|name| !name.is_empty()) {
            Some(name) => graph.initializers.get(name)?.as_f32()?.to_vec(),
            None => vec![0.0; shape[0]],
        };
        let fits = shape.iter().all(|&extent| extent > 0) && bias.len() == shape[0];
        fits.then_some(Self {
            shape,
            weights: weights.as_f32()?.to_vec(),
            bias,
        })
    }

    /// Weights of one output channel.
    pub(crate) fn filter_len(&self) -> usize {
        self.shape[1] * self.shape[2] * self.shape[3]
    }

    /// The kernel of output channels `range` alone.
    pub(crate) fn filters(&self, range: std::ops::Range<usize>) -> Self {
        let len = self.filter_len();
        let [_, inputs, height, width] = self.shape;
        Self {
            shape: [range.len(), inputs, height, width],
            weights: self.weights[range.start * len..range.end * len].to_vec(),
            bias: self.bias[range].to_vec(),
        }
    }

    /// The kernel that reads only input channels `range`.
    pub(crate) fn reading(&self, range: &std::ops::Range<usize>) -> Self {
        let [outputs, inputs, height, width] = self.shape;
        let area = height * width;
        let weights = self
            .weights
            .chunks_exact((inputs * area).max(1))
            .flat_map(|filter| &filter[range.start * area..range.end * area])
            .copied()
            .collect();
        Self {
            shape: [outputs, range.len(), height, width],
            weights,
            bias: self.bias.clone(),
        }
    }

    /// Adds the constants to the graph under names like `stem_weight`; gives the names of weights and bias.
    pub(crate) fn store(self, graph: &mut Graph, stem: &str) -> (String, String) {
        let weight = graph.fresh_name(&format!("{stem}_weight"));
        let tensor = Tensor::f32(self.shape, self.weights);
        graph.initializers.insert(weight.clone(), tensor);
        let bias = graph.fresh_name(&format!("{stem}_bias"));
        let tensor = Tensor::f32([self.bias.len()], self.bias);
        graph.initializers.insert(bias.clone(), tensor);
        (weight, bias)
    }
}
