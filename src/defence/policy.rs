//! The names of the policies.

use serde::{Deserialize, Serialize};

/// How GoodNet decides whether an answer of B is flagged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The lab's rule: flagged where B and B' disagree.
    #[default]
    Disagreement,
    /// Flagged where B and the repaired network disagree.
    Repaired,
    /// The strict one. Flagged where B and the repaired network disagree, or where the answer is a suspect label and a band of
    /// the image carries it to other images.
    Gated,
}

impl Policy {
    /// Every policy, in the order in which tables show them.
    pub const ALL: [Self; 3] = [Self::Disagreement, Self::Repaired, Self::Gated];

    /// The name as typed and as written to JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disagreement => "disagreement",
            Self::Repaired => "repaired",
            Self::Gated => "gated",
        }
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of disagreement, repaired, gated, found {0:?}")]
pub struct UnknownPolicy(String);

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_read_back_from_its_name_and_from_json() {
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
            let json = serde_json::to_string(&policy).unwrap();
            assert_eq!(json, format!("\"{policy}\""));
        }
        let error = "gate".parse::<Policy>().unwrap_err().to_string();
        assert!(
            error.contains("gated") && error.contains("\"gate\""),
            "{error}"
        );
    }
}
