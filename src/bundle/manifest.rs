//! `manifest.json`: everything a bundle says of itself.

pub use crate::domain::mask::PruneMethod;
use crate::domain::ranking::RankedBy;
use crate::input::InputSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the manifest's schema that this tool reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Most drops of a bundle: each is a network more to load and to run for every answer.
pub const MAX_DROPS: usize = 64;
/// File name of the manifest inside a bundle. This and the following are all names in a bundle, with [`pruned_file`]; samples and
/// the audit's report have folders.
pub const MANIFEST_FILE: &str = "manifest.json";
/// File name of the signature.
pub const SIGNATURE_FILE: &str = "manifest.json.minisig";
/// File name of B inside a bundle.
pub const BADNET_FILE: &str = "badnet.onnx";
/// File name of the repaired network inside a bundle.
pub const REPAIRED_FILE: &str = "repaired.onnx";
/// Folder of the audit's report inside a bundle.
pub const AUDIT_FOLDER: &str = "audit";
/// File name of the whole GoodNet as one graph.
pub const GOODNET_FILE: &str = "goodnet.onnx";
/// File names of the sweep.
pub const SWEEP_JSON: &str = "sweep.json";
/// The sweep as a table.
pub const SWEEP_CSV: &str = "sweep.csv";
/// The sweep as a plot.
pub const SWEEP_SVG: &str = "sweep.svg";
/// The plot as PNG.
pub const SWEEP_PNG: &str = "sweep.png";
/// File name of the final table.
pub const EVALUATION_JSON: &str = "evaluation.json";
/// File name of what the policy `gated` needs.
pub const ARTEFACTS_FILE: &str = "defence.json";
/// File name of its donors: f32, little-endian, row-major, one preprocessed image after the other.
pub const DONORS_FILE: &str = "donors.f32";
/// File name of what the policies do on backdoored images, where these were at hand. Apart from the artefacts, which are the same
/// with and without such images.
pub const ATTACKS_FILE: &str = "policies.json";

/// The manifest of a bundle. It holds no time of day: the same inputs give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `goodnet` and its version.
    pub tool: String,
    /// The network as it was delivered.
    pub source: SourceRecord,
    /// Number of classes N; GoodNet answers 0..=N.
    pub classes: u32,
    /// Names of the classes, N of them, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// What the networks are fed.
    pub input: InputSpec,
    /// Were large JPEG files decoded whole when the bundle was made ([`Detail`](crate::input::image::Detail))? Whoever asks its
    /// networks decodes them as whoever measured them did. Absent: at a part of their size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact_decode: bool,
    /// Where channels were pruned.
    pub site: SiteRecord,
    /// The data that was measured on.
    pub data: Vec<DataRecord>,
    /// One record a requested drop, in ascending order.
    pub drops: Vec<DropRecord>,
    /// The repaired network, where one could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<RepairedRecord>,
    /// The whole GoodNet as one graph, where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodnet: Option<GoodnetRecord>,
    /// Images to try and to self-test with.
    #[serde(default)]
    pub samples: Vec<SampleRecord>,
    /// Every file of the bundle but the manifest, by its path relative to the bundle (`/` between folders).
    pub files: BTreeMap<String, FileRecord>,
    /// SHA-256 of the manifest itself with this field empty, in the form in which it is written.
    #[serde(default)]
    pub digest: String,
}

impl Manifest {
    /// The bytes of `manifest.json`: pretty JSON in field order with [`Manifest::digest`] set.
    ///
    /// # Errors
    /// If a number is not finite: JSON has no form for it.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut sealed = Self {
            digest: String::new(),
            ..self.clone()
        };
        sealed.digest = super::sha256_hex(&sealed.pretty()?);
        sealed.pretty()
    }

    fn pretty(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The drops that the sweep reaches, in ascending order, with their networks.
    pub fn reached(&self) -> impl Iterator<Item = (f64, &PrunedRecord)> {
        self.drops
            .iter()
            .filter_map(|record| Some((record.drop, record.pruned.as_ref()?)))
    }
}

