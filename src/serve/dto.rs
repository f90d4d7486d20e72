//! The documents of the interface, as JSON and as OpenAPI schemas.

use super::problem::ProblemBody;
use crate::defence::artefacts::PolicyRates;
use crate::defence::{AttackRates, CheckResult};
use crate::quarantine::Entry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An image's bytes: PNG, JPEG, WebP, BMP or GIF (first frame).
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageBytes(Vec<u8>);

/// A form with one image; the name of the part does not matter.
#[derive(ToSchema)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImageForm {
    /// The image's bytes.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// A form with many images; the names of the parts do not matter, their order is kept.
#[derive(ToSchema)]
#[allow(dead_code, reason = "stands for a body in the OpenAPI document only")]
pub struct ImagesForm {
    /// The images' bytes.
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<Vec<u8>>,
}

/// An image inside JSON.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ImageJson {
    /// The image's bytes in base64 (standard alphabet, padded or not).
    #[schema(min_length = 1)]
    pub image: String,
}

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

/// What GoodNet did at a drop on the validation sets; fractions 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct MeasuredRates {
    /// Share of clean images answered with their label (flagged is an error).
    pub clean_accuracy: f64,
    /// Share of clean images flagged: what a flag on a harmless image costs.
    pub clean_flagged: f64,
    /// Share of backdoored images answered with their target label; null where none were measured.
    pub attack_success_rate: Option<f64>,
}

/// What one check of a policy said; only policies beside `disagreement` have checks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CheckScore {
    /// `transplant`: share of clean donors that a band of the image turns into its class. `strip`: share of blends
    /// with clean donors that keep its class.
    #[schema(example = "transplant")]
    pub check: String,
    /// Did the score reach the threshold?
    pub flagged: bool,
    /// The score when the decision was clear, 0 to 1.
    pub score: f64,
    /// Scores at or above it are flagged; above 1 the check flags nothing.
    pub threshold: f64,
    /// Forward passes of B that it took.
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
    #[schema(example = "disagreement")]
    pub policy: String,
    /// What B answers.
    pub badnet: ClassScore,
    /// What the B' of the drop answers.
    pub pruned: ClassScore,
    /// The lab's rule at every drop of the bundle.
    pub verdicts: Vec<DropVerdict>,
    /// The checks that the policy ran, in order; absent for `disagreement`, empty where the policy lets the answer pass
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

/// State of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
}
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
    /// B with nothing removed.
    pub baseline: Baseline,
    /// One step a removed channel.
    pub steps: Vec<StepInfo>,
    /// The drops, in ascending order.
    pub drops: Vec<DropInfo>,
    /// The policies beside `disagreement`; empty where the bundle was not calibrated for them.
    pub policies: Vec<PolicyInfo>,
}

/// What a policy did on clean validation images, the same that its thresholds were set on; fractions 0 to 1.
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

/// How the program was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BuildInfo {
    /// Version of goodnet.
    pub version: &'static str,
    /// Processor and system.
    #[schema(example = "x86_64-linux")]
    pub target: String,
    /// Built with optimisation?
    pub optimised: bool,
}

/// The runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BackendInfo {
    /// `onnxruntime` or `tract`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
}

/// How the bundle is served.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ServingInfo {
    /// Inference threads.
    pub workers: usize,
    /// Does one graph hold all networks?
    pub fused: bool,
    /// The drop that answers requests that name none.
    pub default_drop: f64,
    /// The drops that can be asked for.
    pub drops: Vec<f64>,
    /// The policies that can be asked for.
    pub policies: Vec<String>,
}

/// The pruned tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SiteInfo {
    /// Its name.
    pub tensor: String,
    /// The layer that makes it.
    pub layer: String,
    /// Its channels.
    pub channels: usize,
}

/// The bundle in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BundleInfo {
    /// SHA-256 of its manifest: names this very bundle.
    pub manifest_sha256: String,
    /// What wrote it.
    pub tool: String,
    /// File of the network as it was delivered.
    pub source_file: String,
    /// Its format.
    pub source_format: String,
    /// Its SHA-256.
    pub model_sha256: String,
    /// Number of classes N; flagged images are answered N.
    pub classes: u32,
    /// Their names, where known.
    pub labels: Option<Vec<String>>,
    /// Where channels were pruned.
    pub site: SiteInfo,
}

/// What the networks are fed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InputInfo {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Colour channels.
    pub channels: usize,
    /// `nchw` or `nhwc`.
    pub layout: &'static str,
    /// `rgb`, `bgr` or `grey`.
    pub color: &'static str,
    /// What happens to images of another size: `stretch` or `exact` (refused).
    pub resize: &'static str,
}

/// A stored image to try, and what the networks answer for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SampleInfo {
    /// Where to get it.
    pub url: String,
    /// `clean` or `triggered`.
    pub kind: &'static str,
    /// The true label of a clean image, the attacker's target of a triggered one.
    pub label: u32,
    /// B's class.
    pub badnet: u32,
    /// GoodNet's class at every drop.
    pub verdicts: Vec<u32>,
}

/// What is in service.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct InfoAnswer {
    /// The program.
    pub build: BuildInfo,
    /// The runtime.
    pub backend: BackendInfo,
    /// How the bundle is served.
    pub serving: ServingInfo,
    /// The bundle.
    pub bundle: BundleInfo,
    /// What its networks are fed.
    pub input: InputInfo,
    /// Images to try.
    pub samples: Vec<SampleInfo>,
}

/// A flagged input that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QuarantineEntry {
    /// `GET /quarantine/{id}` is its image.
    pub id: u64,
    /// When it was answered (RFC 3339, UTC).
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub time: String,
    /// Media type of the image, told by its content.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Length of the image file.
    pub bytes: u64,
    /// SHA-256 of the image file.
    pub image_sha256: String,
    /// The answer that was given.
    #[schema(value_type = Classification)]
    pub answer: serde_json::Value,
}

impl From<Entry> for QuarantineEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            time: entry.time(),
            media_type: entry.media_type,
            bytes: entry.bytes,
            image_sha256: entry.image_sha256,
            answer: entry.answer,
        }
    }
}

/// A page of flagged inputs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QuarantineAnswer {
    /// The entries.
    pub entries: Vec<QuarantineEntry>,
    /// `before` of the next page; null on the last one.
    pub next: Option<u64>,
    /// Entries that are kept in all.
    pub count: u64,
    /// Bytes that they take in the store.
    pub bytes: u64,
    /// Bytes that they may take; the oldest are removed to make room.
    pub max_bytes: u64,
    /// Seconds after which an entry is removed.
    pub max_age_seconds: u64,
}
