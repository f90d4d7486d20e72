//! What a classifier takes and gives, and the two edits that make any classifier usable: an open batch axis, and
//! probabilities at the end.

use super::batch::{BATCH, open_batch};
use super::bytes::take_floats;
use super::error::OnnxError;
use super::fold::{fold_copies, fold_targets};
use super::model::{Attribute, Dim, ElementType, Graph, Model, Node, TensorData, ValueInfo};
use super::probabilities::{Meaning, meaning};
use super::shape::{Shape, ShapedModel, Shapes};
use super::widen::{is_half, widen};
use crate::Layout;

/// Longest side of an image input in pixels, as for the image files that feed it.
const MAX_SIDE: usize = 8192;

/// The image input and the score output of a classifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Name of the image input, (n, C, H, W) or (n, H, W, C).
    pub input: String,
    /// Name of the score output, (n, N).
    pub output: String,
    /// Height H.
    pub height: usize,
    /// Width W.
    pub width: usize,
    /// Channels C: 1 or 3.
    pub channels: usize,
    /// Order of the axes.
    pub layout: Layout,
    /// Classes N.
    pub classes: u32,
}

/// Finds the ports of an image classifier.
///
/// # Errors
/// If there is not exactly one f32 input of rank 4 with 1 or 3 channels and known height and width, or not exactly
/// one f32 output (n, N) with N >= 2.
pub fn ports(model: &Model) -> Result<Ports, OnnxError> {
    ports_of(&ShapedModel::new(model))
}

/// As [`ports`].
pub(super) fn ports_of(model: &ShapedModel<'_>) -> Result<Ports, OnnxError> {
    let graph = model.graph();
    let [input] = graph.inputs.as_slice() else {
        return Err(not("one image input", &names(&graph.inputs)));
    };
    let shapes = model.shapes();
    let [output] = graph.outputs.as_slice() else {
        let found = list(&graph.outputs, shapes);
        return Err(not(
            "one output with the scores, of shape (n, N) (--output NAME chooses one)",
            &found,
        ));
    };
    if input.element != ElementType::F32 {
        let found = format!("{} of {}", input.name, input.element.name());
        return Err(not(
            "an image input of float32, float16 or bfloat16, or of uint8 that is cast to float; export the network with one",
            &found,
        ));
    }
    let shape = shapes.get(&input.name).cloned().unwrap_or_default();
    let (layout, channels, height, width) = read_input(graph, &input.name, &shape)?;
    if height.max(width) > MAX_SIDE {
        let found = format!("{} of shape {}", input.name, show(&shape));
        return Err(not(
            &format!("images of at most {MAX_SIDE} pixels a side"),
            &found,
        ));
    }
    let scores = shapes.get(&output.name).cloned().unwrap_or_default();
    let &[_, Some(classes)] = scores.as_slice() else {
        let found = format!("{} of shape {}", output.name, show(&scores));
        return Err(not("scores of shape (n, N) or (n, N, 1, 1)", &found));
    };
    let classes = u32::try_from(classes).unwrap_or(0);
    if classes < 2 {
        return Err(not("at least 2 classes", &classes.to_string()));
    }
    Ok(Ports {
        input: input.name.clone(),
        output: output.name.clone(),
        height,
        width,
        channels,
        layout,
        classes,
    })
}

fn read_input(
    graph: &Graph,
    name: &str,
    shape: &Shape,
) -> Result<(Layout, usize, usize, usize), OnnxError> {
    let fail = || {
        Err(not(
            "an image input (n, C, H, W) or (n, H, W, C) with C of 1 or 3 and known H and W (--input-size HxW sets open ones)",
            &format!("{name} of shape {}", show(shape)),
        ))
    };
    let &[_, Some(a), Some(b), Some(c)] = shape.as_slice() else {
        return fail();
    };
    let is_color = |extent: usize| extent == 1 || extent == 3;
    match (is_color(a), is_color(c)) {
        (true, true) if starts_with_nhwc_transpose(graph, name) => Ok((Layout::Nhwc, c, a, b)),
        (true, _) => Ok((Layout::Nchw, a, b, c)),
        (false, true) => Ok((Layout::Nhwc, c, a, b)),
        (false, false) => fail(),
    }
}

