//! Layers in candle, channels last: a convolution is a gather of windows and a matrix product, which on the CPU trains several times
//! faster than candle's own convolution.

use super::ops::{Pool, Windows};
use candle_core::{DType, Device, Result, Tensor, Var};
use goodnet::demo::Draw;

/// A convolution: kernel (k · k · in, out), rows in order of row, column, channel of the window.
#[derive(Debug)]
pub(super) struct Conv {
    pub(super) kernel: Var,
    pub(super) bias: Var,
    pub(super) size: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Rows and columns of zeros around an image.
    pub(super) padding: usize,
}

/// A dense layer: kernel (in, out).
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) kernel: Var,
    pub(super) bias: Var,
}

impl Conv {
    pub(super) fn new(draw: &mut Draw, size: usize, inputs: usize, outputs: usize) -> Result<Self> {
        let rows = size * size * inputs;
        Ok(Self {
            kernel: weights(draw, rows, outputs)?,
            bias: Var::zeros(outputs, DType::F32, &Device::Cpu)?,
            size,
            inputs,
            outputs,
            padding: 0,
        })
    }

    /// With as many zeros around an image that the result is as large as it, for an odd size.
    pub(super) fn same(self) -> Self {
        Self {
            padding: self.size / 2,
            ..self
        }
    }

    /// With a kernel of zeros.
    pub(super) fn zeros(self) -> Result<Self> {
        Ok(Self {
            kernel: Var::zeros(self.kernel.shape(), DType::F32, &Device::Cpu)?,
            ..self
        })
    }

    /// (n, H, W, in) to (n, H + 2 p - k + 1, W + 2 p - k + 1, out) with the padding p, without the bias.
    pub(super) fn products(&self, images: &Tensor) -> Result<Tensor> {
        let edge = self.padding;
        let images = images
            .pad_with_zeros(1, edge, edge)?
            .pad_with_zeros(2, edge, edge)?;
        let (count, height, width, _) = images.dims4()?;
        let (rows, columns) = (height - self.size + 1, width - self.size + 1);
        Windows { size: self.size }
            .apply(&images)?
            .matmul(&self.kernel)?
            .reshape((count, rows, columns, self.outputs))
    }

    /// Convolution, largest of every 2 x 2, bias, rectifier. Bias and rectifier after the pooling: the same values for a quarter of the
    /// work.
    pub(super) fn pooled(&self, images: &Tensor) -> Result<Tensor> {
        let pooled = Pool.apply(&self.products(images)?)?;
        pooled.broadcast_add(&self.bias)?.relu()
    }

    /// [`products`](Self::products) and the bias.
    pub(super) fn linear(&self, images: &Tensor) -> Result<Tensor> {
        self.products(images)?.broadcast_add(&self.bias)
    }

    pub(super) fn variables(&self) -> [Var; 2] {
        [self.kernel.clone(), self.bias.clone()]
    }
}

impl Dense {
    pub(super) fn new(draw: &mut Draw, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            kernel: weights(draw, inputs, outputs)?,
            bias: Var::zeros(outputs, DType::F32, &Device::Cpu)?,
        })
    }

    pub(super) fn outputs(&self) -> Result<usize> {
        self.bias.dims1()
    }

    pub(super) fn forward(&self, values: &Tensor) -> Result<Tensor> {
        values.matmul(&self.kernel)?.broadcast_add(&self.bias)
    }

    pub(super) fn variables(&self) -> [Var; 2] {
        [self.kernel.clone(), self.bias.clone()]
    }
}

/// He initialisation: standard deviation sqrt(2 / inputs).
fn weights(draw: &mut Draw, inputs: usize, outputs: usize) -> Result<Var> {
    let deviation = (2.0 / inputs as f64).sqrt();
    let values: Vec<f32> = (0..inputs * outputs)
        .map(|_| (draw.bell() * deviation) as f32)
        .collect();
    Var::from_vec(values, (inputs, outputs), &Device::Cpu)
}
