//! Mean activation of every channel at the site over the clean set.

use crate::tensor::TensorView;

/// Why activations could not be taken up.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ActivationError {
    /// The tensor is not (B, C, H, W) or (B, H, W, C) with the site's C.
    #[error("expected activations of rank 4 with {channels} channels, found shape {found:?}")]
    Shape {
        /// Channels of the site.
        channels: usize,
        /// The shape that came.
        found: Vec<usize>,
    },
    /// An activation is NaN or infinite.
    #[error("channel {channel} of the site is not finite on some clean image")]
    NotFinite {
        /// The first such channel.
        channel: usize,
    },
    /// No image was seen.
    #[error("no clean image was seen")]
    Empty,
}

/// Running mean activation of each channel.
///
/// mean of c = (1 / (B·H·W)) · Σ over b, h, w of a(b, c, h, w), summed in f64; every chunk of images adds its own sum,
/// so the result depends on the order of the images only through f64 rounding, and not on the number of threads.
/// Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3.
#[derive(Debug, Clone)]
pub struct ChannelMeans {
    sums: Vec<f64>,
    values_per_channel: u64,
    images: u64,
}

impl ChannelMeans {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            sums: vec![0.0; channels],
            values_per_channel: 0,
            images: 0,
        }
    }

    /// Takes up a batch of activations, (B, C, H, W).
    ///
    /// # Errors
    /// [`ActivationError::Shape`] if the tensor has another rank or channel count,
    /// [`ActivationError::NotFinite`] if a value is NaN or infinite.
    pub fn add(&mut self, activations: TensorView<'_>) -> Result<(), ActivationError> {
        let channels = self.sums.len();
        let &[images, found, height, width] = activations.shape else {
            return Err(self.shape_error(activations.shape));
        };
        if found != channels {
            return Err(self.shape_error(activations.shape));
        }
        let plane = height * width;
        for (index, values) in activations.data.chunks_exact(plane.max(1)).enumerate() {
            let channel = index % channels;
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            if !sum.is_finite() {
                return Err(ActivationError::NotFinite { channel });
            }
            self.sums[channel] += sum;
        }
        self.values_per_channel += (images * plane) as u64;
        self.images += images as u64;
        Ok(())
    }

    /// Images taken up so far.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.images
    }

    /// The means, one a channel.
    ///
    /// # Errors
    /// [`ActivationError::Empty`] if no image was taken up.
    pub fn means(&self) -> Result<Vec<f64>, ActivationError> {
        if self.values_per_channel == 0 {
            return Err(ActivationError::Empty);
        }
        let count = self.values_per_channel as f64;
        Ok(self.sums.iter().map(|sum| sum / count).collect())
    }

    fn shape_error(&self, found: &[usize]) -> ActivationError {
        ActivationError::Shape {
            channels: self.sums.len(),
            found: found.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn means_are_taken_over_images_and_positions() {
        let mut means = ChannelMeans::new(2);
        let first = Tensor::new(vec![1, 2, 1, 2], vec![1.0, 3.0, 10.0, 20.0]);
        let second = Tensor::new(vec![1, 2, 1, 2], vec![0.0, 0.0, 30.0, 40.0]);
        means.add(first.view()).unwrap();
        means.add(second.view()).unwrap();
        assert_eq!(means.means().unwrap(), [1.0, 25.0]);
        assert_eq!(means.images(), 2);
    }

    #[test]
    fn wrong_shape_nan_and_no_image_are_errors() {
        let mut means = ChannelMeans::new(2);
        assert_eq!(means.means(), Err(ActivationError::Empty));
        let flat = Tensor::new(vec![1, 2], vec![0.0, 0.0]);
        assert!(matches!(
            means.add(flat.view()),
            Err(ActivationError::Shape { .. })
        ));
        let nan = Tensor::new(vec![1, 2, 1, 1], vec![0.0, f32::NAN]);
        assert_eq!(
            means.add(nan.view()),
            Err(ActivationError::NotFinite { channel: 1 })
        );
    }
}