fn starts_with_nhwc_transpose(graph: &Graph, input: &str) -> bool {
    let mut consumers = graph.consumers(input);
    consumers.any(|node| node.is("Transpose") && node.ints("perm") == Some(&[0, 3, 1, 2]))
}

/// The model with an open batch axis, f32 throughout and with probabilities as its scores, ready for everything else.
///
/// Scores that the graph keeps in 0..1 (`Softmax`, `Sigmoid`, shares of a sum, and what keeps their values) are taken for
/// probabilities, logarithms of such scores go through `Exp`, all others through `Softmax`.
///
/// # Errors
/// As [`ports`]; [`OnnxError::Unsupported`] if the batch axis is fixed and cannot be opened, or a node runs a graph of
/// its own (`If`, `Loop`, `Scan`).
pub fn prepare(model: &Model) -> Result<Model, OnnxError> {
    let mut model = prepare_as_delivered(model)?;
    end_in_probabilities(&mut model);
    model.graph.remove_unused();
    Ok(model)
}

/// As [`prepare`], with the scores as the network gives them.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_as_delivered(model: &Model) -> Result<Model, OnnxError> {
    refuse_subgraphs(model)?;
    refuse_runtime_operators(model)?;
    let mut model = model.clone();
    if is_half(&model) {
        widen(&mut model.graph);
    }
    fold_copies(&mut model.graph);
    take_floats(&mut model.graph)?;
    open_batch(&mut model.graph)?;
    fold_targets(&mut model.graph);
    let shaped = ShapedModel::new(&model);
    match scores_to_flatten(&shaped) {
        Some(classes) => {
            flatten_scores(&mut model.graph, classes);
            ports(&model)?;
        }
        None => {
            ports_of(&shaped)?;
        }
    }
    model.graph.remove_unused();
    Ok(model)
}

/// Operators of quantised arithmetic, whose weights and sums are integers.
const INTEGER_OPERATORS: [&str; 5] = [
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
];

/// What ONNX Runtime itself writes cannot be pruned: layers are merged there, or their weights are integers.
fn refuse_runtime_operators(model: &Model) -> Result<(), OnnxError> {
    for node in &model.graph.nodes {
        let (op, name) = (&node.op_type, &node.name);
        let is_runtimes = node.domain.starts_with("com.microsoft");
        let is_integer = (node.domain.is_empty() && INTEGER_OPERATORS.contains(&op.as_str()))
            || (is_runtimes && (op.starts_with("QLinear") || op.starts_with("QGemm")));
        if is_integer {
            return Err(OnnxError::Unsupported(format!(
                "operator {op} ({name}), quantised arithmetic: repair the network before it is quantised, or quantise it with \
                 quant_format=QuantFormat.QDQ"
            )));
        }
        if is_runtimes {
            return Err(OnnxError::Unsupported(format!(
                "operator {op} of {} ({name}), which ONNX Runtime's optimisation writes: give the network as it was exported, without \
                 optimisation, and optimise after the repair",
                node.domain
            )));
        }
    }
    Ok(())
}

/// Look-ups, cutting and pruning see one graph; what a graph inside a node reads would be missed.
fn refuse_subgraphs(model: &Model) -> Result<(), OnnxError> {
    for node in &model.graph.nodes {
        if matches!(node.op_type.as_str(), "If" | "Loop" | "Scan") {
            return Err(OnnxError::Unsupported(format!(
                "operator {} ({}), which runs a graph of its own",
                node.op_type, node.name
            )));
        }
        let opaque = |(_, value): &(&String, &Attribute)| matches!(value, Attribute::Opaque(_));
        if let Some((name, _)) = node.attributes.iter().find(opaque) {
            return Err(OnnxError::Unsupported(format!(
                "attribute {name} of {} ({}), a graph or of a kind that goodnet does not read",
                node.op_type, node.name
            )));
        }
    }
    Ok(())
}

