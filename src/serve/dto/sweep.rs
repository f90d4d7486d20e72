//! Answers of `/sweep`.

use crate::defence::AttackRates;
use crate::defence::artefacts::PolicyRates;
use serde::Serialize;
use utoipa::ToSchema;

/// B with nothing removed, on the validation sets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Baseline {
    /// Share of clean images answered with their label.
    pub clean_accuracy: f64,
    /// Share of backdoored images answered with their target label; null where none were measured.
    pub attack_success_rate: Option<f64>,
    /// Clean images.
    pub clean_images: u64,
    /// Backdoored images.
    pub backdoored_images: u64,
}

/// The network with the first channels of the ranking removed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StepInfo {
    /// Number of the step, from 1.
    pub step: usize,
    /// The channel that this step removes.
    pub channel: Option<usize>,
    /// Channels removed so far.
    pub channels_removed: usize,
    /// Share of the site's channels removed, 0 to 1.
    pub share_removed: f64,
    /// Share of clean images answered with their label.
    pub clean_accuracy: f64,
    /// Clean accuracy lost, in percentage points.
    pub accuracy_drop_pp: f64,
    /// Share of backdoored images answered with their target label; null where none were measured.
    pub attack_success_rate: Option<f64>,
}

/// What GoodNet does at a drop on the validation sets; fractions 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GoodnetInfo {
    /// Share of clean images answered with their label (flagged is an error).
    pub clean_accuracy: f64,
    /// Share of clean images flagged.
    pub clean_flagged: f64,
    /// Share of backdoored images answered with their target label; null where none were measured.
    pub attack_success_rate: Option<f64>,
    /// Share of backdoored images flagged; null where none were measured.
    pub backdoored_flagged: Option<f64>,
}

/// The repaired network: B with its last layer refitted.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RepairedInfo {
    /// Clean accuracy of the repaired network alone, in cross-validation.
    pub clean_accuracy: f64,
    /// Clean accuracy that it loses, in percentage points.
    pub lost_pp: f64,
    /// Attack success rate of the repaired network alone; null where none was measured.
    pub attack_success_rate: Option<f64>,
    /// Labels whose column of the last layer was refitted.
    pub labels: Vec<u32>,
    /// What GoodNet (B beside it) does.
    pub goodnet: GoodnetInfo,
}

/// A drop: the first step of the sweep that loses this much clean accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DropInfo {
    /// The drop in percentage points.
    pub drop: f64,
    /// Does the sweep get there? Everything below is null where it does not.
    pub reached: bool,
    /// The step.
    pub step: Option<usize>,
    /// The removed channels, in ascending order.
    pub channels_removed: Option<Vec<usize>>,
    /// `removed`: the channels are gone and the network is smaller; `masked`: they are set to zero.
    #[schema(example = "removed")]
    pub method: Option<String>,
    /// Which layer prevents their removal; null where they are removed.
    pub masked_because: Option<String>,
    /// Clean accuracy of B' alone.
    pub clean_accuracy: Option<f64>,
    /// Clean accuracy that B' alone loses, in percentage points.
    pub accuracy_drop_pp: Option<f64>,
    /// Attack success rate of B' alone.
    pub attack_success_rate: Option<f64>,
    /// B and B' together.
    pub goodnet: Option<GoodnetInfo>,
}

/// The sweep and the drops.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SweepInfo {
    /// Number of classes N.
    pub classes: u32,
    /// The tensor whose channels go.
    pub site: String,
    /// What the order of the channels goes by, the least first; null in bundles that do not say.
    #[schema(example = "mean |activation|")]
    pub ranked_by: Option<String>,
    /// What to know before using the sweep; empty as a rule.
    pub warnings: Vec<String>,
    /// B with nothing removed.
    pub baseline: Baseline,
    /// One step a removed channel.
    pub steps: Vec<StepInfo>,
    /// The drops, in ascending order.
    pub drops: Vec<DropInfo>,
    /// The repaired network; null where the bundle has none.
    pub repaired: Option<RepairedInfo>,
    /// The policies that ask the network more; empty where the bundle was not calibrated for them.
    pub policies: Vec<PolicyInfo>,
}

/// What a policy did on clean validation images, each with thresholds set on others; fractions 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PolicyInfo {
    /// The policy.
    #[schema(example = "gated")]
    pub policy: String,
    /// Share of images answered with their label and not flagged.
    pub clean_accuracy: f64,
    /// B's clean accuracy minus that, in percentage points.
    pub accuracy_lost_pp: f64,
    /// Share of images flagged.
    pub clean_flagged: f64,
    /// Mean forward passes of B added to a request.
    pub mean_forward_passes: f64,
    /// Images measured on.
    pub images: u64,
    /// Share of backdoored images answered with their target label and not flagged; null where none were measured.
    pub attack_success_rate: Option<f64>,
    /// Share of backdoored images flagged; null where none were measured.
    pub backdoored_flagged: Option<f64>,
}

impl PolicyInfo {
    /// What `rates` and, where backdoored images were at hand, `attack` say.
    #[must_use]
    pub fn new(rates: &PolicyRates, attack: Option<&AttackRates>) -> Self {
        Self {
            policy: rates.policy.name().to_owned(),
            clean_accuracy: rates.clean_accuracy,
            accuracy_lost_pp: rates.accuracy_lost_pp,
            clean_flagged: rates.clean_flagged,
            mean_forward_passes: rates.mean_forward_passes,
            images: rates.images,
            attack_success_rate: attack.map(|attack| attack.attack_success_rate.value),
            backdoored_flagged: attack.map(|attack| attack.backdoored_flagged.value),
        }
    }
}
