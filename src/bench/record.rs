//! The raw results: one JSON line a network, counts only, so that any figure can be worked out anew.

use super::error::BenchError;
use super::rule::Rule;
use super::suite::{Case, Suite};
use crate::demo::train::TrainConfig;
use crate::domain::detection::Histogram;
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
    /// The thresholds and what they were set on.
    pub thresholds: Thresholds,
    /// Labels taken for an attacker's target.
    pub suspects: Suspects,
    /// What every rule does.
    pub rules: Vec<RuleRecord>,
    /// The scores that the checks decide by, with no early stop: clean photos against photos with a trigger that B obeys.
    pub scores: Vec<Scores>,
    /// What the policies cost.
    pub times: Vec<Times>,
    /// The runtime.
    pub backend: String,
    /// Seconds that calibration and measurement took.
    pub seconds: f64,
}

/// Thresholds as counts, and their source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// What they were set on.
    pub source: String,
    /// Number of images that they were set on.
    pub images: u64,
    /// Transplant: hits needed of every answer, and of how many donors.
    pub transplant: [usize; 2],
    /// Transplant: hits needed of each suspect label, in the order of the labels.
    pub suspect_transplant: Vec<usize>,
    /// Blending.
    pub strip: [usize; 2],
    /// Are all answers blended by `layered`, or only suspect labels?
    pub layered_blends_every_answer: bool,
}

/// The suspect labels of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspects {
    /// Each of them.
    pub labels: Vec<SuspectLabel>,
    /// Score of the best label that is not suspect.
    pub best_other: Option<f64>,
    /// Targets that are not suspect.
    pub missed_targets: Vec<u32>,
}

/// One suspect label and what it costs the person behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuspectLabel {
    /// The label.
    pub label: u32,
    /// Its score.
    pub score: f64,
    /// Is it the attacker's?
    pub target: bool,
    /// Clean test photos of this person.
    pub images: u64,
    /// Of these, flagged by `gated`.
    pub rejected_by_gated: u64,
    /// Of these, flagged by `layered`.
    pub rejected_by_layered: u64,
}

/// What a rule does with clean photos and with each trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// The rule.
    pub rule: Rule,
    /// Clean test photos.
    pub clean: CleanCounts,
    /// One entry a trigger; people whom the trigger does not concern are left out.
    pub triggers: Vec<TriggerCounts>,
}

/// Clean photos under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CleanCounts {
    /// Photos.
    pub images: u64,
    /// Answered with their label and not flagged.
    pub right: u64,
    /// Flagged.
    pub flagged: u64,
    /// Forward passes of B that the checks added.
    pub passes: u64,
}

/// Photos with one trigger under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TriggerCounts {
    /// The class that the trigger stands for.
    pub target: u32,
    /// Photos; the target person is on none.
    pub images: u64,
    /// Answered with the target.
    pub attacked: u64,
    /// Answered with the person who is on it.
    pub recovered: u64,
    /// Flagged.
    pub rejected: u64,
    /// Forward passes of B that the checks added.
    pub passes: u64,
}

/// Scores of one check, as hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// `transplant` or `strip`.
    pub check: String,
    /// Of clean test photos.
    pub clean: Histogram,
    /// Of photos with a trigger that B answers with its target.
    pub attacked: Histogram,
}

/// Time of clean photos one by one, in microseconds, on one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// `badnet`, or the name of a policy; a policy's time is what it adds.
    pub what: String,
    /// Photos timed.
    pub images: u64,
    /// Median.
    pub p50: f64,
    /// 99 % quantile.
    pub p99: f64,
}

impl Record {
    /// Is it of this case, in a world of the same size, trained the same way?
    #[must_use]
    pub fn is_of(&self, case: Case, suite: &Suite) -> bool {
        self.attack == case.attack.to_string()
            && self.seed == case.seed
            && self.people == suite.people
            && self.training == suite.training(case.attack)
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