/// Appends what turns the scores into probabilities, if they are none yet.
fn end_in_probabilities(model: &mut Model) {
    let graph = &mut model.graph;
    let [output] = graph.outputs.as_slice() else {
        return;
    };
    let name = output.name.clone();
    let op = match meaning(graph, &name) {
        Meaning::Probabilities => return,
        Meaning::Logarithms => "Exp",
        Meaning::Scores => "Softmax",
    };
    let scores = rename_output(graph, &name, "scores");
    let mut last = Node::new(op, &[&scores], &[&name]);
    last.name = graph.fresh_name(&format!("{name}_probabilities"));
    if op == "Softmax" {
        last = last.with("axis", Attribute::Int(1));
    }
    graph.nodes.push(last);
}

/// Number of weights: values of all float constants.
#[must_use]
pub fn parameters(model: &Model) -> usize {
    let count = |data: &TensorData| match data {
        TensorData::F32(values) => values.len(),
        TensorData::F64(values) => values.len(),
        _ => 0,
    };
    model
        .graph
        .initializers
        .values()
        .map(|tensor| count(&tensor.data))
        .sum()
}

/// N where the score output has more than two axes, all but one of extent 1 behind the batch.
fn scores_to_flatten(model: &ShapedModel<'_>) -> Option<usize> {
    let [output] = model.graph().outputs.as_slice() else {
        return None;
    };
    let (batch, rest) = model.shapes().get(&output.name)?.split_first()?;
    let extents: Vec<usize> = rest.iter().filter_map(|extent| *extent).collect();
    let wide = extents.iter().filter(|&&extent| extent != 1).count();
    let flattens = rest.len() > 1 && batch.is_none() && extents.len() == rest.len() && wide == 1;
    flattens.then(|| extents.iter().product())
}

/// Lets the score output end as (n, `classes`).
fn flatten_scores(graph: &mut Graph, classes: usize) {
    let [output] = graph.outputs.as_mut_slice() else {
        return;
    };
    output.shape = Some(vec![Dim::Symbol(BATCH.to_owned()), Dim::Fixed(classes)]);
    let name = output.name.clone();
    let maps = rename_output(graph, &name, "maps");
    let flatten = Node::new("Flatten", &[&maps], &[&name]).with("axis", Attribute::Int(1));
    graph.nodes.push(flatten);
}

/// Gives the tensor of the output `name` another name, made from `suffix`, so that a node can follow it.
fn rename_output(graph: &mut Graph, name: &str, suffix: &str) -> String {
    let new = graph.fresh_name(&format!("{name}_{suffix}"));
    for node in &mut graph.nodes {
        for tensor in node.outputs.iter_mut().chain(&mut node.inputs) {
            if tensor == name {
                tensor.clone_from(&new);
            }
        }
    }
    new
}

/// Values with their shapes, as a person reads them.
fn list(values: &[ValueInfo], shapes: &Shapes) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    let of = |value: &ValueInfo| match shapes.get(&value.name) {
        Some(shape) => format!("{} {}", value.name, show(shape)),
        None => value.name.clone(),
    };
    values.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn names(values: &[ValueInfo]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    names.join(", ")
}

/// A shape as a person reads it: (n, 3, 55, 47).
#[must_use]
pub fn show(shape: &Shape) -> String {
    let extents: Vec<String> = shape
        .iter()
        .map(|extent| extent.map_or_else(|| BATCH.to_owned(), |extent| extent.to_string()))
        .collect();
    format!("({})", extents.join(", "))
}

fn not(expected: &str, found: &str) -> OnnxError {
    OnnxError::NotAClassifier {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}
