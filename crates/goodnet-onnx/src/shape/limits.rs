//! How much inference follows. A file of a few bytes can ask for tensors of any rank and for shapes that double with every
//! node; what passes a limit counts as unknown, as an operator does that is not known.

use super::super::model::Dim;

/// Longest list of axes, extents or indices that is followed, and the largest rank.
pub(crate) const MAX_RANK: usize = 32;
/// Longest name of an open extent that is kept, in bytes.
const MAX_SYMBOL: usize = 128;
/// What all shapes and values of a graph may take, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// What may still be kept.
#[derive(Debug, Clone)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_BYTES)
    }
}

impl Room {
    /// `dims` if there is room for them, an extent whose name is too long as an unknown one.
    pub(super) fn take(&mut self, mut dims: Vec<Dim>) -> Option<Vec<Dim>> {
        if dims.len() > MAX_RANK {
            return None;
        }
        for dim in &mut dims {
            if matches!(dim, Dim::Symbol(name) if name.len() > MAX_SYMBOL) {
                *dim = Dim::Unknown;
            }
        }
        let bytes: usize = dims.iter().map(size).sum();
        self.0 = self.0.checked_sub(bytes)?;
        Some(dims)
    }
}

fn size(dim: &Dim) -> usize {
    let name = match dim {
        Dim::Symbol(name) => name.len(),
        Dim::Fixed(_) | Dim::Unknown => 0,
    };
    size_of::<Dim>() + name
}
