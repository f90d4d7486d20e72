//! Opening a batch that an exporter has written into the graph: into the targets of `Reshape`, or by expanding a constant
//! (a transformer's class token) to it.
//!
//! The graph is followed twice in plain numbers: at the size that the file states, where it is right by itself, and at a
//! size that no other extent has. Every tensor that depends on the images must then differ in one axis, by that factor; a
//! `Reshape` that would break this gets a target that does not. Where a target leaves a choice (which of several axes of
//! extent 1 is the batch?) the first that fits all that follows is taken.

use super::concrete::{Concrete, FACTOR, batch_axis, count};
use super::edit::{Edit, edited, settle_bounds};
use super::targets::View;
use crate::model::{Graph, Node};
use std::collections::BTreeMap;

/// Nodes that are looked at before it is given up.
const MAX_STEPS: usize = 200_000;
/// Bytes of copies at most: each choice that is kept to come back to holds what was known of the graph before it.
const MAX_COPIED: usize = 1 << 28;

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
    let mut copied = 0_usize;
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
                copied = copied.saturating_add(open.size());
                if copied > MAX_COPIED {
                    return None;
                }
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
            index = back(
                &mut choices,
                &mut open,
                graph,
                &stated,
                &mut edits,
                &mut copied,
            )?;
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
    copied: &mut usize,
) -> Option<usize> {
    loop {
        let mut choice = choices.pop()?;
        let node = choice.node;
        edits.retain(|&index, _| index < node);
        let target = choice.targets.remove(0);
        if choice.targets.is_empty() {
            *open = choice.before;
        } else {
            *copied = copied.saturating_add(choice.before.size());
            if *copied > MAX_COPIED {
                return None;
            }
            open.clone_from(&choice.before);
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
        "Conv" if a.len() > 2 && b.len() > 2 => usize::try_from(node.int("group", 1))
            .is_ok_and(|group| b[1].checked_mul(group) == Some(a[1])),
        _ => true,
    }
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
