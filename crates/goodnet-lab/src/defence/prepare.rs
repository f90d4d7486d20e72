//! The network of a case and its bundle: made once, then read from the work folder.

use super::error::BenchError;
use super::suite::{Case, Suite};
use crate::train::train;
use goodnet::audit::Report;
use goodnet::bundle::manifest::AUDIT_FOLDER;
use goodnet::bundle::{Bundle, load};
use goodnet::demo::{Split, write_set};
use goodnet::engine::Engine;
use goodnet::repair::{Cancel, Quiet, RepairConfig, repair};
use std::fs;
use std::path::Path;

/// What is known of a case before it is measured.
#[derive(Debug)]
pub struct Prepared {
    /// The bundle, made without backdoored data.
    pub bundle: Bundle,
    /// What its audit found.
    pub audit: Report,
}

/// Trains and repairs the network of `case`, as far as `work` does not hold it yet.
///
/// # Errors
/// If training or the repair fails, or a file cannot be read or written.
pub fn prepare(
    suite: &Suite,
    case: Case,
    engine: &Engine,
    work: &Path,
    cancel: &Cancel,
) -> Result<Prepared, BenchError> {
    let name = case.name();
    let network = work.join("networks").join(format!("{name}.onnx"));
    let folder = work.join("bundles").join(&name);
    for path in [&network, &folder] {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(BenchError::at(parent))?;
        }
    }
    if !network.exists() {
        let training = suite.training(case);
        train(suite.world(case), case.attack, &training, |_| {})?.save(&network)?;
    }
    if !folder.exists() {
        make_bundle(suite, case, &network, &folder, engine, cancel)?;
    }
    let bundle = load(&folder)?;
    let audit = audit(&bundle)?;
    Ok(Prepared { bundle, audit })
}

fn audit(bundle: &Bundle) -> Result<Report, BenchError> {
    let name = format!("{AUDIT_FOLDER}/report.json");
    let json = bundle.file(&name).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| BenchError::File {
        path: bundle.dir().join(&name),
        reason: error.to_string(),
    })
}

/// Audits and repairs on clean validation photos alone.
fn make_bundle(
    suite: &Suite,
    case: Case,
    network: &Path,
    bundle: &Path,
    engine: &Engine,
    cancel: &Cancel,
) -> Result<(), BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::at(bundle))?;
    let clean = folder.path().join("valid.h5");
    let photos = suite.world(case).clean(Split::Valid, suite.valid_each);
    write_set(&photos, &clean)?;
    let config = RepairConfig {
        samples: 0,
        defend: true,
        allow_poor: true,
        ..RepairConfig::new(network, clean, bundle)
    };
    repair(&config, engine, &Quiet, cancel)?;
    Ok(())
}
