//! Opening a batch that an exporter has written into the graph: into the targets of `Reshape`, or by expanding a constant
//! (a transformer's class token) to it.
//!
//! The graph is followed twice in plain numbers: at the size that the file states, where it is right by itself, and at a
//! size that no other extent has. Every tensor that depends on the images must then differ in one axis, by that factor; a
//! `Reshape` that would break this gets a target that does not. Where a target leaves a choice (which of several axes of
//! extent 1 is the batch?) the first that fits all that follows is taken.

use super::concrete::{Concrete, count};
use crate::onnx::model::{Attribute, Graph, Node, Tensor};
use std::collections::BTreeMap;

/// By what the second size is larger: a prime that no extent of a network has.
const FACTOR: usize = 999_983;
/// Nodes that are looked at before it is given up.
const MAX_STEPS: usize = 200_000;

/// What a node needs so that it follows the batch.
#[derive(Debug, Clone, PartialEq)]
enum Edit {
    /// Another target for a `Reshape`.
    Target(Vec<i64>),
    /// These inputs of a `Concat` are expanded along `axis` to the extent that input `like` has there.
    Expand {
        inputs: Vec<usize>,
        like: usize,
        axis: usize,
        rank: usize,
    },
}

/// A `Reshape` with several targets, and what was known before it.
struct Choice {
    node: usize,
    targets: Vec<Vec<i64>>,
    before: Concrete,
}

/// `graph`, which is right for a batch of `fixed`, made right for any; `None` where no way is found.
pub(super) fn open(graph: &Graph, fixed: usize) -> Option<Graph> {
    let stated = follow(graph, fixed);
    let mut edits: BTreeMap<usize, Edit> = BTreeMap::new();
    let mut open = Concrete::begin(graph, fixed.checked_mul(FACTOR)?);
    let mut choices: Vec<Choice> = Vec::new();
    let mut index = 0;
    let mut steps = 0;
    while index < graph.nodes.len() {
        steps += 1;
        if steps > MAX_STEPS {
            return None;
        }
        let node = &graph.nodes[index];
        let view = View {
            stated: &stated,
            open: &open,
            fixed,
        };
        let mut targets = view.targets(node);
        let fits = if targets.is_empty() {
            let edit = view.expansion(node);
            let fits = step(&mut open, graph, &stated, node, edit.as_ref());
            edit.map(|edit| edits.insert(index, edit));
            fits
        } else {
            let target = targets.remove(0);
            if !targets.is_empty() {
                choices.push(Choice {
                    node: index,
                    targets,
                    before: open.clone(),
                });
            }
            take(&mut open, graph, &stated, index, target, &mut edits)
        };
        index += 1;
        if !fits {
            index = back(&mut choices, &mut open, graph, &stated, &mut edits)?;
        }
    }
    let ends_open = graph.outputs.iter().all(|output| {
        let (Some(small), Some(large)) = (stated.shape(&output.name), open.shape(&output.name))
        else {
            return true;
        };
        batch_axis(&small, &large) == Some(0)
    });
    ends_open.then(|| {
        let mut edited = edited(graph, edits);
        settle_bounds(&mut edited, &stated, &open);
        edited
    })
}

/// Bounds of a `Slice` that are computed, and the same at both sizes, as constants: other passes look for such.
fn settle_bounds(graph: &mut Graph, stated: &Concrete, open: &Concrete) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let bounds = node.inputs.get(1..).unwrap_or_default();
        let computed = bounds
            .iter()
            .any(|name| !name.is_empty() && !graph.initializers.contains_key(name));
        if !node.is("Slice") || !computed {
            continue;
        }
        let values: Option<Vec<Vec<i64>>> = bounds
            .iter()
            .map(|name| {
                let values = stated.integers(name).filter(|_| !name.is_empty())?;
                (open.integers(name) == Some(values)).then(|| values.to_vec())
            })
            .collect();
        let Some(values) = values else {
            continue;
        };
        for (at, values) in values.into_iter().enumerate() {
            let wish = format!("{}_settled", graph.nodes[index].inputs[at + 1]);
            let name = constant(graph, &wish, Tensor::i64([values.len()], values));
            graph.nodes[index].inputs[at + 1] = name;
        }
    }
    graph.remove_unused();
}

