//! The search for what an attacker's trigger may be: by forward passes and clean images alone.
//!
//! One search serves three users: the audit's evidence, the stand-ins that the head is refitted against, and the labels
//! that `gated` checks. It runs in three stages, each within its share of the effort: a *survey* of random stand-ins that
//! watches every label at once, a *race* of guided searches that breed the best of them, and *evidence* on clean images that
//! the search did not see. A smaller effort gives a weaker answer, never none.
//!
//! In reading order: [`family`], [`stand_in`] (what is put onto images), [`network`] (who is asked), [`images`] (about
//! what), [`trial`] (one stand-in on some images), [`hijacks`] (what is kept for the refit), [`plan`] (what it may cost),
//! `survey`, `arm`, `race`, [`evidence`], `slope` (a closer look at labels that are provoked easily), [`session`] (the engine's sessions as
//! networks).

mod arm;
pub mod evidence;
pub mod family;
pub mod hijacks;
pub mod images;
pub(crate) mod maps;
pub mod network;
pub mod plan;
mod race;
pub mod session;
pub(crate) mod slope;
pub mod stand_in;
mod survey;
pub mod trial;

pub use evidence::Evidence;
pub use family::Family;
pub use hijacks::Hijacks;
pub use images::CleanImages;
pub use network::{Network, Response};
pub use plan::{DEFAULT_EFFORT, LEAST_EFFORT, SearchOptions, Unwatched, Watch};
pub use session::{SearchedNetwork, SessionNetwork};
pub use stand_in::StandIn;

use crate::defence::random::Draws;
use trial::Hijack;

/// Share of the clean images that is kept apart for evidence.
const HELD_OUT_SHARE: f64 = 0.25;
/// Images kept apart at most.
const MOST_HELD_OUT: usize = 160;

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// How labels can be provoked, the clearest first.
    pub evidence: Vec<Evidence>,
    /// Of each of these, the held-out images that its stand-in turned into the label.
    pub turned: Vec<Vec<Hijack>>,
    /// Images that stand-ins turned.
    pub hijacks: Hijacks,
    /// Forward passes taken.
    pub passes: usize,
    /// Stand-ins tried.
    pub stand_ins: usize,
    /// Did it run to its end?
    pub complete: bool,
}

/// Searches for stand-ins that turn `clean` images into each label.
///
/// `networks`: sessions of the same network, one thread each. Deterministic for a seed, whatever their number.
///
/// # Errors
/// If a network fails.
pub fn search<C: Network>(
    networks: &mut [C],
    clean: &CleanImages<'_>,
    options: SearchOptions,
    watch: &dyn Watch,
) -> Result<Found, C::Error> {
    let mut order = Draws::numbered(options.seed, "held out", 0).sample(clean.len(), clean.len());
    let held_out = ((clean.len() as f64 * HELD_OUT_SHARE) as usize).min(MOST_HELD_OUT);
    let shown = order.split_off(held_out);
    let mut search = Search {
        networks,
        clean,
        options,
        watch,
        held_out: order,
        shown,
        hijacks: Hijacks::new(options.seed),
        passes: 0,
        stand_ins: 0,
        generations: 0,
    };
    let arms = search.survey()?;
    let arms = search.races(arms)?;
    let proven = search.evidence(&arms)?;
    let (evidence, turned) = proven
        .into_iter()
        .map(|proven| (proven.evidence, proven.turned))
        .unzip();
    Ok(Found {
        evidence,
        turned,
        complete: !watch.stopped(),
        hijacks: search.hijacks,
        passes: search.passes,
        stand_ins: search.stand_ins,
    })
}

/// A search under way.
struct Search<'a, C> {
    networks: &'a mut [C],
    clean: &'a CleanImages<'a>,
    options: SearchOptions,
    watch: &'a dyn Watch,
    /// Images that only evidence is taken from.
    held_out: Vec<usize>,
    /// Images that the search works on.
    shown: Vec<usize>,
    hijacks: Hijacks,
    passes: usize,
    stand_ins: usize,
    generations: usize,
}
