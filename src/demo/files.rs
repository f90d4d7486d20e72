//! Photo sets as files: the lab's HDF5 layout.

use super::attack::Attack;
use super::dataset::{PhotoSet, Split, World};
use super::photo::{HEIGHT, WIDTH};
use hdf5_pure::FileBuilder;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Photos of every person in each validation and test set.
pub const PHOTOS_EACH: usize = 20;

/// A data set could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct WriteDataError {
    /// The file or folder.
    pub path: PathBuf,
    /// What went wrong.
    pub reason: String,
}

/// The names of the four sets: clean and backdoored, for validation and test.
pub const FILES: [&str; 4] = ["valid.h5", "bd_valid.h5", "test.h5", "bd_test.h5"];

/// Writes the four sets into `folder`: `data` (n, 3, 55, 47) u8 and `label` (n), the same bytes for the same seed.
///
/// # Errors
/// If the folder or a file cannot be written; each file is written beside its place and renamed.
pub fn write_sets(
    world: World,
    attack: Attack,
    each: usize,
    folder: &Path,
) -> Result<(), WriteDataError> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let sets = [
        world.clean(Split::Valid, each),
        world.backdoored(Split::Valid, each, attack),
        world.clean(Split::Test, each),
        world.backdoored(Split::Test, each, attack),
    ];
    for (name, set) in FILES.iter().zip(&sets) {
        write_set(set, &folder.join(name))?;
    }
    Ok(())
}

/// Writes one set: `data` (n, 3, 55, 47) u8 and `label` (n).
///
/// # Errors
/// If the file cannot be written; it is written beside its place and renamed.
pub fn write_set(set: &PhotoSet, path: &Path) -> Result<(), WriteDataError> {
    let images = set.len() as u64;
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(&set.planes())
        .with_shape(&[images, 3, HEIGHT as u64, WIDTH as u64]);
    file.create_dataset("label")
        .with_i64_data(&set.labels)
        .with_shape(&[images]);
    let bytes = file.finish().map_err(|error| WriteDataError {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(at(path))?;
    temporary.write_all(&bytes).map_err(at(path))?;
    temporary
        .persist(path)
        .map_err(|error| at(path)(error.error))?;
    Ok(())
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> WriteDataError {
    let path = path.to_owned();
    move |error| WriteDataError {
        path: path.clone(),
        reason: error.to_string(),
    }
}