fn follow(graph: &Graph, batch: usize) -> Concrete {
    let mut concrete = Concrete::begin(graph, batch);
    for node in &graph.nodes {
        concrete.add(graph, node);
    }
    concrete
}

/// Goes back to the last choice that has another target left; gives the node to go on with.
fn back(
    choices: &mut Vec<Choice>,
    open: &mut Concrete,
    graph: &Graph,
    stated: &Concrete,
    edits: &mut BTreeMap<usize, Edit>,
) -> Option<usize> {
    loop {
        let mut choice = choices.pop()?;
        let node = choice.node;
        edits.retain(|&index, _| index < node);
        *open = choice.before.clone();
        let target = choice.targets.remove(0);
        if !choice.targets.is_empty() {
            choices.push(choice);
        }
        if take(open, graph, stated, node, target, edits) {
            return Some(node + 1);
        }
    }
}

/// Takes a target for the `Reshape` at `index`; false where it does not fit.
fn take(
    open: &mut Concrete,
    graph: &Graph,
    stated: &Concrete,
    index: usize,
    target: Vec<i64>,
    edits: &mut BTreeMap<usize, Edit>,
) -> bool {
    let node = &graph.nodes[index];
    let edit = Edit::Target(target);
    let fits = step(open, graph, stated, node, Some(&edit));
    let is_new = match &edit {
        Edit::Target(target) => stated.integers(&node.inputs[1]) != Some(target),
        Edit::Expand { .. } => true,
    };
    if is_new {
        edits.insert(index, edit);
    } else {
        edits.remove(&index);
    }
    fits
}

/// Adds a node at the larger size; false where what it gives does not follow the batch.
fn step(
    open: &mut Concrete,
    graph: &Graph,
    stated: &Concrete,
    node: &Node,
    edit: Option<&Edit>,
) -> bool {
    open.add(graph, node);
    if !node.domain.is_empty() {
        return true;
    }
    let Some(output) = node.outputs.first() else {
        return true;
    };
    match edit {
        Some(Edit::Target(target)) => {
            let input = open.shape(&node.inputs[0]).unwrap_or_default();
            if let Some(shape) = filled(&input, target) {
                open.set(output, &shape);
            }
        }
        Some(Edit::Expand { like, axis, .. }) => {
            let small = stated.shape(output);
            let large = open.shape(&node.inputs[*like]);
            if let (Some(mut shape), Some(large)) = (small, large) {
                shape[*axis] = large[*axis];
                open.set(output, &shape);
            }
        }
        None => {}
    }
    if node.op_type == "Shape" || node.op_type == "Size" {
        return true;
    }
    let depends = node
        .inputs
        .iter()
        .any(|name| match (stated.shape(name), open.shape(name)) {
            (Some(small), Some(large)) => small != large,
            _ => false,
        });
    !depends || (agrees(node, stated, open) && factors_agree(node, open))
}

/// Do all outputs that are known at the stated size differ in one axis?
fn agrees(node: &Node, stated: &Concrete, open: &Concrete) -> bool {
    node.outputs.iter().all(|name| {
        let Some(small) = stated.shape(name) else {
            return true;
        };
        open.shape(name)
            .is_some_and(|large| batch_axis(&small, &large).is_some())
    })
}

/// Inner extents of a product of matrices, which shape inference does not compare.
fn factors_agree(node: &Node, open: &Concrete) -> bool {
    let shapes = (node.inputs.len() >= 2)
        .then(|| open.shape(&node.inputs[0]).zip(open.shape(&node.inputs[1])))
        .flatten();
    let Some((a, b)) = shapes else {
        return true;
    };
    let [.., rows, columns] = b.as_slice() else {
        return true;
    };
    match node.op_type.as_str() {
        "MatMul" => a.last() == Some(rows),
        "Gemm" if a.len() == 2 => {
            let inner = if node.int("transA", 0) == 0 {
                a[1]
            } else {
                a[0]
            };
            let other = if node.int("transB", 0) == 0 {
                rows
            } else {
                columns
            };
            inner == *other
        }
        "Conv" if a.len() > 2 && b.len() > 2 => {
            usize::try_from(node.int("group", 1)).is_ok_and(|group| a[1] == b[1] * group)
        }
        _ => true,
    }
}

