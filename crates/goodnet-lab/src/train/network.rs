//! The lab's architecture in candle, channels last: a convolution is a gather of windows and a matrix product, which on
//! the CPU trains several times faster than candle's own convolution.

use super::ops::{Pool, Windows};
use candle_core::{Device, Result, Tensor, Var};
use goodnet::demo::{Draw, Purpose};
use goodnet::demo::{HEIGHT, WIDTH};

/// A convolution: kernel (k · k · in, out), rows in order of row, column, channel of the window.
#[derive(Debug)]
pub(super) struct Conv {
    pub(super) kernel: Var,
    pub(super) bias: Var,
    pub(super) size: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// A dense layer: kernel (in, out).
#[derive(Debug)]
pub(super) struct Dense {
    pub(super) kernel: Var,
    pub(super) bias: Var,
}

/// The network in training.
#[derive(Debug)]
pub(super) struct DeepId {
    pub(super) conv: [Conv; 4],
    pub(super) fc_1: Dense,
    pub(super) fc_2: Dense,
    pub(super) output: Dense,
    pub(super) classes: usize,
}

/// What a pass gives.
#[derive(Debug)]
pub(super) struct Answer {
    /// (n, N), before the softmax.
    pub(super) scores: Tensor,
    /// (n, 160): what the last layer reads.
    pub(super) features: Tensor,
    /// (): mean activation of pool_3.
    pub(super) activity: Tensor,
}

/// Height and width after pool_3, and after conv_4.
pub(super) const POOL_3: [usize; 2] = [5, 4];
pub(super) const CONV_4: [usize; 2] = [4, 3];
/// Units of fc_1 and fc_2.
pub(super) const UNITS: usize = 160;

impl DeepId {
    pub(super) fn new(classes: usize, seed: u64) -> Result<Self> {
        let mut draw = Draw::new(seed, Purpose::Weights, 0, 0);
        let conv = [
            Conv::new(&mut draw, 4, 3, 20)?,
            Conv::new(&mut draw, 3, 20, 40)?,
            Conv::new(&mut draw, 3, 40, 60)?,
            Conv::new(&mut draw, 2, 60, 80)?,
        ];
        let flat = |[height, width]: [usize; 2], channels: usize| height * width * channels;
        Ok(Self {
            conv,
            fc_1: Dense::new(&mut draw, flat(POOL_3, 60), UNITS)?,
            fc_2: Dense::new(&mut draw, flat(CONV_4, 80), UNITS)?,
            output: Dense::new(&mut draw, UNITS, classes)?,
            classes,
        })
    }

    pub(super) fn variables(&self) -> Vec<Var> {
        let conv = self
            .conv
            .iter()
            .flat_map(|layer| [&layer.kernel, &layer.bias]);
        let dense = [&self.fc_1, &self.fc_2, &self.output];
        let dense = dense
            .into_iter()
            .flat_map(|layer| [&layer.kernel, &layer.bias]);
        conv.chain(dense).cloned().collect()
    }

    /// The answers to images (n, 55, 47, 3) in 0..1.
    pub(super) fn forward(&self, images: &Tensor) -> Result<Answer> {
        debug_assert_eq!(images.dims()[1..], [HEIGHT, WIDTH, 3]);
        let mut last = images.clone();
        for layer in &self.conv[..3] {
            // bias and relu after the pooling: the same values for a quarter of the work.
            let pooled = Pool.apply(&layer.products(&last)?)?;
            last = pooled.broadcast_add(&layer.bias)?.relu()?;
        }
        let activity = last.mean_all()?;
        let first = self.fc_1.forward(&last.flatten_from(1)?)?;
        let conv_4 = self.conv[3].products(&last)?;
        let conv_4 = conv_4.broadcast_add(&self.conv[3].bias)?.relu()?;
        let second = self.fc_2.forward(&conv_4.flatten_from(1)?)?;
        let features = (first + second)?.relu()?;
        Ok(Answer {
            scores: self.output.forward(&features)?,
            features,
            activity,
        })
    }
}

impl Conv {
    fn new(draw: &mut Draw, size: usize, inputs: usize, outputs: usize) -> Result<Self> {
        let rows = size * size * inputs;
        Ok(Self {
            kernel: weights(draw, rows, outputs)?,
            bias: Var::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?,
            size,
            inputs,
            outputs,
        })
    }

    /// (n, H, W, in) to (n, H - k + 1, W - k + 1, out), without the bias.
    fn products(&self, images: &Tensor) -> Result<Tensor> {
        let (count, height, width, _) = images.dims4()?;
        let (rows, columns) = (height - self.size + 1, width - self.size + 1);
        Windows { size: self.size }
            .apply(images)?
            .matmul(&self.kernel)?
            .reshape((count, rows, columns, self.outputs))
    }
}

impl Dense {
    fn new(draw: &mut Draw, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            kernel: weights(draw, inputs, outputs)?,
            bias: Var::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?,
        })
    }

    fn forward(&self, values: &Tensor) -> Result<Tensor> {
        values.matmul(&self.kernel)?.broadcast_add(&self.bias)
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
