//! Which tensors of a graph are 32-bit floats.

use super::model::{Attribute, ElementType, Graph, Node, TensorData};
use std::collections::HashSet;

/// ONNX's number of `float`.
const FLOAT: i64 = 1;

/// The tensors of `graph` that are no 32-bit floats, by what the operators of the standard give.
pub(super) fn no_floats(graph: &Graph) -> HashSet<&str> {
    let constants = graph
        .initializers
        .iter()
        .filter(|(_, tensor)| !is_float(&tensor.data))
        .map(|(name, _)| name.as_str());
    let inputs = graph
        .inputs
        .iter()
        .filter(|input| input.element != ElementType::F32)
        .map(|input| input.name.as_str());
    let mut found: HashSet<&str> = constants.chain(inputs).collect();
    for node in &graph.nodes {
        for (at, output) in node.outputs.iter().enumerate() {
            if !gives_float(node, at, &found) {
                found.insert(output);
            }
        }
    }
    found
}

fn is_float(data: &TensorData) -> bool {
    matches!(data, TensorData::F32(_))
}

/// Is output `at` of `node` a float, where those in `found` are none?
fn gives_float(node: &Node, at: usize, found: &HashSet<&str>) -> bool {
    let as_input = |index: usize| {
        let input = node.inputs.get(index);
        input.is_none_or(|name| !found.contains(name.as_str()))
    };
    match (node.op_type.as_str(), at) {
        ("Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin", _)
        | ("Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual", _)
        | ("And" | "Or" | "Xor" | "Not" | "IsNaN" | "IsInf" | "QuantizeLinear", _)
        | ("MaxPool" | "TopK" | "Dropout" | "Unique", 1..) => false,
        ("Cast" | "EyeLike", _) if node.attributes.contains_key(data_type(node)) => {
            node.int(data_type(node), FLOAT) == FLOAT
        }
        ("ConstantOfShape" | "Constant", _) => match node.attributes.get("value") {
            Some(Attribute::Tensor(value)) => is_float(&value.data),
            _ => true,
        },
        ("CastLike" | "DequantizeLinear" | "Where", _) => as_input(1),
        ("OneHot", _) => as_input(2),
        _ => as_input(0),
    }
}

/// The attribute that names the type.
fn data_type(node: &Node) -> &'static str {
    match node.is("Cast") {
        true => "to",
        false => "dtype",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tensor, ValueInfo};

    #[test]
    fn indices_extents_conditions_and_quantised_values_are_no_floats() {
        let graph = Graph {
            inputs: vec![ValueInfo {
                name: "image".to_owned(),
                element: ElementType::F32,
                shape: None,
            }],
            initializers: [("zero".to_owned(), Tensor::i64([], vec![0]))].into(),
            nodes: vec![
                Node::new("Shape", &["image"], &["shape"]),
                Node::new("Gather", &["shape", "zero"], &["n"]),
                Node::new("Range", &["zero", "n", "n"], &["rows"]),
                Node::new("Cast", &["rows"], &["floats"]).with("to", Attribute::Int(1)),
                Node::new("MaxPool", &["image"], &["pooled", "where"]),
                Node::new("Greater", &["pooled", "image"], &["more"]),
                Node::new("Where", &["more", "pooled", "image"], &["chosen"]),
                Node::new("ConstantOfShape", &["shape"], &["zeros"]),
                Node::new("QuantizeLinear", &["chosen", "s"], &["bytes"]),
                Node::new("DequantizeLinear", &["bytes", "s"], &["back"]),
            ],
            ..Graph::default()
        };
        let found = no_floats(&graph);
        for name in ["shape", "n", "rows", "where", "more", "bytes", "zero"] {
            assert!(found.contains(name), "{name}");
        }
        for name in ["image", "floats", "pooled", "chosen", "zeros", "back"] {
            assert!(!found.contains(name), "{name}");
        }
    }
}
