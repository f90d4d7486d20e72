//! Answers of `/info` and of the probes.

use serde::Serialize;
use utoipa::ToSchema;

/// State of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
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
    /// The policy that answers requests that name none.
    pub default_policy: String,
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
