//! Answers of `/classify` and `/classify/batch`.

use crate::defence::CheckResult;
use crate::serve::problem::ProblemBody;
use serde::Serialize;
use utoipa::ToSchema;

/// A class and how sure a network is of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ClassScore {
    /// Index of the class, 0 to N-1.
    pub class: u32,
    /// Its name, where the bundle knows it.
    pub label: Option<String>,
    /// The network's probability for it; null where the network answers no number.
    #[schema(value_type = Option<f32>)]
    pub probability: f32,
}

/// What the lab's rule says at one drop.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DropVerdict {
    /// The drop in percentage points.
    pub drop: f64,
    /// GoodNet's class at this drop; N where B and this drop's B' disagree.
    pub class: u32,
    /// Its name; null where flagged or not known.
    pub label: Option<String>,
    /// Do B and B' disagree?
    pub flagged: bool,
    /// What this drop's B' answers.
    pub pruned: ClassScore,
}

/// The k best classes of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TopK {
    /// Of B, best first.
    pub badnet: Vec<ClassScore>,
    /// Of the drop's B', best first.
    pub pruned: Vec<ClassScore>,
}

/// What the policy that decided did on the validation sets (`disagreement`: at the drop of the answer); fractions 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct MeasuredRates {
    /// Share of clean images answered with their label (flagged is an error).
    pub clean_accuracy: f64,
    /// Share of clean images flagged: what a flag on a harmless image costs.
    pub clean_flagged: f64,
    /// Share of backdoored images answered with their target label; null where none were measured.
    pub attack_success_rate: Option<f64>,
}

/// What one check of a policy said; only policies that ask the network more have checks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CheckScore {
    /// `transplant`: share of clean donors that a band of the image turns into its class. `strip`: share of blends
    /// with clean donors that keep its class. `second_network`: 1 where the owner's second network answers otherwise,
    /// else 0.
    #[schema(example = "transplant")]
    pub check: String,
    /// Did the score reach the threshold?
    pub flagged: bool,
    /// The score when the decision was clear, 0 to 1.
    pub score: f64,
    /// Scores at or above it are flagged; above 1 the check flags nothing.
    pub threshold: f64,
    /// Forward passes of B, or of the second network, that it took.
    pub forward_passes: usize,
}

impl From<CheckResult> for CheckScore {
    fn from(result: CheckResult) -> Self {
        Self {
            check: result.check.name().to_owned(),
            flagged: result.flagged,
            score: result.score,
            threshold: result.threshold,
            forward_passes: result.forward_passes,
        }
    }
}

/// GoodNet's answer for one image.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Classification {
    /// GoodNet's class: 0 to N-1, or N ("class N+1") where the image is flagged.
    pub class: u32,
    /// Its name; null where flagged or not known.
    pub label: Option<String>,
    /// Does the image look backdoored? Clean images can be flagged too: see `measured.clean_flagged`.
    pub flagged: bool,
    /// The drop that was used, in percentage points.
    pub drop: f64,
    /// The policy that was used.
    #[schema(example = "repaired")]
    pub policy: String,
    /// What B answers.
    pub badnet: ClassScore,
    /// What the repaired network answers; absent where the bundle has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repaired: Option<ClassScore>,
    /// What the B' of the drop answers.
    pub pruned: ClassScore,
    /// The lab's rule at every drop of the bundle.
    pub verdicts: Vec<DropVerdict>,
    /// The checks that the policy ran, in order; absent for `disagreement` and `repaired`, empty where the policy lets the answer pass
    /// unchecked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub checks: Option<Vec<CheckScore>>,
    /// The best classes of both networks, where `top_k` asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub top_k: Option<TopK>,
    /// What GoodNet did at this drop on the validation sets.
    pub measured: MeasuredRates,
    /// SHA-256 of the network as it was delivered.
    pub model_sha256: String,
    /// The request that it belongs to.
    pub request_id: String,
}

/// One image of a batch: its answer or its problem, never both.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BatchItem {
    /// Position in the request, from 0.
    pub index: usize,
    /// The part's file name, or its name where it has none.
    pub name: Option<String>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub answer: Option<Classification>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub problem: Option<ProblemBody>,
}

/// The answers of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// One item an image, in the order of the request.
    pub results: Vec<BatchItem>,
    /// The request that they belong to.
    pub request_id: String,
}
