//! What the bundle keeps of the calibration: `defence.json`, and the donors beside it.

use super::donors::Donors;
use super::grid::Grid;
use super::policy::Policy;
use super::suspects::Report;
use super::threshold::Threshold;
use super::{strip, transplant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// File name of the artefacts inside a bundle.
pub const ARTEFACTS_FILE: &str = "defence.json";
/// File name of the donors inside a bundle: f32, little-endian, row-major, one preprocessed image after the other.
pub const DONORS_FILE: &str = "donors.f32";
/// File name of the owner's second network inside a bundle.
pub const SECOND_FILE: &str = "second.onnx";
/// Version of the schema of [`ARTEFACTS_FILE`].
pub const SCHEMA_VERSION: u32 = 2;

/// Everything that the policies beside `disagreement` need, set from clean validation images alone.
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
    /// The transplant check of every answer.
    pub transplant: TransplantSettings,
    /// The transplant check of suspect labels.
    pub suspect: SuspectSettings,
    /// The blending check.
    pub strip: StripSettings,
    /// Both, as the layered policy uses them.
    pub layered: LayeredSettings,
    /// Labels that look like an attacker's target.
    pub suspects: Report,
    /// Does the bundle hold a second network, [`SECOND_FILE`]?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second: bool,
    /// What each policy does on the calibration images.
    pub measured: Vec<PolicyRates>,
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

/// Settings of the transplant check of every answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransplantSettings {
    /// Donors and looks.
    pub rule: transplant::Rule,
    /// Threshold for every answer.
    pub threshold: Threshold,
}

/// Settings of the transplant check of suspect labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspectSettings {
    /// Donors and looks.
    pub rule: transplant::Rule,
    /// Threshold of each suspect label.
    pub thresholds: BTreeMap<u32, Threshold>,
}

/// Settings of the blending check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripSettings {
    /// Blends and rounds.
    pub rule: strip::Rule,
    /// Threshold for every answer.
    pub threshold: Threshold,
}

/// Which answers the layered policy blends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StripScope {
    /// Every answer that transplant lets pass.
    Every,
    /// Suspect labels only: blending every answer would cost too many forward passes.
    Suspects,
}

/// Thresholds of the layered policy beside those of the suspect labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayeredSettings {
    /// Transplant for answers whose label is not suspect.
    pub transplant: Threshold,
    /// Blending for answers whose label is not suspect.
    pub strip: Threshold,
    /// Blending for suspect labels.
    pub suspect_strip: Threshold,
    /// Which answers are blended.
    pub strip_scope: StripScope,
}

/// What a policy does on clean images that its thresholds were not set on; fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

/// Hits of the checks on one image, with no early stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scores {
    /// Donors that the best band turned, by the rule for every answer ([`transplant::score`]).
    pub transplant: usize,
    /// The same by the rule for suspect labels.
    pub suspect: usize,
    /// Blends that kept the label ([`strip::score`]).
    pub strip: usize,
}

/// Artefacts that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// Not the JSON that this version writes.
    #[error("{0}")]
    Json(String),
    /// Another schema.
    #[error("{ARTEFACTS_FILE}: expected schema version {SCHEMA_VERSION}, found {0}")]
    Schema(u32),
    /// There should be a second network.
    #[error("expected {SECOND_FILE} in the bundle, found none")]
    Second,
    /// The donors are missing or of another size.
    #[error("{DONORS_FILE}: expected {expected} bytes, found {found}")]
    Donors {
        /// Bytes that the donor labels and the input spec ask for.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
}

