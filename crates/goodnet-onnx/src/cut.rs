//! The network in two parts: the trunk up to the site, and the tail after it.

use super::error::OnnxError;
use super::model::{Dim, ElementType, Graph, Model, Node, ValueInfo};
use super::shape::{Shapes, infer};
use super::site::Site;
use std::collections::BTreeSet;

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
    let image: Vec<&str> = graph
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    let from_image = graph.dependents(&image);
    let integers = shape_arithmetic(graph);
    let mut in_tail: BTreeSet<usize> = (0..graph.nodes.len())
        .filter(|&index| reads_any(&graph.nodes[index], &after))
        .collect();
    let mut crossing = BTreeSet::new();
    // Only f32 tensors cross: shape arithmetic and what does not depend on the image is computed in the tail again.
    let mut open: Vec<usize> = in_tail.iter().copied().collect();
    while let Some(index) = open.pop() {
        for input in &graph.nodes[index].inputs {
            if input.is_empty() || after.contains(input) || graph.initializers.contains_key(input) {
                continue;
            }
            if from_image.contains(input) && !integers.contains(input) {
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
    let shapes = infer(graph);
    Ok(Cut {
        trunk: trunk(model, site, &crossing, &shapes),
        tail: tail(model, site, &crossing, &shapes, &in_tail),
        crossing,
    })
}

fn reads_any(node: &Node, tensors: &BTreeSet<String>) -> bool {
    node.inputs.iter().any(|input| tensors.contains(input))
}

/// Tensors that are computed from the shape of another one.
fn shape_arithmetic(graph: &Graph) -> BTreeSet<String> {
    let mut integers = BTreeSet::new();
    for node in &graph.nodes {
        let continues = !node.is("Reshape")
            && !node.is("Expand")
            && node
                .inputs
                .first()
                .is_some_and(|input| integers.contains(input));
        if node.is("Shape") || node.is("Size") || continues {
            integers.extend(node.outputs.iter().cloned());
        }
    }
    integers
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
) -> Model {
    let mut tail = model.clone();
    let graph = &mut tail.graph;
    graph.inputs = vec![site_port(site)];
    graph
        .inputs
        .extend(crossing.iter().map(|name| port(name, shapes)));
    graph.nodes = in_tail
        .iter()
        .map(|&index| model.graph.nodes[index].clone())
        .collect();
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
