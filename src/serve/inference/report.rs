//! From what the networks say and the policy decides to the answer that goes out.

use super::evaluate::Evaluated;
use super::policy::Decision;
use super::request::ClassifyOptions;
use crate::domain::scores::{argmax, top_k};
use crate::domain::verdict::disagreement;
use crate::serve::dto::{CheckScore, ClassScore, Classification, DropVerdict, TopK};
use crate::serve::loaded_bundle::{LoadedBundle, LoadedDrop};

/// The answer about an image of which the policy decided `decision`.
pub(crate) fn report(
    loaded: &LoadedBundle,
    evaluated: &Evaluated,
    options: &ClassifyOptions,
    decision: Decision,
) -> Classification {
    let (class, chosen) = (decision.class.0, &options.policy);
    let badnet = best(loaded, evaluated.badnet());
    let verdicts = verdicts(loaded, evaluated, badnet.class);
    let rows = loaded.manifest().input.height;
    let scores = |checks: Vec<_>| {
        let checks = checks.into_iter();
        checks.map(|check| CheckScore::new(check, rows)).collect()
    };
    Classification {
        class,
        label: loaded.label(class).map(str::to_owned),
        flagged: class == loaded.manifest().classes,
        drop: loaded.drops[chosen.drop].points,
        policy: chosen.policy.name().to_owned(),
        badnet,
        repaired: evaluated.repaired().map(|scores| best(loaded, scores)),
        pruned: verdicts[chosen.drop].pruned.clone(),
        top_k: (options.top_k > 0).then(|| TopK {
            badnet: best_k(loaded, evaluated.badnet(), options.top_k),
            pruned: best_k(loaded, evaluated.pruned(chosen.drop), options.top_k),
            repaired: evaluated
                .repaired()
                .map(|scores| best_k(loaded, scores, options.top_k)),
        }),
        verdicts,
        checks: decision.checks.map(scores),
        measured: loaded.measured(chosen.policy, chosen.drop),
        model_sha256: loaded.manifest().source.sha256.clone(),
        request_id: options.request_id.clone(),
    }
}

fn verdicts(loaded: &LoadedBundle, evaluated: &Evaluated, badnet: u32) -> Vec<DropVerdict> {
    let classes = loaded.manifest().classes;
    let verdict = |(index, drop): (usize, &LoadedDrop)| {
        let pruned = best(loaded, evaluated.pruned(index));
        let class = disagreement(badnet.into(), pruned.class.into(), classes).0;
        DropVerdict {
            drop: drop.points,
            class,
            label: loaded.label(class).map(str::to_owned),
            flagged: class == classes,
            pruned,
        }
    };
    loaded.drops.iter().enumerate().map(verdict).collect()
}

fn best(loaded: &LoadedBundle, probabilities: &[f32]) -> ClassScore {
    let class = argmax(probabilities);
    score(loaded, class.0, probabilities[class.position()])
}

fn best_k(loaded: &LoadedBundle, probabilities: &[f32], k: usize) -> Vec<ClassScore> {
    top_k(probabilities, k)
        .into_iter()
        .map(|(class, probability)| score(loaded, class.0, probability))
        .collect()
}

fn score(loaded: &LoadedBundle, class: u32, probability: f32) -> ClassScore {
    ClassScore {
        class,
        label: loaded.label(class).map(str::to_owned),
        probability,
    }
}
