//! What a job tells while it works, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The stages of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Mean activations over the clean set.
    Rank,
    /// The sweep over clean and backdoored images.
    Sweep,
    /// The final table on the test sets.
    Evaluate,
    /// What the network makes of the clean images, before the search.
    Clean,
    /// The search for stand-ins, in forward passes.
    Search,
    /// The pictures of the suspect labels, in forward passes.
    Show,
    /// A closer look at the labels that are provoked most easily, in forward passes.
    Follow,
    /// The refit of the head.
    Refit,
    /// The clean images for the policy `gated`.
    Calibrate,
    /// Its check, in images that the network answers.
    Checks,
    /// `gated` on a set of images, in images that the network answers.
    Policies,
    /// Exported networks against the masked original.
    Verify,
}

impl Stage {
    /// What a person reads.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Rank => "ranking channels",
            Self::Sweep => "sweeping",
            Self::Evaluate => "evaluating",
            Self::Clean => "looking at clean images",
            Self::Search => "searching",
            Self::Show => "drawing suspects",
            Self::Follow => "looking closer",
            Self::Refit => "refitting",
            Self::Calibrate => "calibrating",
            Self::Checks => "calibrating checks",
            Self::Policies => "trying policies",
            Self::Verify => "verifying exports",
        }
    }
}

/// Receives what the job tells.
pub trait Progress: Sync {
    /// A stage of `total` images (of a search: forward passes) begins; 0 where nobody knows how many.
    fn start(&self, stage: Stage, total: u64);
    /// `images` more are done.
    fn advance(&self, images: u64);
    /// The stage is over.
    fn finish(&self);
    /// Something the owner should know.
    fn warn(&self, message: &str);
    /// How the input was read, for who wants to follow.
    fn tell(&self, _message: &str) {}
}

/// Tells nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn start(&self, _stage: Stage, _total: u64) {}
    fn advance(&self, _images: u64) {}
    fn finish(&self) {}
    fn warn(&self, _message: &str) {}
}

/// Asks a running job to stop; checked between batches.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Was it asked for?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
