//! The site: the tensor whose channels are pruned.

use super::error::OnnxError;
use super::model::{Graph, Model, Node};
use super::shape::{Shapes, infer};

/// A tensor (n, C, H, W) whose channels can be pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name of the tensor.
    pub tensor: String,
    /// Name of the node that makes it.
    pub layer: String,
    /// Operator of that node.
    pub op: String,
    /// Channels C.
    pub channels: usize,
    /// Height H.
    pub height: usize,
    /// Width W.
    pub width: usize,
}

/// Every tensor that could be a site, in graph order: (n, C, H, W) with known C, H and W, made from the image by a
/// convolution, a pooling layer, a normalisation, an activation or a sum.
#[must_use]
pub fn candidates(model: &Model) -> Vec<Site> {
    let shapes = infer(&model.graph);
    let Some(input) = model.graph.inputs.first() else {
        return Vec::new();
    };
    let image = model.graph.dependents(&[&input.name]);
    model
        .graph
        .nodes
        .iter()
        .filter(|node| node.outputs.iter().any(|output| image.contains(output)))
        .filter(|node| makes_channels(node))
        .filter_map(|node| site_of(node, &shapes))
        .collect()
}

/// The output of the last pooling layer of rank 4 or, where there is none, the activation of the last convolution.
///
/// # Errors
/// If the network has neither.
pub fn default_site(model: &Model) -> Result<Site, OnnxError> {
    let shapes = infer(&model.graph);
    let nodes = &model.graph.nodes;
    let pooled = nodes.iter().rev().filter(|node| is_pooling(node));
    if let Some(site) = pooled.filter_map(|node| site_of(node, &shapes)).next() {
        return Ok(site);
    }
    let convolution = nodes.iter().rev().find(|node| node.is("Conv"));
    convolution
        .and_then(|node| site_of(activation_after(&model.graph, node), &shapes))
        .ok_or_else(|| OnnxError::Site {
            name: "(default)".to_owned(),
            expected: "a pooling layer or a convolution to prune at, found neither".to_owned(),
        })
}

/// The site by the name of its tensor or of the layer that makes it.
///
/// # Errors
/// If there is no such tensor or it cannot be a site; the message lists those that can.
pub fn find(model: &Model, name: &str) -> Result<Site, OnnxError> {
    let sites = candidates(model);
    let by_tensor = sites.iter().find(|site| site.tensor == name);
    let by_layer = || sites.iter().find(|site| site.layer == name);
    by_tensor.or_else(by_layer).cloned().ok_or_else(|| {
        let names: Vec<&str> = sites.iter().map(|site| site.tensor.as_str()).collect();
        OnnxError::Site {
            name: name.to_owned(),
            expected: format!("one of the tensors with channels: {}", names.join(", ")),
        }
    })
}

fn site_of(node: &Node, shapes: &Shapes) -> Option<Site> {
    let tensor = node.outputs.first()?;
    let &[_, Some(channels), Some(height), Some(width)] = shapes.get(tensor)?.as_slice() else {
        return None;
    };
    let sized = channels > 0 && height > 0 && width > 0;
    sized.then(|| Site {
        tensor: tensor.clone(),
        layer: node.name.clone(),
        op: node.op_type.clone(),
        channels,
        height,
        width,
    })
}

fn is_pooling(node: &Node) -> bool {
    node.domain.is_empty()
        && matches!(
            node.op_type.as_str(),
            "MaxPool"
                | "AveragePool"
                | "LpPool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "GlobalLpPool"
                | "ReduceMean"
                | "ReduceMax"
        )
}

fn makes_channels(node: &Node) -> bool {
    is_pooling(node)
        || is_activation(node)
        || (node.domain.is_empty()
            && matches!(
                node.op_type.as_str(),
                "Conv" | "BatchNormalization" | "Add" | "Concat" | "Mul"
            ))
}

fn is_activation(node: &Node) -> bool {
    node.domain.is_empty()
        && matches!(
            node.op_type.as_str(),
            "Relu"
                | "LeakyRelu"
                | "PRelu"
                | "Elu"
                | "Selu"
                | "Celu"
                | "Sigmoid"
                | "Tanh"
                | "Clip"
                | "HardSwish"
                | "HardSigmoid"
                | "Softplus"
                | "Gelu"
                | "Mish"
        )
}

/// Follows a convolution through a normalisation to its activation.
fn activation_after<'a>(graph: &'a Graph, convolution: &'a Node) -> &'a Node {
    let mut last = convolution;
    loop {
        let Some(output) = last.outputs.first() else {
            return last;
        };
        let mut consumers = graph.consumers(output);
        match (consumers.next(), consumers.next()) {
            (Some(next), None) if next.is("BatchNormalization") => last = next,
            (Some(next), None) if is_activation(next) => return next,
            _ => return last,
        }
    }
}
