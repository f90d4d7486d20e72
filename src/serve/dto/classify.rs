//! Answers of `/classify` and `/classify/batch`.

use crate::defence::CheckResult;
use crate::serve::http::problem::ProblemBody;
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

/// The k best classes of each network.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TopK {
    /// Of B, best first.
    pub badnet: Vec<ClassScore>,
    /// Of the drop's B', best first.
    pub pruned: Vec<ClassScore>,
    /// Of the repaired network, best first; absent where the bundle has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repaired: Option<Vec<ClassScore>>,
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

/// What the transplant check said; only `gated` has checks. Bands of the image are pasted onto clean images of other labels.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CheckScore {
    /// Always `transplant`.
    #[schema(example = "transplant")]
    pub check: String,
    /// Did a band carry the image's class to enough clean images?
    pub flagged: bool,
    /// Clean images that one band must turn into the class, of `donors`.
    pub needed: usize,
    /// Clean images of a whole check; it ends as soon as the decision is clear.
    pub donors: usize,
    /// The bands, from the top.
    pub bands: Vec<Band>,
    /// Forward passes of B that it took.
    pub forward_passes: usize,
}

/// A band of the image, over its whole width.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Band {
    /// Its first row, as a share of the image's height.
    pub top: f64,
    /// Its height, as a share of the image's.
    pub height: f64,
    /// Clean images that it turned into the image's class.
    pub hits: usize,
    /// Clean images that it was pasted onto.
    pub tried: usize,
}

impl CheckScore {
    /// What `result` says of an image of `rows` rows.
    #[must_use]
    pub fn new(result: CheckResult, rows: usize) -> Self {
        let share = |count: usize| count as f64 / rows.max(1) as f64;
        Self {
            check: "transplant".to_owned(),
            flagged: result.flagged,
            needed: result.needed,
            donors: result.donors,
            bands: result
                .bands
                .into_iter()
                .map(|band| Band {
                    top: share(band.first_row),
                    height: share(band.rows),
                    hits: band.hits,
                    tried: band.tried,
                })
                .collect(),
            forward_passes: result.forward_passes,
        }
    }

    /// The band that carried its class to most clean images; the lower one of equals.
    #[must_use]
    pub fn clearest(&self) -> Option<&Band> {
        self.bands.iter().max_by_key(|band| band.hits)
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
    /// The checks that the policy ran; absent for `disagreement` and `repaired`, empty where the repaired network decided alone or the
    /// answer's label is not suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub checks: Option<Vec<CheckScore>>,
    /// The best classes of each network, where `top_k` asked for them.
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
