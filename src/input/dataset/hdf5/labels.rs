//! The labels of a data set in HDF5: whole numbers of any type.

use super::super::DataError;
use super::contents::about;
use super::numbers::Numbers;
use hdf5_pure::Dataset;
use std::path::Path;

/// Labels that are read at a time.
const WINDOW: u64 = 1 << 16;

/// One label for each of `images` images, from `label` of shape (n) or (n, 1).
pub(super) fn read(path: &Path, labels: &Dataset, images: u64) -> Result<Vec<u32>, DataError> {
    let fail = |reason: String| DataError::new(path, reason);
    let shape = labels.shape().map_err(|error| fail(error.to_string()))?;
    let found = match shape.as_slice() {
        [count] | [count, 1] => *count,
        _ => {
            return Err(fail(format!(
                "expected `label` of shape ({images}), found {shape:?}"
            )));
        }
    };
    if found != images {
        return Err(fail(format!(
            "expected {images} labels, one an image, found {found}"
        )));
    }
    let numbers = Numbers::from_dataset(labels)
        .map_err(|error| fail(error.to_string()))?
        .ok_or_else(|| {
            let found = about(labels);
            fail(format!("expected numbers in `label`, found {found}"))
        })?;
    let mut all = Vec::new();
    while (all.len() as u64) < images {
        let first = all.len() as u64;
        let values = numbers
            .read_f64(labels, first, WINDOW)
            .map_err(|error| fail(format!("expected labels, found {error}")))?;
        if values.is_empty() {
            return Err(fail(format!("expected {images} labels, found {first}")));
        }
        for value in values {
            let label = whole(value).ok_or_else(|| {
                let image = all.len();
                fail(format!(
                    "expected whole labels from 0, found {value} at image {image}"
                ))
            })?;
            all.push(label);
        }
    }
    Ok(all)
}

fn whole(value: f64) -> Option<u32> {
    let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
    whole.then_some(value as u32)
}
