//! The networks that can be trained.

use super::deepid::DeepId;
use super::residual::Residual;
use candle_core::{Result, Tensor, Var};
use goodnet_onnx::Model;
use serde::{Deserialize, Serialize};

/// A kind of network.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// The lab's: four convolutions and two dense layers that read the last two of them.
    #[default]
    Deepid,
    /// Residual blocks, and global average pooling before the last layer.
    Residual,
}

impl Architecture {
    /// Every one, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Deepid, Self::Residual];

    /// With weights drawn from `seed`.
    pub(super) fn network(self, classes: usize, seed: u64) -> Result<Box<dyn Network>> {
        Ok(match self {
            Self::Deepid => Box::new(DeepId::new(classes, seed)?),
            Self::Residual => Box::new(Residual::new(classes, seed)?),
        })
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Deepid => "deepid",
            Self::Residual => "residual",
        })
    }
}

/// A network in training.
pub(super) trait Network {
    fn variables(&self) -> Vec<Var>;

    /// The answers to images (n, 55, 47, 3) in 0..1.
    fn forward(&self, images: &Tensor) -> Result<Answer>;

    /// As ONNX: input (n, 55, 47, 3), values 0..`range`, output (n, N), probabilities.
    fn export(&self, range: f32) -> Result<Model>;
}

/// What a pass gives.
#[derive(Debug)]
pub(super) struct Answer {
    /// (n, N), before the softmax.
    pub(super) scores: Tensor,
    /// (n, d): what the last layer reads.
    pub(super) features: Tensor,
    /// (): mean activation of the last pooling layer, or of what it pools where it takes means.
    pub(super) activity: Tensor,
}
