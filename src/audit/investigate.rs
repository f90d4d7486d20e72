//! Search and report of one network.

use super::amplify::amplify;
use super::report::{DataRecord, NetworkRecord, Report, SCHEMA_VERSION, SearchRecord, Suspect};
use super::score::{Circumstances, LabelScore, scores};
use super::show::{Pictures, most_passes, passes, suspect};
use super::verdict::decide;
use crate::defence::clean::CleanSet;
use crate::domain::sweep::Tally;
use crate::engine::{Engine, EngineError};
use crate::input::InputSpec;
use crate::progress::{Cancel, Progress, Stage};
use crate::search::maps::{MapNetwork, Maps};
use crate::search::{
    CleanImages, Evidence, Family, Found, SearchOptions, SearchedNetwork, Watch, search,
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
    /// What it computes of them on the way to its features; no map where it has no linear head.
    pub(crate) maps: Maps,
    /// What the search found.
    pub found: Found,
    /// The report.
    pub report: Report,
    /// Its pictures.
    pub pictures: Pictures,
}

/// The networks of an investigation. Each is loaded for its part of the work and let go of after.
pub(crate) struct Investigated<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) network: &'a SearchedNetwork,
    /// It up to what it computes on the way to its features, where it has a linear head.
    pub(crate) map_network: Option<&'a MapNetwork>,
}

/// Searches on `set`, decides and reports.
///
/// # Errors
/// If a network fails.
pub(crate) fn investigate<'a>(
    networks: &Investigated<'_>,
    subject: &Subject,
    set: &'a CleanSet,
    options: SearchOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Investigation<'a>, EngineError> {
    let engine = networks.engine;
    let images = set.len() as u64;
    let looks = 1 + u64::from(networks.map_network.is_some());
    progress.start(Stage::Clean, looks * images);
    let maps = match networks.map_network {
        Some(network) => network.load(engine)?.measure(set, progress, cancel)?,
        None => Maps::default(),
    };
    let mut sessions = networks.network.sessions(engine)?;
    let clean = CleanImages::ask(&mut sessions, set)?;
    progress.advance(images);
    progress.finish();
    progress.start(Stage::Search, options.effort as u64);
    let watch = Watching { progress, cancel };
    let mut found = search(&mut sessions, &clean, options, &watch)?;
    drop(sessions);
    if let Some(network) = networks.map_network {
        amplify(&clean, (&network.load(engine)?, &maps), &mut found, &watch)?;
    }
    let circumstances = circumstances(subject, &clean, &found, options.effort);
    let scores = scores(&found.evidence, &circumstances);
    let verdict = decide(&scores, &circumstances);
    progress.finish();
    let shown = verdict.labels.iter().take(MOST_SHOWN);
    let shown = shown.filter_map(|&label| {
        let score = &scores[label as usize];
        Some((clearest(&found.evidence, score)?, score.score))
    });
    let shown: Vec<(&Evidence, f64)> = shown.collect();
    let (suspects, pictures) = show(networks, (&clean, &subject.input), &shown, &watch)?;
    found.passes += suspects.iter().map(passes).sum::<usize>();
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
        maps,
        found,
        report,
        pictures,
    })
}

/// Shows each of `shown`, the evidence and the score of a suspect label.
fn show(
    networks: &Investigated<'_>,
    (clean, spec): (&CleanImages<'_>, &InputSpec),
    shown: &[(&Evidence, f64)],
    watch: &Watching<'_>,
) -> Result<(Vec<Suspect>, Pictures), EngineError> {
    let (mut suspects, mut pictures) = (Vec::new(), Pictures::new());
    if shown.is_empty() {
        return Ok((suspects, pictures));
    }
    let most = shown.iter().map(|(evidence, _)| most_passes(evidence));
    let most: usize = most.sum();
    watch.progress.start(Stage::Show, most as u64);
    let mut sessions = networks.network.sessions(networks.engine)?;
    for &clearest in shown {
        let found = suspect(&mut sessions, (clean, spec), clearest, &mut pictures, watch)?;
        suspects.push(found);
    }
    watch.progress.finish();
    Ok((suspects, pictures))
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

/// A search shown as progress, ended early by a cancel.
pub(crate) struct Watching<'a> {
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

impl Watch for Watching<'_> {
    fn advance(&self, passes: usize) {
        self.progress.advance(passes as u64);
    }

    fn stopped(&self) -> bool {
        self.cancel.is_cancelled()
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
