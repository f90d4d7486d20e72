//! What a policy does on a set of images.

use crate::defence::artefacts::PolicyRates;
use crate::defence::checker::Checker;
use crate::defence::classify::Classify;
use crate::defence::policy::Policy;
use crate::defence::suspects::hijack::in_parallel;
use crate::domain::label::ClassIndex;
use crate::domain::sweep::{Tally, accuracy_drop_pp};

/// An image, the label to compare with, and what B answers for it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The preprocessed image.
    pub image: &'a [f32],
    /// The true label of a clean image, the target label of a backdoored one.
    pub label: u32,
    /// B's answer.
    pub answer: ClassIndex,
}

/// For each case, whether `policy` flags it and how many forward passes that took.
///
/// `networks`: sessions of B, one thread each.
///
/// # Errors
/// If a network fails.
pub fn verdicts<C>(
    networks: &mut [C],
    checker: &Checker,
    policy: Policy,
    cases: &[Case<'_>],
) -> Result<Vec<(bool, usize)>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let Case { image, answer, .. } = cases[index];
        let outcome = checker.check(network, policy, image, answer)?;
        Ok((outcome.flagged, outcome.forward_passes()))
    })
}

/// Forward passes that `policy` adds to all of `cases`.
///
/// # Errors
/// If a network fails.
pub(super) fn passes<C>(
    networks: &mut [C],
    checker: &Checker,
    policy: Policy,
    cases: &[Case<'_>],
) -> Result<usize, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    let verdicts = verdicts(networks, checker, policy, cases)?;
    Ok(verdicts.into_iter().map(|(_, passes)| passes).sum())
}

/// What `policy` does on clean `cases` of which it flags those where `flagged`, with `passes` forward passes in all.
pub(super) fn rates(
    policy: Policy,
    cases: &[Case<'_>],
    flagged: &[bool],
    passes: usize,
) -> PolicyRates {
    let (mut before, mut after, mut rejected) =
        (Tally::default(), Tally::default(), Tally::default());
    for (case, &flagged) in cases.iter().zip(flagged) {
        let right = case.answer.0 == case.label;
        before.count(right);
        after.count(right && !flagged);
        rejected.count(flagged);
    }
    PolicyRates {
        policy,
        clean_accuracy: after.share(),
        accuracy_lost_pp: accuracy_drop_pp(before, after),
        clean_flagged: rejected.share(),
        mean_forward_passes: passes as f64 / cases.len().max(1) as f64,
        images: cases.len() as u64,
    }
}
