//! What the bundle keeps of the calibration: `defence.json`, and the donors beside it.

use super::donors::Donors;
use super::grid::Grid;
use super::policy::Policy;
use super::threshold::Threshold;
use super::transplant;
pub use crate::bundle::manifest::{ARTEFACTS_FILE, DONORS_FILE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the schema of [`ARTEFACTS_FILE`].
pub const SCHEMA_VERSION: u32 = 4;

/// Everything that the policy `gated` needs beside the networks, set from clean validation images alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefacts {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The deployment's secret: whoever knows it can foresee which donors a request meets.
    pub seed: u64,
    /// Where the thresholds come from.
    pub source: Source,
    /// What B rightly answers for each donor, (D).
    pub donor_labels: Vec<u32>,
    /// Donors and looks of the transplant check.
    pub rule: transplant::StoppingRule,
    /// Threshold of each suspect label.
    pub thresholds: BTreeMap<u32, Threshold>,
    /// What `gated` does on the calibration images.
    pub measured: PolicyRates,
}

/// The data behind the thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Always `clean validation images`: nothing else is let in.
    pub data: String,
    /// Clean images looked at.
    pub images: u64,
    /// Of these, images that B answers rightly.
    pub right: u64,
    /// Images that thresholds were set on: those that are no donors, up to a limit.
    pub calibrated_on: u64,
}

/// What a policy does on clean images that its thresholds were not set on; fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRates {
    /// The policy.
    pub policy: Policy,
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
}

/// Artefacts that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// Not the JSON that this version writes.
    #[error("{0}")]
    Json(String),
    /// Another schema.
    #[error(
        "{ARTEFACTS_FILE}: expected schema version {SCHEMA_VERSION}, found {0}; make the bundle anew with `goodnet repair --defend`"
    )]
    Schema(u32),
    /// The donors are missing or of another size.
    #[error("{DONORS_FILE}: expected {expected} bytes, or four times as many, found {found}")]
    Donors {
        /// Values that the donor labels and the input spec ask for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
}

impl ArtefactError {
    fn donors(expected: usize, found: &[u8]) -> Self {
        Self::Donors {
            expected,
            found: found.len(),
        }
    }

    fn json(error: &serde_json::Error) -> Self {
        Self::Json(format!("{ARTEFACTS_FILE}: {error}"))
    }
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

impl Artefacts {
    /// The JSON that goes into the bundle.
    ///
    /// # Errors
    /// If a figure is not finite.
    pub fn to_json(&self) -> Result<Vec<u8>, ArtefactError> {
        let json = |error: serde_json::Error| ArtefactError::json(&error);
        let mut bytes = serde_json::to_vec_pretty(self).map_err(json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads what [`Artefacts::to_json`] wrote.
    ///
    /// # Errors
    /// If it is not that JSON or of another schema.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let json = |error: serde_json::Error| ArtefactError::json(&error);
        let Versioned { schema_version } = serde_json::from_slice(bytes).map_err(json)?;
        if schema_version != SCHEMA_VERSION {
            return Err(ArtefactError::Schema(schema_version));
        }
        serde_json::from_slice(bytes).map_err(json)
    }

    /// Is an answer with label `class` checked?
    #[must_use]
    pub fn is_suspect(&self, class: u32) -> bool {
        self.thresholds.contains_key(&class)
    }

    /// Is an answer with label `class` flagged whose full score ([`transplant::score`]) is `hits`?
    #[must_use]
    pub fn flags(&self, class: u32, hits: usize) -> bool {
        let threshold = self.thresholds.get(&class);
        threshold.is_some_and(|threshold| hits >= threshold.hits)
    }
}

/// The bytes of [`DONORS_FILE`]: a byte a value where every value of the donors is what `grid` feeds for a pixel, else four, as f32
/// in little-endian order.
#[must_use]
pub fn donor_bytes(donors: &Donors, grid: &Grid) -> Vec<u8> {
    let values = || {
        donors
            .images
            .iter()
            .flat_map(|image| image.iter().enumerate())
    };
    let pixels: Option<Vec<u8>> = values()
        .map(|(position, &value)| grid.pixel(position, value))
        .collect();
    pixels.unwrap_or_else(|| {
        values()
            .flat_map(|(_, value)| value.to_le_bytes())
            .collect()
    })
}

/// Reads [`DONORS_FILE`]: one image of `grid` for each of `labels`.
///
/// # Errors
/// If there are more or fewer bytes than that.
pub fn donors_from_bytes(
    bytes: &[u8],
    labels: &[u32],
    grid: &Grid,
) -> Result<Donors, ArtefactError> {
    let count = grid.len() * labels.len();
    let floats = |bytes: &[u8]| {
        let (values, _) = bytes.as_chunks::<4>();
        let values = values.iter().map(|value| f32::from_le_bytes(*value));
        values.collect()
    };
    let pixels = |bytes: &[u8]| {
        let pixels = bytes.iter().enumerate();
        let values = pixels.map(|(position, &pixel)| grid.pixel_value(position, pixel));
        values.collect()
    };
    let images: Vec<Vec<f32>> = match bytes.len() {
        _ if count == 0 => return Err(ArtefactError::donors(count, bytes)),
        length if length == count => bytes.chunks_exact(grid.len()).map(pixels).collect(),
        length if length == 4 * count => bytes.chunks_exact(4 * grid.len()).map(floats).collect(),
        _ => return Err(ArtefactError::donors(count, bytes)),
    };
    Ok(Donors {
        images,
        labels: labels.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;

    #[test]
    fn donors_are_read_back_bit_for_bit_and_a_cut_file_is_refused() {
        let mut spec = InputSpec::new(1, 2, 1, Layout::Nchw, 1.0 / 255.0);
        (spec.mean, spec.std) = (vec![0.45], vec![0.22]);
        let grid = Grid::new(&spec);
        let labels = vec![4, 7];
        let read_back = |images: Vec<Vec<f32>>, size: usize| {
            let labels = labels.clone();
            let donors = Donors { images, labels };
            let bytes = donor_bytes(&donors, &grid);
            assert_eq!(bytes.len(), size);
            assert_eq!(donors_from_bytes(&bytes, &[4, 7], &grid), Ok(donors));
            bytes
        };
        let fed = |pixel: u8| (f32::from(pixel) * spec.scale - 0.45) / 0.22;
        let of_pixels = [[0, 255], [17, 203]].map(|image| image.map(fed).to_vec());
        let bytes = read_back(of_pixels.to_vec(), 4);
        read_back(vec![vec![0.1, -3.5], vec![255.0, 1e-20]], 16);
        let error = donors_from_bytes(&bytes[..3], &[4, 7], &grid).unwrap_err();
        assert_eq!(
            error.to_string(),
            "donors.bin: expected 4 bytes, or four times as many, found 3"
        );
    }

    #[test]
    fn artefacts_of_another_version_are_refused_with_the_cure() {
        let error = Artefacts::from_json(br#"{"schema_version": 2, "second": false}"#);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("found 2") && error.contains("--defend"),
            "{error}"
        );
    }
}
