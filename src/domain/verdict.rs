//! GoodNet's answer.

use super::label::ClassIndex;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_passes_and_disagreement_is_class_n_plus_one() {
        let three = ClassIndex(3);
        assert_eq!(disagreement(three, three, 5), three);
        assert_eq!(disagreement(three, ClassIndex(0), 5), ClassIndex(5));
    }
}
