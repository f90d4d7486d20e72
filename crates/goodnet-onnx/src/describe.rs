//! What a network is made of, for people and for tools: layers, shapes, parameters, sites.

use super::error::OnnxError;
use super::model::{Graph, Model, Node, TensorData};
use super::ports::{Ports, parameters, ports_of};
use super::shape::{Shape, ShapedModel, Shapes};
use super::site::{Site, SiteChoice, all_sites, choose};
use serde::Serialize;
use std::collections::HashSet;

/// A network, described.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Name of the tool that wrote the file.
    pub producer: String,
    /// Version of the default operator set.
    pub opset: i64,
    /// What the network takes.
    pub input: InputDescription,
    /// Classes N.
    pub classes: u32,
    /// Weights of the whole network.
    pub parameters: usize,
    /// Layers in graph order.
    pub layers: Vec<Layer>,
    /// Tensors that can be a site, in graph order; those of two axes, (n, C), last.
    pub sites: Vec<SiteDescription>,
    /// Why the default site is no pooling layer, or why there is none; absent where it is the last pooling layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_site: Option<String>,
}

/// The image input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputDescription {
    /// Name of the tensor.
    pub name: String,
    /// Height H.
    pub height: usize,
    /// Width W.
    pub width: usize,
    /// Channels C.
    pub channels: usize,
    /// Order of the axes.
    pub layout: crate::Layout,
}

/// One operation of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Name of the node, that of its first output where it has none.
    pub name: String,
    /// Operator.
    pub op: String,
    /// Extents of its first output, `null` where open; absent where not even the rank is known.
    pub shape: Option<Shape>,
    /// Float constants that it reads; one that several layers read counts at the first.
    pub parameters: usize,
}

/// A tensor that can be a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteDescription {
    /// Name of the tensor.
    pub tensor: String,
    /// Name of the layer that makes it.
    pub layer: String,
    /// Operator of that layer.
    pub op: String,
    /// Channels C.
    pub channels: usize,
    /// Height H.
    pub height: usize,
    /// Width W.
    pub width: usize,
    /// Is it the one that is taken where none is named?
    pub default: bool,
}

/// Describes an image classifier.
///
/// # Errors
/// As [`ports`](super::ports()).
pub fn describe(model: &Model) -> Result<Description, OnnxError> {
    let shaped = ShapedModel::new(model);
    let Ports {
        input,
        height,
        width,
        channels,
        layout,
        classes,
        ..
    } = ports_of(&shaped)?;
    let default = choose(&shaped);
    Ok(Description {
        producer: model.producer.clone(),
        opset: model.opset(),
        input: InputDescription {
            name: input,
            height,
            width,
            channels,
            layout,
        },
        classes,
        parameters: parameters(model),
        layers: layers(&shaped),
        sites: sites(&shaped, default.as_ref().ok()),
        default_site: match default {
            Ok(choice) => choice.reason,
            Err(error) => Some(error.to_string()),
        },
    })
}

fn layers(model: &ShapedModel<'_>) -> Vec<Layer> {
    let mut counted = HashSet::new();
    let nodes = model.graph().nodes.iter();
    nodes
        .map(|node| layer(model.graph(), node, model.shapes(), &mut counted))
        .collect()
}

fn layer<'a>(
    graph: &'a Graph,
    node: &'a Node,
    shapes: &Shapes,
    counted: &mut HashSet<&'a str>,
) -> Layer {
    let first = node.outputs.first().map_or("", String::as_str);
    let name = if node.name.is_empty() {
        first
    } else {
        &node.name
    };
    let mut parameters = 0;
    for input in &node.inputs {
        if let Some(tensor) = graph.initializers.get(input)
            && counted.insert(input)
        {
            parameters += floats(&tensor.data);
        }
    }
    Layer {
        name: name.to_owned(),
        op: node.op_type.clone(),
        shape: shapes.get(first).cloned(),
        parameters,
    }
}

fn floats(data: &TensorData) -> usize {
    match data {
        TensorData::F32(values) => values.len(),
        TensorData::F64(values) => values.len(),
        TensorData::I32(_) | TensorData::I64(_) | TensorData::Other(..) => 0,
    }
}

fn sites(model: &ShapedModel<'_>, default: Option<&SiteChoice>) -> Vec<SiteDescription> {
    let is_default = |site: &Site| default.is_some_and(|choice| choice.site.tensor == site.tensor);
    all_sites(model)
        .into_iter()
        .map(|site| SiteDescription {
            default: is_default(&site),
            tensor: site.tensor,
            layer: site.layer,
            op: site.op,
            channels: site.channels,
            height: site.height,
            width: site.width,
        })
        .collect()
}
