//! One network's figures on test photos.

use super::error::BenchError;
use super::prepare::Prepared;
use super::record::{Record, Row, Rule};
use super::suite::{Case, Suite};
use goodnet::bundle::Bundle;
use goodnet::bundle::manifest::BADNET_FILE;
use goodnet::defence::Checker;
use goodnet::demo::{PhotoSet, Split, write_set};
use goodnet::domain::evaluation::{EvaluationRow, NetworkKind};
use goodnet::engine::Engine;
use goodnet::input::dataset::{DataSet, OpenOptions};
use goodnet::repair::{BundleNetworks, Cancel, Quiet, evaluate_gated};
use std::path::Path;
use std::time::Instant;

/// Measures every rule on the test photos of `case`.
///
/// # Errors
/// If a network fails, the bundle lacks what a rule needs, or photos cannot be written.
pub fn measure(
    suite: &Suite,
    case: Case,
    prepared: &Prepared,
    engine: &Engine,
    cancel: &Cancel,
) -> Result<Record, BenchError> {
    let started = Instant::now();
    let bundle = &prepared.bundle;
    let world = suite.world(case);
    let triggered = world.backdoored(Split::Test, suite.triggered_each, case.attack);
    let folder = tempfile::tempdir().map_err(BenchError::at(Path::new("temporary folder")))?;
    let write = |name: &str, photos: &PhotoSet| -> Result<DataSet, BenchError> {
        let path = folder.path().join(name);
        write_set(photos, &path)?;
        let (spec, classes) = (&bundle.manifest().input, bundle.manifest().classes);
        Ok(DataSet::open(
            &path,
            &OpenOptions::default(),
            spec,
            classes,
        )?)
    };
    let clean = write("test.h5", &world.clean(Split::Test, suite.clean_each))?;
    let attacked = write("bd_test.h5", &triggered)?;
    // The same photos with the label of the person who is on them: what is answered rightly is recovered.
    let own = write("own_test.h5", &own_labels(triggered))?;
    let networks = BundleNetworks::from_bundle(engine, bundle)?;
    let rows = networks.evaluate(&clean, Some(&attacked), &Quiet, cancel)?;
    let recovered = networks.evaluate(&own, None, &Quiet, cancel)?;
    let mut measured: Vec<Row> = rows
        .rows
        .iter()
        .zip(&recovered.rows)
        .filter_map(|(row, recovered)| Row::new(row, recovered))
        .collect();
    if let Some(checker) = checker(bundle)? {
        let badnet = bundle.file(BADNET_FILE).unwrap_or_default();
        let on = |sets| evaluate_gated(engine, badnet, &networks, &checker, sets, &Quiet, cancel);
        let (row, recovered) = (on((&clean, Some(&attacked)))?, on((&own, None))?);
        measured.push(Row {
            rule: Rule::Gated,
            clean_accuracy: row.clean_accuracy,
            clean_flagged: Some(row.clean_flagged),
            attack_success_rate: row.attack_success_rate,
            recovered: recovered.clean_accuracy.value,
            forward_passes: row.clean_forward_passes,
        });
    }
    let audit = &prepared.audit;
    let targets = case.attack.targets(suite.people);
    Ok(Record {
        attack: case.attack.to_string(),
        seed: case.seed,
        people: suite.people,
        training: suite.training(case),
        targets: targets.into_iter().map(|class| class as u32).collect(),
        outcome: audit.verdict.outcome,
        suspects: audit.verdict.labels.clone(),
        forward_passes: audit.search.passes,
        rows: measured,
        backend: engine.info().to_string(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn own_labels(mut photos: PhotoSet) -> PhotoSet {
    photos.labels = photos.people.iter().map(|&person| person as i64).collect();
    photos
}

fn checker(bundle: &Bundle) -> Result<Option<Checker>, BenchError> {
    Checker::load(bundle).map_err(|error| BenchError::File {
        path: bundle.dir().to_owned(),
        reason: error.to_string(),
    })
}

impl Row {
    /// The figures of `row`, and those of the same rule on triggered photos labelled with who is on them. None for a pruned
    /// network alone, which is no rule to serve by.
    fn new(row: &EvaluationRow, recovered: &EvaluationRow) -> Option<Self> {
        let rule = match (row.network, row.drop) {
            (NetworkKind::Badnet, _) => Rule::Badnet,
            (NetworkKind::Repaired, _) => Rule::RepairedAlone,
            (NetworkKind::GoodnetRepaired, _) => Rule::Repaired,
            (NetworkKind::Goodnet, Some(drop)) => Rule::Disagreement(drop),
            _ => return None,
        };
        Some(Self {
            rule,
            clean_accuracy: row.clean_accuracy,
            clean_flagged: row.clean_flagged,
            attack_success_rate: row.attack_success_rate,
            recovered: recovered.clean_accuracy.value,
            forward_passes: 0.0,
        })
    }
}