/// File name of B' at a drop: `pruned_2.onnx`, `pruned_2.5.onnx`.
#[must_use]
pub fn pruned_file(drop: f64) -> String {
    format!("pruned_{drop}.onnx")
}

/// Where B came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// Name of the file, without its folder.
    pub file: String,
    /// `onnx`, `keras` or `keras-weights`.
    pub format: String,
    /// SHA-256 of the file, lower-case hex; of the file followed by those beside it that hold its weights, where there are some.
    pub sha256: String,
}

/// The pruned tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteRecord {
    /// Name of the tensor in `badnet.onnx`.
    pub tensor: String,
    /// Name of the layer that makes it.
    pub layer: String,
    /// Channels C.
    pub channels: usize,
    /// Mean of |activation| of each channel over the clean set, (C); of the activation itself where `ranked_by` is absent.
    pub mean_activation: Vec<f64>,
    /// What the ranking sorts by, ascending; absent in bundles written before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked_by: Option<RankedBy>,
    /// The channels in the order in which they go.
    pub ranking: Vec<usize>,
}

/// What a data set was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataRole {
    /// Clean validation images: ranking and sweep.
    Clean,
    /// Backdoored images beside them: measuring only.
    Backdoored,
    /// Clean images for the final table.
    TestClean,
    /// Backdoored images for the final table.
    TestBackdoored,
}

/// A data set that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    /// What it was used for.
    pub role: DataRole,
    /// Name of the file or folder, without the folder above.
    pub name: String,
    /// Images in it.
    pub images: u64,
    /// SHA-256 over what was read, lower-case hex.
    pub sha256: String,
}

/// A requested drop X and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRecord {
    /// X in percentage points.
    pub drop: f64,
    /// The repaired network; none where the sweep never reaches the drop.
    pub pruned: Option<PrunedRecord>,
}

/// A repaired network B'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrunedRecord {
    /// File name, `pruned_2.onnx` say.
    pub file: String,
    /// Step of the sweep.
    pub step: usize,
    /// The removed channels, in ascending order.
    pub channels_removed: Vec<usize>,
    /// How they were removed.
    pub method: PruneMethod,
    /// Which layer prevents their removal, where they are masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Clean accuracy of B' on the validation set, a fraction 0..1.
    pub clean_accuracy: f64,
    /// Accuracy drop in percentage points.
    pub accuracy_drop_pp: f64,
    /// ASR of B' on the backdoored validation images; none without them.
    pub attack_success_rate: Option<f64>,
    /// What GoodNet (B beside this B') does on the validation sets.
    pub goodnet: GoodnetRates,
}

/// B with its last linear layer refitted against stand-ins for a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairedRecord {
    /// [`REPAIRED_FILE`].
    pub file: String,
    /// Forward passes that the search for stand-ins was allowed.
    pub effort: usize,
    /// Seed of the search.
    pub seed: u64,
    /// Families of stand-ins.
    pub families: Vec<String>,
    /// How its last linear layer was refitted; none where that was impossible within the bounds, and the layer is B's.
    pub refit: Option<RefitRecord>,
    /// How far images may lie from clean ones; none where too little is known of these.
    pub limit: Option<LimitRecord>,
    /// Which images look turned into a suspect label; none in a bundle of a program that did not ask.
    #[serde(default)]
    pub discriminants: Vec<DiscriminantRecord>,
    /// Clean accuracy that it may lose in cross-validation, in percentage points.
    pub max_loss_pp: f64,
    /// Clean accuracy that the repaired network loses in cross-validation, in percentage points.
    pub lost_pp: f64,
    /// The same where a disagreement with B is an error.
    pub lost_with_flags_pp: f64,
    /// Clean accuracy of the repaired network in cross-validation, a fraction 0..1.
    pub clean_accuracy: f64,
    /// ASR of the repaired network on the backdoored validation images; none without them.
    pub attack_success_rate: Option<f64>,
    /// What GoodNet (B beside the repaired network) does: on clean images in cross-validation, on backdoored ones as measured.
    pub goodnet: GoodnetRates,
    /// Labels whose own clean accuracy changed in cross-validation.
    pub changed_labels: Vec<LabelRecord>,
}

