//! A site of two axes, (n, C), made one of four, (n, C, 1, 1), which is what everything else works on.

use super::Site;
use crate::model::{Attribute, Model, Node, Tensor};

/// Target of the Reshape that gives a tensor (n, C) two axes of extent 1.
pub(crate) const FOUR_AXES: [i64; 4] = [0, -1, 1, 1];

/// Lets `model` hold `site` as a tensor (n, C, 1, 1), and gives that tensor.
///
/// Where the tensor has two axes, a mean over space that drops them say, a Reshape to four follows it and a Flatten back to
/// two: the same values. A site of four axes stays as it is.
#[must_use]
pub fn expose(model: &Model, site: &Site) -> (Model, Site) {
    let mut model = model.clone();
    if !site.flat {
        return (model, site.clone());
    }
    let graph = &mut model.graph;
    let wide = graph.fresh_name(&format!("{}_channels", site.tensor));
    let flat = graph.fresh_name(&format!("{}_flat", site.tensor));
    let target = graph.fresh_name(&format!("{}_shape", site.tensor));
    for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        if *input == site.tensor {
            input.clone_from(&flat);
        }
    }
    let shape = Tensor::i64([FOUR_AXES.len()], FOUR_AXES.to_vec());
    graph.initializers.insert(target.clone(), shape);
    let made = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&site.tensor));
    let at = made.map_or(0, |index| index + 1);
    let reshape = Node::new("Reshape", &[&site.tensor, &target], &[&wide]);
    let flatten = Node::new("Flatten", &[&wide], &[&flat]).with("axis", Attribute::Int(1));
    graph.nodes.splice(at..at, [reshape, flatten]);
    let exposed = Site {
        tensor: wide,
        flat: false,
        ..site.clone()
    };
    (model, exposed)
}
