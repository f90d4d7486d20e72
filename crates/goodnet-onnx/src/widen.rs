//! Half-precision networks in single precision: `float16` and `bfloat16` become f32, which holds all their values.

use super::model::{Attribute, ElementType, Graph, Model, Tensor, TensorData, ValueInfo};
use std::collections::HashSet;

/// Numbers of the 16-bit floats in `TensorProto.DataType`.
pub(super) const FLOAT16: i32 = 10;
/// See [`FLOAT16`].
pub(super) const BFLOAT16: i32 = 16;

/// Does the network compute in 16 bits somewhere?
#[must_use]
pub fn is_half(model: &Model) -> bool {
    let graph = &model.graph;
    let ports = graph.inputs.iter().chain(&graph.outputs);
    let mut elements = ports.map(|port| port.element);
    let mut weights = graph.initializers.values();
    let mut attributes = graph.nodes.iter().flat_map(|node| node.attributes.iter());
    elements.any(|element| is_half_element(element.number()))
        || weights.any(|tensor| is_half_element(tensor.data.element().number()))
        || attributes.any(|(name, value)| match value {
            Attribute::Tensor(tensor) => is_half_element(tensor.data.element().number()),
            Attribute::Int(number) => is_type_name(name) && is_half_number(*number),
            _ => false,
        })
}

/// Makes every 16-bit float of the graph an f32: weights, constants, casts, and what is declared of its tensors.
///
/// Every weight keeps its value. Sums and products are no longer rounded to 16 bits, so scores move by about the rounding of
/// the original: 2^-11 of a value for `float16`, 2^-8 for `bfloat16`. Casts from f32 to f32 that this leaves are taken out.
pub(super) fn widen(graph: &mut Graph) {
    for tensor in graph.initializers.values_mut() {
        widen_tensor(tensor);
    }
    let attributes = graph.nodes.iter_mut().flat_map(|node| &mut node.attributes);
    for (name, value) in attributes {
        match value {
            Attribute::Tensor(tensor) => widen_tensor(tensor),
            Attribute::Int(number) if is_type_name(name) && is_half_number(*number) => *number = 1,
            _ => {}
        }
    }
    let values = graph.inputs.iter_mut().chain(&mut graph.outputs);
    values.chain(&mut graph.value_info).for_each(widen_value);
    drop_empty_casts(graph);
}

/// Attributes that name an element type: of `Cast`, and of operators that make tensors.
fn is_type_name(name: &str) -> bool {
    matches!(name, "to" | "dtype" | "output_dtype")
}

fn is_half_number(number: i64) -> bool {
    i32::try_from(number).is_ok_and(is_half_element)
}

fn is_half_element(number: i32) -> bool {
    number == FLOAT16 || number == BFLOAT16
}

fn widen_value(value: &mut ValueInfo) {
    if is_half_element(value.element.number()) {
        value.element = ElementType::F32;
    }
}

fn widen_tensor(tensor: &mut Tensor) {
    let TensorData::Other(number, raw) = &tensor.data else {
        return;
    };
    let convert: fn(u16) -> f32 = match *number {
        FLOAT16 => |bits| half::f16::from_bits(bits).to_f32(),
        BFLOAT16 => |bits| half::bf16::from_bits(bits).to_f32(),
        _ => return,
    };
    let (pairs, _) = raw.as_chunks::<2>();
    let values = pairs
        .iter()
        .map(|&pair| convert(u16::from_le_bytes(pair)))
        .collect();
    tensor.data = TensorData::F32(values);
}

