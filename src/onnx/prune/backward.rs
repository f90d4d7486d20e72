//! From the site up to the convolution that makes its channels.

use super::edit::Edit;
use crate::onnx::axes::reduced_axes;
use crate::onnx::model::{Graph, Node};
use crate::onnx::shape::Shapes;
use crate::onnx::site::{FOUR_AXES, Site};
use std::collections::BTreeSet;

/// Plans the removal of all but `kept` channels from the layers that make the site.
///
/// Every tensor on the way up is narrowed, so nothing but layers on the way may read it.
pub(super) fn plan(
    graph: &Graph,
    shapes: &Shapes,
    site: &Site,
    kept: &[usize],
) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    let mut narrowed = vec![site.tensor.clone()];
    let mut layers = BTreeSet::new();
    let mut next = 0;
    while let Some(tensor) = narrowed.get(next).cloned() {
        next += 1;
        let index = graph
            .nodes
            .iter()
            .position(|node| node.outputs.first() == Some(&tensor))
            .ok_or_else(|| format!("no layer makes {tensor}"))?;
        if !layers.insert(index) {
            continue;
        }
        for input in make(graph, shapes, index, site.channels, kept, &mut edits)? {
            if !narrowed.contains(input) {
                narrowed.push(input.clone());
            }
        }
    }
    for tensor in &narrowed[1..] {
        let read_elsewhere = (graph.nodes.iter().enumerate())
            .any(|(index, node)| node.inputs.contains(tensor) && !layers.contains(&index));
        if read_elsewhere || graph.is_output(tensor) {
            return Err(format!(
                "{tensor} is read by more than the layers before the site"
            ));
        }
    }
    Ok(edits)
}

/// Narrows the layer `index` to `kept` channels and gives those of its inputs that must be narrowed too.
fn make<'a>(
    graph: &'a Graph,
    shapes: &Shapes,
    index: usize,
    channels: usize,
    kept: &[usize],
    edits: &mut Vec<Edit>,
) -> Result<&'a [String], String> {
    let node = &graph.nodes[index];
    if node.inputs.is_empty() {
        return Err(format!("{} reads nothing", node.name));
    }
    if node.is("Conv") {
        let ends = make_convolution(graph, index, channels, kept, edits)?;
        return Ok(if ends { &[] } else { &node.inputs[..1] });
    }
    let is_join = (node.is("Add") || node.is("Sub") || node.is("Mul"))
        && constant_shape(graph, node, 0).is_none()
        && constant_shape(graph, node, 1).is_none();
    if !is_join {
        pass(graph, shapes, index, channels, kept, edits)?;
        return Ok(&node.inputs[..1]);
    }
    let carries = |name: &String| {
        let shape = shapes.get(name).filter(|shape| shape.len() == 4);
        shape.and_then(|shape| shape[1]) == Some(channels)
    };
    if node.inputs.iter().all(carries) {
        return Ok(&node.inputs);
    }
    Err(format!("{} joins the site with another tensor", node.name))
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
            let rank = shapes.get(&node.inputs[0]).map_or(0, Vec::len);
            let axes = reduced_axes(node, graph, rank).unwrap_or_default();
            let same = |name: &str| shapes.get(name).and_then(|shape| *shape.get(1)?);
            let keeps = !axes.is_empty() && axes.iter().all(|&axis| axis > 1);
            if keeps
                && same(&node.outputs[0]) == Some(channels)
                && same(&node.inputs[0]) == Some(channels)
            {
                return Ok(());
            }
            Err(format!("{} mixes channels", node.name))
        }
        "Reshape" => {
            let target = node
                .inputs
                .get(1)
                .and_then(|name| graph.initializers.get(name)?.as_i64());
            let flat = shapes.get(&node.inputs[0]).map(Vec::len) == Some(2);
            if flat && target == Some(&FOUR_AXES) {
                return Ok(());
            }
            Err(format!("{} reshapes the channels", node.name))
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