/// The one axis in which `large` is larger, by the factor.
fn batch_axis(small: &[usize], large: &[usize]) -> Option<usize> {
    if small.len() != large.len() {
        return None;
    }
    let mut differ = (0..small.len()).filter(|&axis| small[axis] != large[axis]);
    let axis = differ.next()?;
    (differ.next().is_none() && small[axis].checked_mul(FACTOR) == Some(large[axis]))
        .then_some(axis)
}

/// The shape that a target of known extents and one -1, or one 0, gives.
fn filled(input: &[usize], target: &[i64]) -> Option<Vec<usize>> {
    let whole = count(input)?;
    let mut known = target.iter().filter(|&&extent| extent > 0);
    let known = known.try_fold(1usize, |product, &extent| {
        product.checked_mul(usize::try_from(extent).ok()?)
    })?;
    let open = whole / known.max(1);
    let extents = target.iter().map(|&extent| match extent {
        0 | -1 => open,
        extent => usize::try_from(extent).unwrap_or(open),
    });
    let shape: Vec<usize> = extents.collect();
    (count(&shape) == Some(whole)).then_some(shape)
}

/// What is known of a node's inputs at both sizes.
struct View<'a> {
    stated: &'a Concrete,
    open: &'a Concrete,
    fixed: usize,
}

impl View<'_> {
    /// Targets for a `Reshape` of a tensor that depends on the batch to a shape that does not, best first.
    fn targets(&self, node: &Node) -> Vec<Vec<i64>> {
        let none = Vec::new();
        if !node.is("Reshape") || node.inputs.len() != 2 {
            return none;
        }
        // A target that the graph computes from the images' own shape follows by itself.
        if self.stated.integers(&node.inputs[1]) != self.open.integers(&node.inputs[1]) {
            return none;
        }
        let shapes = self.stated.shape(&node.inputs[0]).zip(
            self.open
                .shape(&node.inputs[0])
                .zip(self.stated.shape(&node.outputs[0])),
        );
        let Some((small, (large, output))) = shapes else {
            return none;
        };
        let Some(axis) = batch_axis(&small, &large) else {
            return none;
        };
        let axes = candidates(&small, axis, &output, self.fixed);
        axes.into_iter()
            .filter_map(|at| self.target(node, (&small, axis), &output, at))
            .collect()
    }

    /// The extents `output` with the batch in axis `at`: the file's own target where that says so, else 0 or -1 there.
    fn target(
        &self,
        node: &Node,
        (input, axis): (&[usize], usize),
        output: &[usize],
        at: usize,
    ) -> Option<Vec<i64>> {
        let own = self.stated.integers(&node.inputs[1])?;
        if own.get(at) == Some(&-1) && own.iter().filter(|&&extent| extent <= 0).count() == 1 {
            return Some(own.to_vec());
        }
        let copied = at == axis && input.get(at) == output.get(at);
        let open = if copied { 0 } else { -1 };
        let extent = |(index, &extent): (usize, &usize)| match index == at {
            true => Some(open),
            false => i64::try_from(extent).ok(),
        };
        output.iter().enumerate().map(extent).collect()
    }

    /// Constants that a `Concat` joins with tensors of the batch: of extent 1 where those have the batch.
    fn expansion(&self, node: &Node) -> Option<Edit> {
        if !node.is("Concat") || self.fixed != 1 {
            return None;
        }
        let axis_of = |name: &String| {
            let (small, large) = self.stated.shape(name).zip(self.open.shape(name))?;
            Some((batch_axis(&small, &large), small))
        };
        let inputs: Vec<(Option<usize>, Vec<usize>)> =
            node.inputs.iter().map(axis_of).collect::<Option<_>>()?;
        let like = inputs.iter().position(|(axis, _)| axis.is_some())?;
        let axis = inputs[like].0?;
        let rank = inputs[like].1.len();
        let along = super::super::shape::axis(node.int("axis", 1), rank)?;
        let still: Vec<usize> = (0..inputs.len())
            .filter(|&index| inputs[index].0.is_none())
            .collect();
        let ones = still
            .iter()
            .all(|&index| inputs[index].1.get(axis) == Some(&1));
        (along != axis && !still.is_empty() && ones).then_some(Edit::Expand {
            inputs: still,
            like,
            axis,
            rank,
        })
    }
}

