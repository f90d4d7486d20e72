//! Fine-pruning: channels are pruned, then the rest is trained on with clean images, the pruned channels held at 0.
//!
//! Source: Liu, Dolan-Gavitt, Garg, "Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks",
//! RAID 2018. Limit: networks of `goodnet demo train` only; other networks are not read into candle.

use super::{Epoch, PhotoSet, TrainConfig, export, fit, import};
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

/// Takes the channels `removed` of pool_3 out of `badnet` and trains every other weight on `clean`.
///
/// `badnet`: a network of [`super::train`]. The result has the same shape; the filters of the removed channels are 0.
///
/// # Errors
/// If the network is of another layout, or candle fails.
pub fn fine_prune(
    badnet: &Model,
    removed: &[usize],
    clean: &PhotoSet,
    config: &FineTuneConfig,
    mut progress: impl FnMut(Epoch),
) -> Result<Model, FinePruneError> {
    let mut network = import::import(badnet)?;
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
    fit(&network, clean, &training, config.seed, &mut progress)?;
    let site = &network.conv[2];
    site.kernel.set(&site.kernel.broadcast_mul(&mask)?)?;
    site.bias.set(&site.bias.mul(&mask)?)?;
    export::export(&network)
}

#[cfg(test)]
mod tests {
    use super::super::network::DeepId;
    use super::*;
    use crate::demo::{Split, World};

    #[test]
    fn removed_channels_stay_at_zero_and_the_rest_learns() {
        let badnet = export::export(&DeepId::new(3, 5).unwrap()).unwrap();
        let world = World {
            seed: 5,
            people: 3,
            lookalikes: 0,
        };
        let clean = world.clean(Split::Valid, 4);
        let config = FineTuneConfig {
            epochs: 2,
            batch: 4,
            ..FineTuneConfig::default()
        };
        let mut losses = Vec::new();
        let removed = [0, 7, 59];
        let tuned = fine_prune(&badnet, &removed, &clean, &config, |epoch| {
            losses.push(epoch.loss);
        });
        let tuned = tuned.unwrap();
        let kernel = tuned.graph.initializers["conv_3_kernel"].as_f32().unwrap();
        for (channel, filter) in kernel.chunks_exact(9 * 40).enumerate() {
            let zero = filter.iter().all(|&weight| weight == 0.0);
            assert_eq!(zero, removed.contains(&channel), "channel {channel}");
        }
        assert!(losses[1] < losses[0], "{losses:?}");
    }
}
