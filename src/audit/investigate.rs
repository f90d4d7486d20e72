//! Search and report of one network.

use super::amplify::amplify;
use super::report::{DataRecord, NetworkRecord, Report, SCHEMA_VERSION, SearchRecord, Suspect};
use super::score::{Circumstances, LabelScore, scores};
use super::show::{Pictures, suspect};
use super::verdict::decide;
use crate::domain::sweep::Tally;
use crate::engine::EngineError;
use crate::input::InputSpec;
use crate::search::maps::{MapNetwork, Maps};
use crate::search::{
    CleanImages, Evidence, Family, Found, SearchOptions, SessionNetwork, Watch, search,
};

/// Suspect labels that are shown with pictures.
const MOST_SHOWN: usize = 5;

/// The network and the data, as the report names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The network.
    pub network: NetworkRecord,
    /// Name and hash of the data.
    pub data_name: String,
    /// SHA-256 of the data, lower-case hex.
    pub data_sha256: String,
    /// What the network is fed.
    pub input: InputSpec,
    /// Name and version of the back end.
    pub backend: String,
}

/// What an investigation leaves: the report with its pictures, and what a refit works on.
#[derive(Debug)]
pub struct Investigation<'a> {
    /// The clean images and what the network says of them.
    pub clean: CleanImages<'a>,
    /// What the search found.
    pub found: Found,
    /// The report.
    pub report: Report,
    /// Its pictures.
    pub pictures: Pictures,
}

/// Searches, decides and reports.
///
/// # Errors
/// If a network fails.
pub(crate) fn investigate<'a>(
    networks: &mut [SessionNetwork],
    inner: Option<(&MapNetwork, &Maps)>,
    subject: &Subject,
    clean: CleanImages<'a>,
    options: SearchOptions,
    watch: &dyn Watch,
) -> Result<Investigation<'a>, EngineError> {
    let mut found = search(networks, &clean, options, watch)?;
    if let Some(inner) = inner {
        amplify(&clean, inner, &mut found)?;
    }
    let circumstances = circumstances(subject, &clean, &found, options.effort);
    let scores = scores(&found.evidence, &circumstances);
    let verdict = decide(&scores, &circumstances);
    let mut pictures = Pictures::new();
    let mut suspects: Vec<Suspect> = Vec::new();
    for &label in verdict.labels.iter().take(MOST_SHOWN) {
        let Some(evidence) = clearest(&found.evidence, &scores[label as usize]) else {
            continue;
        };
        suspects.push(suspect(
            networks,
            &clean,
            &subject.input,
            evidence,
            scores[label as usize].score,
            &mut pictures,
            &mut found.passes,
        )?);
    }
    let report = Report {
        schema_version: SCHEMA_VERSION,
        tool: concat!("goodnet ", env!("CARGO_PKG_VERSION")).to_owned(),
        network: subject.network.clone(),
        data: DataRecord {
            name: subject.data_name.clone(),
            sha256: subject.data_sha256.clone(),
            images: clean.len(),
            clean_accuracy: circumstances.clean_accuracy,
        },
        search: SearchRecord {
            effort: options.effort,
            passes: found.passes,
            stand_ins: found.stand_ins,
            families: Family::ALL.to_vec(),
            seed: options.seed,
            backend: subject.backend.clone(),
            seconds: None,
            complete: found.complete,
        },
        verdict,
        suspects,
        labels: scores,
        evidence: found.evidence.clone(),
    };
    Ok(Investigation {
        clean,
        found,
        report,
        pictures,
    })
}

fn circumstances(
    subject: &Subject,
    clean: &CleanImages<'_>,
    found: &Found,
    effort: usize,
) -> Circumstances {
    let mut images = vec![0; subject.network.classes as usize];
    let mut right = Tally::default();
    for index in 0..clean.len() {
        let label = clean.label(index);
        if let Some(count) = images.get_mut(label as usize) {
            *count += 1;
        }
        right.count(clean.answers[index] == label);
    }
    Circumstances {
        classes: subject.network.classes,
        images,
        clean_accuracy: right.share(),
        complete: found.complete,
        effort,
    }
}

/// The evidence that a label's score comes from.
fn clearest<'a>(evidence: &'a [Evidence], score: &LabelScore) -> Option<&'a Evidence> {
    let family = score.family?;
    evidence
        .iter()
        .filter(|evidence| (evidence.label, evidence.family) == (score.label, family))
        .min_by(|a, b| {
            let price = |e: &Evidence| e.price.unwrap_or(f32::INFINITY);
            price(a).total_cmp(&price(b))
        })
}
