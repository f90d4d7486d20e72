//! The lab's HDF5 layout: `data` (n, 3, h, w) or (n, h, w, 3), any integer or float type, and `label` (n).

use super::{DataError, LabelledBatch};
use crate::input::image::RgbImage8;
use crate::input::preprocess::{Preprocess, Stored};
use crate::input::spec::InputSpec;
use crate::tensor::Tensor;
use hdf5_pure::{DType, Dataset, File};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// More images than this are refused: the label list alone would pass a stated bound of memory (256 MiB).
const MAX_IMAGES: u64 = 1 << 26;

/// An HDF5 file that was checked against a network's input.
#[derive(Debug, Clone)]
pub(super) struct Hdf5 {
    path: PathBuf,
    labels: Vec<u32>,
    stored: Stored,
    bytes: bool,
    channels: usize,
    height: usize,
    width: usize,
}

impl Hdf5 {
    pub(super) fn open(path: &Path, spec: &InputSpec) -> Result<Self, DataError> {
        let fail = |reason: String| DataError::new(path, reason);
        let file = open(path)?;
        let data = dataset(path, &file, "data")?;
        let shape = data.shape().map_err(|error| fail(error.to_string()))?;
        let images = shape.first().copied().unwrap_or(0);
        let stored = match_shape(&shape, spec).ok_or_else(|| {
            fail(format!(
                "expected `data` of shape (n, {c}, {h}, {w}) or (n, {h}, {w}, {c}) for this network, found {shape:?}",
                c = spec.channels,
                h = spec.height,
                w = spec.width
            ))
        })?;
        if images == 0 {
            return Err(fail("expected images, found none".to_owned()));
        }
        if images > MAX_IMAGES {
            return Err(fail(format!(
                "expected at most {MAX_IMAGES} images, found {images}"
            )));
        }
        let kind = data.dtype().map_err(|error| fail(error.to_string()))?;
        if !is_number(&kind) {
            return Err(fail(format!("expected `data` of numbers, found {kind}")));
        }
        Ok(Self {
            path: path.to_owned(),
            labels: read_labels(path, &file, images)?,
            stored,
            bytes: kind == DType::U8,
            channels: spec.channels,
            height: spec.height,
            width: spec.width,
        })
    }

    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub(super) fn batches<'a>(
        &'a self,
        spec: &InputSpec,
        size: usize,
    ) -> impl Iterator<Item = Result<LabelledBatch, DataError>> + Send + use<'a> {
        let preprocess = Preprocess::new(spec);
        let mut file = None;
        let mut next = 0;
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed || next >= self.labels.len() {
                return None;
            }
            let count = size.max(1).min(self.labels.len() - next);
            let batch = self.read_batch(&mut file, &preprocess, next, count);
            failed = batch.is_err();
            next += count;
            Some(batch)
        })
    }

    fn read_batch(
        &self,
        file: &mut Option<Dataset>,
        preprocess: &Preprocess,
        first: usize,
        count: usize,
    ) -> Result<LabelledBatch, DataError> {
        let data = match file {
            Some(data) => data,
            None => file.insert(dataset(&self.path, &open(&self.path)?, "data")?),
        };
        let spec = preprocess.spec();
        let len = spec.image_len();
        let mut values = vec![0.0; count * len];
        let outputs = values.chunks_exact_mut(len);
        if self.bytes {
            let pixels = self.rows(data.read_u8_rows(first as u64, count as u64), count * len)?;
            for (pixels, output) in pixels.chunks_exact(len).zip(outputs) {
                preprocess.bytes_into(pixels, self.stored, output);
            }
        } else {
            let pixels = self.rows(data.read_f32_rows(first as u64, count as u64), count * len)?;
            if let Some(at) = pixels.iter().position(|pixel| !pixel.is_finite()) {
                let image = first + at / len;
                return Err(self.error(format!(
                    "expected finite pixels, found {} in image {image}",
                    pixels[at]
                )));
            }
            for (pixels, output) in pixels.chunks_exact(len).zip(outputs) {
                preprocess.numbers_into(pixels, self.stored, output);
            }
        }
        Ok(LabelledBatch {
            images: Tensor::new(spec.batch_shape(count), values),
            labels: self.labels[first..first + count].to_vec(),
        })
    }

    fn rows<T>(
        &self,
        rows: Result<Vec<T>, hdf5_pure::Error>,
        expected: usize,
    ) -> Result<Vec<T>, DataError> {
        let rows = rows.map_err(|error| self.error(error))?;
        if rows.len() != expected {
            return Err(self.error(format!("expected {expected} pixels, found {}", rows.len())));
        }
        Ok(rows)
    }

    pub(super) fn raw8(&self, index: u64) -> Result<Option<RgbImage8>, DataError> {
        let data = dataset(&self.path, &open(&self.path)?, "data")?;
        let len = self.channels * self.height * self.width;
        let pixels = self.rows(data.read_f32_rows(index, 1), len)?;
        if pixels
            .iter()
            .any(|pixel| pixel.fract() != 0.0 || !(0.0..=255.0).contains(pixel))
        {
            return Ok(None);
        }
        let plane = self.height * self.width;
        let rgb = (0..plane)
            .flat_map(|position| (0..3).map(move |channel| (position, channel)))
            .map(|(position, channel)| {
                let channel = channel.min(self.channels - 1);
                let at = match self.stored {
                    Stored::Chw => channel * plane + position,
                    Stored::Hwc => position * self.channels + channel,
                };
                pixels[at] as u8
            })
            .collect();
        Ok(Some(RgbImage8 {
            width: u32::try_from(self.width).unwrap_or(u32::MAX),
            height: u32::try_from(self.height).unwrap_or(u32::MAX),
            pixels: rgb,
        }))
    }

    pub(super) fn sha256(&self) -> Result<String, DataError> {
        let mut file = std::fs::File::open(&self.path).map_err(|error| self.error(error))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut buffer).map_err(|error| self.error(error))?;
            if count == 0 {
                return Ok(hex::encode(hash.finalize()));
            }
            hash.update(&buffer[..count]);
        }
    }

    fn error(&self, reason: impl std::fmt::Display) -> DataError {
        DataError::new(&self.path, reason)
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    let head = std::fs::File::open(path)
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

fn dataset(path: &Path, file: &File, name: &str) -> Result<Dataset, DataError> {
    file.dataset(name).map_err(|error| {
        DataError::new(
            path,
            format!("expected data sets `data` and `label`, found no readable `{name}` ({error})"),
        )
    })
}

/// How images of `shape` are stored, if they fit the network; (n, C, H, W) where both readings fit.
fn match_shape(shape: &[u64], spec: &InputSpec) -> Option<Stored> {
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

fn is_number(kind: &DType) -> bool {
    !matches!(
        kind,
        DType::String
            | DType::VariableLengthString
            | DType::ObjectReference
            | DType::Compound(_)
            | DType::Enum(_)
            | DType::Array(..)
    )
}

fn read_labels(path: &Path, file: &File, images: u64) -> Result<Vec<u32>, DataError> {
    let fail = |reason: String| DataError::new(path, reason);
    let labels = dataset(path, file, "label")?;
    let shape = labels.shape().map_err(|error| fail(error.to_string()))?;
    let flat = match shape.as_slice() {
        [count] | [count, 1] => *count,
        _ => {
            return Err(fail(format!(
                "expected `label` of shape ({images}), found {shape:?}"
            )));
        }
    };
    if flat != images {
        return Err(fail(format!(
            "expected {images} labels, one an image, found {flat}"
        )));
    }
    let values = labels
        .read_f64()
        .map_err(|error| fail(format!("expected numbers in `label`, found {error}")))?;
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| {
            let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
            if !whole {
                return Err(fail(format!(
                    "expected whole labels from 0, found {value} at image {index}"
                )));
            }
            Ok(value as u32)
        })
        .collect()
}
