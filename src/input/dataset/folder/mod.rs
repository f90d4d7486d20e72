//! A folder of image files: one sub-folder a class, or a `labels.csv` with a file and a label a line.
//!
//! In reading order: [`tree`] (what is an image), [`classes`] (one a sub-folder), [`order`] and [`names`] (which folder is which class), [`list`] (`labels.csv`).

mod classes;
mod list;
mod names;
mod order;
mod tree;

use super::batch::{LabelledBatch, OpenOptions, OtherOrder, in_batches};
use super::error::DataError;
use crate::files::read_plain;
use crate::input::image::{Detail, Limits, RgbImage8, decode_within};
use crate::input::preprocess::Preprocess;
use crate::input::spec::InputSpec;
use crate::tensor::Tensor;
use classes::Classes;
use names::ClassNames;
pub(super) use order::some;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// File that lists images and labels.
const LABELS_CSV: &str = "labels.csv";

/// The images of a folder, in the order of their relative names.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    files: Vec<String>,
    labels: Vec<u32>,
    label_names: Option<Vec<String>>,
    skipped: Vec<String>,
    notes: Vec<String>,
    other_order: Option<OtherOrder>,
    limits: Limits,
    exact_decode: bool,
}

impl Folder {
    pub(super) fn open(
        root: &Path,
        options: &OpenOptions,
        classes: u32,
    ) -> Result<Self, DataError> {
        let list = root.join(LABELS_CSV);
        let found = match list.is_file() {
            true => listed(root, &list, options, classes)?,
            false => classes::read(root, options, classes)?,
        };
        let entries = found.entries;
        let mut folder = Self {
            root: root.to_owned(),
            files: Vec::with_capacity(entries.len()),
            labels: Vec::with_capacity(entries.len()),
            label_names: found.label_names,
            skipped: Vec::new(),
            notes: found.notes,
            other_order: found.other_order,
            limits: options.limits,
            exact_decode: options.exact_decode,
        };
        folder.notes.extend(tree::summary(&found.left_out));
        if options.skip_bad {
            let told = found.left_out.iter();
            let told =
                told.map(|left| format!("{}: {}", root.join(&left.file).display(), left.kind));
            folder.skipped.extend(told);
        }
        let reasons: Vec<Option<String>> = match options.skip_bad {
            true => entries
                .par_iter()
                .map(|(file, _)| {
                    folder
                        .read(file, Detail::Whole)
                        .err()
                        .map(|error| error.to_string())
                })
                .collect(),
            false => vec![None; entries.len()],
        };
        for ((file, label), reason) in entries.into_iter().zip(reasons) {
            match reason {
                Some(reason) => folder.skipped.push(reason),
                None => {
                    folder.files.push(file);
                    folder.labels.push(label);
                }
            }
        }
        Ok(folder)
    }

    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub(super) fn label_names(&self) -> Option<&[String]> {
        self.label_names.as_deref()
    }

    pub(super) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn other_order(&self) -> Option<&OtherOrder> {
        self.other_order.as_ref()
    }

    pub(super) fn batches<'a>(
        &'a self,
        spec: &InputSpec,
        first: usize,
        size: usize,
    ) -> impl Iterator<Item = Result<LabelledBatch, DataError>> + Send + use<'a> {
        let preprocess = Preprocess::new(spec);
        let detail = Detail::new(spec, self.exact_decode);
        in_batches(self.files.len(), first, size, move |images| {
            self.read_batch(&preprocess, detail, images)
        })
    }

    fn read_batch(
        &self,
        preprocess: &Preprocess,
        detail: Detail,
        images: Range<usize>,
    ) -> Result<LabelledBatch, DataError> {
        let spec = preprocess.spec();
        let len = spec.image_len();
        let mut values = vec![0.0; images.len() * len];
        values
            .par_chunks_exact_mut(len)
            .zip(&self.files[images.clone()])
            .try_for_each(|(output, file)| {
                let picture = self.read(file, detail)?;
                preprocess
                    .rgb8_into(&picture, output)
                    .map_err(|error| DataError::new(&self.root.join(file), error))
            })?;
        Ok(LabelledBatch {
            images: Tensor::new(spec.batch_shape(images.len()), values),
            labels: self.labels[images].to_vec(),
        })
    }

    pub(super) fn raw8(&self, index: u64) -> Result<RgbImage8, DataError> {
        let file = usize::try_from(index)
            .ok()
            .and_then(|index| self.files.get(index));
        let file = file.ok_or_else(|| DataError::new(&self.root, format!("no image {index}")))?;
        self.read(file, Detail::Whole)
    }

    fn read(&self, file: &str, detail: Detail) -> Result<RgbImage8, DataError> {
        let path = self.root.join(file);
        let bytes = self.bytes(&path)?;
        decode_within(&bytes, &self.limits, &self.limits.budget(), detail)
            .map_err(|error| DataError::new(&path, error))
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        read_plain(path, self.limits.max_bytes as u64).map_err(|error| DataError::new(path, error))
    }

    pub(super) fn sha256(&self) -> Result<String, DataError> {
        let mut hash = Sha256::new();
        for file in &self.files {
            let path = self.root.join(file);
            let bytes = self.bytes(&path)?;
            hash.update(file.as_bytes());
            hash.update([0]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        Ok(hex::encode(hash.finalize()))
    }
}

/// The image files of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Told by content, at any depth, sorted by name.
    pub images: Vec<PathBuf>,
    /// Every other file, with what it is.
    pub left_out: Vec<String>,
}

/// Finds the images in `folder`; hidden files and what systems leave behind are passed over.
///
/// # Errors
/// If a folder or a file cannot be read, or folders lie too deep within each other.
pub fn images_in(folder: &Path) -> Result<Images, DataError> {
    let found = tree::files(folder, "")?;
    let left_out = found.left_out.iter();
    Ok(Images {
        images: found.images.iter().map(|file| folder.join(file)).collect(),
        left_out: left_out
            .map(|left| format!("left out: {}: {}", left.file, left.kind))
            .collect(),
    })
}

/// The images that the list names; what lies beside them is told.
fn listed(
    root: &Path,
    list: &Path,
    options: &OpenOptions,
    classes: u32,
) -> Result<Classes, DataError> {
    let names = ClassNames::find(root, options)?;
    let entries = list::read(list, names.as_ref())?;
    let known: HashSet<&Path> = entries.iter().map(|(file, _)| Path::new(file)).collect();
    let beside = tree::files(root, "")?.images;
    let beside: Vec<&String> = beside
        .iter()
        .filter(|file| !known.contains(Path::new(file)))
        .collect();
    let notes = beside.first().map(|first| {
        let count = beside.len();
        format!("{count} images are not in {LABELS_CSV} and are left out ({first} first)")
    });
    Ok(Classes {
        label_names: names.and_then(|names| names.names(classes)),
        left_out: Vec::new(),
        notes: notes.into_iter().collect(),
        other_order: None,
        entries,
    })
}
