//! Thresholds from the scores of clean images.

use super::CalibrateOptions;
use super::measure::Case;
use crate::defence::artefacts::{
    Artefacts, LayeredSettings, SCHEMA_VERSION, Source, StripScope, StripSettings,
    TransplantSettings,
};
use crate::defence::checker::Checker;
use crate::defence::classify::Classify;
use crate::defence::donors::Donors;
use crate::defence::suspects::Report;
use crate::defence::suspects::hijack::in_parallel;
use crate::defence::threshold::{Threshold, from_clean_scores};
use crate::defence::{strip, transplant};

/// Share of the layered policy's budget that goes to transplant; the rest is for blending.
const TRANSPLANT_SHARE: f64 = 0.6;

/// Hits of the two checks on one clean image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores {
    transplant: usize,
    strip: usize,
    /// Is the answer a suspect label?
    suspect: bool,
}

/// Scores of every calibration image.
pub(super) fn scores<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[Case<'_>],
) -> Result<Vec<Scores>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let Case { image, answer, .. } = cases[index];
        let (transplant, strip) = checker.scores(network, image, answer)?;
        Ok(Scores {
            transplant,
            strip,
            suspect: checker.is_suspect(answer),
        })
    })
}

/// `base` with every threshold set from `scores`.
pub(super) fn set(base: &Artefacts, scores: &[Scores], options: &CalibrateOptions) -> Artefacts {
    let carried: Vec<usize> = scores.iter().map(|score| score.transplant).collect();
    let kept: Vec<usize> = scores.iter().map(|score| score.strip).collect();
    let (donors, blends) = (base.transplant.rule.donors, base.strip.rule.blends);
    let transplant = |budget: f64| from_clean_scores(&carried, donors, budget);
    let strip = |budget: f64| from_clean_scores(&kept, blends, budget);
    let suspect = suspect_threshold(scores, donors, options);
    Artefacts {
        transplant: TransplantSettings {
            threshold: transplant(options.budget),
            suspect_threshold: suspect,
            ..base.transplant
        },
        strip: StripSettings {
            threshold: strip(options.budget),
            ..base.strip
        },
        layered: LayeredSettings {
            transplant: transplant(options.budget * TRANSPLANT_SHARE),
            suspect_transplant: suspect,
            strip: strip(options.budget * (1.0 - TRANSPLANT_SHARE)),
            strip_scope: StripScope::Every,
        }
        .or_transplant_alone(transplant(options.budget), strip(options.suspect_budget)),
        ..base.clone()
    }
}

/// The threshold of the transplant check for suspect labels.
///
/// It keeps `suspect_budget` over the scores of all clean images, as if each had a suspect label, and
/// `suspect_traffic` over the clean images that really have one: harmless labels that are easily provoked carry more
/// than others. It is never out of reach: full scores of a suspect label are always flagged.
fn suspect_threshold(scores: &[Scores], donors: usize, options: &CalibrateOptions) -> Threshold {
    let every: Vec<usize> = scores.iter().map(|score| score.transplant).collect();
    let of_suspects: Vec<usize> = scores
        .iter()
        .map(|score| if score.suspect { score.transplant } else { 0 })
        .collect();
    let general = from_clean_scores(&every, donors, options.suspect_budget);
    let own = from_clean_scores(&of_suspects, donors, options.suspect_traffic);
    let hits = general.hits.max(own.hits).min(donors);
    let exceeded = of_suspects.iter().filter(|&&score| score >= hits).count();
    Threshold {
        value: hits as f64 / donors.max(1) as f64,
        hits,
        exceeded: exceeded as u64,
        budget: options.suspect_traffic,
        ..own
    }
}

impl LayeredSettings {
    /// Where half a budget is too little for the transplant check to flag anything, transplant gets the whole budget
    /// `alone`, and only suspect labels are blended, against `suspect_strip`.
    fn or_transplant_alone(self, alone: Threshold, suspect_strip: Threshold) -> Self {
        if !self.transplant.is_open() {
            return self;
        }
        Self {
            transplant: alone,
            strip: suspect_strip,
            strip_scope: StripScope::Suspects,
            ..self
        }
    }
}

/// Artefacts whose thresholds flag nothing.
pub(super) fn open(
    source: Source,
    donors: &Donors,
    suspects: Report,
    options: &CalibrateOptions,
) -> Artefacts {
    let none = |levels: usize| Threshold {
        value: (levels + 1) as f64 / levels as f64,
        hits: levels + 1,
        levels,
        exceeded: 0,
        images: 0,
        budget: options.budget,
    };
    // Fewer donors than a rule asks for make its scores coarser, not higher.
    let transplant = transplant::Rule {
        donors: options.transplant.donors.min(donors.len()),
        ..options.transplant
    };
    let strip = strip::Rule {
        blends: options.strip.blends.min(donors.len()),
        ..options.strip
    };
    let (carried, kept) = (none(transplant.donors), none(strip.blends));
    Artefacts {
        schema_version: SCHEMA_VERSION,
        seed: options.seed,
        source,
        donor_labels: donors.labels.clone(),
        transplant: TransplantSettings {
            rule: transplant,
            threshold: carried,
            suspect_threshold: carried,
        },
        strip: StripSettings {
            rule: strip,
            threshold: kept,
        },
        layered: LayeredSettings {
            transplant: carried,
            suspect_transplant: carried,
            strip: kept,
            strip_scope: StripScope::Suspects,
        },
        suspects,
        measured: Vec::new(),
    }
}
