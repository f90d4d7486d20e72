//! The head refitted against the stand-ins that a search left, and answers withdrawn where features lie too far from clean ones.

use super::columns::column_sets;
use super::config::RepairConfig;
use super::network::Network;
use super::repaired::{Repaired, Withdrawn, as_refit};
use super::suspects::{PROVOKED, TURNED_EACH, TurnedInto, discriminants};
use crate::audit::Investigation;
use crate::audit::report::Report;
use crate::audit::score::labels_scoring;
use crate::bundle::manifest::{
    DiscriminantRecord, GoodnetRates, LabelRecord, LimitRecord, MapLimitRecord, REPAIRED_FILE,
    RefitRecord, RepairedRecord,
};
use crate::defence::random::Draws;
use crate::domain::distance::{self, CleanValues, FeatureLimit, NoLimit, Shares};
use crate::domain::head::LinearHead;
use crate::domain::refit::{Bounds, Choice, Column, Cost, Crossed, Evidence, choose};
use crate::onnx::head::{self, Head};
use crate::search::Family;
use crate::search::hijacks::Hijacks;
use crate::search::maps::Maps;
use crate::tensor::Tensor;
use std::collections::BTreeSet;

/// A label's own clean accuracy may lose this much in cross-validation, in percentage points.
const LABEL_LOSS_PP: f64 = 10.0;
/// Images turned that are refitted against in all.
const TURNED_IN_ALL: usize = 4000;
/// Share of the suspects' stand-ins that may go on working: with more, fewer columns are refitted more strongly.
const ENOUGH_LEFT: f64 = 0.1;
/// Parts of the clean accuracy that may be lost which go to answers that are withdrawn: for their features, for their maps, and for
/// looking turned into a suspect label. What these leave goes to the refit.
const FEATURES_PART: f64 = 0.4;
const MAPS_PART: f64 = 0.2;
const DISCRIMINANTS_PART: f64 = 0.2;

/// Refits the head; in a line why not, where that is not possible. Where a limit is set and no label is provoked easily, the limit
/// stands alone: a refit against whatever stand-ins turned would cost clean images and stop nothing more.
pub(super) fn refit(
    config: &RepairConfig,
    network: &Network,
    head: Head,
    (maps, turned): (Maps, &[TurnedInto]),
    investigation: &Investigation<'_>,
    seed: u64,
) -> Result<Repaired, String> {
    let clean = &investigation.clean;
    let old = LinearHead {
        weights: head.weights().to_vec(),
        bias: head.bias().to_vec(),
    };
    let truth: Vec<u32> = (0..clean.len()).map(|index| clean.label(index)).collect();
    let limit = limit(config, &clean.features, &maps, &old);
    let part = DISCRIMINANTS_PART * config.max_loss_pp / 100.0;
    let most_beyond = (part * clean.len() as f64) as usize;
    let suspects = &investigation.report.verdict.labels;
    let discriminants = discriminants(
        turned,
        &clean.features,
        &maps,
        (&old, &truth),
        suspects,
        most_beyond,
    );
    let no_limit = limit.as_ref().err().map(ToString::to_string);
    let withdrawn = Withdrawn {
        limit: limit.ok(),
        discriminants,
    };
    let beyond = withdrawn.beyond();
    let bounds = Bounds {
        loss_pp: config.max_loss_pp - 100.0 * beyond.len() as f64 / clean.len().max(1) as f64,
        label_loss_pp: LABEL_LOSS_PP,
    };
    let strongest = match withdrawn.limit {
        Some(_) if labels_scoring(&investigation.report.labels, PROVOKED).is_empty() => {
            Err("no label is provoked easily".to_owned())
        }
        _ => strongest(investigation, &truth, &old, bounds, seed),
    };
    let chosen = match strongest {
        Err(refused) if withdrawn.is_none() => {
            return Err(format!("{refused}; {}", no_limit.unwrap_or_default()));
        }
        chosen => chosen.ok(),
    };
    let (linear, cost) = match &chosen {
        Some(Chosen { choice, .. }) => (choice.head.clone(), choice.cost.clone()),
        None => (old.clone(), Cost::unchanged(&truth, &clean.features, &old)),
    };
    let cost = cost.with_withdrawn(&beyond, &truth, &clean.features, [&old, &linear]);
    let refit = as_refit(&head, &linear, &maps, &withdrawn).map_err(|error| error.to_string())?;
    Ok(Repaired {
        bytes: head::with_head(&network.model, &refit).to_bytes(),
        record: record(
            config,
            investigation,
            chosen.as_ref(),
            &cost,
            (&withdrawn, &maps),
            seed,
        ),
        linear,
        old,
        maps,
        withdrawn,
        head,
    })
}

fn limit(
    config: &RepairConfig,
    features: &Tensor,
    maps: &Maps,
    head: &LinearHead,
) -> Result<FeatureLimit, NoLimit> {
    let clean = CleanValues {
        features,
        maps: &maps.means,
    };
    let shares = Shares {
        features: FEATURES_PART * config.max_loss_pp / 100.0,
        maps: MAPS_PART * config.max_loss_pp / 100.0,
    };
    FeatureLimit::fit(clean, head, shares)
}

