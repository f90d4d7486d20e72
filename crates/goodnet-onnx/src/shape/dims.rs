//! Arithmetic on extents that may be symbols.

use super::super::model::Dim;

/// The extent if it is a number.
pub(super) fn fixed(dim: &Dim) -> Option<usize> {
    match dim {
        Dim::Fixed(value) => Some(*value),
        Dim::Symbol(_) | Dim::Unknown => None,
    }
}

/// Product of extents: a number times the symbols in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extents {
    /// Product of the fixed extents.
    pub(super) number: usize,
    /// The symbols, sorted.
    pub(super) symbols: Vec<String>,
}

impl Extents {
    /// `None` if an extent is unknown or the product overflows.
    pub(super) fn product(dims: &[Dim]) -> Option<Self> {
        let mut product = Self {
            number: 1,
            symbols: Vec::new(),
        };
        for dim in dims {
            match dim {
                Dim::Fixed(value) => product.number = product.number.checked_mul(*value)?,
                Dim::Symbol(name) => product.symbols.push(name.clone()),
                Dim::Unknown => return None,
            }
        }
        product.symbols.sort();
        Some(product)
    }

    /// `self / other` as one extent, `None` if it is not one.
    pub(super) fn quotient(mut self, other: &Self) -> Option<Dim> {
        for symbol in &other.symbols {
            let at = self.symbols.iter().position(|name| name == symbol)?;
            self.symbols.remove(at);
        }
        if other.number == 0 || !self.number.is_multiple_of(other.number) {
            return None;
        }
        let number = self.number / other.number;
        match (number, self.symbols.as_slice()) {
            (_, []) => Some(Dim::Fixed(number)),
            (1, [symbol]) => Some(Dim::Symbol(symbol.clone())),
            _ => None,
        }
    }
}

/// The extent that two broadcast extents give.
fn broadcast_dim(a: &Dim, b: &Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Some(other.clone()),
        (Dim::Fixed(x), Dim::Fixed(y)) => (x == y).then_some(Dim::Fixed(*x)),
        // An open extent that is not 1 must equal the known one.
        (Dim::Fixed(x), _) | (_, Dim::Fixed(x)) => Some(Dim::Fixed(*x)),
        (Dim::Symbol(x), Dim::Symbol(y)) if x == y => Some(a.clone()),
        _ => Some(Dim::Unknown),
    }
}

/// NumPy's broadcasting of two shapes.
pub(super) fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let one = Dim::Fixed(1);
    let at = |dims: &[Dim], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .map_or_else(|| one.clone(), |index| dims[index].clone())
    };
    (0..rank)
        .map(|axis| broadcast_dim(&at(a, axis), &at(b, axis)))
        .collect()
}

/// A possibly negative axis as an index below `rank`.
pub(crate) fn axis(value: i64, rank: usize) -> Option<usize> {
    let rank_i64 = i64::try_from(rank).ok()?;
    let value = if value < 0 {
        value.checked_add(rank_i64)?
    } else {
        value
    };
    usize::try_from(value).ok().filter(|&axis| axis < rank)
}
