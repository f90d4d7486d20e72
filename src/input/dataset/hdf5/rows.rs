//! The images of `data` in order: chunks are decompressed by several threads at once and, as far as memory allows,
//! each of them once.

use super::super::DataError;
use super::numbers::Numbers;
use hdf5_pure::Dataset;
use rayon::prelude::*;
use std::path::Path;

/// Bytes of stored images that are held at a time, whatever the data set's size; one chunk comes on top.
const WINDOW_BYTES: u64 = 192 << 20;
/// Bytes of the largest chunk that is read: a chunk is decompressed whole.
const MAX_CHUNK_BYTES: u64 = 512 << 20;
/// Images that a thread reads at least, so that opening a window is worth it.
const MIN_ROWS: u64 = 32;

/// Pixels of some images as the file stores them.
#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    Numbers(Vec<f32>),
}

/// Pixels of one image as the file stores them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pixels<'a> {
    /// 8-bit unsigned.
    Bytes(&'a [u8]),
    /// Any other type of number.
    Numbers(&'a [f32]),
}

impl Pixels<'_> {
    /// Value `at` of the image.
    pub(super) fn value(&self, at: usize) -> f32 {
        match self {
            Self::Bytes(pixels) => f32::from(pixels[at]),
            Self::Numbers(pixels) => pixels[at],
        }
    }
}

/// A window that moves over the images from the first to the last.
#[derive(Debug)]
pub(super) struct Rows {
    data: Dataset,
    plan: Plan,
    images: usize,
    image_len: usize,
    numbers: Numbers,
    /// Image that the window begins with.
    first: usize,
    parts: Vec<Part>,
}

impl Rows {
    /// Over all `images` of `data`, `image_len` `numbers` each.
    pub(super) fn new(
        data: Dataset,
        images: usize,
        image_len: usize,
        numbers: Numbers,
    ) -> Result<Self, hdf5_pure::Error> {
        let stored = image_len as u64 * data.element_size()?;
        let converted = match numbers {
            Numbers::Bytes => 0,
            Numbers::Half { .. } | Numbers::Bits(_) | Numbers::Other => 4 * image_len as u64,
        };
        let chunk_rows = data.chunk_shape()?.and_then(|chunk| chunk.first().copied());
        let threads = rayon::current_num_threads();
        Ok(Self {
            plan: Plan::new(images, stored + converted, chunk_rows, threads),
            data,
            images,
            image_len,
            numbers,
            first: 0,
            parts: Vec::new(),
        })
    }

    /// Moves the window so that it begins with the part that holds image `index`.
    pub(super) fn seek(&mut self, index: usize) -> Result<(), String> {
        self.first = index / self.plan.rows * self.plan.rows;
        self.parts.clear();
        let end = self
            .images
            .min(self.first + self.plan.rows * self.plan.parts);
        let starts: Vec<usize> = (self.first..end).step_by(self.plan.rows).collect();
        let parts: Vec<_> = starts.par_iter().map(|&start| self.read(start)).collect();
        // In order, so that the first fault is the one that is told.
        self.parts = parts.into_iter().collect::<Result<_, _>>()?;
        Ok(())
    }

    fn read(&self, start: usize) -> Result<Part, String> {
        let count = self.plan.rows.min(self.images - start);
        let (first, rows) = (start as u64, count as u64);
        let failed = |error: hdf5_pure::Error| error.to_string();
        let (part, found) = if self.numbers == Numbers::Bytes {
            let pixels = self.data.read_raw_rows(first, rows).map_err(failed)?;
            let found = pixels.len();
            (Part::Bytes(pixels), found)
        } else {
            let pixels = self
                .numbers
                .read_f32(&self.data, first, rows)
                .map_err(failed)?;
            if let Some(at) = pixels.iter().position(|pixel| !pixel.is_finite()) {
                let image = start + at / self.image_len;
                let pixel = pixels[at];
                return Err(format!(
                    "expected finite pixels, found {pixel} in image {image}"
                ));
            }
            let found = pixels.len();
            (Part::Numbers(pixels), found)
        };
        let expected = count * self.image_len;
        if found != expected {
            return Err(format!("expected {expected} pixels, found {found}"));
        }
        Ok(part)
    }

    /// Images in all.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// The pixels of image `index`, if it lies in the window.
    pub(super) fn get(&self, index: usize) -> Option<Pixels<'_>> {
        let offset = index.checked_sub(self.first)?;
        let part = self.parts.get(offset / self.plan.rows)?;
        let at = offset % self.plan.rows * self.image_len;
        let range = at..at + self.image_len;
        match part {
            Part::Bytes(pixels) => pixels.get(range).map(Pixels::Bytes),
            Part::Numbers(pixels) => pixels.get(range).map(Pixels::Numbers),
        }
    }
}

/// How many images are read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// By one thread: whole chunks, where they fit the window.
    rows: usize,
    /// Threads at a time.
    parts: usize,
}

impl Plan {
    fn new(images: usize, row_bytes: u64, chunk_rows: Option<u64>, threads: usize) -> Self {
        let chunk = chunk_rows.unwrap_or(1).max(1);
        let whole_chunks = MIN_ROWS.div_ceil(chunk).saturating_mul(chunk);
        let most = (WINDOW_BYTES / row_bytes.max(1)).max(1);
        let rows = whole_chunks.min(most).min(images.max(1) as u64);
        let parts = (most / rows).min(threads as u64).max(1);
        // Both are at most the number of images, or of threads, which are usize.
        Self {
            rows: rows as usize,
            parts: parts as usize,
        }
    }
}

/// Refuses chunks that would take too much memory.
pub(super) fn check_chunk(path: &Path, name: &str, data: &Dataset) -> Result<(), DataError> {
    let fail = |error: hdf5_pure::Error| DataError::new(path, error);
    let Some(shape) = data.chunk_shape().map_err(fail)? else {
        return Ok(());
    };
    let element = data.element_size().map_err(fail)?;
    let bytes = shape
        .iter()
        .try_fold(element, |bytes, &extent| bytes.checked_mul(extent));
    match bytes {
        Some(bytes) if bytes <= MAX_CHUNK_BYTES => Ok(()),
        _ => Err(DataError::new(
            path,
            format!(
                "expected chunks of at most {} MiB in `{name}`, found {shape:?} of {element} bytes each",
                MAX_CHUNK_BYTES >> 20
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_read_whole_chunks_as_far_as_memory_allows() {
        let lab = 3 * 55 * 47;
        let plan = |images, row_bytes, chunk_rows| Plan::new(images, row_bytes, chunk_rows, 4);
        let contiguous = plan(11_547, lab, None);
        assert_eq!((contiguous.rows, contiguous.parts), (32, 4));
        let small_chunks = plan(11_547, lab, Some(20));
        assert_eq!((small_chunks.rows, small_chunks.parts), (40, 4));
        // As h5py chunks the lab's files: 1444 images, a few pixels of one channel each.
        let long_chunks = plan(11_547, lab, Some(1_444));
        assert_eq!((long_chunks.rows, long_chunks.parts), (1_444, 4));
        let as_doubles = plan(11_547, 12 * lab, Some(1_444));
        assert_eq!((as_doubles.rows, as_doubles.parts), (1_444, 1));
        let huge_images = plan(10, 1 << 30, Some(5));
        assert_eq!((huge_images.rows, huge_images.parts), (1, 1));
        let few = plan(3, lab, Some(u64::MAX));
        assert_eq!((few.rows, few.parts), (3, 4));
    }
}
