//! From the site up to the convolution that makes its channels.

use super::edit::Edit;
use crate::onnx::model::{Graph, Node};
use crate::onnx::shape::Shapes;
use crate::onnx::site::Site;

/// Plans the removal of all but `kept` channels from the layers that make the site.
pub(super) fn plan(
    graph: &Graph,
    shapes: &Shapes,
    site: &Site,
    kept: &[usize],
) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    let mut tensor = site.tensor.clone();
    loop {
        let index = graph
            .nodes
            .iter()
            .position(|node| node.outputs.contains(&tensor))
            .ok_or_else(|| format!("nothing makes {tensor}"))?;
        let node = &graph.nodes[index];
        if tensor != site.tensor
            && (graph.consumers(&tensor).count() != 1 || graph.is_output(&tensor))
        {
            return Err(format!(
                "{tensor} is read by more than the layers before the site"
            ));
        }
        if node.is("Conv") {
            if make_convolution(graph, index, site.channels, kept, &mut edits)? {
                return Ok(edits);
            }
        } else {
            pass(graph, shapes, index, site.channels, kept, &mut edits)?;
        }
        tensor.clone_from(&node.inputs[0]);
    }
}

/// A convolution that makes the channels ends the way up (true); a depthwise one is passed (false).
fn make_convolution(
    graph: &Graph,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<bool, String> {
    let node = &graph.nodes[index];
    let weight = constant_shape(graph, node, 1).ok_or_else(|| no_constant(node))?;
    let groups = node.int("group", 1);
    let depthwise = groups != 1 && usize::try_from(groups) == Ok(channels);
    if (groups != 1 && !depthwise) || weight.first() != Some(&channels) {
        return Err(format!("{} is a grouped convolution", node.name));
    }
    for input in 1..node.inputs.len() {
        if node.inputs[input].is_empty() {
            continue;
        }
        if constant_shape(graph, node, input).and_then(<[usize]>::first) != Some(&channels) {
            return Err(no_constant(node));
        }
        edits.push(slice(index, input, 0, kept));
    }
    if depthwise {
        edits.push(Edit::SetGroups {
            node: index,
            groups: kept.len(),
        });
    }
    Ok(!depthwise)
}

/// A layer that treats every channel by itself.
fn pass(
    graph: &Graph,
    shapes: &Shapes,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    let node = &graph.nodes[index];
    let op = node.op_type.as_str();
    if !node.domain.is_empty() {
        return Err(format!("{} is {op} of another domain", node.name));
    }
    match op {
        "MaxPool" | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool"
        | "GlobalLpPool" | "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Clip" | "Elu" | "Selu"
        | "Celu" | "HardSwish" | "HardSigmoid" | "Softplus" | "Softsign" | "Gelu" | "Mish"
        | "Identity" | "Dropout" | "Abs" | "Neg" | "Exp" | "Sqrt" => Ok(()),
        "ReduceMean" | "ReduceMax" => {
            let same = |name: &str| shapes.get(name).and_then(|shape| *shape.get(1)?);
            if same(&node.outputs[0]) == Some(channels) && same(&node.inputs[0]) == Some(channels) {
                return Ok(());
            }
            Err(format!("{} mixes channels", node.name))
        }
        "BatchNormalization" => {
            for input in 1..5 {
                if constant_shape(graph, node, input) != Some(&[channels]) {
                    return Err(no_constant(node));
                }
                edits.push(slice(index, input, 0, kept));
            }
            Ok(())
        }
        "Add" | "Sub" | "Mul" | "Div" | "PRelu" => {
            slice_operand(graph, index, channels, kept, edits)
        }
        _ => Err(format!(
            "{} is {op}, which channels cannot be removed through",
            node.name
        )),
    }
}

/// A constant operand of an elementwise layer: (C, 1, 1) after broadcasting, or one value for all.
pub(super) fn slice_operand(
    graph: &Graph,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<(), String> {
    let node = &graph.nodes[index];
    let shape = constant_shape(graph, node, 1)
        .ok_or_else(|| format!("{} joins the site with another tensor", node.name))?;
    let Some(axis) = shape.len().checked_sub(3) else {
        let single = shape.iter().product::<usize>() == 1;
        return if single {
            Ok(())
        } else {
            Err(no_constant(node))
        };
    };
    if shape[axis] == channels {
        edits.push(slice(index, 1, axis, kept));
        return Ok(());
    }
    if shape[axis] == 1 {
        return Ok(());
    }
    Err(no_constant(node))
}

pub(super) fn slice(node: usize, input: usize, axis: usize, kept: &[usize]) -> Edit {
    Edit::Slice {
        node,
        input,
        axis,
        keep: kept.to_vec(),
    }
}

pub(super) fn constant_shape<'a>(
    graph: &'a Graph,
    node: &Node,
    input: usize,
) -> Option<&'a [usize]> {
    let tensor = graph.initializers.get(node.inputs.get(input)?)?;
    Some(&tensor.shape)
}

pub(super) fn no_constant(node: &Node) -> String {
    format!(
        "{} has no constant weights of the expected shape",
        node.name
    )
}
