//! `manifest.json`: everything a bundle says of itself. `names` has the files, `repaired` what is said of `repaired.onnx`.

mod names;
mod repaired;

pub use crate::domain::mask::PruneMethod;
use crate::domain::ranking::RankedBy;
use crate::input::InputSpec;
pub use names::{
    ARTEFACTS_FILE, ATTACKS_FILE, AUDIT_FOLDER, BADNET_FILE, DONORS_FILE, EVALUATION_JSON,
    GOODNET_FILE, MANIFEST_FILE, REPAIRED_FILE, SIGNATURE_FILE, SWEEP_CSV, SWEEP_JSON, SWEEP_PNG,
    SWEEP_SVG, pruned_file,
};
pub use repaired::{
    DiscriminantRecord, LabelRecord, LimitRecord, MapLimitRecord, RefitRecord, RepairedRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the manifest's schema that this tool reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Most drops of a bundle: each is a network more to load and to run for every answer.
pub const MAX_DROPS: usize = 64;

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
        sealed.digest = crate::bundle::sha256_hex(&sealed.pretty()?);
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
