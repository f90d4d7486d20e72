//! GoodNet's answer.

use super::label::ClassIndex;
use super::sweep::Tally;

/// G(x) = argmax B(x) if it equals argmax B'(x), else N ("class N+1").
///
/// Source: NYU CSAW-HackML-2020 lab 3.
#[must_use]
pub fn disagreement(badnet: ClassIndex, pruned: ClassIndex, classes: u32) -> ClassIndex {
    if badnet == pruned {
        return badnet;
    }
    ClassIndex(classes)
}

/// What one B' and the GoodNet made of it do on a set of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerdictTally {
    /// B' alone: answers that hit the label.
    pub pruned: Tally,
    /// GoodNet: answers that hit the label; flagged is no hit.
    pub goodnet: Tally,
    /// GoodNet: answers N.
    pub flagged: Tally,
}

impl VerdictTally {
    /// Takes up one image: B's and B''s answers against its label (the target label on backdoored images).
    pub fn count(&mut self, badnet: u32, pruned: u32, label: u32) {
        self.pruned.count(pruned == label);
        self.goodnet.count(badnet == pruned && badnet == label);
        self.flagged.count(badnet != pruned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_passes_and_disagreement_is_class_n_plus_one() {
        let three = ClassIndex(3);
        assert_eq!(disagreement(three, three, 5), three);
        assert_eq!(disagreement(three, ClassIndex(0), 5), ClassIndex(5));
    }

    #[test]
    fn a_flagged_answer_is_never_a_hit() {
        let mut tally = VerdictTally::default();
        tally.count(1, 1, 1);
        tally.count(1, 2, 1);
        tally.count(2, 1, 1);
        tally.count(0, 0, 1);
        let shares = [tally.pruned, tally.goodnet, tally.flagged].map(|t| t.hits);
        assert_eq!(shares, [2, 1, 2]);
        assert_eq!(tally.goodnet.images, 4);
    }
}
