//! `report.json`: what an audit found, and everything that its report shows.

use super::score::LabelScore;
use super::verdict::Verdict;
use crate::search::{Evidence, Family};
use serde::{Deserialize, Serialize};

/// Version of the schema of [`REPORT_JSON`].
pub const SCHEMA_VERSION: u32 = 1;
/// The report as JSON.
pub const REPORT_JSON: &str = "report.json";
/// The report as one self-contained page.
pub const REPORT_HTML: &str = "report.html";

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `goodnet` and its version.
    pub tool: String,
    /// The network.
    pub network: NetworkRecord,
    /// The clean images.
    pub data: DataRecord,
    /// How was searched.
    pub search: SearchRecord,
    /// The answer.
    pub verdict: Verdict,
    /// The suspect labels, the clearest first.
    pub suspects: Vec<Suspect>,
    /// Every label, in the order of the labels.
    pub labels: Vec<LabelScore>,
    /// How labels can be provoked, the clearest first: what the scores are worked out from.
    pub evidence: Vec<Evidence>,
}

/// The network that was audited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecord {
    /// Name of the file, without its folder.
    pub file: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Number of classes N.
    pub classes: u32,
    /// Height and width of its input in pixels.
    pub input: [usize; 2],
    /// Names of the classes, N of them, where known.
    pub names: Option<Vec<String>>,
}

/// The clean images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    /// Name of the file or folder, without the folder above.
    pub name: String,
    /// SHA-256 of the data, lower-case hex.
    pub sha256: String,
    /// Images searched on.
    pub images: usize,
    /// Share of them that the network answers rightly.
    pub clean_accuracy: f64,
}

/// How was searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRecord {
    /// Forward passes allowed.
    pub effort: usize,
    /// Forward passes taken.
    pub passes: usize,
    /// Stand-ins tried.
    pub stand_ins: usize,
    /// The families of stand-ins.
    pub families: Vec<Family>,
    /// The seed: the same one gives the same report on the same back end.
    pub seed: u64,
    /// Name and version of the back end.
    pub backend: String,
    /// Seconds taken; none in a bundle, whose bytes do not depend on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Did the search run to its end?
    pub complete: bool,
}

/// A label that looks like an attacker's target, and how its stand-in looks and works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// The label.
    pub label: u32,
    /// Its score, see [`LabelScore::score`].
    pub score: f64,
    /// The clearest evidence.
    pub evidence: Evidence,
    /// First row, first column, rows and columns of what the stand-in covers, in pixels; the whole image where it changes all
    /// of it.
    pub bounds: [usize; 4],
    /// The stand-in alone, on grey: a PNG file beside the report.
    pub stand_in_png: String,
    /// A few clean images before and after.
    pub examples: Vec<Example>,
    /// Where on the image it works; none for what changes all of it.
    pub heat_map: Option<HeatMap>,
}

/// A clean image without and with the stand-in: PNG files beside the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The clean image.
    pub before_png: String,
    /// What the network answers for it.
    pub before: u32,
    /// The image with the stand-in.
    pub after_png: String,
    /// What the network answers then.
    pub after: u32,
}

/// How often the stand-in works when it is put elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatMap {
    /// Rows of places, from the top edge to the bottom edge.
    pub rows: usize,
    /// Columns of places, from the left edge to the right edge.
    pub columns: usize,
    /// Share of images turned with the stand-in at each place, (rows, columns).
    pub rates: Vec<f64>,
    /// Images tried at each place.
    pub images: usize,
}
