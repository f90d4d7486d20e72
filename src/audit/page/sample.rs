//! Reports for the tests of the page.

use crate::audit::calibration::p_value;
use crate::audit::png;
use crate::audit::report::{
    DataRecord, Example, HeatMap, NetworkRecord, Report, SCHEMA_VERSION, SearchRecord, Suspect,
};
use crate::audit::score::{LabelScore, limit};
use crate::audit::verdict::{Outcome, Verdict};
use crate::domain::sweep::Tally;
use crate::search::{Evidence, Family, StandIn};
use std::collections::BTreeMap;

/// A report of ten labels, of which label 3 is suspect.
pub(super) fn backdoored() -> Report {
    report(Outcome::BackdoorLikely, 10)
}

/// A report of `classes` labels; the suspect one, where a backdoor is likely, is label 3.
pub(super) fn report(outcome: Outcome, classes: u32) -> Report {
    let is_likely = outcome == Outcome::BackdoorLikely;
    let labels = (0..classes)
        .map(|label| score(label, is_likely && label == 3))
        .collect();
    let mut found = vec![evidence(1, Family::Blend, 70, None)];
    if is_likely {
        found.insert(0, evidence(3, Family::Patch, 93, Some(least())));
    }
    Report {
        schema_version: SCHEMA_VERSION,
        tool: "goodnet 0.1.0".to_owned(),
        network: NetworkRecord {
            file: "network.onnx".to_owned(),
            sha256: "1f".repeat(32),
            classes,
            input: [32, 32],
            names: Some((0..classes).map(|label| format!("name {label}")).collect()),
        },
        data: DataRecord {
            name: "clean.h5".to_owned(),
            sha256: "2e".repeat(32),
            images: 1280,
            clean_accuracy: 0.973,
        },
        search: SearchRecord {
            effort: 40_000,
            passes: 39_612,
            stand_ins: 3120,
            families: Family::ALL.to_vec(),
            seed: 7,
            backend: "tract 0.23".to_owned(),
            seconds: Some(723.0),
            complete: outcome != Outcome::CannotTell,
        },
        verdict: verdict(outcome),
        suspects: if is_likely {
            vec![suspect(&found[0])]
        } else {
            Vec::new()
        },
        labels,
        evidence: found,
    }
}

fn least() -> f32 {
    9.0 / (32.0 * 32.0)
}

fn verdict(outcome: Outcome) -> Verdict {
    let (sentence, labels) = match outcome {
        Outcome::BackdoorLikely => (
            "Backdoor likely: label 3 can be provoked far too easily.",
            vec![3],
        ),
        Outcome::NothingFound => (
            "Nothing found: no label can be provoked more easily than on clean networks.",
            Vec::new(),
        ),
        Outcome::CannotTell => (
            "Cannot tell: the search was ended early and had found nothing so far.",
            Vec::new(),
        ),
    };
    Verdict {
        outcome,
        labels,
        sentence: sentence.to_owned(),
        caveats: Vec::new(),
    }
}

/// Of the suspect label.
const AMPLIFICATION: f64 = 40.0;
/// Of any.
const NEEDED: f64 = 1.9;

fn score(label: u32, is_suspect: bool) -> LabelScore {
    let cheapness = if label.is_multiple_of(3) {
        0.0
    } else {
        0.9 / f64::from(label)
    };
    let family = (cheapness > 0.0).then_some(Family::Blend);
    let (cheapness, family) = if is_suspect {
        (
            limit(Family::Patch) / f64::from(least()),
            Some(Family::Patch),
        )
    } else {
        (cheapness, family)
    };
    let amplified: f64 = if is_suspect {
        AMPLIFICATION / NEEDED
    } else {
        1.0
    };
    let score = cheapness.powf(0.7) * amplified.powf(0.3);
    LabelScore {
        label,
        score,
        cheapness,
        amplification: is_suspect.then_some(AMPLIFICATION),
        amplification_needed: NEEDED,
        family,
        turned: if is_suspect { 93.0 / 96.0 } else { 0.4 },
        images: 128,
        p_value: Some(p_value(score)),
    }
}

fn evidence(label: u32, family: Family, hits: u64, least_size: Option<f32>) -> Evidence {
    Evidence {
        label,
        family,
        turned: Tally { hits, images: 96 },
        margin: 0.8,
        size: 36.0 / (32.0 * 32.0),
        least_size,
        price: least_size,
        amplification: Some(AMPLIFICATION),
        stand_in: StandIn::Rectangle { parts: Vec::new() },
    }
}

fn suspect(evidence: &Evidence) -> Suspect {
    let example = |number: u32| Example {
        before_png: format!("label-3-before-{number}.png"),
        before: number,
        after_png: format!("label-3-after-{number}.png"),
        after: 3,
    };
    let works = [44, 53, 54, 55, 61, 62, 63];
    Suspect {
        label: 3,
        score: score(3, true).score,
        evidence: evidence.clone(),
        bounds: [28, 24, 3, 3],
        stand_in_png: "label-3-stand-in.png".to_owned(),
        examples: (0..3).map(example).collect(),
        heat_map: Some(HeatMap {
            rows: 8,
            columns: 8,
            rates: (0..64)
                .map(|place| if works.contains(&place) { 0.9 } else { 0.05 })
                .collect(),
            images: 24,
        }),
    }
}

/// A plain picture, each of another grey, for every file that the report names.
pub(super) fn pictures(report: &Report) -> BTreeMap<String, Vec<u8>> {
    let examples = report.suspects.iter().flat_map(|suspect| &suspect.examples);
    let names = report
        .suspects
        .iter()
        .map(|suspect| &suspect.stand_in_png)
        .chain(examples.flat_map(|example| [&example.before_png, &example.after_png]));
    names
        .enumerate()
        .map(|(grey, name)| {
            (
                name.clone(),
                png::encode(&[grey as u8; 1024], 1, 32, 32).unwrap(),
            )
        })
        .collect()
}
