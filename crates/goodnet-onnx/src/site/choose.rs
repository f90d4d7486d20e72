//! The site where none is named.

use super::flow::{
    attention_after, before_weights, bottlenecks, convolutions_after, from_image, has_channels,
};
use super::{Pooling, Site, all_sites, is_activation, pooling, site_of};
use crate::error::OnnxError;
use crate::model::{Graph, Model, Node};
use crate::shape::{ShapedModel, Shapes};
use std::collections::HashMap;

/// More convolutions in a row than this after the last pooling layer: its channels are not those that the classes are told by.
const MAX_CONVOLUTIONS_AFTER: usize = 2;

/// Names that a refusal lists.
const LISTED: usize = 12;

/// The default site and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteChoice {
    /// The site.
    pub site: Site,
    /// Why it is not the output of the last pooling layer, where it is not.
    pub reason: Option<String>,
}

/// The output of the last pooling layer, or the tensor that takes its place.
///
/// Only tensors count that everything goes through on its way from the image to the scores: no pooling in a branch, none in a
/// gate. A pooling layer is no site where no layer with weights follows (its channels are the classes; what the convolution
/// before it reads is the site then), nor where more than two convolutions in a row follow. Without a pooling layer that is a
/// site, it is the activation of the last convolution, or the sum that its branch ends in.
///
/// # Errors
/// If the shape of the last pooling layer cannot be told, or the network is a transformer without pooling: the message lists
/// what `--site` can name. It is never silently an earlier layer.
pub fn default_choice(model: &Model) -> Result<SiteChoice, OnnxError> {
    choose(&ShapedModel::new(model))
}

/// As [`default_choice`].
pub(crate) fn choose(model: &ShapedModel<'_>) -> Result<SiteChoice, OnnxError> {
    let (graph, shapes) = (model.graph(), model.shapes());
    let image = from_image(graph);
    let passed = bottlenecks(graph);
    let pooled = graph.nodes.iter().rev().find_map(|node| {
        let output = node
            .outputs
            .first()
            .filter(|output| image.contains(*output))?;
        let kind = pooling(graph, node, shapes)?;
        passed
            .contains(output.as_str())
            .then_some((node, output, kind))
    });
    let Some((node, output, kind)) = pooled else {
        let what = "the network has no pooling layer that everything goes through";
        return without_pooling(model, what);
    };
    if !before_weights(graph).contains(output.as_str()) {
        let what = format!(
            "the channels of the last pooling layer, {}, are the classes",
            node.name
        );
        return without_pooling(model, &what);
    }
    let follow = convolutions_after(graph, output);
    if follow > MAX_CONVOLUTIONS_AFTER {
        let what = format!(
            "{follow} convolutions in a row follow the last pooling layer, {}",
            node.name
        );
        return without_pooling(model, &what);
    }
    if attention_after(graph, output) {
        let what = format!("attention follows the last pooling layer, {}", node.name);
        return Err(refuse(model, &what));
    }
    let site = match kind {
        Pooling::Unknown => None,
        Pooling::Space => site_of(node, shapes),
    };
    let what = format!(
        "the shape of the last pooling layer, {} ({}), cannot be told",
        node.name, node.op_type
    );
    let site = site.ok_or_else(|| refuse(model, &what))?;
    Ok(SiteChoice { site, reason: None })
}

/// The site of a network whose pooling layers, as `what` says, do not give one.
fn without_pooling(model: &ShapedModel<'_>, what: &str) -> Result<SiteChoice, OnnxError> {
    let (graph, shapes) = (model.graph(), model.shapes());
    let image = from_image(graph);
    let is_last = |node: &&Node| node.is("Conv") && node.outputs.iter().any(|o| image.contains(o));
    let Some(last) = graph.nodes.iter().rev().find(is_last) else {
        return Err(refuse(model, &format!("{what}, nor a convolution")));
    };
    let output = last.outputs.first().map_or("", String::as_str);
    if attention_after(graph, output) {
        return Err(refuse(
            model,
            &format!(
                "{what}: it is a transformer, whose tokens have channels only between its layers"
            ),
        ));
    }
    let (node, is) = match before_weights(graph).contains(output) {
        true => (
            features_of(graph, shapes, last),
            "the activation of the last convolution",
        ),
        false => (
            before_classes(graph, last),
            "what the layer of the classes reads",
        ),
    };
    let site = node.filter(|node| node.outputs.iter().any(|o| image.contains(o)));
    let site = site.and_then(|node| site_of(node, shapes));
    let site = site.ok_or_else(|| refuse(model, what))?;
    Ok(SiteChoice {
        site,
        reason: Some(format!("{is}, since {what}")),
    })
}

/// The activation after a convolution or, where that is in a branch, what the branch ends in.
fn features_of<'a>(graph: &'a Graph, shapes: &Shapes, convolution: &'a Node) -> Option<&'a Node> {
    let activation = activation_after(graph, convolution);
    let name = activation.outputs.first()?;
    let passed = bottlenecks(graph);
    if passed.contains(name.as_str()) {
        return Some(activation);
    }
    let after = graph.dependents(&[name]);
    let ends = graph.nodes.iter().find(|node| {
        let output = node
            .outputs
            .first()
            .filter(|output| after.contains(*output));
        output.is_some_and(|output| {
            output != name && has_channels(shapes, output) && passed.contains(output.as_str())
        })
    });
    let joined = ends.map(|node| activation_after(graph, node));
    joined.or(Some(activation))
}

/// Layers in a row that are looked through.
const MAX_LOOKED_THROUGH: usize = 16;

/// The layer that makes what a convolution reads.
fn before_classes<'a>(graph: &'a Graph, convolution: &Node) -> Option<&'a Node> {
    let mut node = graph.producer(convolution.inputs.first()?)?;
    for _ in 0..MAX_LOOKED_THROUGH {
        if !node.is("Dropout") && !node.is("Identity") {
            break;
        }
        node = graph.producer(node.inputs.first()?)?;
    }
    Some(node)
}

/// Follows a layer through a normalisation to its activation.
fn activation_after<'a>(graph: &'a Graph, layer: &'a Node) -> &'a Node {
    let mut last = layer;
    for _ in 0..MAX_LOOKED_THROUGH {
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
    last
}

/// No site without a name: what can be named instead, the last ones first.
fn refuse(model: &ShapedModel<'_>, what: &str) -> OnnxError {
    let graph = model.graph();
    let passed = bottlenecks(graph);
    let made = graph.nodes.iter().enumerate();
    let made: HashMap<&str, usize> = made
        .flat_map(|(at, node)| node.outputs.iter().map(move |name| (name.as_str(), at)))
        .collect();
    let mut names: Vec<String> = all_sites(model)
        .into_iter()
        .map(|site| site.tensor)
        .filter(|name| passed.contains(name.as_str()))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(made.get(name.as_str()).copied()));
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let list = match names.is_empty() {
        true => "goodnet inspect lists the tensors".to_owned(),
        false => format!(
            "{}{}",
            names.join(", "),
            if more > 0 {
                format!(" and {more} more (goodnet inspect)")
            } else {
                String::new()
            }
        ),
    };
    OnnxError::NoDefaultSite {
        found: what.to_owned(),
        named: list,
    }
}
