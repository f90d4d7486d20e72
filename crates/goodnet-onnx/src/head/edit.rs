//! Networks with another head: the body alone, another one in its place, a second one beside it.

use super::layer::Gathering;
use super::{Head, Refit, withdraw};
use crate::optimize::lookup::maker;
use crate::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use std::collections::BTreeMap;

/// Functions of scores that are alike only where these are. A sigmoid is none: it is 1 for every score above 17.
const KEEP_APART: [&str; 5] = ["Softmax", "LogSoftmax", "Flatten", "Reshape", "Identity"];

/// The network up to the features: image to (n, d), f32, with the batch axis open and [`Head::features`] as its output.
///
/// `model` is the one in which `head` was found.
#[must_use]
pub fn body(model: &Model, head: &Head) -> Model {
    let mut body = model.clone();
    let graph = &mut body.graph;
    let nodes = gather(graph, head);
    graph.nodes.extend(nodes);
    graph.outputs = vec![ValueInfo {
        name: head.features.clone(),
        element: ElementType::F32,
        shape: Some(vec![Dim::Symbol("n".to_owned()), Dim::Fixed(head.dim)]),
    }];
    graph.remove_unused();
    body
}

/// The network with the weights and the bias of `refit` in its head, and all else as it is.
///
/// `model` is the one in which the head was found. The head becomes one `Gemm` of the features, whatever it was: where
/// it was a convolution that is averaged over its map, the network averages first. Constants that other layers read
/// stay as they are.
#[must_use]
pub fn with_head(model: &Model, refit: &Refit<'_>) -> Model {
    let mut model = model.clone();
    let graph = &mut model.graph;
    let linear = &refit.head.linear;
    let mut nodes = gather(graph, refit.head);
    nodes.extend(multiply(graph, refit, None, linear));
    let Some(at) = maker(graph, linear) else {
        return model;
    };
    if let Some(last) = nodes.last_mut() {
        last.name.clone_from(&graph.nodes[at].name);
    }
    graph.nodes.splice(at..=at, nodes);
    graph.remove_unused();
    model
}

/// The network with a second output: what it would answer with the head of `refit`. Both heads read the same features, and a limit
/// the label that the first output gives, an `ArgMax` of it, unless two scores that differ before it may be alike in it.
pub(crate) fn with_second(model: &Model, refit: &Refit<'_>) -> Model {
    let mut model = model.clone();
    let graph = &mut model.graph;
    let head = refit.head;
    let after = graph.dependents(&[&head.linear]);
    let nodes: Vec<Node> = graph
        .nodes
        .iter()
        .filter(|node| node.inputs.iter().any(|input| after.contains(input)))
        .cloned()
        .collect();
    let gathered = gather(graph, head);
    graph.nodes.extend(gathered);
    let linear = graph.fresh_name(&format!("{}_refitted", head.linear));
    let given = label_of_first(graph, &nodes);
    let product = multiply(graph, refit, given.as_deref(), &linear);
    graph.nodes.extend(product);
    let mut names = BTreeMap::from([(head.linear.clone(), linear)]);
    for node in nodes {
        let node = renamed(graph, node, &mut names);
        graph.nodes.push(node);
    }
    if let Some(output) = graph.outputs.first().cloned() {
        let name = names.get(&output.name).cloned().unwrap_or_default();
        graph.outputs.push(ValueInfo { name, ..output });
    }
    model
}

/// Appends the label of the only output, (n, 1), where `nodes` from the linear scores to it keep scores apart; gives its name.
fn label_of_first(graph: &mut Graph, nodes: &[Node]) -> Option<String> {
    let output = graph.outputs.first()?.name.clone();
    let keeps_apart = |node: &Node| KEEP_APART.iter().any(|operator| node.is(operator));
    if !nodes.iter().all(keeps_apart) {
        return None;
    }
    let label = graph.fresh_name(&format!("{output}_label"));
    let node = Node::new("ArgMax", &[&output], &[&label]);
    graph.nodes.push(node.with("axis", Attribute::Int(1)));
    Some(label)
}

/// A copy of `node` that reads the copies in `names`, and whose outputs are added to them.
fn renamed(graph: &Graph, mut node: Node, names: &mut BTreeMap<String, String>) -> Node {
    for input in &mut node.inputs {
        if let Some(name) = names.get(input) {
            input.clone_from(name);
        }
    }
    for output in node.outputs.iter_mut().filter(|name| !name.is_empty()) {
        let name = graph.fresh_name(&format!("{output}_refitted"));
        names.insert(std::mem::replace(output, name.clone()), name);
    }
    node.name = node.outputs.first().cloned().unwrap_or_default();
    node
}

/// The nodes that make the features.
fn gather(graph: &Graph, head: &Head) -> Vec<Node> {
    let flatten = |from: &str| Node::new("Flatten", &[from], &[&head.features]);
    match head.gathering {
        Gathering::None => Vec::new(),
        Gathering::Flatten => vec![flatten(&head.source)],
        Gathering::Average => {
            let averages = graph.fresh_name(&format!("{}_averages", head.source));
            let average = Node::new("GlobalAveragePool", &[&head.source], &[&averages]);
            vec![average, flatten(&averages)]
        }
    }
}

/// The nodes that make the linear scores from the features, as a tensor named `output` with the extents that it had.
///
/// `given`: as for [`withdraw::nodes`].
fn multiply(graph: &mut Graph, refit: &Refit<'_>, given: Option<&str>, output: &str) -> Vec<Node> {
    let head = refit.head;
    let mut constant = |stem: &str, tensor: Tensor| {
        let name = graph.fresh_name(&format!("{output}_{stem}"));
        graph.initializers.insert(name.clone(), tensor);
        name
    };
    let weights = Tensor::f32([head.dim, head.classes], refit.weights.to_vec());
    let weights = constant("weights", weights);
    let bias = constant("bias", Tensor::f32([head.classes], refit.bias.to_vec()));
    let mut shape = vec![-1];
    shape.extend(head.linear_row.iter().map(|&extent| extent as i64));
    let flat = head.linear_row == [head.classes];
    let shape = (!flat).then(|| constant("shape", Tensor::i64([shape.len()], shape)));
    let rows = match flat {
        true => output.to_owned(),
        false => graph.fresh_name(&format!("{output}_rows")),
    };
    let product = match &refit.withdrawal {
        None => rows.clone(),
        Some(_) => graph.fresh_name(&format!("{output}_product")),
    };
    let inputs = [&head.features, weights.as_str(), bias.as_str()];
    let mut nodes = vec![Node::new("Gemm", &inputs, &[&product])];
    if let Some(withdrawal) = &refit.withdrawal {
        let names = [product.as_str(), rows.as_str()];
        nodes.extend(withdraw::nodes(graph, head, withdrawal, given, names));
    }
    nodes.extend(shape.map(|shape| Node::new("Reshape", &[&rows, &shape], &[output])));
    nodes
}
