//! Mean absolute activation of every channel at the site over the clean set.

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

/// Running mean absolute activation of each channel.
///
/// mean of c = (1 / (B·H·W)) · Σ over b, h, w of |a(b, c, h, w)|, summed in f64; every chunk of images adds its own sum,
/// so the result depends on the order of the images only through f64 rounding, and not on the number of threads.
/// After a rectifier it is the mean activation. At a site with signs a channel whose mean is far below zero is as busy as
/// one far above, and one whose values cancel out is not dormant: the absolute value is taken before the sum.
/// Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning", RAID 2018, section 3, for rectified activations.
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
            let sum: f64 = values.iter().map(|&value| f64::from(value.abs())).sum();
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

    /// The means of the absolute values, one a channel, at least 0.
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
    use crate::domain::ranking::rank;
    use crate::tensor::Tensor;
    use proptest::prelude::*;

    /// The definition, value by value: images of 3 channels of 2 values.
    fn naive(values: &[f32], of: fn(f32) -> f32) -> Vec<f64> {
        let images = values.len() / 6;
        let mean = |c: usize| {
            let mut sum = 0.0;
            for image in 0..images {
                for position in 0..2 {
                    sum += f64::from(of(values[image * 6 + c * 2 + position]));
                }
            }
            sum / (images * 2) as f64
        };
        (0..3).map(mean).collect()
    }

    fn means_in_chunks(values: &[f32], chunk: usize) -> Vec<f64> {
        let mut means = ChannelMeans::new(3);
        for part in values.chunks(chunk * 6) {
            let batch = Tensor::new(vec![part.len() / 6, 3, 1, 2], part.to_vec());
            means.add(batch.view()).unwrap();
        }
        means.means().unwrap()
    }

    fn values() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec(-4.0f32..4.0, 6..120).prop_map(|mut values| {
            values.truncate(values.len() / 6 * 6);
            values
        })
    }

    proptest! {
        #[test]
        fn means_are_those_of_the_absolute_values(values in values(), chunk in 1usize..9) {
            let expected = naive(&values, f32::abs);
            for (found, expected) in means_in_chunks(&values, chunk).iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
            }
        }

        #[test]
        fn rectified_channels_rank_as_by_their_mean(values in values()) {
            let rectified: Vec<f32> = values.iter().map(|value| value.max(0.0)).collect();
            let signed = rank(&naive(&rectified, |value| value));
            prop_assert_eq!(rank(&means_in_chunks(&rectified, 1000)), signed);
        }
    }

    #[test]
    fn a_busy_negative_channel_and_one_that_cancels_out_are_not_dormant() {
        let values = [-9.0, -9.0, -5.0, 5.0, 0.5, 0.5];
        let means = means_in_chunks(&values, 1);
        assert_eq!(means, [9.0, 5.0, 0.5]);
        assert_eq!(rank(&means), [2, 1, 0]);
    }

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
