//! Operators that slide a window: convolution and pooling.

use super::super::model::{Attribute, Dim, Node};
use super::Context;
use super::dims::fixed;

/// Conv: (B, C, spatial...) and weights (M, C/group, kernel...) give (B, M, spatial'...).
pub(super) fn conv(node: &Context<'_>) -> Option<Vec<Dim>> {
    let (input, weight) = (node.input(0)?, node.input(1)?);
    if input.len() < 3 || weight.len() != input.len() {
        return None;
    }
    let kernel: Vec<usize> = weight[2..].iter().map(fixed).collect::<Option<_>>()?;
    let mut shape = vec![input[0].clone(), weight[0].clone()];
    shape.extend(slide(node.node, &input[2..], &kernel)?);
    Some(shape)
}

/// MaxPool, AveragePool, LpPool.
pub(super) fn pool(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let kernel = node.node.ints("kernel_shape")?;
    let kernel: Vec<usize> = kernel
        .iter()
        .map(|&k| usize::try_from(k).ok())
        .collect::<Option<_>>()?;
    if input.len() < 3 || kernel.len() != input.len() - 2 {
        return None;
    }
    let mut shape = input[..2].to_vec();
    shape.extend(slide(node.node, &input[2..], &kernel)?);
    Some(shape)
}

fn slide(node: &Node, spatial: &[Dim], kernel: &[usize]) -> Option<Vec<Dim>> {
    let rank = spatial.len();
    let list = |name: &str, length: usize, default: usize| -> Option<Vec<usize>> {
        match node.ints(name) {
            None => Some(vec![default; length]),
            Some(values) if values.len() == length => {
                values.iter().map(|&v| usize::try_from(v).ok()).collect()
            }
            Some(_) => None,
        }
    };
    let window = Windows {
        strides: list("strides", rank, 1)?,
        dilations: list("dilations", rank, 1)?,
        pads: list("pads", 2 * rank, 0)?,
        mode: auto_pad(node),
        ceil: node.int("ceil_mode", 0) != 0,
    };
    (0..rank)
        .map(|axis| match fixed(&spatial[axis]) {
            None => Some(Dim::Unknown),
            Some(extent) => window.count(axis, extent, kernel[axis]).map(Dim::Fixed),
        })
        .collect()
}

/// How a node derives its padding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AutoPad {
    Explicit,
    Same,
    Valid,
}

fn auto_pad(node: &Node) -> AutoPad {
    match node.attributes.get("auto_pad") {
        Some(Attribute::String(mode)) if mode.starts_with(b"SAME") => AutoPad::Same,
        Some(Attribute::String(mode)) if mode == b"VALID" => AutoPad::Valid,
        _ => AutoPad::Explicit,
    }
}

struct Windows {
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    mode: AutoPad,
    ceil: bool,
}

impl Windows {
    /// Number of windows along one spatial axis, `None` where not even one fits.
    fn count(&self, axis: usize, extent: usize, kernel: usize) -> Option<usize> {
        let stride = self.strides[axis];
        if stride == 0 || kernel == 0 {
            return None;
        }
        if self.mode == AutoPad::Same {
            return Some(extent.div_ceil(stride));
        }
        let (before, after) = match self.mode {
            AutoPad::Explicit => (self.pads[axis], self.pads[axis + self.strides.len()]),
            _ => (0, 0),
        };
        let reach = (kernel - 1)
            .checked_mul(self.dilations[axis])?
            .checked_add(1)?;
        let room = extent
            .checked_add(before)?
            .checked_add(after)?
            .checked_sub(reach)?;
        if !self.ceil {
            return Some(room / stride + 1);
        }
        let count = room.div_ceil(stride) + 1;
        // A last window that starts in the trailing padding does not count.
        let starts_outside = (count - 1) * stride >= extent + before;
        Some(if starts_outside { count - 1 } else { count })
    }
}
