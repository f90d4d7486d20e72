//! Plain tensors: what data sets, preprocessing and the engine hand to each other.

use std::ops::Range;

/// A dense f32 tensor in row-major order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensor {
    /// Extent of each axis; an image batch is (B, C, H, W) or (B, H, W, C) as the network wants it.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values, last axis fastest.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Panics
    /// If `data` does not hold exactly the product of `shape`.
    #[must_use]
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "tensor of shape {shape:?}"
        );
        Self { shape, data }
    }

    /// Borrows the tensor.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView {
            shape: &self.shape,
            data: &self.data,
        }
    }

    /// Number of rows: the extent of axis 0, 0 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.view().rows()
    }

    /// Values in one row (the product of all axes but the first).
    #[must_use]
    pub fn row_len(&self) -> usize {
        self.view().row_len()
    }

    /// Row `index` along axis 0.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        let len = self.row_len();
        &self.data[index * len..(index + 1) * len]
    }
}

/// A borrowed f32 tensor in row-major order.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Extent of each axis.
    pub shape: &'a [usize],
    /// The values, last axis fastest.
    pub data: &'a [f32],
}

impl<'a> TensorView<'a> {
    /// Number of rows: the extent of axis 0, 0 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Values in one row (the product of all axes but the first).
    #[must_use]
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The rows `range` along axis 0.
    ///
    /// # Panics
    /// If the range ends beyond the last row.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Rows<'a> {
        let mut shape = self.shape.to_vec();
        if let Some(rows) = shape.first_mut() {
            *rows = range.len();
        }
        let len = self.row_len();
        Rows {
            shape,
            data: &self.data[range.start * len..range.end * len],
        }
    }
}

/// Some rows of a tensor that somebody else holds.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    shape: Vec<usize>,
    data: &'a [f32],
}

impl Rows<'_> {
    /// Borrows them.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView {
            shape: &self.shape,
            data: self.data,
        }
    }
}

/// A dense i64 tensor in row-major order: verdicts, mostly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IntTensor {
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// The values, last axis fastest.
    pub data: Vec<i64>,
}
