//! Some images of a data set, as pixels, to be fed in several ways.

use crate::input::preprocess::{Preprocess, Stored};
use crate::input::spec::InputSpec;
use crate::tensor::Tensor;

/// Pixels of some images of a data set, spread over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Pixels 0..255, (C, H, W) in RGB order (or grey), image after image.
    pub(super) pixels: Vec<f32>,
    /// One label an image.
    pub labels: Vec<u32>,
}

impl Sample {
    /// The images as a network is fed them that wants `spec`, of the same size.
    #[must_use]
    pub fn feed(&self, spec: &InputSpec) -> Tensor {
        let preprocess = Preprocess::new(spec);
        let len = spec.image_len();
        let mut values = vec![0.0; self.labels.len() * len];
        let images = self.pixels.chunks_exact(len);
        for (pixels, output) in images.zip(values.chunks_exact_mut(len)) {
            preprocess.numbers_into(pixels, Stored::Chw, output);
        }
        Tensor::new(spec.batch_shape(self.labels.len()), values)
    }

    /// Images all of whose pixels are the same.
    #[must_use]
    pub fn blank(&self) -> usize {
        let len = self.pixels.len() / self.labels.len().max(1);
        let images = self.pixels.chunks_exact(len.max(1));
        images
            .filter(|pixels| pixels.windows(2).all(|pair| pair[0] == pair[1]))
            .count()
    }

    /// With rows and columns of every image swapped; none for images that are not as high as wide.
    #[must_use]
    pub fn transposed(&self, spec: &InputSpec) -> Option<Self> {
        let side = spec.height;
        if spec.width != side {
            return None;
        }
        let planes = self.pixels.chunks_exact(side * side);
        let swapped = planes
            .flat_map(|plane| (0..side * side).map(move |at| plane[at % side * side + at / side]));
        Some(Self {
            pixels: swapped.collect(),
            labels: self.labels.clone(),
        })
    }

    /// Its images 0, `step`, 2 `step` and so on; all of them for a step of 0.
    #[must_use]
    pub fn every(&self, step: usize) -> Self {
        let len = self.pixels.len() / self.labels.len().max(1);
        let images = self.pixels.chunks_exact(len.max(1)).step_by(step.max(1));
        Self {
            pixels: images.flatten().copied().collect(),
            labels: self.labels.iter().step_by(step.max(1)).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn every_second_image_keeps_its_pixels_and_label() {
        let sample = Sample {
            pixels: (0..10u8).map(f32::from).collect(),
            labels: vec![5, 6, 7, 8, 9],
        };
        let second = sample.every(2);
        assert_eq!(second.labels, [5, 7, 9]);
        assert_eq!(second.pixels, [0.0, 1.0, 4.0, 5.0, 8.0, 9.0]);
        assert_eq!(sample.every(1), sample);
    }
}
