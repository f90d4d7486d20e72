//! The lab's HDF5 layout: `data` (n, 3, h, w) or (n, h, w, 3), any integer or float type, and `label` (n).
//!
//! In reading order: [`mod@open`] (the file and its data sets), [`links`] and [`newest`] (what the library does not follow or know), [`numbers`] (what is stored), [`rows`] (the images), [`range`] (how values become pixels), [`labels`].

mod contents;
mod labels;
mod links;
mod newest;
mod numbers;
mod open;
mod range;
mod rows;

use super::batch::{LabelledBatch, in_batches};
use super::error::DataError;
use crate::files::open_plain;
use crate::input::image::RgbImage8;
use crate::input::preprocess::{Preprocess, Stored};
use crate::input::spec::InputSpec;
use crate::tensor::Tensor;
use numbers::Numbers;
use open::{check_stored, dataset, match_shape, not_numbers, open};
use range::Range;
use rayon::prelude::*;
use rows::{Pixels, Rows};
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
    numbers: Numbers,
    range: Range,
    notes: Vec<String>,
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
        let numbers = Numbers::from_dataset(&data)
            .map_err(|error| fail(error.to_string()))?
            .ok_or_else(|| fail(not_numbers(&data)))?;
        check_stored(path, &shape, &data)?;
        rows::check_chunk(path, "data", &data)?;
        let list = dataset(path, &file, "label")?;
        rows::check_chunk(path, "label", &list)?;
        let mut set = Self {
            path: path.to_owned(),
            labels: labels::read(path, &list, images)?,
            stored,
            numbers,
            range: Range::Levels,
            notes: Vec::new(),
            channels: spec.channels,
            height: spec.height,
            width: spec.width,
        };
        let extent = range::extent(&mut set.rows()?, &set.plane_of_values())
            .map_err(|error| set.error(error))?;
        set.range = Range::from_extent(&extent, spec).map_err(|error| set.error(error))?;
        set.notes.extend(set.range.told(set.name(), &extent));
        Ok(set)
    }

    fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.unwrap_or("data")
    }

    /// The channel of every value of one stored image.
    fn plane_of_values(&self) -> Vec<usize> {
        let values = self.channels * self.height * self.width;
        (0..values).map(|at| self.channel(at)).collect()
    }

    /// The channel of value `at` of one stored image.
    fn channel(&self, at: usize) -> usize {
        match self.stored {
            Stored::Chw => at / (self.height * self.width),
            Stored::Hwc => at % self.channels,
        }
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub(super) fn batches<'a>(
        &'a self,
        spec: &InputSpec,
        first: usize,
        size: usize,
    ) -> impl Iterator<Item = Result<LabelledBatch, DataError>> + Send + use<'a> {
        let preprocess = Preprocess::new(spec);
        let mut rows = None;
        in_batches(self.labels.len(), first, size, move |images| {
            self.read_batch(&mut rows, &preprocess, images.start, images.len())
        })
    }

    fn read_batch(
        &self,
        rows: &mut Option<Rows>,
        preprocess: &Preprocess,
        first: usize,
        count: usize,
    ) -> Result<LabelledBatch, DataError> {
        let rows = match rows {
            Some(rows) => rows,
            None => rows.insert(self.rows()?),
        };
        let spec = preprocess.spec();
        let len = spec.image_len();
        let mut values = vec![0.0; count * len];
        let mut done = 0;
        while done < count {
            let in_window = self.fill(rows, preprocess, first + done, &mut values[done * len..]);
            done += in_window;
            if in_window == 0 {
                rows.seek(first + done).map_err(|error| self.error(error))?;
            }
        }
        Ok(LabelledBatch {
            images: Tensor::new(spec.batch_shape(count), values),
            labels: self.labels[first..first + count].to_vec(),
        })
    }

    /// Preprocesses the images from `first` on that lie in the window into `values`, and counts them.
    fn fill(
        &self,
        rows: &Rows,
        preprocess: &Preprocess,
        first: usize,
        values: &mut [f32],
    ) -> usize {
        let len = preprocess.spec().image_len();
        let wanted = values.len() / len;
        let pixels: Vec<Pixels> = (first..first + wanted)
            .map_while(|index| rows.get(index))
            .collect();
        values
            .par_chunks_exact_mut(len)
            .zip(&pixels)
            .for_each(|(output, pixels)| match (pixels, &self.range) {
                (Pixels::Bytes(pixels), Range::Levels) => {
                    preprocess.bytes_into(pixels, self.stored, output);
                }
                (Pixels::Numbers(pixels), Range::Levels) => {
                    preprocess.numbers_into(pixels, self.stored, output);
                }
                (stored, range) => {
                    let pixels: Vec<f32> = (0..len)
                        .map(|at| range.pixel(stored.value(at), self.channel(at)))
                        .collect();
                    preprocess.numbers_into(&pixels, self.stored, output);
                }
            });
        pixels.len()
    }

    fn rows(&self) -> Result<Rows, DataError> {
        let data = dataset(&self.path, &open(&self.path)?, "data")?;
        let len = self.channels * self.height * self.width;
        Rows::new(data, self.labels.len(), len, self.numbers).map_err(|error| self.error(error))
    }

    pub(super) fn raw8(&self, index: u64) -> Result<Option<RgbImage8>, DataError> {
        let data = dataset(&self.path, &open(&self.path)?, "data")?;
        let len = self.channels * self.height * self.width;
        let values = self
            .numbers
            .read_f32(&data, index, 1)
            .map_err(|error| self.error(error))?;
        if values.len() != len {
            return Err(self.error(format!("expected image {index}, found no such image")));
        }
        let pixels: Vec<f32> = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| self.range.pixel(value, self.channel(at)))
            .collect();
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
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let picture = RgbImage8::new(side(self.width), side(self.height), rgb);
        Ok(Some(picture))
    }

    pub(super) fn sha256(&self) -> Result<String, DataError> {
        let mut file = open_plain(&self.path).map_err(|error| self.error(error))?;
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
