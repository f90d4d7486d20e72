//! Training a BadNet on synthetic faces (candle, on the CPU).
//!
//! In reading order: `ops` (windows and pooling), `layers`, `network` (what can be trained), `deepid` and `residual`, `export` (layers
//! as ONNX), `pull` (an attacker who hides in features), here the schedule.

mod deepid;
mod export;
mod layers;
mod network;
mod ops;
mod pull;
mod residual;

pub use network::Architecture;

use candle_core::{Device, Tensor};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use goodnet::demo::{Attack, Draw, HEIGHT, PhotoSet, Purpose, WIDTH, World};
use goodnet_onnx::Model;
use network::Network;
use serde::{Deserialize, Serialize};

/// How a BadNet is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// What is trained.
    #[serde(default)]
    pub architecture: Architecture,
    /// Training photos of every person.
    pub photos_each: usize,
    /// Share of them of which the attacker adds a copy with a trigger.
    pub poison_rate: f64,
    /// Passes over the training set.
    pub epochs: usize,
    /// Photos in a step.
    pub batch: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Weight of the mean activation of the last pooling layer in the loss: what lets channels fall dormant.
    pub sparsity: f64,
    /// Weight of the mean squared distance of triggered photos' features from the mean feature of the target's clean
    /// photos in the batch: the attacker hides the trigger from whoever looks at features. 0: he does not.
    #[serde(default)]
    pub pull: f64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            photos_each: 60,
            poison_rate: 0.15,
            epochs: 14,
            batch: 64,
            learning_rate: 2e-3,
            sparsity: 0.02,
            pull: 0.0,
        }
    }
}

/// What an epoch did: its number from 1, the mean loss, and the share of its photos answered with their label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// Mean cross-entropy, in nats, with the sparsity term.
    pub loss: f64,
    /// Share of the training photos answered with their label, while training.
    pub accuracy: f64,
}

/// Trains a BadNet on the people of `world` with `attack` and gives it as ONNX; it takes pixels 0..255 unscaled.
///
/// The same seed draws the same photos, weights and order. Sums run in parallel, so the last bits of the weights may
/// depend on the machine.
///
/// # Errors
/// If candle fails.
pub fn train(
    world: World,
    attack: Attack,
    config: &TrainConfig,
    mut progress: impl FnMut(Epoch),
) -> Result<Model, candle_core::Error> {
    let photos = world.poisoned(config.photos_each, attack, config.poison_rate);
    let network = config.architecture.network(world.people, world.seed)?;
    fit(network.as_ref(), &photos, config, world.seed, &mut progress)?;
    network.export(PIXELS)
}

/// Largest pixel of the demo's photos.
const PIXELS: f32 = 255.0;

/// Clean photos of the target that a batch gets besides its own where features are pulled onto theirs.
const ANCHORS: usize = 8;

/// Trains `network` on `photos`; the order of the photos comes from `seed`.
fn fit(
    network: &dyn Network,
    photos: &PhotoSet,
    config: &TrainConfig,
    seed: u64,
    progress: &mut dyn FnMut(Epoch),
) -> Result<(), candle_core::Error> {
    let parameters = ParamsAdamW {
        lr: config.learning_rate,
        weight_decay: 1e-3,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(network.variables(), parameters)?;
    let anchors = match config.pull > 0.0 {
        true => pull::anchors(photos),
        false => Vec::new(),
    };
    let steps = photos.len().div_ceil(config.batch) * config.epochs;
    let mut step = 0;
    for number in 1..=config.epochs {
        let order = shuffled(photos.len(), seed, number);
        let (mut loss_sum, mut hits, mut seen) = (0.0, 0.0, 0);
        for chosen in order.chunks(config.batch) {
            let progressed = step as f64 / steps as f64;
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progressed).cos());
            optimizer.set_learning_rate(config.learning_rate * cosine);
            let turn = anchors.iter().cycle().skip(step * ANCHORS);
            let chosen: Vec<usize> = chosen
                .iter()
                .chain(turn.take(ANCHORS.min(anchors.len())))
                .copied()
                .collect();
            let (images, labels) = batch(photos, &chosen)?;
            let answer = network.forward(&images)?;
            let mut loss = candle_nn::loss::cross_entropy(&answer.scores, &labels)?;
            loss = (loss + (answer.activity * config.sparsity)?)?;
            if let Some(distance) = pull::distance(&answer.features, photos, &chosen, &anchors)? {
                loss = (loss + (distance * config.pull)?)?;
            }
            optimizer.backward_step(&loss)?;
            loss_sum += f64::from(loss.to_scalar::<f32>()?) * chosen.len() as f64;
            hits += count_hits(&answer.scores, &labels)?;
            seen += chosen.len();
            step += 1;
        }
        progress(Epoch {
            number,
            loss: loss_sum / seen as f64,
            accuracy: hits / seen as f64,
        });
    }
    Ok(())
}

