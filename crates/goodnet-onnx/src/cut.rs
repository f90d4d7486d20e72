//! The network in two parts: the trunk up to the site, and the tail after it.

use super::elements::no_floats;
use super::error::OnnxError;
use super::model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, ValueInfo};
use super::shape::{Shapes, SymbolicShapes};
use super::site::Site;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The two parts. Both are models of their own with an open batch axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Image to [site, crossing…].
    pub trunk: Model,
    /// [site, crossing…] to scores.
    pub tail: Model,
    /// Tensors besides the site that the tail needs and that depend on the image: a residual around the site, say.
    pub crossing: Vec<String>,
}

/// Cuts `model` at `site`.
///
/// # Errors
/// If the scores do not depend on the site.
pub fn cut(model: &Model, site: &Site) -> Result<Cut, OnnxError> {
    let graph = &model.graph;
    let after = graph.dependents(&[&site.tensor]);
    if !graph
        .outputs
        .iter()
        .all(|output| after.contains(&output.name))
    {
        return Err(OnnxError::Site {
            name: site.tensor.clone(),
            expected: "a tensor that the scores depend on".to_owned(),
        });
    }
    let image = graph.inputs.iter().map(|input| input.name.as_str());
    let from_image = graph.dependents(&image.collect::<Vec<&str>>());
    let again = computed_again(graph, &from_image);
    let symbolic = SymbolicShapes::infer(graph);
    let mut in_tail: BTreeSet<usize> = (0..graph.nodes.len())
        .filter(|&index| reads_any(&graph.nodes[index], &after))
        .collect();
    let mut crossing = BTreeSet::new();
    let mut extents = BTreeMap::new();
    // Only f32 tensors that hold something of the image cross; the rest is computed in the tail again.
    let mut open: Vec<usize> = in_tail.iter().copied().collect();
    while let Some(index) = open.pop() {
        let is_before = !reads_any(&graph.nodes[index], &after);
        if is_before && let Some(found) = extents_by_batch(graph, &symbolic, site, index) {
            extents.insert(index, found);
            continue;
        }
        for input in &graph.nodes[index].inputs {
            if input.is_empty() || after.contains(input) || graph.initializers.contains_key(input) {
                continue;
            }
            if from_image.contains(input) && !again.contains(input.as_str()) {
                crossing.insert(input.clone());
                continue;
            }
            let maker = graph
                .nodes
                .iter()
                .position(|node| node.outputs.contains(input));
            if let Some(maker) = maker
                && in_tail.insert(maker)
            {
                open.push(maker);
            }
        }
    }
    let crossing: Vec<String> = crossing.into_iter().collect();
    let shapes = symbolic.into_open();
    Ok(Cut {
        trunk: trunk(model, site, &crossing, &shapes),
        tail: tail(model, site, &crossing, &shapes, &in_tail, &extents),
        crossing,
    })
}

fn reads_any(node: &Node, tensors: &BTreeSet<String>) -> bool {
    node.inputs.iter().any(|input| tensors.contains(input))
}

/// Tensors that do not cross: those that are no f32, and those that hold nothing of the image but extents.
fn computed_again<'a>(graph: &'a Graph, from_image: &BTreeSet<String>) -> HashSet<&'a str> {
    let mut again = no_floats(graph);
    let mut extents: HashSet<&str> = HashSet::new();
    for node in &graph.nodes {
        let mut of_image = node
            .inputs
            .iter()
            .filter(|input| from_image.contains(*input));
        if node.is("Shape") || node.is("Size") || of_image.all(|i| extents.contains(i.as_str())) {
            extents.extend(node.outputs.iter().map(String::as_str));
        }
    }
    again.extend(extents);
    again
}

/// What the Shape node `index` gives, where that is numbers and the batch, which the site has too.
fn extents_by_batch(
    graph: &Graph,
    shapes: &SymbolicShapes,
    site: &Site,
    index: usize,
) -> Option<Vec<Dim>> {
    let node = &graph.nodes[index];
    let batch = shapes.get(&site.tensor)?.first()?;
    let is_known = |dim: &Dim| dim == batch || matches!(dim, Dim::Fixed(_));
    let values = shapes.values(node.outputs.first()?)?;
    let known = node.is("Shape") && matches!(batch, Dim::Symbol(_)) && values.iter().all(is_known);
    known.then(|| values.to_vec())
}

/// Nodes that make `name`, (k): numbers, and the first extent of the site where `dims` has the batch.
fn extents_of(graph: &mut Graph, site: &Site, dims: &[Dim], name: &str) -> Vec<Node> {
    let mut constant = |value: i64| {
        let constant = graph.fresh_name(&format!("{name}_extent"));
        graph
            .initializers
            .insert(constant.clone(), Tensor::i64([1], vec![value]));
        constant
    };
    let first = constant(0);
    let [whole, batch] = ["whole", "batch"].map(|part| format!("{name}_{part}_of_site"));
    let parts: Vec<String> = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(extent) => constant(i64::try_from(*extent).unwrap_or(i64::MAX)),
            _ => batch.clone(),
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    vec![
        Node::new("Shape", &[&site.tensor], &[&whole]),
        Node::new("Gather", &[&whole, &first], &[&batch]),
        Node::new("Concat", &parts, &[name]).with("axis", Attribute::Int(0)),
    ]
}

fn trunk(model: &Model, site: &Site, crossing: &[String], shapes: &Shapes) -> Model {
    let mut trunk = model.clone();
    let graph = &mut trunk.graph;
    graph.outputs = vec![site_port(site)];
    for name in crossing {
        let is_input = graph.inputs.iter().any(|input| input.name == *name);
        // An output must be made by a node: an input that crosses is passed through one.
        let made = if is_input {
            let made = graph.fresh_name(&format!("{name}_crossing"));
            graph.nodes.push(Node::new("Identity", &[name], &[&made]));
            made
        } else {
            name.clone()
        };
        let mut port = port(name, shapes);
        port.name = made;
        graph.outputs.push(port);
    }
    graph.remove_unused();
    trunk
}

fn tail(
    model: &Model,
    site: &Site,
    crossing: &[String],
    shapes: &Shapes,
    in_tail: &BTreeSet<usize>,
    extents: &BTreeMap<usize, Vec<Dim>>,
) -> Model {
    let mut tail = model.clone();
    let graph = &mut tail.graph;
    graph.inputs = vec![site_port(site)];
    graph
        .inputs
        .extend(crossing.iter().map(|name| port(name, shapes)));
    graph.nodes.clear();
    for index in in_tail {
        let node = &model.graph.nodes[*index];
        let made = match extents.get(index) {
            Some(dims) => extents_of(graph, site, dims, &node.outputs[0]),
            None => vec![node.clone()],
        };
        graph.nodes.extend(made);
    }
    graph.remove_unused();
    tail
}

fn site_port(site: &Site) -> ValueInfo {
    ValueInfo {
        name: site.tensor.clone(),
        element: ElementType::F32,
        shape: Some(vec![
            Dim::Symbol("n".to_owned()),
            Dim::Fixed(site.channels),
            Dim::Fixed(site.height),
            Dim::Fixed(site.width),
        ]),
    }
}

fn port(name: &str, shapes: &Shapes) -> ValueInfo {
    let shape = shapes.get(name).map(|shape| {
        let mut dims: Vec<Dim> = shape
            .iter()
            .map(|extent| extent.map_or(Dim::Unknown, Dim::Fixed))
            .collect();
        if let Some(first) = dims.first_mut() {
            *first = Dim::Symbol("n".to_owned());
        }
        dims
    });
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape,
    }
}
