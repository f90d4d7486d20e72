//! One stand-in on some clean images: which labels it turns them into, and how clearly.

use super::family::Family;
use super::images::{CleanImages, median};
use super::network::{Network, Response};
use super::stand_in::StandIn;
use crate::domain::label::ClassIndex;
use crate::domain::scores::argmax;
use crate::domain::sweep::Tally;
use crate::engine::{concatenate, images_a_run};
use crate::parallel::in_parallel;
use crate::tensor::TensorView;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Margins are kept within these, in units of [`CleanImages::unit`]: an image that is lost for good, or turned for good, tells no
/// more.
///
/// Bars and patches are bred from far off, cell by cell, so their bounds are wider.
const fn bounds(family: Family) -> (f32, f32) {
    match family {
        Family::Bar => (-2.5, 3.0),
        Family::Patch => (-2.5, 1.5),
        _ => (LOST, 0.5),
    }
}

/// Margin of an image that is lost.
const LOST: f32 = -1.0;

/// How one label fared over some images that the network does not answer with it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LabelTrial {
    /// Sum of the clipped margins.
    pub margins: f32,
    /// Images turned into the label, among those asked.
    pub hijacked: Tally,
}

impl LabelTrial {
    /// Takes up one image.
    fn count(&mut self, margin: f32, hit: bool, (low, high): (f32, f32)) {
        self.margins += margin.clamp(low, high);
        self.hijacked.count(hit);
    }

    /// Adds what another trial of the same stand-in saw.
    pub fn add(&mut self, other: &Self) {
        self.margins += other.margins;
        self.hijacked.hits += other.hijacked.hits;
        self.hijacked.images += other.hijacked.images;
    }

    /// Mean clipped margin, held back as if two more images had been lost: few images are weak evidence.
    #[must_use]
    pub fn score(&self) -> f32 {
        (self.margins + 2.0 * LOST) / (self.hijacked.images as f32 + 2.0)
    }
}

/// An image that a stand-in turned into another label.
#[derive(Debug, Clone, PartialEq)]
pub struct Hijack {
    /// The label it got.
    pub label: u32,
    /// The stand-in.
    pub stand_in: Arc<StandIn>,
    /// Share of the images that it was tried on, without those answered with the label anyway, that got the label with this one.
    pub share: f32,
    /// The clean image.
    pub image: usize,
    /// What the last linear layer read, (d).
    pub features: Vec<f32>,
}

/// What a stand-in did.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// One record a label asked about.
    pub labels: Vec<LabelTrial>,
    /// Median margin of the first label asked about, in units of [`CleanImages::unit`], not clipped.
    pub median_margin: f32,
    /// Every image that got another label than before.
    pub hijacks: Vec<Hijack>,
}

/// Puts `stand_in` on the clean `images` and asks how the labels `about` fare.
///
/// # Errors
/// If the network fails.
pub fn try_on<C: Network>(
    network: &mut C,
    clean: &CleanImages<'_>,
    stand_in: &Arc<StandIn>,
    images: &[usize],
    about: &[u32],
) -> Result<Trial, C::Error> {
    let response = respond(network, clean, stand_in, images)?;
    Ok(judge(&response, clean, stand_in, images, about))
}

/// [`try_on`] with the images shared among `networks`, in the pieces in which one would run them.
pub(in crate::search) fn try_on_all<C: Network>(
    networks: &mut [C],
    clean: &CleanImages<'_>,
    stand_in: &Arc<StandIn>,
    images: &[usize],
    about: &[u32],
) -> Result<Trial, C::Error> {
    let pieces: Vec<&[usize]> = images
        .chunks(images_a_run(clean.grid().len() * size_of::<f32>()))
        .collect();
    let responses = in_parallel(networks, pieces.len(), |network, index| {
        let found = respond(network, clean, stand_in, pieces[index])?;
        Ok(vec![found.features, found.scores])
    })?;
    let mut all = concatenate(responses).into_iter();
    let response = Response {
        features: all.next().unwrap_or_default(),
        scores: all.next().unwrap_or_default(),
    };
    Ok(judge(&response, clean, stand_in, images, about))
}

fn respond<C: Network>(
    network: &mut C,
    clean: &CleanImages<'_>,
    stand_in: &StandIn,
    images: &[usize],
) -> Result<Response, C::Error> {
    let grid = clean.grid();
    let mut data = Vec::with_capacity(images.len() * grid.len());
    for &index in images {
        stand_in.paint(grid, clean.image(index), &mut data);
    }
    network.respond(TensorView {
        shape: &grid.batch_shape(images.len()),
        data: &data,
    })
}

fn judge(
    response: &Response,
    clean: &CleanImages<'_>,
    stand_in: &Arc<StandIn>,
    images: &[usize],
    about: &[u32],
) -> Trial {
    let bounds = bounds(stand_in.family());
    let mut trial = Trial {
        labels: vec![LabelTrial::default(); about.len()],
        median_margin: 0.0,
        hijacks: Vec::new(),
    };
    let mut margins = Vec::with_capacity(images.len());
    for (row, &index) in images.iter().enumerate() {
        let scores = response.scores.row(row);
        let (answer, best, second) = two_best(scores);
        let own = clean.answers[index];
        for (position, (&label, record)) in about.iter().zip(&mut trial.labels).enumerate() {
            if label == own {
                continue;
            }
            let other = if label == answer { second } else { best };
            let margin = (scores[label as usize] - other) / clean.unit;
            record.count(margin, label == answer, bounds);
            if position == 0 {
                margins.push(margin);
            }
        }
        if answer != own {
            trial.hijacks.push(Hijack {
                label: answer,
                stand_in: Arc::clone(stand_in),
                share: 0.0,
                image: index,
                features: response.features.row(row).to_vec(),
            });
        }
    }
    trial.median_margin = median(margins).unwrap_or(LOST);
    tell_shares(&mut trial.hijacks, clean, images);
    trial
}

/// Tells each of the hijacks of one stand-in, tried on `images`, how many it is one of.
fn tell_shares(hijacks: &mut [Hijack], clean: &CleanImages<'_>, images: &[usize]) {
    let mut turned: BTreeMap<u32, usize> = BTreeMap::new();
    for hijack in hijacks.iter() {
        *turned.entry(hijack.label).or_default() += 1;
    }
    let share = |(label, turned): (u32, usize)| {
        let others = images
            .iter()
            .filter(|&&index| clean.answers[index] != label)
            .count();
        (label, turned as f32 / others.max(1) as f32)
    };
    let shares: BTreeMap<u32, f32> = turned.into_iter().map(share).collect();
    for hijack in hijacks {
        hijack.share = shares[&hijack.label];
    }
}

/// The class, its score, and the best other score.
fn two_best(scores: &[f32]) -> (u32, f32, f32) {
    let ClassIndex(answer) = argmax(scores);
    let best = scores
        .get(answer as usize)
        .copied()
        .unwrap_or(f32::NEG_INFINITY);
    let others = scores
        .iter()
        .enumerate()
        .filter(|(class, _)| *class != answer as usize);
    let second = others
        .map(|(_, &score)| score)
        .fold(f32::NEG_INFINITY, f32::max);
    (answer, best, second)
}
