//! The site: the tensor whose channels are pruned.
//!
//! In reading order: `flow` (what passes through a tensor), `choose` (the site where none is named), `expose` (a site of two
//! axes made one of four).

mod choose;
mod expose;
mod flow;

use super::axes::reduced_axes;
use super::error::OnnxError;
use super::model::{Graph, Model, Node};
use super::shape::{ShapedModel, Shapes};
pub(super) use choose::choose;
pub use choose::{SiteChoice, default_choice};
pub(super) use expose::FOUR_AXES;
pub use expose::expose;

/// A tensor (n, C, H, W), or (n, C), whose channels can be pruned.
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
    /// Has the tensor the axes (n, C) alone? [`expose`] makes it one of four; height and width are 1.
    pub flat: bool,
}

/// Every tensor that could be a site, in graph order: (n, C, H, W) with known C, H and W, made from the image by a
/// convolution, a pooling layer, a normalisation, an activation or a sum.
#[must_use]
pub fn candidates(model: &Model) -> Vec<Site> {
    spatial_sites(&ShapedModel::new(model))
}

fn spatial_sites(model: &ShapedModel<'_>) -> Vec<Site> {
    let (graph, shapes) = (model.graph(), model.shapes());
    let Some(input) = graph.inputs.first() else {
        return Vec::new();
    };
    let image = graph.dependents(&[&input.name]);
    graph
        .nodes
        .iter()
        .filter(|node| node.outputs.iter().any(|output| image.contains(output)))
        .filter(|node| makes_channels(node))
        .filter_map(|node| site_of(node, shapes))
        .filter(|site| !site.flat)
        .collect()
}

/// Every tensor (n, C) of known C that could be a site once it is [`expose`]d, in graph order: pooled features, a class token, a
/// hidden layer; not the scores.
#[must_use]
pub fn flat_candidates(model: &Model) -> Vec<Site> {
    flat_sites(&ShapedModel::new(model))
}

fn flat_sites(model: &ShapedModel<'_>) -> Vec<Site> {
    let (graph, shapes) = (model.graph(), model.shapes());
    let image = flow::from_image(graph);
    let weighted = flow::before_weights(graph);
    let nodes = graph.nodes.iter();
    nodes
        .filter(|node| node.outputs.iter().any(|output| image.contains(output)))
        .filter(|node| makes_features(node))
        .filter_map(|node| flat_site_of(node, shapes))
        .filter(|site| weighted.contains(site.tensor.as_str()))
        .collect()
}

/// All [`candidates`], then all [`flat_candidates`].
pub(super) fn all_sites(model: &ShapedModel<'_>) -> Vec<Site> {
    let mut sites = spatial_sites(model);
    sites.extend(flat_sites(model));
    sites
}

/// The site where none is named, see [`default_choice`].
///
/// # Errors
/// As [`default_choice`].
pub fn default_site(model: &Model) -> Result<Site, OnnxError> {
    default_choice(model).map(|choice| choice.site)
}

/// The site by the name of its tensor or of the layer that makes it.
///
/// # Errors
/// If there is no such tensor or it cannot be a site; the message lists those that can.
pub fn find(model: &Model, name: &str) -> Result<Site, OnnxError> {
    let sites = all_sites(&ShapedModel::new(model));
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

/// The output of `node` as a site, of four axes or, after a pooling layer, of two.
fn site_of(node: &Node, shapes: &Shapes) -> Option<Site> {
    let tensor = node.outputs.first()?;
    if is_pooling(node) && shapes.get(tensor)?.len() == 2 {
        return flat_site_of(node, shapes);
    }
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
        flat: false,
    })
}

fn flat_site_of(node: &Node, shapes: &Shapes) -> Option<Site> {
    let tensor = node.outputs.first()?;
    let &[None, Some(channels)] = shapes.get(tensor)?.as_slice() else {
        return None;
    };
    (channels > 0).then(|| Site {
        tensor: tensor.clone(),
        layer: node.name.clone(),
        op: node.op_type.clone(),
        channels,
        height: 1,
        width: 1,
        flat: true,
    })
}

/// What a pooling layer gives.
enum Pooling {
    /// One value, or a map, for each channel.
    Space,
    /// Its shape cannot be told.
    Unknown,
}

/// Is `node` a pooling layer over the two axes of space? A mean over other axes (a normalisation, say) is none.
fn pooling(graph: &Graph, node: &Node, shapes: &Shapes) -> Option<Pooling> {
    if !is_pooling(node) {
        return None;
    }
    let rank = node
        .inputs
        .first()
        .and_then(|input| shapes.get(input))
        .map(Vec::len);
    if !node.op_type.starts_with("Reduce") {
        return match rank {
            Some(4) => Some(Pooling::Space),
            Some(_) => None,
            None => Some(Pooling::Unknown),
        };
    }
    let axes = reduced_axes(node, graph, rank.unwrap_or(4))?;
    let over_space = axes == [2, 3] || axes == [3, 2] || axes == [1, 2] || axes == [2, 1];
    match rank {
        Some(4) if over_space => Some(Pooling::Space),
        None if over_space => Some(Pooling::Unknown),
        _ => None,
    }
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

/// Layers whose output of two axes holds features.
fn makes_features(node: &Node) -> bool {
    makes_channels(node)
        || (node.domain.is_empty()
            && matches!(
                node.op_type.as_str(),
                "Gemm" | "MatMul" | "LayerNormalization" | "Gather" | "Squeeze"
            ))
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
