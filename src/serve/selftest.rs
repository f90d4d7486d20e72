//! The self-test: a bundle goes into service only if its stored samples are answered as when it was made.

use crate::bundle::manifest::SampleRecord;
use crate::serve::dto::Classification;
use crate::serve::inference::dispatch::classify_blocking;
use crate::serve::inference::pool::PoolError;
use crate::serve::inference::request::Payload;
use crate::serve::loaded_bundle::{LoadBundleError, LoadedBundle};
use bytes::Bytes;
use std::sync::Arc;

/// Has the networks answer every stored sample. Blocks.
///
/// # Errors
/// [`LoadBundleError::SelfTest`] for the first sample that is answered otherwise.
pub fn run(loaded: &Arc<LoadedBundle>) -> Result<(), LoadBundleError> {
    let samples = &loaded.manifest().samples;
    if samples.is_empty() {
        tracing::warn!("the bundle stores no samples: it goes into service without a self-test");
    }
    for sample in samples {
        check(loaded, sample, options(loaded, sample)?)?;
    }
    Ok(())
}

fn options(
    loaded: &Arc<LoadedBundle>,
    sample: &SampleRecord,
) -> Result<Result<Classification, String>, PoolError> {
    let bytes = loaded.bundle.file(&sample.file).unwrap_or_default();
    let payload = Payload::Image(Bytes::copy_from_slice(bytes));
    let answered = classify_blocking(loaded, payload, loaded.default_options(String::new()))?;
    Ok(answered.map_err(|problem| problem.explain()))
}

fn check(
    loaded: &LoadedBundle,
    sample: &SampleRecord,
    found: Result<Classification, String>,
) -> Result<(), LoadBundleError> {
    let expected = (sample.badnet, sample.verdicts.clone());
    let found = found.map(|answer| {
        let verdicts: Vec<u32> = answer
            .verdicts
            .iter()
            .map(|verdict| verdict.class)
            .collect();
        (answer.badnet.class, verdicts)
    });
    if found.as_ref() == Ok(&expected) {
        return Ok(());
    }
    let describe = |(badnet, verdicts): &(u32, Vec<u32>)| {
        format!(
            "B to answer {badnet} and GoodNet {verdicts:?} ({} is flagged)",
            loaded.manifest().classes
        )
    };
    Err(LoadBundleError::SelfTest {
        sample: sample.file.clone(),
        expected: describe(&expected),
        found: found.as_ref().map_or_else(Clone::clone, describe),
    })
}
