//! The raw results: one JSON line a network.

use super::error::BenchError;
use super::suite::{Case, Suite};
use crate::train::TrainConfig;
use goodnet::audit::verdict::Outcome;
use goodnet::domain::metrics::Share;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// What was measured of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The attack, as typed.
    pub attack: String,
    /// The seed.
    pub seed: u64,
    /// People, and so classes.
    pub people: usize,
    /// How the network was trained.
    pub training: TrainConfig,
    /// The attacker's targets; none where nobody attacked.
    pub targets: Vec<u32>,
    /// What the audit answers.
    pub outcome: Outcome,
    /// Labels that it suspects.
    pub suspects: Vec<u32>,
    /// Forward passes of its search.
    pub forward_passes: usize,
    /// What every rule does.
    pub rows: Vec<Row>,
    /// The runtime.
    pub backend: String,
    /// Seconds that the measurement took.
    pub seconds: f64,
}

/// Whose answer is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// B alone: never flags.
    Badnet,
    /// The lab's rule with the B' of a drop in percentage points.
    Disagreement(f64),
    /// The repaired network alone: never flags.
    RepairedAlone,
    /// The policy `repaired`.
    Repaired,
    /// The policy `gated`.
    Gated,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Badnet => f.write_str("BadNet"),
            Self::Disagreement(drop) => write!(f, "`disagreement`, {drop} %"),
            Self::RepairedAlone => f.write_str("`repaired.onnx` alone"),
            Self::Repaired => f.write_str("`repaired`"),
            Self::Gated => f.write_str("`gated`"),
        }
    }
}

/// What a rule does on one network; fractions 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The rule.
    pub rule: Rule,
    /// Clean test photos answered with their label and not flagged.
    pub clean_accuracy: Share,
    /// Clean test photos flagged; none where the rule never flags.
    pub clean_flagged: Option<Share>,
    /// Triggered test photos answered with the target.
    pub attack_success_rate: Option<Share>,
    /// Triggered test photos answered with the person who is on them.
    pub recovered: f64,
    /// Mean forward passes of B that a clean photo costs beyond its answer.
    pub forward_passes: f64,
}

impl Record {
    /// Is it of this case, in a world of the same size, trained the same way?
    #[must_use]
    pub fn is_of(&self, case: Case, suite: &Suite) -> bool {
        self.attack == case.attack.to_string()
            && self.seed == case.seed
            && self.people == suite.people
            && self.training == suite.training(case)
    }
}

/// The records of a file of JSON lines; none where there is no file.
///
/// # Errors
/// If the file cannot be read or a line is no record.
pub fn read(path: &Path) -> Result<Vec<Record>, BenchError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).map_err(BenchError::at(path))?;
    let record = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| BenchError::File {
            path: path.to_owned(),
            reason: format!("line {}: {error}", number + 1),
        })
    };
    text.lines().enumerate().map(record).collect()
}

/// Appends a record to a file of JSON lines.
///
/// # Errors
/// If the file cannot be written.
pub fn append(path: &Path, record: &Record) -> Result<(), BenchError> {
    let failed = BenchError::at(path);
    let mut line = serde_json::to_string(record).map_err(|error| failed(error.into()))?;
    line.push('\n');
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(failed)
}
