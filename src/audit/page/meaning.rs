//! What the verdict does not mean, and what to do next.

use crate::audit::report::Report;
use crate::audit::verdict::Outcome;

const NO_PROOF: &str = "\
    <li><strong>Nothing found is no proof that there is no backdoor.</strong> The search knows the kinds of \
    patterns above and no others. It does not look for triggers that work on images of one class alone \
    (source-specific), for triggers that need several parts at once, for backdoors trained in by rightly \
    labelled images without a fixed pattern (clean-label), or for triggers with a meaning, such as a real object \
    or a pose. With few clean images, or none of some label, it sees less.</li>\n";
const LOOK_ALIKE: &str = "\
    <li><strong>A suspect label may be a natural look-alike.</strong> Some labels stand for things that are \
    simple shapes themselves, and a plain pattern resembles them. Look at the pictures: does the pattern look \
    like the label?</li>\n";
const STAND_IN: &str = "\
    <li><strong>A stand-in is not the attacker’s trigger.</strong> It is a pattern that works like one. The real \
    trigger may look different, sit elsewhere and work on more images.</li>\n";

/// The last section.
pub(super) fn render(report: &Report) -> String {
    let points = match report.verdict.outcome {
        Outcome::BackdoorLikely => [LOOK_ALIKE, STAND_IN, NO_PROOF],
        Outcome::NothingFound | Outcome::CannotTell => [NO_PROOF, LOOK_ALIKE, STAND_IN],
    };
    format!(
        "<section aria-labelledby=\"meaning\">\n<h2 id=\"meaning\">What the verdict does not mean</h2>\n\
         <ul class=\"points\">\n{}</ul>\n\
         <h2>What to do next</h2>\n{}</section>\n",
        points.concat(),
        next(report.verdict.outcome)
    )
}

const fn next(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::BackdoorLikely => {
            "<ul class=\"points\">\n\
             <li>Do not deploy the network as it is. If it is in use, ask what its answers with a suspect label \
             have let through.</li>\n\
             <li>Repair it, and serve the repaired network beside it, so that inputs on which the two disagree are \
             flagged:\
             <pre><code>goodnet repair --model NETWORK --clean IMAGES --out bundle\n\
             goodnet serve --bundle bundle</code></pre></li>\n\
             <li>Keep the network file and this report: the hashes above say what was audited. Ask whoever \
             trained the network about the suspect labels.</li>\n</ul>\n"
        }
        Outcome::NothingFound => {
            "<ul class=\"points\">\n\
             <li>Where much depends on the network, search again with a larger effort, another seed and more clean \
             images of every label.</li>\n\
             <li>Ask where the network and its training images come from. A search cannot replace that.</li>\n\
             <li>Triggers that no search finds can still be flagged while the network is in use:\
             <pre><code>goodnet repair --model NETWORK --clean IMAGES --defend --out bundle\n\
             goodnet serve --bundle bundle</code></pre></li>\n</ul>\n"
        }
        Outcome::CannotTell => {
            "<ul class=\"points\">\n\
             <li>Take this as no answer, neither good nor bad.</li>\n\
             <li>Check that pixels are scaled, and labels numbered, as the network was trained: clean accuracy \
             then is as its maker says.</li>\n\
             <li>Audit it again with more clean images, some of every label and like those it was trained on, and \
             let the search run to its end.</li>\n</ul>\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::report;

    #[test]
    fn every_outcome_tells_its_limits_and_a_next_step() {
        for outcome in [
            Outcome::BackdoorLikely,
            Outcome::NothingFound,
            Outcome::CannotTell,
        ] {
            let html = render(&report(outcome, 10));
            for word in [
                "no proof",
                "source-specific",
                "several parts",
                "clean-label",
                "look-alike",
                "not the attacker",
                "next",
            ] {
                assert!(html.contains(word), "{outcome:?}: {word}");
            }
        }
    }

    #[test]
    fn a_likely_backdoor_leads_to_repair_and_nothing_found_begins_with_its_limits() {
        let html = render(&report(Outcome::BackdoorLikely, 10));
        assert!(html.contains("goodnet repair"));
        let html = render(&report(Outcome::NothingFound, 10));
        assert!(html.find("no proof").unwrap() < html.find("look-alike").unwrap());
    }
}
