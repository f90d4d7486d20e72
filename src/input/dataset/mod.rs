//! Labelled images: an HDF5 file in the lab's layout, or a folder of image files.
//!
//! A data set is read batch by batch, as often as one likes; memory does not depend on its size.

mod batch;
mod error;
mod folder;
mod hdf5;
mod sample;

pub use batch::{LabelledBatch, OpenOptions, OtherOrder};
pub use error::DataError;
pub use folder::{Images, images_in};
pub use sample::Sample;

use super::image::RgbImage8;
use super::spec::{InputSpec, Layout};
use crate::progress::Progress;
use folder::{Folder, some};
use hdf5::Hdf5;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Images by which two sets of the same labels are compared.
const COMPARED: usize = 64;
/// Blocks of neighbouring images that a sample is made of.
const SAMPLE_BLOCKS: usize = 16;

/// Images of `values` f32 each that are held together in memory: 512, fewer of large ones (64 MiB, a multiple of 32 where so many
/// fit), 4 at least.
pub(crate) fn images_a_chunk(values: usize) -> usize {
    const MOST_BYTES: usize = 64 << 20;
    const STEP: usize = 32;
    let fit = MOST_BYTES / values.saturating_mul(size_of::<f32>()).max(1);
    match fit / STEP * STEP {
        0 => fit.max(4),
        steps => steps.min(512),
    }
}

/// A data set that fits a network.
#[derive(Debug, Clone)]
pub struct DataSet {
    path: PathBuf,
    spec: InputSpec,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Hdf5(Hdf5),
    Folder(Folder),
}

impl DataSet {
    /// Opens the HDF5 file or the folder at `path` for a network that wants `spec` and has `classes` classes.
    ///
    /// # Errors
    /// If it is neither, is empty, has images of another shape than the network's input (HDF5), or has labels that are
    /// missing, no whole numbers, or not below `classes`.
    pub fn open(
        path: &Path,
        options: &OpenOptions,
        spec: &InputSpec,
        classes: u32,
    ) -> Result<Self, DataError> {
        let source = if path.is_dir() {
            Source::Folder(Folder::open(path, options, classes)?)
        } else {
            Source::Hdf5(Hdf5::open(path, spec)?)
        };
        let set = Self {
            path: path.to_owned(),
            spec: spec.clone(),
            source,
        };
        set.check_labels(classes)?;
        Ok(set)
    }

    fn check_labels(&self, classes: u32) -> Result<(), DataError> {
        let labels = self.labels();
        if labels.is_empty() {
            return Err(DataError::new(&self.path, "expected images, found none"));
        }
        let Some(index) = labels.iter().position(|&label| label >= classes) else {
            return Ok(());
        };
        let hint = if labels.iter().all(|&label| label > 0) {
            "; the labels seem to begin with 1"
        } else {
            ""
        };
        Err(DataError::new(
            &self.path,
            format!(
                "expected labels 0 to {}, found {} at image {index}{hint}",
                classes - 1,
                labels[index]
            ),
        ))
    }

    /// The same images for a network that wants `spec`, of the same size.
    #[must_use]
    pub fn with_spec(&self, spec: &InputSpec) -> Self {
        Self {
            spec: spec.clone(),
            ..self.clone()
        }
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.labels().len() as u64
    }

    /// A data set is never empty: opening one fails then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }

