//! A folder of image files: one sub-folder a class, or a `labels.csv` with a file and a label a line.

use super::{DataError, LabelledBatch, OpenOptions};
use crate::files::read_plain;
use crate::input::image::{Limits, RgbImage8, decode};
use crate::input::preprocess::Preprocess;
use crate::input::spec::InputSpec;
use crate::tensor::Tensor;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// File that lists images and labels.
const LABELS_CSV: &str = "labels.csv";
/// A list of a million files has a tenth of this.
const MAX_LIST_BYTES: u64 = 512 << 20;
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "bmp", "gif"];

/// The images of a folder, in the order of their relative names.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    files: Vec<String>,
    labels: Vec<u32>,
    label_names: Option<Vec<String>>,
    skipped: Vec<String>,
    limits: Limits,
}

impl Folder {
    pub(super) fn open(
        root: &Path,
        options: &OpenOptions,
        classes: u32,
    ) -> Result<Self, DataError> {
        let list = root.join(LABELS_CSV);
        let (entries, label_names) = if list.is_file() {
            (read_list(&list)?, None)
        } else {
            read_folders(root, classes)?
        };
        let mut folder = Self {
            root: root.to_owned(),
            files: Vec::with_capacity(entries.len()),
            labels: Vec::with_capacity(entries.len()),
            label_names,
            skipped: Vec::new(),
            limits: options.limits,
        };
        let reasons: Vec<Option<String>> = match options.skip_bad {
            true => entries
                .par_iter()
                .map(|(file, _)| folder.read(file).err().map(|error| error.to_string()))
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

    pub(super) fn batches<'a>(
        &'a self,
        spec: &InputSpec,
        size: usize,
    ) -> impl Iterator<Item = Result<LabelledBatch, DataError>> + Send + use<'a> {
        let preprocess = Preprocess::new(spec);
        let mut next = 0;
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed || next >= self.files.len() {
                return None;
            }
            let end = self.files.len().min(next + size.max(1));
            let batch = self.read_batch(&preprocess, next, end);
            failed = batch.is_err();
            next = end;
            Some(batch)
        })
    }

    fn read_batch(
        &self,
        preprocess: &Preprocess,
        first: usize,
        end: usize,
    ) -> Result<LabelledBatch, DataError> {
        let spec = preprocess.spec();
        let len = spec.image_len();
        let mut values = vec![0.0; (end - first) * len];
        values
            .par_chunks_exact_mut(len)
            .zip(&self.files[first..end])
            .try_for_each(|(output, file)| {
                let picture = self.read(file)?;
                preprocess
                    .rgb8_into(&picture, output)
                    .map_err(|error| DataError::new(&self.root.join(file), error))
            })?;
        Ok(LabelledBatch {
            images: Tensor::new(spec.batch_shape(end - first), values),
            labels: self.labels[first..end].to_vec(),
        })
    }

    pub(super) fn raw8(&self, index: u64) -> Result<RgbImage8, DataError> {
        let file = usize::try_from(index)
            .ok()
            .and_then(|index| self.files.get(index));
        let file = file.ok_or_else(|| DataError::new(&self.root, format!("no image {index}")))?;
        self.read(file)
    }

    fn read(&self, file: &str) -> Result<RgbImage8, DataError> {
        let path = self.root.join(file);
        let bytes = self.bytes(&path)?;
        decode(&bytes, &self.limits).map_err(|error| DataError::new(&path, error))
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

type Entries = Vec<(String, u32)>;

/// Lines of `file,label`; the first may be a header.
fn read_list(list: &Path) -> Result<Entries, DataError> {
    let bytes = read_plain(list, MAX_LIST_BYTES).map_err(|error| DataError::new(list, error))?;
    let text = String::from_utf8(bytes).map_err(|error| DataError::new(list, error))?;
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let parsed = line.rsplit_once(',').and_then(|(file, label)| {
            let file = file.trim().trim_matches('"');
            Some((file.to_owned(), label.trim().parse::<u32>().ok()?))
        });
        match parsed {
            Some((file, _)) if leads_out(&file) => {
                let reason = format!(
                    "expected a file in this folder in line {}, found {file:?}",
                    number + 1
                );
                return Err(DataError::new(list, reason));
            }
            Some(entry) => entries.push(entry),
            None if number == 0 => {}
            None => {
                return Err(DataError::new(
                    list,
                    format!(
                        "expected `file,label` in line {}, found {line:?}",
                        number + 1
                    ),
                ));
            }
        }
    }
    entries.sort();
    Ok(entries)
}

/// Does a name of the list, which may be a stranger's, lead out of the folder?
fn leads_out(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    parts.any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
}

/// One sub-folder a class: by number if all names are numbers, else in the order of the names.
fn read_folders(root: &Path, classes: u32) -> Result<(Entries, Option<Vec<String>>), DataError> {
    let names = sorted_names(root, Path::is_dir)?;
    if names.is_empty() {
        return Err(DataError::new(
            root,
            format!("expected one sub-folder a class, or {LABELS_CSV}, found neither"),
        ));
    }
    let numbers: Option<Vec<u32>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_none() && names.len() != classes as usize {
        return Err(DataError::new(
            root,
            format!(
                "expected {classes} sub-folders, one a class, found {}",
                names.len()
            ),
        ));
    }
    let labels = numbers.clone().unwrap_or_else(|| (0..classes).collect());
    let mut entries = Vec::new();
    for (name, &label) in names.iter().zip(&labels) {
        for file in sorted_names(&root.join(name), is_image)? {
            entries.push((format!("{name}/{file}"), label));
        }
    }
    Ok((entries, numbers.is_none().then_some(names)))
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn sorted_names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, DataError> {
    let entries = fs::read_dir(folder).map_err(|error| DataError::new(folder, error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| wanted(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}
