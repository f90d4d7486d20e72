//! The self-test: a bundle goes into service only if its stored samples are answered as when it was made.

use crate::bundle::manifest::SampleRecord;
use crate::engine::PoolError;
use crate::serve::dto::Classification;
use crate::serve::inference::answer::{Ask, Payload};
use crate::serve::loaded_bundle::{ServeBundleError, Served};
use bytes::Bytes;
use std::sync::Arc;

/// Asks the networks about every stored sample. Blocks.
///
/// # Errors
/// [`ServeBundleError::SelfTest`] for the first sample that is answered otherwise.
pub(super) fn run(served: &Arc<Served>) -> Result<(), ServeBundleError> {
    let samples = &served.manifest().samples;
    if samples.is_empty() {
        tracing::warn!("the bundle stores no samples: it goes into service without a self-test");
    }
    for sample in samples {
        check(served, sample, ask(served, sample)?)?;
    }
    Ok(())
}

fn ask(
    served: &Arc<Served>,
    sample: &SampleRecord,
) -> Result<Result<Classification, String>, PoolError> {
    let bytes = served.bundle.file(&sample.file).unwrap_or_default();
    let payload = Payload::Image(Bytes::copy_from_slice(bytes));
    let answered = served.answer_blocking(payload, Ask::plain(served, String::new()))?;
    Ok(answered.map_err(|problem| problem.explain()))
}

fn check(
    served: &Served,
    sample: &SampleRecord,
    found: Result<Classification, String>,
) -> Result<(), ServeBundleError> {
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
            served.manifest().classes
        )
    };
    Err(ServeBundleError::SelfTest {
        sample: sample.file.clone(),
        expected: describe(&expected),
        found: found.as_ref().map_or_else(Clone::clone, describe),
    })
}