/// Takes out casts from f32 to f32, which keep pruning and fusing from looking through.
fn drop_empty_casts(graph: &mut Graph) {
    let mut floats: HashSet<String> = graph
        .inputs
        .iter()
        .filter(|input| input.element == ElementType::F32)
        .map(|input| input.name.clone())
        .collect();
    let weights = graph.initializers.iter();
    let weights = weights.filter(|(_, tensor)| tensor.data.element() == ElementType::F32);
    floats.extend(weights.map(|(name, _)| name.clone()));
    for node in &mut graph.nodes {
        let reads_float = node
            .inputs
            .first()
            .is_some_and(|name| floats.contains(name));
        let to_float = node.is("Cast") && node.int("to", 0) == 1;
        if to_float && reads_float {
            node.op_type = "Identity".to_owned();
            node.attributes.clear();
        }
        if to_float || (reads_float && node.domain.is_empty() && keeps_type(&node.op_type)) {
            floats.extend(node.outputs.first().cloned());
        }
    }
    bypass_identities(graph);
}

/// Operators whose first output has the element type of their first input.
fn keeps_type(op: &str) -> bool {
    !matches!(
        op,
        "Cast"
            | "CastLike"
            | "Shape"
            | "Size"
            | "ArgMax"
            | "ArgMin"
            | "NonZero"
            | "IsNaN"
            | "IsInf"
            | "Equal"
            | "Greater"
            | "GreaterOrEqual"
            | "Less"
            | "LessOrEqual"
            | "Not"
            | "QuantizeLinear"
            | "DynamicQuantizeLinear"
            | "OneHot"
            | "EyeLike"
            | "Bernoulli"
            | "Multinomial"
    )
}

/// Lets the readers of an Identity read what it reads; one that gives an output of the graph stays.
fn bypass_identities(graph: &mut Graph) {
    let mut renamed = std::collections::HashMap::new();
    for index in 0..graph.nodes.len() {
        let node = &mut graph.nodes[index];
        for input in &mut node.inputs {
            if let Some(source) = renamed.get(input) {
                input.clone_from(source);
            }
        }
        if !node.is("Identity") {
            continue;
        }
        let (from, to) = (node.inputs[0].clone(), node.outputs[0].clone());
        if !graph.is_output(&to) {
            renamed.insert(to, from);
        }
    }
    graph.remove_unused();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;

    fn widened(element: i32, bits: u16) -> f32 {
        let mut tensor = Tensor {
            shape: vec![1],
            data: TensorData::Other(element, bits.to_le_bytes().to_vec()),
        };
        widen_tensor(&mut tensor);
        match tensor.data {
            TensorData::F32(values) => values[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn halves_of_every_kind_have_their_values() {
        let from_float16 = |bits| widened(FLOAT16, bits);
        let from_bfloat16 = |bits| widened(BFLOAT16, bits);
        for (bits, value) in [
            (0x0000_u16, 0.0_f32),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7C00, f32::INFINITY),
            (0xFC00, f32::NEG_INFINITY),
        ] {
            assert_eq!(from_float16(bits), value, "{bits:#06x}");
        }
        assert!(from_float16(0x7E00).is_nan());
        assert_eq!(from_bfloat16(0x3F80), 1.0);
        assert_eq!(from_bfloat16(0xC049), -3.140_625);
    }

    #[test]
    fn casts_between_float_and_half_go_and_those_from_integers_stay() {
        let cast = |from: &str, to: &str, number: i64| {
            Node::new("Cast", &[from], &[to]).with("to", Attribute::Int(number))
        };
        let port = |name: &str, element| ValueInfo {
            name: name.to_owned(),
            element,
            shape: None,
        };
        let mut graph = Graph {
            nodes: vec![
                cast("image", "half", 10),
                Node::new("Relu", &["half"], &["relu"]),
                Node::new("ArgMax", &["relu"], &["class"]),
                cast("class", "number", 10),
                Node::new("Add", &["relu", "number"], &["sum"]),
                cast("sum", "scores", 1),
            ],
            inputs: vec![port("image", ElementType::F32)],
            outputs: vec![port("scores", ElementType::F32)],
            ..Graph::default()
        };
        widen(&mut graph);
        let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op_type.as_str()).collect();
        assert_eq!(ops, ["Relu", "ArgMax", "Cast", "Add", "Identity"]);
        assert_eq!(graph.nodes[0].inputs, ["image"]);
        assert_eq!(graph.nodes[2].int("to", 0), 1);
    }
}
