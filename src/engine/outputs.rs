//! Outputs that are allocated once and written into by every run.
//!
//! Beside the allocations this saves what ort 2.0.0-rc.14 forgets to release for every output that the runtime allocates
//! itself (`OrtTypeInfo`, about 300 bytes): a service would grow by a gigabyte in a million requests.

use ort::memory::Allocator;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};
use std::collections::BTreeMap;

/// Outputs for up to so many images are kept for the next run with as many.
const FEW: usize = 8;

/// The outputs of a network whose extents are all known but for the first, the number of images.
pub(super) struct Outputs {
    outlets: Vec<(String, TensorElementType, Vec<usize>)>,
    /// By number of images.
    ready: BTreeMap<usize, RunOptions<HasSelectedOutputs>>,
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs")
            .field("outlets", &self.outlets)
            .field("ready", &self.ready.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Outputs {
    /// None where an output has another open extent, or a first one that is not open.
    pub(super) fn for_session(session: &Session) -> Option<Self> {
        let outlets: Option<Vec<_>> = session.outputs().iter().map(rest).collect();
        Some(Self {
            outlets: outlets?,
            ready: BTreeMap::new(),
        })
    }

    /// The outputs for `rows` images, as of the last run that had as many. Those for few images are kept, of larger ones
    /// the last.
    pub(super) fn of_rows(&mut self, rows: usize) -> ort::Result<&RunOptions<HasSelectedOutputs>> {
        if !self.ready.contains_key(&rows) {
            let fresh = self.allocate(rows)?;
            self.ready.retain(|&ready, _| ready <= FEW);
            self.ready.insert(rows, fresh);
        }
        Ok(&self.ready[&rows])
    }

    fn allocate(&self, rows: usize) -> ort::Result<RunOptions<HasSelectedOutputs>> {
        let mut selector = OutputSelector::default();
        for (name, element, rest) in &self.outlets {
            let shape: Vec<usize> = std::iter::once(rows).chain(rest.iter().copied()).collect();
            selector = selector.preallocate(name, blank(*element, shape)?);
        }
        Ok(RunOptions::new()?.with_outputs(selector))
    }
}

/// Name, element type, and every extent but the first.
fn rest(outlet: &Outlet) -> Option<(String, TensorElementType, Vec<usize>)> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return None;
    };
    let (first, rest) = shape.split_first()?;
    if *first >= 0 {
        return None;
    }
    let rest: Option<Vec<usize>> = rest
        .iter()
        .map(|&extent| usize::try_from(extent).ok())
        .collect();
    Some((outlet.name().to_owned(), *ty, rest?))
}

fn blank(element: TensorElementType, shape: Vec<usize>) -> ort::Result<DynValue> {
    let allocator = Allocator::default();
    Ok(match element {
        TensorElementType::Int64 => Tensor::<i64>::new(&allocator, shape)?.into_dyn(),
        _ => Tensor::<f32>::new(&allocator, shape)?.into_dyn(),
    })
}
