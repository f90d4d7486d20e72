//! Feature maps on the way to the features, and their means over space.

use super::Head;
use crate::shape::{Shapes, infer};
use crate::{Dim, ElementType, Graph, Model, Node, ValueInfo};
use std::collections::BTreeSet;

/// With more channels the square matrix of a map would be larger than most networks.
const MOST_CHANNELS: usize = 512;

/// Layers whose inputs count. What a pooling reads is much larger than what it makes and tells little more.
const READERS: [&str; 2] = ["Conv", "ConvTranspose"];

/// A tensor (n, C, H, W) of the model in which it was found, with more than one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureMap {
    tensor: String,
    channels: usize,
}

impl FeatureMap {
    /// Name of the tensor.
    #[must_use]
    pub fn tensor(&self) -> &str {
        &self.tensor
    }

    /// Channels C.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The nodes that make its means over H and W: (n, C), named `output`.
    pub(super) fn averaged(&self, graph: &Graph, output: &str) -> [Node; 2] {
        let averages = graph.fresh_name(&format!("{output}_averages"));
        [
            Node::new("GlobalAveragePool", &[&self.tensor], &[&averages]),
            Node::new("Flatten", &[&averages], &[output]),
        ]
    }
}

/// At most `most` maps that convolutions read between the image and the features of `head`, evenly chosen in the order
/// of the nodes, the first and the last among them.
///
/// Only maps of four axes with a known number of channels, at most 512, and more than one place count, from the first
/// convolution on: the image itself, scaled or not, is none of them.
#[must_use]
pub fn feature_maps(model: &Model, head: &Head, most: usize) -> Vec<FeatureMap> {
    let graph = &model.graph;
    let image: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let of_image = graph.dependents(&image);
    let layers = graph.nodes.iter().filter(|node| {
        node.is("Conv")
            && node
                .inputs
                .first()
                .is_some_and(|input| of_image.contains(input))
    });
    let convolved: Vec<&str> = layers
        .flat_map(|node| &node.outputs)
        .map(String::as_str)
        .collect();
    let (after_layers, shapes) = (graph.dependents(&convolved), infer(graph));
    let before_head = ancestors(graph, &head.source);
    let readers = graph
        .nodes
        .iter()
        .filter(|node| READERS.iter().any(|operator| node.is(operator)));
    let read: BTreeSet<&String> = readers.filter_map(|node| node.inputs.first()).collect();
    let made = graph.nodes.iter().flat_map(|node| &node.outputs);
    let inner = made.filter(|&tensor| {
        read.contains(tensor) && after_layers.contains(tensor) && before_head.contains(tensor)
    });
    let map = |tensor: &String| {
        Some(FeatureMap {
            channels: channels(&shapes, tensor)?,
            tensor: tensor.clone(),
        })
    };
    evenly(inner.filter_map(map).collect(), most)
}

/// `tensor`, and the tensors that it is made from.
fn ancestors(graph: &Graph, tensor: &str) -> BTreeSet<String> {
    let mut needed = BTreeSet::from([tensor.to_owned()]);
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            needed.extend(node.inputs.iter().cloned());
        }
    }
    needed
}

fn channels(shapes: &Shapes, tensor: &str) -> Option<usize> {
    let shape = shapes.get(tensor)?;
    let &[_, Some(channels), height, width] = shape.as_slice() else {
        return None;
    };
    let one_place = (height, width) == (Some(1), Some(1));
    (!one_place && (1..=MOST_CHANNELS).contains(&channels)).then_some(channels)
}

/// `most` of `items`, from the first to the last in even steps.
fn evenly<T>(items: Vec<T>, most: usize) -> Vec<T> {
    let count = items.len();
    if count <= most {
        return items;
    }
    let places: Vec<usize> = (0..most)
        .map(|step| {
            (step * (count - 1) + most.saturating_sub(1) / 2) / most.saturating_sub(1).max(1)
        })
        .collect();
    let chosen = items.into_iter().enumerate();
    chosen
        .filter(|(place, _)| places.contains(place))
        .map(|(_, item)| item)
        .collect()
}

/// The network up to `maps`: image to the means of each over H and W, (n, C), in their order.
///
/// `model` is the one in which the maps were found.
#[must_use]
pub fn means(model: &Model, maps: &[FeatureMap]) -> Model {
    let mut model = model.clone();
    let graph = &mut model.graph;
    graph.outputs.clear();
    for map in maps {
        let output = graph.fresh_name(&format!("{}_means", map.tensor));
        let nodes = map.averaged(graph, &output);
        graph.nodes.extend(nodes);
        graph.outputs.push(port(&output, map.channels));
    }
    graph.remove_unused();
    model
}

/// A tensor (n, `channels`), f32.
fn port(name: &str, channels: usize) -> ValueInfo {
    ValueInfo {
        name: name.to_owned(),
        element: ElementType::F32,
        shape: Some(vec![Dim::Symbol("n".to_owned()), Dim::Fixed(channels)]),
    }
}

#[cfg(test)]
mod tests {
    use super::evenly;

    #[test]
    fn maps_are_chosen_evenly_with_both_ends() {
        assert_eq!(evenly((0..5).collect(), 6), [0, 1, 2, 3, 4]);
        assert_eq!(evenly((0..11).collect(), 6), [0, 2, 4, 6, 8, 10]);
        assert_eq!(evenly((0..13).collect(), 6), [0, 2, 5, 7, 10, 12]);
        assert_eq!(evenly((0..100).collect::<Vec<_>>(), 6).len(), 6);
    }
}
