//! What the policy `gated` does on a set of images.

use crate::defence::artefacts::PolicyRates;
use crate::defence::checker::Checker;
use crate::defence::classify::Classify;
use crate::defence::policy::Policy;
use crate::domain::label::ClassIndex;
use crate::domain::sweep::{Tally, accuracy_drop_pp};
use crate::parallel::in_parallel;

/// An image, the label to compare with, and what the networks answer for it.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredImage<'a> {
    /// The preprocessed image.
    pub image: &'a [f32],
    /// The true label of a clean image, the target label of a backdoored one.
    pub label: u32,
    /// B's answer.
    pub answer: ClassIndex,
    /// The repaired network's answer, where there is such a network.
    pub repaired: Option<ClassIndex>,
}

impl AnsweredImage<'_> {
    /// Do B and the repaired network disagree?
    #[must_use]
    pub fn is_flagged_by_repaired(&self) -> bool {
        self.repaired
            .is_some_and(|repaired| repaired != self.answer)
    }
}

/// For each case, whether `gated` flags it and how many forward passes that took. What the repaired network flags is not checked.
///
/// `networks`: sessions of B, one thread each.
///
/// # Errors
/// If a network fails.
pub fn verdicts<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[AnsweredImage<'_>],
) -> Result<Vec<(bool, usize)>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let case = &cases[index];
        if case.is_flagged_by_repaired() {
            return Ok((true, 0));
        }
        let found = checker.check(network, case.image, case.answer)?;
        Ok(found.map_or((false, 0), |found| (found.flagged, found.forward_passes)))
    })
}

/// Forward passes that the check adds to all of `cases`.
///
/// # Errors
/// If a network fails.
pub(super) fn passes<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[AnsweredImage<'_>],
) -> Result<usize, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    let verdicts = verdicts(networks, checker, cases)?;
    Ok(verdicts.into_iter().map(|(_, passes)| passes).sum())
}

/// What `gated` does on clean `cases` of which it flags those where `flagged`, with `passes` forward passes in all.
pub(super) fn rates(cases: &[AnsweredImage<'_>], flagged: &[bool], passes: usize) -> PolicyRates {
    let (mut before, mut after, mut rejected) =
        (Tally::default(), Tally::default(), Tally::default());
    for (case, &flagged) in cases.iter().zip(flagged) {
        let right = case.answer.0 == case.label;
        before.count(right);
        after.count(right && !flagged);
        rejected.count(flagged);
    }
    PolicyRates {
        policy: Policy::Gated,
        clean_accuracy: after.share(),
        accuracy_lost_pp: accuracy_drop_pp(before, after),
        clean_flagged: rejected.share(),
        mean_forward_passes: passes as f64 / cases.len().max(1) as f64,
        images: cases.len() as u64,
    }
}