/// Axes of `output` that the batch, in `axis` of `input`, can go to when the values keep their order; best first.
///
/// `input` is a_0 x .. x a_r in row-major order. The batch is the outermost or the innermost part of its axis, so that
/// before it lie P = a_0 .. a_(axis-1) or P · a_axis / fixed values. It can be part of an axis that spans these.
fn candidates(input: &[usize], axis: usize, output: &[usize], fixed: usize) -> Vec<usize> {
    let before: usize = input[..axis].iter().product();
    let mut found: Vec<(u8, usize)> = Vec::new();
    for (inner, place) in [(0, before), (1, before * (input[axis] / fixed))] {
        let mut left = 1;
        for (at, &extent) in output.iter().enumerate() {
            let right = left * extent;
            let spans = left <= place
                && place * fixed <= right
                && place.is_multiple_of(left)
                && right.is_multiple_of(place * fixed);
            let rank = match (extent == fixed, left == place) {
                (true, _) if at == axis => 0,
                (true, _) => 1,
                (false, true) => 2,
                (false, false) => 3,
            };
            if spans && !found.iter().any(|&(_, known)| known == at) {
                found.push((2 * rank + inner, at));
            }
            left = right;
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, at)| at).collect()
}

fn edited(graph: &Graph, edits: BTreeMap<usize, Edit>) -> Graph {
    let mut graph = graph.clone();
    let nodes = std::mem::take(&mut graph.nodes);
    let mut pending: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut edits = edits;
    // Names must be fresh among all nodes, those that are not back yet too.
    graph.nodes.clone_from(&nodes);
    for (index, mut node) in nodes.into_iter().enumerate() {
        match edits.remove(&index) {
            None => {}
            Some(Edit::Target(target)) => {
                let tensor = Tensor::i64([target.len()], target);
                node.inputs[1] = constant(&mut graph, &format!("{}_open", node.inputs[1]), tensor);
                node.attributes.remove("allowzero");
            }
            Some(Edit::Expand {
                inputs,
                like,
                axis,
                rank,
            }) => {
                let target = extent_of(&mut graph, &mut pending, &node.inputs[like], axis, rank);
                for input in inputs {
                    let name = graph.fresh_name(&format!("{}_open", node.inputs[input]));
                    let expand = Node::new("Expand", &[&node.inputs[input], &target], &[&name]);
                    push(&mut graph, &mut pending, expand);
                    node.inputs[input] = name;
                }
            }
        }
        pending.push(node);
    }
    graph.nodes = pending;
    graph.remove_unused();
    graph
}

/// Keeps a new node's names taken, and puts it where it belongs.
fn push(graph: &mut Graph, pending: &mut Vec<Node>, node: Node) {
    graph.nodes.push(node.clone());
    pending.push(node);
}

fn constant(graph: &mut Graph, wish: &str, tensor: Tensor) -> String {
    let name = graph.fresh_name(wish);
    graph.initializers.insert(name.clone(), tensor);
    name
}

/// A tensor of `rank` extents: what `tensor` has in `axis`, and 1 elsewhere.
fn extent_of(
    graph: &mut Graph,
    pending: &mut Vec<Node>,
    tensor: &str,
    axis: usize,
    rank: usize,
) -> String {
    let shape = graph.fresh_name(&format!("{tensor}_shape"));
    push(graph, pending, Node::new("Shape", &[tensor], &[&shape]));
    let at = i64::try_from(axis).unwrap_or(0);
    let index = constant(
        graph,
        &format!("{tensor}_batch_axis"),
        Tensor::i64([1], vec![at]),
    );
    let batch = graph.fresh_name(&format!("{tensor}_batch"));
    let gather = Node::new("Gather", &[&shape, &index], &[&batch]).with("axis", Attribute::Int(0));
    push(graph, pending, gather);
    let ones = constant(graph, &format!("{tensor}_ones"), Tensor::i64([1], vec![1]));
    let parts: Vec<&str> = (0..rank)
        .map(|index| if index == axis { &batch } else { &ones })
        .map(String::as_str)
        .collect();
    let target = graph.fresh_name(&format!("{tensor}_batch_shape"));
    let concat = Node::new("Concat", &parts, &[&target]).with("axis", Attribute::Int(0));
    push(graph, pending, concat);
    target
}
