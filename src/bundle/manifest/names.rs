//! The names of all files of a bundle; samples and the audit's report have folders.

/// File name of the manifest inside a bundle.
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
/// File name of its donors, row-major, one preprocessed image after the other: pixels as bytes, or f32 in little-endian order.
pub const DONORS_FILE: &str = "donors.bin";
/// File name of what the policies do on backdoored images, where these were at hand. Apart from the artefacts, which are the same
/// with and without such images.
pub const ATTACKS_FILE: &str = "policies.json";

/// File name of B' at a drop: `pruned_2.onnx`, `pruned_2.5.onnx`.
#[must_use]
pub fn pruned_file(drop: f64) -> String {
    format!("pruned_{drop}.onnx")
}
