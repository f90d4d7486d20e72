//! Fine-pruning: channels are pruned, then the rest is trained on with clean images, the pruned channels held at 0.
//!
//! Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks",
//! RAID 2018. Limit: networks of the lab's architecture only; others are not read into candle.

use super::{Epoch, Lessons, TrainConfig, export, fit, import};
use crate::defence::CleanSet;
use crate::onnx::Model;
use candle_core::{Device, Tensor};

/// Why a network could not be fine-pruned.
pub type FinePruneError = candle_core::Error;

/// How the rest is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FineTuneConfig {
    /// Passes over the clean images.
    pub epochs: usize,
    /// Images in a step.
    pub batch: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Decides the order of the images.
    pub seed: u64,
}

impl Default for FineTuneConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 32,
            learning_rate: 5e-4,
            seed: 0,
        }
    }
}

/// Clean images as the network takes them, and the largest value that they can have.
struct Ranged<'a> {
    clean: &'a CleanSet,
    range: f32,
}

impl Lessons for Ranged<'_> {
    fn len(&self) -> usize {
        self.clean.len()
    }

    fn label(&self, index: usize) -> u32 {
        self.clean.label(index)
    }

    fn append(&self, index: usize, values: &mut Vec<f32>) {
        let image = self.clean.image(index).iter();
        values.extend(image.map(|value| value / self.range));
    }
}

/// Takes the channels `removed` of pool_3 out of `badnet` and trains every other weight on `clean`.
///
/// `badnet`: of the lab's architecture, input (n, 55, 47, 3) with values 0..`range`. The result has the same shape; the
/// filters of the removed channels are 0.
///
/// # Errors
/// If the network is of another architecture, or candle fails.
pub fn fine_prune(
    badnet: &Model,
    removed: &[usize],
    (clean, range): (&CleanSet, f32),
    config: &FineTuneConfig,
    mut progress: impl FnMut(Epoch),
) -> Result<Model, FinePruneError> {
    let mut network = import::import(badnet, range)?;
    let channels = network.conv[2].outputs;
    let kept: Vec<f32> = (0..channels)
        .map(|channel| f32::from(u8::from(!removed.contains(&channel))))
        .collect();
    let mask = Tensor::from_vec(kept, channels, &Device::Cpu)?;
    network.mask = Some(mask.clone());
    let training = TrainConfig {
        epochs: config.epochs,
        batch: config.batch,
        learning_rate: config.learning_rate,
        sparsity: 0.0,
        ..TrainConfig::default()
    };
    let lessons = Ranged { clean, range };
    fit(&network, &lessons, &training, config.seed, &mut progress)?;
    let site = &network.conv[2];
    site.kernel.set(&site.kernel.broadcast_mul(&mask)?)?;
    site.bias.set(&site.bias.mul(&mask)?)?;
    export::export(&network, range)
}

/// `badnet` read into candle and written again: the same network, if it is of the lab's architecture.
///
/// # Errors
/// If the network is of another architecture.
pub fn round_trip(badnet: &Model, range: f32) -> Result<Model, FinePruneError> {
    export::export(&import::import(badnet, range)?, range)
}

#[cfg(test)]
mod tests {
    use super::super::network::DeepId;
    use super::*;
    use crate::bundle::manifest::DataRole;
    use crate::defence::clean::CleanCollector;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use crate::tensor::TensorView;

    /// Four images of each of three people: a person is a colour.
    fn clean() -> CleanSet {
        let spec = InputSpec::new(55, 47, 3, Layout::Nhwc, 1.0);
        let mut collector = CleanCollector::new(&spec, 12, 0);
        for image in 0..12u32 {
            let colour = |channel: usize| match channel as u32 % 3 == image % 3 {
                true => 200.0 + image as f32,
                false => 20.0,
            };
            let data: Vec<f32> = (0..55 * 47 * 3).map(colour).collect();
            let view = TensorView {
                shape: &[1, 55, 47, 3],
                data: &data,
            };
            collector.push(DataRole::Clean, view, &[image % 3]).unwrap();
        }
        collector.finish()
    }

    #[test]
    fn removed_channels_stay_at_zero_and_the_rest_learns() {
        let badnet = export::export(&DeepId::new(3, 5).unwrap(), 255.0).unwrap();
        let config = FineTuneConfig {
            epochs: 12,
            batch: 4,
            ..FineTuneConfig::default()
        };
        let mut losses = Vec::new();
        let removed = [0, 7, 59];
        let tuned = fine_prune(&badnet, &removed, (&clean(), 255.0), &config, |epoch| {
            losses.push(epoch.loss);
        });
        let tuned = tuned.unwrap();
        let kernel = tuned.graph.initializers["conv_3_kernel"].as_f32().unwrap();
        for (channel, filter) in kernel.chunks_exact(9 * 40).enumerate() {
            let zero = filter.iter().all(|&weight| weight == 0.0);
            assert_eq!(zero, removed.contains(&channel), "channel {channel}");
        }
        let (first, last) = (losses[0], losses[11]);
        assert!(last < 0.5 * first, "{losses:?}");
    }
}
