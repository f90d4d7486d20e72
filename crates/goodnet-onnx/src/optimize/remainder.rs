//! Convolutions whose channel count is a little over a multiple of the block: the few channels left over go apart.
//!
//! Blocked kernels compute whole blocks: 20 channels cost as much as 32, once where they are made and again in every
//! tap of the next layer. For `Conv -> [Relu] -> MaxPool (a x b, stride a x b) -> Conv` the remainder of r channels
//! with r * a * b <= block fills one block in another way: one convolution of stride a x b computes the a * b
//! positions of each pooling window as a * b * r channels, and the maximum over the positions is the pooled remainder.
//! The next layer is linear, so it becomes the sum of a convolution over the whole blocks and one over the remainder.
//! Means over space that are taken of the pooled channels are those of both, side by side.

use super::CHANNEL_BLOCK;
use super::lookup::{Kernel, has_explicit_padding, ints_are, is_read_once, maker, readers};
use crate::{Attribute, Graph, Node, Tensor};

/// Positions of the nodes of one place to rewrite, and what they compute.
struct Place {
    conv: usize,
    relu: Option<usize>,
    pool: usize,
    next: usize,
    /// Pooling window, and its stride.
    window: [usize; 2],
    kernel: Kernel,
    next_kernel: Kernel,
    /// Channels in whole blocks.
    whole: usize,
}

/// Rewrites every place where it applies and no tensor of `keep` would go.
pub(super) fn split(graph: &mut Graph, keep: &[&str]) {
    while let Some(place) = first_place(graph, keep) {
        rewrite(graph, &place);
    }
    graph.remove_unused();
}

fn first_place(graph: &Graph, keep: &[&str]) -> Option<Place> {
    (0..graph.nodes.len()).find_map(|pool| find(graph, pool, keep))
}

fn find(graph: &Graph, pool: usize, keep: &[&str]) -> Option<Place> {
    let window = window(&graph.nodes[pool])?;
    let may_go = |tensor: &String| is_read_once(graph, tensor) && !keep.contains(&tensor.as_str());
    let input = graph.nodes[pool].inputs.first()?;
    let before = maker(graph, input).filter(|_| may_go(input))?;
    let relu = graph.nodes[before].is("Relu").then_some(before);
    let conv = match relu {
        Some(relu) => {
            let input = graph.nodes[relu].inputs.first()?;
            maker(graph, input).filter(|_| may_go(input))?
        }
        None => before,
    };
    let output = &graph.nodes[pool].outputs[0];
    if graph.is_output(output) || keep.contains(&output.as_str()) {
        return None;
    }
    let mut others = readers(graph, output);
    others.retain(|&reader| !graph.nodes[reader].is("GlobalAveragePool"));
    let &[next] = others.as_slice() else {
        return None;
    };
    let kernel = Kernel::from_node(graph, &graph.nodes[conv])?;
    let next_kernel = Kernel::from_node(graph, &graph.nodes[next])?;
    let channels = kernel.shape[0];
    let rest = channels % CHANNEL_BLOCK;
    let steps_by_one = ints_are(&graph.nodes[conv], &["strides", "dilations"], 1);
    let fits = rest > 0
        && next_kernel.shape[1] == channels
        && rest * window[0] * window[1] <= CHANNEL_BLOCK;
    (channels > CHANNEL_BLOCK && fits && steps_by_one && has_explicit_padding(&graph.nodes[conv]))
        .then_some(Place {
            conv,
            relu,
            pool,
            next,
            window,
            kernel,
            next_kernel,
            whole: channels - rest,
        })
}

/// Window of a maximum pooling without overlap and padding whose last, incomplete windows are dropped.
fn window(node: &Node) -> Option<[usize; 2]> {
    let plain = node.is("MaxPool")
        && node.outputs.len() == 1
        && node.int("ceil_mode", 0) == 0
        && has_explicit_padding(node)
        && ints_are(node, &["pads"], 0)
        && ints_are(node, &["dilations"], 1);
    let sides = node.ints("kernel_shape")?;
    let apart = node.ints("strides") == Some(sides);
    let sides: Vec<usize> = sides
        .iter()
        .filter_map(|&side| usize::try_from(side).ok())
        .collect();
    let window: [usize; 2] = sides.try_into().ok()?;
    (plain && apart && window[0] * window[1] > 1).then_some(window)
}