/// The columns and the strength that leave the least of the suspects' stand-ins within `bounds`; in a line why not, where none is
/// within them.
fn strongest(
    investigation: &Investigation<'_>,
    truth: &[u32],
    old: &LinearHead,
    bounds: Bounds,
    seed: u64,
) -> Result<Chosen, String> {
    let (clean, hijacks) = (&investigation.clean, &investigation.found.hijacks);
    let mut best: Option<Chosen> = None;
    let mut refused = "no stand-in turned enough clean images to refit against".to_owned();
    for columns in column_sets(&investigation.report, hijacks, old.classes()) {
        let turned = Turned::sample(hijacks, &columns, seed);
        let crossed = Crossed {
            evidence: Evidence {
                clean: &clean.features,
                turned: &turned.features,
                labels: &turned.labels,
            },
            truth,
            images: &turned.images,
        };
        match choose(old, crossed, &columns, bounds) {
            Err(error) => refused = error.to_string(),
            Ok(choice) => {
                let left = left(&investigation.report, &choice);
                if best.as_ref().is_none_or(|best| left < best.left) {
                    best = Some(Chosen {
                        left,
                        columns,
                        turned: turned.labels.len(),
                        choice,
                    });
                }
                if left <= ENOUGH_LEFT {
                    break;
                }
            }
        }
    }
    best.ok_or(refused)
}

/// What a set of columns came to.
struct Chosen {
    columns: Vec<Column>,
    turned: usize,
    choice: Choice,
    left: f64,
}

/// Mean over the suspects (over all refitted labels, where none of them is suspect) of the share of stand-ins that still work.
fn left(report: &Report, choice: &Choice) -> f64 {
    let suspects = &report.verdict.labels;
    let of_suspects = choice
        .left
        .iter()
        .filter(|(label, _)| suspects.contains(label));
    let mut shares: Vec<f64> = of_suspects.map(|(_, share)| *share).collect();
    if shares.is_empty() {
        shares = choice.left.values().copied().collect();
    }
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// Images that stand-ins turned, as the head read them.
struct Turned {
    features: Tensor,
    labels: Vec<u32>,
    images: Vec<usize>,
}

impl Turned {
    /// As many of each label and family, of the labels of `columns`.
    fn sample(hijacks: &Hijacks, columns: &[Column], seed: u64) -> Self {
        let wanted: BTreeSet<u32> = columns.iter().map(|column| column.label).collect();
        let each = TURNED_EACH
            .min(TURNED_IN_ALL / (columns.len() * Family::ALL.len()).max(1))
            .max(1);
        let mut draws = Draws::numbered(seed, "turned", 0);
        let (mut features, mut labels, mut images) = (Vec::new(), Vec::new(), Vec::new());
        for (label, _, hijacks) in hijacks
            .groups()
            .filter(|(label, ..)| wanted.contains(label))
        {
            for place in draws.sample(hijacks.len(), each) {
                features.extend_from_slice(&hijacks[place].features);
                labels.push(label);
                images.push(hijacks[place].image);
            }
        }
        let dim = features.len() / labels.len().max(1);
        Self {
            features: Tensor::new(vec![labels.len(), dim], features),
            labels,
            images,
        }
    }
}

fn record(
    config: &RepairConfig,
    investigation: &Investigation<'_>,
    chosen: Option<&Chosen>,
    cost: &Cost,
    (withdrawn, maps): (&Withdrawn, &Maps),
    seed: u64,
) -> RepairedRecord {
    let share = |count: i64| count as f64 / cost.images.max(1) as f64;
    let map_record = |part: &distance::LimitPart| MapLimitRecord {
        tensor: part
            .map
            .map_or_else(String::new, |map| maps.found[map].tensor().to_owned()),
        distance: part.distance,
    };
    let right = cost.right as i64;
    let columns = chosen.map_or(&[][..], |chosen| &chosen.columns);
    let labels: Vec<u32> = columns.iter().map(|column| column.label).collect();
    let suspects = &investigation.report.verdict.labels;
    RepairedRecord {
        file: REPAIRED_FILE.to_owned(),
        effort: config.effort,
        seed,
        families: Family::ALL.map(|family| family.name().to_owned()).to_vec(),
        refit: chosen.map(|chosen| RefitRecord {
            stand_in_images: chosen.turned,
            stand_in_images_left: chosen.left,
            suspects: labels
                .iter()
                .copied()
                .filter(|label| suspects.contains(label))
                .collect(),
            labels,
            clean_weight: chosen.choice.strength.clean,
            pull: chosen.choice.strength.pull,
        }),
        limit: withdrawn.limit.as_ref().map(|limit| LimitRecord {
            distance: limit.parts[0].distance,
            maps: limit.parts[1..].iter().map(map_record).collect(),
            by_class: limit.by_class,
            images: limit.images,
            beyond: limit.beyond.len(),
        }),
        discriminants: withdrawn
            .discriminants
            .iter()
            .map(|found| DiscriminantRecord {
                label: found.plane.label,
                family: Some(found.family.name().to_owned()),
                stand_in_images_caught: found.plane.caught,
                beyond: found.plane.beyond.len(),
            })
            .collect(),
        max_loss_pp: config.max_loss_pp,
        lost_pp: cost.lost_pp(),
        lost_with_flags_pp: cost.lost_with_flags_pp(),
        clean_accuracy: share(right - cost.lost),
        attack_success_rate: None,
        goodnet: GoodnetRates {
            clean_accuracy: share(right - cost.lost_with_flags),
            clean_flagged: share(cost.flagged as i64),
            attack_success_rate: None,
            backdoored_flagged: None,
        },
        changed_labels: cost
            .labels
            .iter()
            .filter(|(_, cost)| cost.before != cost.after)
            .map(|(&label, cost)| LabelRecord {
                label,
                images: cost.images,
                before: cost.before,
                after: cost.after,
            })
            .collect(),
    }
}