    /// Name of the file or folder, without what is above it.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or("data")
    }

    /// One label an image.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        match &self.source {
            Source::Hdf5(file) => file.labels(),
            Source::Folder(folder) => folder.labels(),
        }
    }

    /// Names of the classes, where the folder has them.
    #[must_use]
    pub fn label_names(&self) -> Option<&[String]> {
        match &self.source {
            Source::Hdf5(_) => None,
            Source::Folder(folder) => folder.label_names(),
        }
    }

    /// With `skip_bad`, the files that were left out because they cannot be read or are no images, each with the reason.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        match &self.source {
            Source::Hdf5(_) => &[],
            Source::Folder(folder) => folder.skipped(),
        }
    }

    /// Tells `progress` how the files were read and which were left out.
    pub fn tell(&self, progress: &dyn Progress) {
        for note in self.notes() {
            progress.tell(note);
        }
        for file in self.skipped() {
            progress.warn(&format!("left out: {file}"));
        }
    }

    /// As [`tell`](Self::tell) for a clean set, and which of `classes` classes have no image.
    pub fn tell_clean(&self, classes: u32, progress: &dyn Progress) {
        self.tell(progress);
        let present: BTreeSet<u32> = self.labels().iter().copied().collect();
        let name = |class: u32| {
            let names = self.label_names()?;
            names.get(class as usize).cloned()
        };
        let missing: Vec<String> = (0..classes)
            .filter(|class| !present.contains(class))
            .map(|class| name(class).unwrap_or_else(|| class.to_string()))
            .collect();
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            progress.tell(&format!("no image of class: {}", some(&missing)));
        }
    }

    /// Refuses the images of `clean` in place of backdoored ones: an attack success rate on them would be their accuracy.
    ///
    /// # Errors
    /// If they are the same as far as a sample tells, or reading fails.
    pub fn check_backdoored(&self, clean: &Self) -> Result<(), DataError> {
        let same =
            self.labels() == clean.labels() && self.sample(COMPARED)? == clean.sample(COMPARED)?;
        match same {
            true => Err(DataError::new(
                &self.path,
                format!(
                    "expected backdoored images with their target labels, found the clean images and labels of {}",
                    clean.name()
                ),
            )),
            false => Ok(()),
        }
    }

    /// What a person should know of how the files were read: the order of the classes, what was left out, a range of values.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        match &self.source {
            Source::Hdf5(file) => file.notes(),
            Source::Folder(folder) => folder.notes(),
        }
    }

    /// Another way to number the classes, where another tool would have taken one.
    #[must_use]
    pub fn other_order(&self) -> Option<&OtherOrder> {
        match &self.source {
            Source::Hdf5(_) => None,
            Source::Folder(folder) => folder.other_order(),
        }
    }

    /// At most `images` images, in blocks spread evenly from the first image to the last.
    ///
    /// # Errors
    /// If reading or decoding fails, or a pixel is not finite.
    pub fn sample(&self, images: usize) -> Result<Sample, DataError> {
        let all = self.labels().len();
        let count = images.min(all);
        let blocks = SAMPLE_BLOCKS.min(count).max(1);
        let mut plain = InputSpec::new(
            self.spec.height,
            self.spec.width,
            self.spec.channels,
            Layout::Nchw,
            1.0,
        );
        plain.resize = self.spec.resize;
        let mut sample = Sample {
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        for block in 0..blocks {
            // Block b holds its share of the count and begins where its share of the set does.
            let size = count * (block + 1) / blocks - count * block / blocks;
            if let Some(batch) = self.batches_from(&plain, all * block / blocks, size).next() {
                let batch = batch?;
                sample.pixels.extend(batch.images.data);
                sample.labels.extend(batch.labels);
            }
        }
        Ok(sample)
    }

    /// All images in their order, `size` at a time.
    ///
    /// # Errors
    /// The iterator yields an error where reading or decoding fails, or a pixel is not finite, and ends after it.
    pub fn batches(
        &self,
        size: usize,
    ) -> Box<dyn Iterator<Item = Result<LabelledBatch, DataError>> + Send + '_> {
        self.batches_from(&self.spec, 0, size)
    }

    /// All images in their order, as many at a time as [`images_a_chunk`] of their size.
    ///
    /// # Errors
    /// As [`batches`](Self::batches).
    pub(crate) fn chunks(
        &self,
    ) -> Box<dyn Iterator<Item = Result<LabelledBatch, DataError>> + Send + '_> {
        self.batches(images_a_chunk(self.spec.image_len()))
    }

    fn batches_from(
        &self,
        spec: &InputSpec,
        first: usize,
        size: usize,
    ) -> Box<dyn Iterator<Item = Result<LabelledBatch, DataError>> + Send + '_> {
        match &self.source {
            Source::Hdf5(file) => Box::new(file.batches(spec, first, size)),
            Source::Folder(folder) => Box::new(folder.batches(spec, first, size)),
        }
    }

    /// The pixels of image `index`, if they are whole numbers 0..255.
    ///
    /// # Errors
    /// If reading or decoding fails.
    pub fn raw8(&self, index: u64) -> Result<Option<RgbImage8>, DataError> {
        match &self.source {
            Source::Hdf5(file) => file.raw8(index),
            Source::Folder(folder) => folder.raw8(index).map(Some),
        }
    }

    /// SHA-256 in lower-case hex: of the file, or over the sorted relative names and bytes of the folder's images.
    ///
    /// # Errors
    /// If reading fails.
    pub fn sha256(&self) -> Result<String, DataError> {
        match &self.source {
            Source::Hdf5(file) => file.sha256(),
            Source::Folder(folder) => folder.sha256(),
        }
    }
}