fn rewrite(graph: &mut Graph, place: &Place) {
    let channels = place.kernel.shape[0];
    let stem = graph.nodes[place.conv].outputs[0].clone();
    let output = graph.nodes[place.pool].outputs[0].clone();
    let (main, pooled_main) = main_path(graph, place, &stem);
    let (rest, pooled_rest) = rest_path(graph, place, &stem);
    let whole = (pooled_main.as_str(), 0..place.whole);
    let remainder = (pooled_rest.as_str(), place.whole..channels);
    let next = sum_of_parts(graph, place, [whole, remainder]);

    // Later positions first, so that the earlier ones still hold.
    graph.nodes.splice(place.next..=place.next, next);
    graph
        .nodes
        .splice(place.pool..=place.pool, main.into_iter().chain(rest));
    if let Some(relu) = place.relu {
        graph.nodes.remove(relu);
    }
    graph.nodes.remove(place.conv);
    average_parts(graph, &output, [&pooled_main, &pooled_rest]);
}

/// Averages over space of `whole`, which is no more, become those of its two parts.
fn average_parts(graph: &mut Graph, whole: &str, parts: [&str; 2]) {
    while let Some(&average) = readers(graph, whole).first() {
        let output = graph.nodes[average].outputs[0].clone();
        let names = ["whole", "rest"].map(|part| graph.fresh_name(&format!("{output}_{part}")));
        let [first, second] =
            [0, 1].map(|part| Node::new("GlobalAveragePool", &[parts[part]], &[&names[part]]));
        graph.nodes.splice(average..=average, [first, second]);
        if !joined_where_read(graph, &output, &names) {
            let joined = Node::new("Concat", &[&names[0], &names[1]], &[&output]);
            let joined = joined.with("axis", Attribute::Int(1));
            graph.nodes.insert(average + 2, joined);
        }
    }
}

/// Puts both `parts` in the place of `whole` where all that reads it joins it with other channels.
fn joined_where_read(graph: &mut Graph, whole: &str, parts: &[String; 2]) -> bool {
    let joins = |node: &Node| node.is("Concat") && node.int("axis", 0) == 1;
    if graph.is_output(whole) || !graph.consumers(whole).all(joins) {
        return false;
    }
    for node in &mut graph.nodes {
        while let Some(place) = node.inputs.iter().position(|input| input == whole) {
            node.inputs.splice(place..=place, parts.iter().cloned());
        }
    }
    true
}

/// The convolution, rectifier and pooling of the whole blocks: nodes, and the name of the pooled tensor.
fn main_path(graph: &mut Graph, place: &Place, stem: &str) -> (Vec<Node>, String) {
    let kernel = place.kernel.filters(0..place.whole);
    let (weight, bias) = kernel.store(graph, &format!("{stem}_whole"));
    let made = graph.fresh_name(&format!("{stem}_whole"));
    let conv = convolution(&graph.nodes[place.conv], [&weight, &bias], &made);
    let mut nodes = vec![conv];
    let rectified = rectify(graph, place, &mut nodes, made);
    let pooled = graph.fresh_name(&format!("{stem}_whole_pooled"));
    let mut pool = Node::new("MaxPool", &[&rectified], &[&pooled]);
    pool.attributes = graph.nodes[place.pool].attributes.clone();
    nodes.push(pool);
    (nodes, pooled)
}

/// The remainder, one channel for each position of the pooling window: nodes, and the name of the pooled tensor.
fn rest_path(graph: &mut Graph, place: &Place, stem: &str) -> (Vec<Node>, String) {
    let channels = place.kernel.shape[0];
    let positions = place.window[0] * place.window[1];
    let rest = place.kernel.filters(place.whole..channels);
    let (weight, bias) =
        at_each_position(&rest, place.window).store(graph, &format!("{stem}_rest"));
    let made = graph.fresh_name(&format!("{stem}_rest"));
    let strides = place.window.map(as_i64).to_vec();
    let conv = convolution(&graph.nodes[place.conv], [&weight, &bias], &made)
        .with("strides", Attribute::Ints(strides));
    let mut nodes = vec![conv];

    // Before the maximum, which it does not change: runtimes rectify within the convolution.
    let rectified = rectify(graph, place, &mut nodes, made);
    let sizes = vec![as_i64(channels - place.whole); positions];
    let name = graph.fresh_name(&format!("{rectified}_sizes"));
    let constant = Tensor::i64([positions], sizes);
    graph.initializers.insert(name.clone(), constant);
    let parts: Vec<String> = (0..positions)
        .map(|position| graph.fresh_name(&format!("{rectified}_{position}")))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let split = Node::new("Split", &[&rectified, &name], &parts);
    nodes.push(split.with("axis", Attribute::Int(1)));
    let pooled = graph.fresh_name(&format!("{stem}_rest_highest"));
    nodes.push(Node::new("Max", &parts, &[&pooled]));
    (nodes, pooled)
}

