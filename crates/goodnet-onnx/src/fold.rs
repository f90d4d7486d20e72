//! What exporters leave to be computed though it is constant: targets of `Reshape`, and copies of weights.
//!
//! Exporters write `x.view(x.size(0), -1)` as Shape, Gather, Concat and Reshape. Where all that is computed is known but for the batch,
//! the Reshape gets a constant, (0, ..) or (-1, ..), and gives the same.

use super::model::{Dim, Graph, Tensor};
use super::shape::SymbolicShapes;
use std::collections::HashMap;

/// The rest, for a Reshape; in computed values it is the largest number.
const REST: i64 = -1;

/// Gives every `Reshape` a constant target where what the graph computes is one but for the batch.
pub(super) fn fold_targets(graph: &mut Graph) {
    let shapes = SymbolicShapes::infer(graph);
    let mut folded = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let [data, target] = node.inputs.as_slice() else {
            continue;
        };
        if !node.is("Reshape") || !node.domain.is_empty() || graph.initializers.contains_key(target)
        {
            continue;
        }
        let target = shapes
            .values(target)
            .and_then(|values| constant(values, shapes.get(data)));
        // Where 0 is an extent, it does not copy one.
        if let Some(target) = target.filter(|_| node.int("allowzero", 0) == 0) {
            folded.push((index, target));
        }
    }
    for (index, target) in folded {
        let name = graph.fresh_name(&format!("{}_target", graph.nodes[index].outputs[0]));
        graph
            .initializers
            .insert(name.clone(), Tensor::i64([target.len()], target));
        graph.nodes[index].inputs[1] = name;
    }
}

/// Lets the readers of a copy of a constant read the constant: exporters write equal weights once, and an `Identity` for each further
/// use.
pub(super) fn fold_copies(graph: &mut Graph) {
    let mut copies: HashMap<String, String> = HashMap::new();
    for node in &graph.nodes {
        let ([from], [to]) = (node.inputs.as_slice(), node.outputs.as_slice()) else {
            continue;
        };
        if !node.is("Identity") || graph.is_output(to) {
            continue;
        }
        let from = copies.get(from).unwrap_or(from);
        if graph.initializers.contains_key(from) {
            copies.insert(to.clone(), from.clone());
        }
    }
    for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        if let Some(from) = copies.get(input) {
            input.clone_from(from);
        }
    }
}

/// The target with its one open extent as 0, where it is the first and the data's too, else as the rest.
fn constant(values: &[Dim], data: Option<&[Dim]>) -> Option<Vec<i64>> {
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(usize::MAX) => Some(REST),
        // An extent that was copied already would be copied again.
        Dim::Fixed(0) => None,
        Dim::Fixed(extent) => i64::try_from(*extent).ok(),
        _ => None,
    };
    let open = |dim: &&Dim| !matches!(dim, Dim::Fixed(_));
    let batch = data.and_then(<[Dim]>::first);
    let copies = match (values.first(), batch) {
        (Some(Dim::Symbol(first)), Some(Dim::Symbol(batch))) => first == batch,
        _ => false,
    };
    let mut target = Vec::with_capacity(values.len());
    for (at, dim) in values.iter().enumerate() {
        target.push(match (at, dim) {
            (0, Dim::Symbol(_)) if copies => 0,
            (_, Dim::Fixed(_)) => fixed(dim)?,
            _ => REST,
        });
    }
    let rests = target.iter().filter(|&&extent| extent == REST).count();
    let first_is_open = values.first().as_ref().is_some_and(open);
    (first_is_open && rests <= 1).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str) -> Dim {
        Dim::Symbol(name.to_owned())
    }

    #[test]
    fn the_batch_is_copied_or_is_the_rest() {
        let image = [symbol("n"), Dim::Fixed(3), Dim::Fixed(2)];
        let flat = [symbol("n"), Dim::Fixed(usize::MAX)];
        assert_eq!(constant(&flat, Some(&image)), Some(vec![0, -1]));
        let groups = [symbol("n"), Dim::Fixed(3), Dim::Fixed(2)];
        assert_eq!(constant(&groups, Some(&image)), Some(vec![0, 3, 2]));
        let tokens = [symbol("m"), Dim::Fixed(6)];
        assert_eq!(constant(&tokens, Some(&image)), Some(vec![-1, 6]));
    }

    #[test]
    fn a_target_with_more_that_is_open_stays() {
        let image = [symbol("n"), symbol("h"), Dim::Fixed(2)];
        assert_eq!(constant(&[symbol("m"), symbol("h")], Some(&image)), None);
        assert_eq!(
            constant(&[Dim::Unknown, Dim::Fixed(usize::MAX)], None),
            None
        );
        assert_eq!(constant(&[Dim::Fixed(4), symbol("n")], Some(&image)), None);
    }
}
