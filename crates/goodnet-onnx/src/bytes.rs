//! Networks that take bytes: a `uint8` input that is cast to float before anything is computed.

use super::error::OnnxError;
use super::model::{ElementType, Graph};
use std::collections::HashSet;

/// Number of `uint8` in `TensorProto.DataType`.
const UINT8: i32 = 2;

/// Lets the only input, where it is of `uint8`, take f32 of the same values (0 to 255).
///
/// What only moves bytes (`Transpose` and its like) moves floats as well; the casts to float have nothing left to do.
///
/// # Errors
/// [`OnnxError::Unsupported`] if a byte goes into another operator.
pub(super) fn take_floats(graph: &mut Graph) -> Result<(), OnnxError> {
    let [input] = graph.inputs.as_mut_slice() else {
        return Ok(());
    };
    if input.element != ElementType::Other(UINT8) {
        return Ok(());
    }
    input.element = ElementType::F32;
    let mut bytes = HashSet::from([input.name.clone()]);
    for node in &mut graph.nodes {
        if !node.inputs.iter().any(|name| bytes.contains(name)) {
            continue;
        }
        match node.op_type.as_str() {
            "Cast" if node.int("to", 0) == 1 => {
                node.op_type = "Identity".to_owned();
                node.attributes.clear();
            }
            "Transpose" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Slice" | "Gather"
            | "Flatten" => bytes.extend(node.outputs.first().cloned()),
            op => {
                return Err(OnnxError::Unsupported(format!(
                    "an input of uint8 that goes into {op} ({}) before it is cast to float; export the network with an input of \
                     float32",
                    node.name
                )));
            }
        }
    }
    Ok(())
}