/// Appends the rectifier if the place has one; gives the name of its output.
fn rectify(graph: &Graph, place: &Place, nodes: &mut Vec<Node>, made: String) -> String {
    if place.relu.is_none() {
        return made;
    }
    let rectified = graph.fresh_name(&format!("{made}_relu"));
    nodes.push(Node::new("Relu", &[&made], &[&rectified]));
    rectified
}

/// The next convolution as the sum of one over each part of its input channels; the first carries the bias.
fn sum_of_parts(
    graph: &mut Graph,
    place: &Place,
    parts: [(&str, std::ops::Range<usize>); 2],
) -> Vec<Node> {
    let node = graph.nodes[place.next].clone();
    let output = &node.outputs[0];
    let mut nodes = Vec::new();
    let mut sums = Vec::new();
    for (number, (input, range)) in parts.into_iter().enumerate() {
        let kernel = place.next_kernel.reading(&range);
        let stem = format!("{output}_part_{number}");
        let (weight, bias) = kernel.store(graph, &stem);
        let sum = graph.fresh_name(&stem);
        let mut conv = convolution(&node, [&weight, &bias], &sum);
        input.clone_into(&mut conv.inputs[0]);
        conv.inputs.truncate(if number == 0 { 3 } else { 2 });
        nodes.push(conv);
        sums.push(sum);
    }
    nodes.push(Node::new("Add", &[&sums[0], &sums[1]], &[output]));
    nodes
}

/// The same convolution with other constants and another output.
fn convolution(like: &Node, constants: [&str; 2], output: &str) -> Node {
    let mut node = Node::new(
        "Conv",
        &[&like.inputs[0], constants[0], constants[1]],
        &[output],
    );
    node.attributes = like.attributes.clone();
    // The extent follows from the weights, which may be wider than before.
    node.attributes.remove("kernel_shape");
    node
}

/// For each position (y, x) of the window and each filter, the filter moved by (y, x) inside a larger one of zeros:
/// (O, I, KH, KW) to (window * O, I, KH + window height - 1, KW + window width - 1), position-major.
fn at_each_position(kernel: &Kernel, window: [usize; 2]) -> Kernel {
    let [outputs, inputs, height, width] = kernel.shape;
    let (tall, wide) = (height + window[0] - 1, width + window[1] - 1);
    let mut weights = Vec::with_capacity(window[0] * window[1] * outputs * inputs * tall * wide);
    for position in 0..window[0] * window[1] {
        let (down, right) = (position / window[1], position % window[1]);
        for plane in kernel.weights.chunks_exact(height * width) {
            let mut larger = vec![0.0; tall * wide];
            for (y, row) in plane.chunks_exact(width).enumerate() {
                let start = (y + down) * wide + right;
                larger[start..start + width].copy_from_slice(row);
            }
            weights.extend(larger);
        }
    }
    Kernel {
        shape: [window[0] * window[1] * outputs, inputs, tall, wide],
        weights,
        bias: kernel.bias.repeat(window[0] * window[1]),
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_moved_to_each_position_of_the_window() {
        let kernel = Kernel {
            shape: [1, 1, 2, 1],
            weights: vec![5.0, 7.0],
            bias: vec![0.5],
        };
        let moved = at_each_position(&kernel, [2, 2]);
        assert_eq!(moved.shape, [4, 1, 3, 2]);
        assert_eq!(moved.bias, [0.5; 4]);
        let positions = [
            [5.0, 0.0, 7.0, 0.0, 0.0, 0.0],
            [0.0, 5.0, 0.0, 7.0, 0.0, 0.0],
            [0.0, 0.0, 5.0, 0.0, 7.0, 0.0],
            [0.0, 0.0, 0.0, 5.0, 0.0, 7.0],
        ];
        assert_eq!(moved.weights, positions.concat());
    }
}
