//! Where the site's channels are in a later tensor, and what the removed ones hold there.

use crate::model::Node;
use crate::shape::Shapes;

/// Which entries of which axis of a tensor stay.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Carried {
    /// Axis of the channels.
    pub(super) axis: usize,
    /// Entries that stay, ascending.
    pub(super) keep: Vec<usize>,
    /// Value that a removed entry has everywhere, for every image; one an entry of the axis, 0 for those that stay.
    pub(super) fill: Vec<f32>,
}

impl Carried {
    /// Entries of the axis before the removal.
    pub(super) fn extent(&self) -> usize {
        self.fill.len()
    }

    /// Entries that go, ascending.
    pub(super) fn removed(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.extent()).filter(|entry| self.keep.binary_search(entry).is_err())
    }

    /// Are all removed entries zero?
    pub(super) fn is_zero(&self) -> bool {
        self.fill.iter().all(|&value| value == 0.0)
    }

    /// The same entries after a layer that turns a removed entry `c` of value v into `change(c, v)`.
    pub(super) fn map(mut self, change: impl Fn(usize, f32) -> f32) -> Self {
        let gone: Vec<usize> = self.removed().collect();
        for entry in gone {
            self.fill[entry] = change(entry, self.fill[entry]);
        }
        self
    }

    /// All axes but the batch become one: every entry becomes the positions that hold it.
    pub(super) fn collapse(&self, node: &Node, shapes: &Shapes) -> Result<Self, String> {
        let unknown = || format!("{} reshapes a tensor of unknown extents", node.name);
        let shape = shapes.get(&node.inputs[0]).ok_or_else(unknown)?;
        let known: Option<Vec<usize>> = shape.iter().skip(1).copied().collect();
        let known = known.ok_or_else(unknown)?;
        let axis = self.axis.checked_sub(1).ok_or_else(unknown)?;
        let outer: usize = known[..axis].iter().product();
        let inner: usize = known[axis + 1..].iter().product();
        let extent = self.extent();
        let keep = (0..outer)
            .flat_map(|block| self.keep.iter().map(move |&entry| block * extent + entry))
            .flat_map(|entry| (0..inner).map(move |offset| entry * inner + offset))
            .collect();
        let row = self
            .fill
            .iter()
            .flat_map(|&value| std::iter::repeat_n(value, inner));
        let fill = row.cycle().take(outer * extent * inner).collect();
        Ok(Self {
            axis: 1,
            keep,
            fill,
        })
    }

    /// The same entries on the axis that a Transpose moves theirs to.
    pub(super) fn transpose(self, node: &Node) -> Result<Self, String> {
        let position = node.ints("perm").and_then(|perm| {
            perm.iter()
                .position(|&axis| usize::try_from(axis) == Ok(self.axis))
        });
        match position {
            Some(axis) if axis > 0 => Ok(Self { axis, ..self }),
            _ => Err(format!("{} moves the channels to the batch", node.name)),
        }
    }

    /// Two tensors that carry the same channels, joined element by element.
    pub(super) fn join(self, other: &Self, op: &str) -> Option<Self> {
        if self.axis != other.axis || self.keep != other.keep || self.extent() != other.extent() {
            return None;
        }
        let join: fn(f32, f32) -> f32 = match op {
            "Add" => |a, b| a + b,
            "Sub" => |a, b| a - b,
            "Mul" => |a, b| a * b,
            _ => return None,
        };
        Some(self.map(|entry, value| join(value, other.fill[entry])))
    }
}