impl ArtefactError {
    fn json(error: &serde_json::Error) -> Self {
        Self::Json(format!("{ARTEFACTS_FILE}: {error}"))
    }
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
        let artefacts: Self =
            serde_json::from_slice(bytes).map_err(|error| ArtefactError::json(&error))?;
        if artefacts.schema_version != SCHEMA_VERSION {
            return Err(ArtefactError::Schema(artefacts.schema_version));
        }
        Ok(artefacts)
    }

    /// The policy to serve with, and why; from clean data alone.
    ///
    /// Only policies that lose at most a point of clean accuracy come into question. Where there are suspect labels,
    /// checking these alone costs least, and on the benchmark (docs/DEFENCE.md) no other policy stopped more local
    /// triggers. Otherwise every answer is checked.
    #[must_use]
    pub fn recommendation(&self) -> (Policy, &'static str) {
        const MOST_LOST_PP: f64 = 1.0;
        let affordable = |policy| {
            let rates = self.rates(policy);
            rates.is_some_and(|rates| rates.accuracy_lost_pp <= MOST_LOST_PP)
        };
        if !self.suspect.thresholds.is_empty() && affordable(Policy::Confirmed) {
            return (
                Policy::Confirmed,
                "it checks suspect labels alone, twice, which costs clean people little",
            );
        }
        if !self.suspect.thresholds.is_empty() && affordable(Policy::Gated) {
            return (
                Policy::Gated,
                "it checks suspect labels alone, which costs clean people least",
            );
        }
        if !self.layered.transplant.is_open() && affordable(Policy::Layered) {
            return (
                Policy::Layered,
                "it checks every answer and costs at most a point of clean accuracy",
            );
        }
        if !self.transplant.threshold.is_open() && affordable(Policy::Transplant) {
            return (
                Policy::Transplant,
                "it checks every answer and costs at most a point of clean accuracy",
            );
        }
        (
            Policy::Disagreement,
            "no other policy is cheap enough on the clean images",
        )
    }

    /// Does label `class` look like an attacker's target?
    #[must_use]
    pub fn is_suspect(&self, class: u32) -> bool {
        self.suspect.thresholds.contains_key(&class)
    }

    /// The transplant check that `policy` makes of an answer with label `class`; none where it makes none.
    #[must_use]
    pub fn transplant_check(
        &self,
        policy: Policy,
        class: u32,
    ) -> Option<(transplant::Rule, &Threshold)> {
        let suspect = self.suspect.thresholds.get(&class);
        let suspect = suspect.map(|threshold| (self.suspect.rule, threshold));
        let every = |threshold| Some((self.transplant.rule, threshold));
        match policy {
            Policy::Transplant => every(&self.transplant.threshold),
            Policy::Gated | Policy::Confirmed => suspect,
            Policy::Layered => suspect.or_else(|| every(&self.layered.transplant)),
            Policy::Disagreement | Policy::Repaired | Policy::Strip => None,
        }
    }

    /// The threshold of the blending check that `policy` holds an answer with label `class` against; none where it is not checked.
    #[must_use]
    pub fn strip_threshold(&self, policy: Policy, class: u32) -> Option<&Threshold> {
        let layered = &self.layered;
        match policy {
            Policy::Strip => Some(&self.strip.threshold),
            Policy::Layered if self.is_suspect(class) => Some(&layered.suspect_strip),
            Policy::Layered if layered.strip_scope == StripScope::Every => Some(&layered.strip),
            _ => None,
        }
    }

    /// Must the second network give the answer `class` too, under `policy`? Suspect labels only, and only where there is such a
    /// network.
    #[must_use]
    pub fn asks_second(&self, policy: Policy, class: u32) -> bool {
        let asking = matches!(policy, Policy::Confirmed | Policy::Layered);
        self.second && asking && self.is_suspect(class)
    }

    /// The policies beside `disagreement` that these artefacts are enough for.
    #[must_use]
    pub fn policies(&self) -> Vec<Policy> {
        let known = |policy: &Policy| match policy {
            Policy::Disagreement | Policy::Repaired => false,
            Policy::Confirmed => self.second,
            _ => true,
        };
        Policy::ALL.into_iter().filter(known).collect()
    }

    /// Does `policy` flag an answer with label `class` whose full scores, in hits, are these? What a second network says is
    /// not asked.
    #[must_use]
    pub fn flags(&self, policy: Policy, class: u32, scores: Scores) -> bool {
        let carried = |(rule, threshold): (transplant::Rule, &Threshold)| {
            let hits = match rule == self.suspect.rule {
                true => scores.suspect,
                false => scores.transplant,
            };
            hits >= threshold.hits
        };
        let kept = |threshold: &Threshold| scores.strip >= threshold.hits;
        self.transplant_check(policy, class).is_some_and(carried)
            || self.strip_threshold(policy, class).is_some_and(kept)
    }

    /// What `policy` does on the calibration images.
    #[must_use]
    pub fn rates(&self, policy: Policy) -> Option<&PolicyRates> {
        self.measured.iter().find(|rates| rates.policy == policy)
    }
}

/// The bytes of [`DONORS_FILE`].
#[must_use]
pub fn donor_bytes(donors: &Donors) -> Vec<u8> {
    let values = donors.images.iter().flatten();
    values.flat_map(|value| value.to_le_bytes()).collect()
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
    let image_bytes = grid.len() * size_of::<f32>();
    if image_bytes == 0 || bytes.len() != image_bytes * labels.len() {
        return Err(ArtefactError::Donors {
            expected: image_bytes * labels.len(),
            found: bytes.len(),
        });
    }
    let image = |bytes: &[u8]| {
        let (values, _) = bytes.as_chunks::<4>();
        values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect()
    };
    Ok(Donors {
        images: bytes.chunks_exact(image_bytes).map(image).collect(),
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
        let grid = Grid::new(&InputSpec::new(1, 2, 1, Layout::Nchw, 1.0));
        let donors = Donors {
            images: vec![vec![0.1, -3.5], vec![255.0, 1e-20]],
            labels: vec![4, 7],
        };
        let bytes = donor_bytes(&donors);
        assert_eq!(donors_from_bytes(&bytes, &[4, 7], &grid), Ok(donors));
        let error = donors_from_bytes(&bytes[..15], &[4, 7], &grid).unwrap_err();
        assert_eq!(error.to_string(), "donors.f32: expected 16 bytes, found 15");
    }
}
