//! The weights of a Keras file, by layer and name.

use hdf5_pure::{Dataset, File};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Bytes of f32 weights that a file of any size may declare.
const MIN_DECLARED_BYTES: u64 = 64 << 20;
/// Bytes that a byte of the file can expand to: deflate ends at 1032.
const MAX_EXPANSION: u64 = 1100;

/// Data sets by the layer's name in the graph and the weight's.
pub(super) type Variables = BTreeMap<String, BTreeMap<String, Dataset>>;

/// A file's weights: data sets of the layers' groups, found but not read yet.
#[derive(Debug)]
pub(super) struct Weights {
    file_bytes: u64,
    declared_bytes: Cell<u64>,
    layers: BTreeMap<String, BTreeMap<String, RefCell<Dataset>>>,
}

/// One weight: shape and values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weight {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Weights {
    /// The weights that were found in `file`, by layer and name.
    pub(super) fn new(file: &File, layers: Variables) -> Self {
        let layers = layers.into_iter().map(|(layer, found)| {
            let found = found.into_iter();
            let found = found.map(|(name, data)| (name, RefCell::new(data)));
            (layer, found.collect())
        });
        Self {
            file_bytes: file.file_size(),
            declared_bytes: Cell::new(0),
            layers: layers.collect(),
        }
    }

    /// The shape of a weight, if the layer has it.
    pub(super) fn shape(&self, layer: &str, weight: &str) -> Option<Vec<usize>> {
        let dataset = self.layers.get(layer)?.get(weight)?.borrow();
        let shape = dataset.shape().ok()?;
        shape
            .into_iter()
            .map(|extent| usize::try_from(extent).ok())
            .collect()
    }

    /// Counts `count` f32 values against what the file can hold.
    fn charge(&self, weight: &str, count: usize) -> Result<(), String> {
        let limit = MIN_DECLARED_BYTES.max(self.file_bytes.saturating_mul(MAX_EXPANSION));
        let bytes = (count as u64).saturating_mul(size_of::<f32>() as u64);
        let total = self.declared_bytes.get().saturating_add(bytes);
        if total > limit {
            return Err(format!(
                "`{weight}` declares {count} values in a file of {} bytes",
                self.file_bytes
            ));
        }
        self.declared_bytes.set(total);
        Ok(())
    }

    /// The weight `weight` of `layer`, which must have the shape `expected`.
    pub(super) fn get(
        &self,
        layer: &str,
        weight: &str,
        expected: &[usize],
    ) -> Result<Weight, String> {
        let found = self
            .shape(layer, weight)
            .ok_or_else(|| format!("expected a weight `{weight}`, found none"))?;
        if found != expected {
            return Err(format!(
                "expected `{weight}` of shape {expected:?}, found {found:?}"
            ));
        }
        let count = expected
            .iter()
            .try_fold(1usize, |product, &extent| product.checked_mul(extent))
            .ok_or_else(|| format!("`{weight}` has shape {expected:?}"))?;
        self.charge(weight, count)?;
        let dataset = &self.layers[layer][weight];
        check_element(weight, &dataset.borrow())?;
        let values = dataset
            .borrow()
            .read_f32()
            .map_err(|error| format!("`{weight}`: {error}"))?;
        if values.len() != count {
            return Err(format!(
                "expected {count} values in `{weight}`, found {}",
                values.len()
            ));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(format!(
                "expected finite numbers in `{weight}`, found {} at {at}",
                values[at]
            ));
        }
        Ok(Weight {
            shape: found,
            values,
        })
    }
}

/// Values are numbers of at most 8 bytes; a wider element would multiply what reading takes.
fn check_element(weight: &str, dataset: &Dataset) -> Result<(), String> {
    let size = dataset
        .element_size()
        .map_err(|error| format!("`{weight}`: {error}"))?;
    if size > 8 {
        return Err(format!(
            "expected numbers in `{weight}`, found elements of {size} bytes"
        ));
    }
    Ok(())
}
