//! Opening a file and its data sets, and what they must be like.

use super::contents::{about, contents};
use super::links;
use super::newest::Overlay;
use crate::files::open_plain;
use crate::input::dataset::error::DataError;
use crate::input::preprocess::Stored;
use crate::input::spec::InputSpec;
use hdf5_pure::{Dataset, File};
use std::io::Read;
use std::path::Path;

/// Bytes of images that a byte of the file may stand for: deflate, the tightest filter, gives 1032 for one (RFC 1951). A file that
/// declares more than it stores would be read without end.
const MAX_EXPANSION: u64 = 1100;
/// Bytes of images that a file of any size may hold.
const SMALL_SET_BYTES: u64 = 64 << 20;

/// Refuses images that cannot lie in the file.
pub(super) fn check_stored(path: &Path, shape: &[u64], data: &Dataset) -> Result<(), DataError> {
    let fail = |error: String| DataError::new(path, error);
    let element = data
        .element_size()
        .map_err(|error| fail(error.to_string()))?;
    let declared = shape
        .iter()
        .fold(element, |bytes, &extent| bytes.saturating_mul(extent));
    let file = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    let most = file
        .len()
        .saturating_mul(MAX_EXPANSION)
        .max(SMALL_SET_BYTES);
    if declared <= most {
        return Ok(());
    }
    Err(fail(format!(
        "expected images that are stored in the file, found {declared} bytes of them declared in {} bytes: not all were written",
        file.len()
    )))
}

pub(super) fn open(path: &Path) -> Result<File, DataError> {
    let head = open_plain(path)
        .and_then(|mut file| {
            let mut head = [0; 8];
            let count = file.read(&mut head)?;
            Ok(head[..count].to_vec())
        })
        .map_err(|error| DataError::new(path, error))?;
    if !hdf5_pure::is_hdf5(path).unwrap_or(false) {
        let found = if head.is_empty() {
            "an empty file"
        } else {
            "something else"
        };
        return Err(DataError::new(
            path,
            format!("expected an HDF5 file or a folder of images, found {found}"),
        ));
    }
    File::open_streaming(path)
        .map_err(|error| DataError::new(path, format!("expected a whole HDF5 file, found {error}")))
}

/// The data set `name`, be it behind a soft link or in HDF5 2.0's newest format.
pub(super) fn dataset(path: &Path, file: &File, name: &str) -> Result<Dataset, DataError> {
    let target = links::resolve(path, name);
    // The layout is what the library may not know; it looks at it late.
    let known = |data: Dataset| data.layout().map(|_| data);
    file.dataset(&target).and_then(known).or_else(|error| {
        let newest = Overlay::open(path).ok().flatten();
        let newest = newest.and_then(|source| File::from_source(source).ok());
        let newest = newest.and_then(|file| file.dataset(&target).ok());
        newest.ok_or_else(|| {
            DataError::new(
                path,
                format!(
                    "expected data sets `data` and `label`, found no readable `{name}` ({error}); the file holds {}",
                    contents(path, file)
                ),
            )
        })
    })
}

/// How images of `shape` are stored, if they fit the network; (n, C, H, W) where both readings fit.
pub(super) fn match_shape(shape: &[u64], spec: &InputSpec) -> Option<Stored> {
    let extents: Vec<usize> = shape
        .iter()
        .skip(1)
        .map(|&extent| usize::try_from(extent).ok())
        .collect::<Option<_>>()?;
    let (c, h, w) = (spec.channels, spec.height, spec.width);
    if extents == [c, h, w] || (c == 1 && extents == [h, w]) {
        return Some(Stored::Chw);
    }
    (extents == [h, w, c]).then_some(Stored::Hwc)
}

pub(super) fn not_numbers(data: &Dataset) -> String {
    let found = about(data);
    format!("expected `data` of integers or floats of at most 64 bits, found {found}")
}