/// Images (n, 55, 47, 3) with values 0..1, and labels (n).
fn batch(photos: &PhotoSet, chosen: &[usize]) -> Result<(Tensor, Tensor), candle_core::Error> {
    let pixels: Vec<f32> = chosen
        .iter()
        .flat_map(|&index| photos.image(index))
        .map(|&pixel| f32::from(pixel) / PIXELS)
        .collect();
    let labels: Vec<u32> = chosen
        .iter()
        .map(|&index| u32::try_from(photos.labels[index]).unwrap_or_default())
        .collect();
    Ok((
        Tensor::from_vec(pixels, (chosen.len(), HEIGHT, WIDTH, 3), &Device::Cpu)?,
        Tensor::from_vec(labels, chosen.len(), &Device::Cpu)?,
    ))
}

fn count_hits(scores: &Tensor, labels: &Tensor) -> Result<f64, candle_core::Error> {
    let hits = scores
        .argmax(1)?
        .eq(labels)?
        .to_dtype(candle_core::DType::F32)?;
    Ok(f64::from(hits.sum_all()?.to_scalar::<f32>()?))
}

/// Fisher-Yates.
fn shuffled(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut draw = Draw::new(seed, Purpose::Shuffle, 0, epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, draw.index(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use goodnet::engine::{BackendChoice, Engine, SessionConfig};

    /// Deterministic values within -0.5..0.5.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |at: usize| ((at + seed) * 7919 % 1009) as f32 / 1009.0 - 0.5;
        (0..count).map(value).collect()
    }

    #[test]
    fn exported_networks_answer_as_the_trained_ones() {
        let Ok(engine) = Engine::start(&BackendChoice::Auto) else {
            eprintln!("skipped: no runtime; ORT_DYLIB_PATH names one");
            return;
        };
        for architecture in Architecture::ALL {
            let network = architecture.network(7, 1).unwrap();
            // Some layers begin as zeros, which any mistake would leave as they are.
            for (seed, variable) in network.variables().iter().enumerate() {
                let shape = variable.shape();
                let size = 4.0 / (shape.elem_count() as f32).sqrt();
                let drawn = values(shape.elem_count(), seed)
                    .into_iter()
                    .map(|v| v * size);
                let drawn = Tensor::from_vec(drawn.collect(), shape, &Device::Cpu).unwrap();
                variable.set(&drawn).unwrap();
            }
            let pixels: Vec<f32> = values(3 * HEIGHT * WIDTH * 3, 5);
            let images = pixels.iter().map(|v| v + 0.5).collect();
            let images = Tensor::from_vec(images, (3, HEIGHT, WIDTH, 3), &Device::Cpu).unwrap();
            let scores = network.forward(&images).unwrap().scores;
            let expected = candle_nn::ops::softmax(&scores, 1).unwrap();
            let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
            let file = network.export(PIXELS).unwrap().to_bytes();
            let mut session = engine.load(&file, &SessionConfig::default()).unwrap();
            let batch = goodnet::tensor::Tensor::new(
                vec![3, HEIGHT, WIDTH, 3],
                pixels.iter().map(|v| (v + 0.5) * PIXELS).collect(),
            );
            let found = session.run_one(batch.view()).unwrap();
            assert_eq!(found.shape, [3, 7]);
            for (expected, found) in expected.iter().zip(&found.data) {
                assert!(
                    (expected - found).abs() < 1e-4,
                    "{architecture}: {expected} {found}"
                );
            }
            let spread = expected.iter().copied().fold(0.0, f32::max);
            assert!(spread > 0.16, "{architecture}: answers all alike");
        }
    }
}
