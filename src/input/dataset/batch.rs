//! What opening a data set asks for, and what reading it gives.

use super::error::DataError;
use crate::input::image::Limits;
use crate::tensor::Tensor;
use std::ops::Range;

/// How a data set is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Leave out image files that cannot be read, instead of failing.
    pub skip_bad: bool,
    /// Limits on every image file.
    pub limits: Limits,
    /// Decode large JPEG files whole ([`Detail`](crate::input::image::Detail)).
    pub exact_decode: bool,
    /// Names of the classes in their order, where they are known: a sub-folder of such a name is that class.
    pub names: Option<Vec<String>>,
}

/// A batch of preprocessed images with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledBatch {
    /// (B, C, H, W) or (B, H, W, C), as the network wants it.
    pub images: Tensor,
    /// One label an image: the true label of a clean image, the target label of a backdoored one.
    pub labels: Vec<u32>,
}

pub(super) type Batch = Result<LabelledBatch, DataError>;

/// What `read` gives for each run of `size` images of `first..total`; ends after an error.
pub(super) fn in_batches(
    total: usize,
    first: usize,
    size: usize,
    mut read: impl FnMut(Range<usize>) -> Batch + Send,
) -> impl Iterator<Item = Batch> + Send {
    let mut next = first;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || next >= total {
            return None;
        }
        let end = total.min(next + size.max(1));
        let batch = read(next..end);
        failed = batch.is_err();
        next = end;
        Some(batch)
    })
}

/// Another way to number the classes of a folder, that another tool would have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherOrder {
    /// How the classes are numbered.
    pub told: String,
    /// The label that each label 0..N becomes.
    pub labels: Vec<u32>,
}
