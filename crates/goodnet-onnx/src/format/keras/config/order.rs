//! Every call after those that it reads.

use std::collections::BTreeSet;

/// An order of `0..reads.len()` in which each comes after all that it reads, as given where it is free; the first that is never ready
/// where there is none. `usize::MAX` among what is read is something that does not exist.
pub(super) fn in_order(reads: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut missing: Vec<usize> = reads.iter().map(Vec::len).collect();
    let mut readers = vec![Vec::new(); reads.len()];
    for (index, from) in reads.iter().enumerate() {
        for &from in from {
            if let Some(readers) = readers.get_mut(from) {
                readers.push(index);
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..reads.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(reads.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    match missing.iter().position(|&count| count > 0) {
        Some(stuck) => Err(stuck),
        None => Ok(order),
    }
}
