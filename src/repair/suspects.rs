//! Images that stand-ins turned into the labels that are provoked most easily, and the discriminants that tell them from clean ones.

use super::columns::MOST_COLUMNS;
use crate::audit::Investigation;
use crate::audit::score::labels_scoring;
use crate::defence::clean::CleanSet;
use crate::defence::random::Draws;
use crate::domain::discriminant::{Discriminant, FEWEST_TURNED, Place, Sides};
use crate::domain::head::LinearHead;
use crate::engine::EngineError;
use crate::progress::Cancel;
use crate::search::Family;
use crate::search::maps::{LoadedMaps, Maps};
use crate::search::slope::Turned;
use crate::search::trial::Hijack;
use crate::tensor::Tensor;

/// A stand-in speaks of a trigger where it turns at least this share of images: others turn what is close to the label anyway.
const TURNS: f32 = 0.5;
/// Labels that score less are left alone. Less than a suspect label: what a discriminant costs is bounded, and a target that the search
/// came near to without proving it needs one as much.
pub(super) const PROVOKED: f64 = 0.5;
/// A discriminant that tells a smaller share of the turned images is no help.
const TELLS: f64 = 0.5;
/// Share of a suspect label's own images that may be given up for its trigger, where so many are allowed in all.
const GIVEN_UP: f64 = 0.05;
/// Turned images taken of a label and a family, by the refit too.
pub(super) const TURNED_EACH: usize = 150;

/// Images that stand-ins of a family turned into a label that is provoked easily.
#[derive(Debug)]
pub(super) struct TurnedInto {
    label: u32,
    family: Family,
    /// Were their stand-ins made to follow the slope of the label? Then the threshold of the discriminant lies at the label's own
    /// images.
    followed: bool,
    /// The clean image that each was, (m).
    images: Vec<usize>,
    /// (m, d)
    features: Tensor,
    /// One a map, (m, C).
    maps: Vec<Tensor>,
}

impl TurnedInto {
    /// Of every such label and family a sample of the images turned by stand-ins that turn many, with what B computes of them, and
    /// all those of `followed`, whose stand-ins followed the slope of a label; none where there are too few.
    pub(super) fn collect(
        investigation: &Investigation<'_>,
        followed: &[Turned],
        set: &CleanSet,
        network: &LoadedMaps<'_>,
        seed: u64,
        cancel: &Cancel,
    ) -> Result<Vec<Self>, EngineError> {
        let mut provoked = labels_scoring(&investigation.report.labels, PROVOKED);
        provoked.truncate(MOST_COLUMNS);
        let mut draws = Draws::numbered(seed, "turned into suspects", 0);
        let groups = investigation.found.hijacks.groups();
        let mut found = Vec::new();
        for (label, family, hijacks) in groups.filter(|(label, ..)| provoked.contains(label)) {
            let strong: Vec<&Hijack> = hijacks
                .iter()
                .filter(|hijack| hijack.share >= TURNS)
                .collect();
            if strong.len() < FEWEST_TURNED {
                continue;
            }
            let places = draws.sample(strong.len(), TURNED_EACH);
            let turned: Vec<&Hijack> = places.into_iter().map(|place| strong[place]).collect();
            found.push(Self::new(label, family, &turned, set, network, cancel)?);
        }
        for turned in followed {
            let hijacks: Vec<&Hijack> = turned.hijacks.iter().collect();
            if hijacks.len() < FEWEST_TURNED {
                continue;
            }
            found.push(Self {
                followed: true,
                ..Self::new(turned.label, turned.family, &hijacks, set, network, cancel)?
            });
        }
        Ok(found)
    }

    fn new(
        label: u32,
        family: Family,
        turned: &[&Hijack],
        set: &CleanSet,
        network: &LoadedMaps<'_>,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let features = turned.iter().flat_map(|hijack| &hijack.features);
        let features: Vec<f32> = features.copied().collect();
        Ok(Self {
            label,
            family,
            followed: false,
            images: turned.iter().map(|hijack| hijack.image).collect(),
            features: Tensor::new(vec![turned.len(), features.len() / turned.len()], features),
            maps: network.of_turned(set, turned, cancel)?,
        })
    }
}

/// What tells images that stand-ins of a family turned into a suspect label.
#[derive(Debug)]
pub(super) struct SuspectDiscriminant {
    pub(super) family: Family,
    pub(super) plane: Discriminant,
}

/// The discriminants that tell at least half of the turned images when these are kept apart. Of the clean images at most
/// `most_beyond` in all lie beyond them when they are kept apart, shared alike among them, where the turned images are not clearly
/// apart. Beyond one whose threshold is at the label's own images lies what the network answers wrongly anyway, and
/// [`GIVEN_UP`] of these images at most.
pub(super) fn discriminants(
    turned: &[TurnedInto],
    features: &Tensor,
    maps: &Maps,
    (head, truth): (&LinearHead, &[u32]),
    suspects: &[u32],
    most_beyond: usize,
) -> Vec<SuspectDiscriminant> {
    let rows = 0..features.rows();
    let answers: Vec<u32> = rows.map(|row| head.answer(features.row(row)).0).collect();
    let right: Vec<bool> = answers.iter().zip(truth).map(|(a, b)| a == b).collect();
    let clean: Vec<&Tensor> = std::iter::once(features).chain(&maps.means).collect();
    let sharing = turned.iter().filter(|turned| !turned.followed).count();
    let place = |turned: &TurnedInto| {
        if !turned.followed {
            let most_beyond = most_beyond / sharing.max(1);
            return Place::Between { most_beyond };
        }
        let images = answers.iter().zip(&right);
        let own = images
            .filter(|image| image == &(&turned.label, &true))
            .count();
        let most_of_own = match suspects.contains(&turned.label) {
            true => (GIVEN_UP * own as f64) as usize,
            false => 0,
        };
        Place::AtOwn {
            most_beyond: most_of_own.min(most_beyond.max(1)),
        }
    };
    let fit = |turned: &TurnedInto| {
        let sources: Vec<&Tensor> = std::iter::once(&turned.features)
            .chain(&turned.maps)
            .collect();
        let sides = Sides {
            clean: &clean,
            answers: &answers,
            right: &right,
            turned: &sources,
            images: &turned.images,
        };
        let plane = Discriminant::fit(sides, turned.label, place(turned)).ok()?;
        let family = turned.family;
        (plane.caught >= TELLS).then_some(SuspectDiscriminant { family, plane })
    };
    turned.iter().filter_map(fit).collect()
}