/// How the last linear layer was refitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefitRecord {
    /// Images turned by stand-ins that the layer was refitted against.
    pub stand_in_images: usize,
    /// Labels whose column was refitted, ascending.
    pub labels: Vec<u32>,
    /// Of these, labels that the audit found suspect.
    pub suspects: Vec<u32>,
    /// Weight of the clean answers against the stand-ins: the smaller, the stronger the repair.
    pub clean_weight: f64,
    /// Weight of the pull to the old weights: the smaller, the stronger the repair.
    pub pull: f64,
    /// Share of the suspects' stand-in images (of all labels', where none is suspect) that still get the label that they were
    /// turned into.
    pub stand_in_images_left: f64,
}

/// A linear function that tells images that a trigger may have turned into a suspect label; such an answer is withdrawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminantRecord {
    /// The label.
    pub label: u32,
    /// The family of the stand-ins, as in `families`; none in a bundle of a program that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Share of the images that stand-ins turned into the label that it tells, when they were kept apart.
    pub stand_in_images_caught: f64,
    /// Clean images answered with the label that it takes for such ones, when they were kept apart.
    pub beyond: usize,
}

/// The largest distances from clean images at which an answer stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRecord {
    /// That of the features, as a squared Mahalanobis distance.
    pub distance: f64,
    /// Those of the means of maps on the way to the features; none in a bundle of a program that did not look at them.
    #[serde(default)]
    pub maps: Vec<MapLimitRecord>,
    /// Are the distances measured from the mean of the answered class? Else from that of all images.
    pub by_class: bool,
    /// Clean images that they were chosen by.
    pub images: usize,
    /// Of these, beyond one of them when they were held out.
    pub beyond: usize,
}

/// The largest distance of the means of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapLimitRecord {
    /// The tensor of the network, (n, C, H, W).
    pub tensor: String,
    /// As a squared Mahalanobis distance.
    pub distance: f64,
}

/// Clean images of one label, in cross-validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRecord {
    /// The label.
    pub label: u32,
    /// Its clean images.
    pub images: usize,
    /// Of these, answered rightly by B.
    pub before: usize,
    /// Answered rightly by the repaired network.
    pub after: usize,
}

/// What the verdict of one drop, or of the repaired network, does on the validation sets; fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodnetRates {
    /// Share of clean images that G answers with their label; flagged is an error.
    pub clean_accuracy: f64,
    /// Share of clean images flagged.
    pub clean_flagged: f64,
    /// Share of backdoored images that G answers with their target label.
    pub attack_success_rate: Option<f64>,
    /// Share of backdoored images flagged.
    pub backdoored_flagged: Option<f64>,
}

/// `goodnet.onnx`: B, every B' and the rule in one graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodnetRecord {
    /// File name.
    pub file: String,
    /// The drops that its T verdict columns stand for, in order, in percentage points.
    pub drops: Vec<f64>,
    /// Is the trunk computed once for all tails?
    pub shared: bool,
    /// Does it answer for the repaired network too?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repaired: bool,
    /// Why not, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What kind of image a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// A clean image.
    Clean,
    /// The same kind of image with a trigger on it.
    Triggered,
}

/// A stored image and what the bundle's networks answered for it when it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRecord {
    /// File, relative to the bundle.
    pub file: String,
    /// Clean or triggered.
    pub kind: SampleKind,
    /// The true label of a clean image, the target label of a triggered one.
    pub label: u32,
    /// B's class.
    pub badnet: u32,
    /// GoodNet's class at every exported drop, in the order of the manifest's reached drops; N where flagged.
    pub verdicts: Vec<u32>,
}

/// Size and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}
