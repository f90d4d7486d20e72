//! What a node can be given so that it follows the batch: targets for a `Reshape`, or inputs to be expanded.

use super::concrete::{Concrete, batch_axis, count};
use super::edit::Edit;
use crate::model::Node;

/// What is known of a node's inputs at both sizes.
pub(super) struct View<'a> {
    pub(super) stated: &'a Concrete,
    pub(super) open: &'a Concrete,
    pub(super) fixed: usize,
}

impl View<'_> {
    /// Targets for a `Reshape` of a tensor that depends on the batch to a shape that does not, best first.
    pub(super) fn targets(&self, node: &Node) -> Vec<Vec<i64>> {
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
        let axes = candidates(&small, axis, &output, self.fixed).unwrap_or_default();
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
    pub(super) fn expansion(&self, node: &Node) -> Option<Edit> {
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
/// before it lie P = a_0 .. a_(axis-1) or P · a_axis / fixed values. It can be part of an axis that spans these. None where extents are
/// too large to be multiplied.
fn candidates(input: &[usize], axis: usize, output: &[usize], fixed: usize) -> Option<Vec<usize>> {
    let before = count(&input[..axis])?;
    let inside = before.checked_mul(input[axis] / fixed)?;
    let mut found: Vec<(u8, usize)> = Vec::new();
    for (inner, place) in [(0, before), (1, inside)] {
        let whole = place.checked_mul(fixed)?;
        let mut left = 1_usize;
        for (at, &extent) in output.iter().enumerate() {
            let right = left.checked_mul(extent)?;
            let spans = left <= place
                && whole <= right
                && place.is_multiple_of(left)
                && right.is_multiple_of(whole);
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
    Some(found.into_iter().map(|(_, at)| at).collect())
}
