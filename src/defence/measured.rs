//! What the policies do against an attack that is known: measured on backdoored images, never learned from them.

use super::artefacts::ArtefactError;
use super::policy::Policy;
use crate::bundle::Bundle;
use crate::bundle::manifest::ATTACKS_FILE;
use crate::domain::metrics::Share;
use serde::{Deserialize, Serialize};

/// What a policy does on backdoored images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackRates {
    /// The policy.
    pub policy: Policy,
    /// Share of backdoored images answered with their target label and not flagged.
    pub attack_success_rate: Share,
    /// Share of backdoored images flagged.
    pub backdoored_flagged: Share,
}

/// The rates that `bundle` holds; none where it was repaired without backdoored images.
///
/// # Errors
/// If the file is not what this version writes.
pub fn read(bundle: &Bundle) -> Result<Vec<AttackRates>, ArtefactError> {
    let Some(json) = bundle.file(ATTACKS_FILE) else {
        return Ok(Vec::new());
    };
    serde_json::from_slice(json)
        .map_err(|error| ArtefactError::Json(format!("{ATTACKS_FILE}: {error}")))
}
