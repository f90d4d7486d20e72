//! What a repair costs in cross-validation, and how much it may.

use crate::domain::head::LinearHead;
use crate::domain::label::ClassIndex;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};

/// A label's own loss is bounded where it has at least this many clean images.
pub const FEWEST_OF_LABEL: usize = 10;

/// What a repair may cost, in cross-validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Clean accuracy lost by the repaired network alone, and by GoodNet (where a disagreement is an error), in percentage points.
    pub loss_pp: f64,
    /// The same for the images of one label, where there are at least [`FEWEST_OF_LABEL`].
    pub label_loss_pp: f64,
}

/// Clean images lost in cross-validation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cost {
    /// Clean images.
    pub images: usize,
    /// Rightly answered before, less rightly answered after.
    pub lost: i64,
    /// The same where an answer that changed counts as an error.
    pub lost_with_flags: i64,
    /// Rightly answered before.
    pub right: usize,
    /// Answers that changed.
    pub flagged: usize,
    /// By label: images, rightly answered before, and after.
    pub labels: BTreeMap<u32, LabelCost>,
}

/// Clean images of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelCost {
    /// Images.
    pub images: usize,
    /// Rightly answered before.
    pub before: usize,
    /// Rightly answered after.
    pub after: usize,
}

impl Cost {
    fn pp(count: i64, images: usize) -> f64 {
        100.0 * count as f64 / images.max(1) as f64
    }

    /// Clean accuracy lost, in percentage points.
    #[must_use]
    pub fn lost_pp(&self) -> f64 {
        Self::pp(self.lost, self.images)
    }

    /// The same where an answer that changed counts as an error.
    #[must_use]
    pub fn lost_with_flags_pp(&self) -> f64 {
        Self::pp(self.lost_with_flags, self.images)
    }

    pub(super) fn count(&mut self, truth: u32, before: u32, after: u32) {
        let label = self.labels.entry(truth).or_default();
        label.images += 1;
        label.before += usize::from(before == truth);
        label.after += usize::from(after == truth);
        self.images += 1;
        self.right += usize::from(before == truth);
        self.flagged += usize::from(before != after);
        self.lost += i64::from(before == truth) - i64::from(after == truth);
        self.lost_with_flags += i64::from(before == truth && after != truth);
    }

    /// What a head costs that is left as it is.
    #[must_use]
    pub fn unchanged(truth: &[u32], features: &Tensor, head: &LinearHead) -> Self {
        let mut cost = Self::default();
        for (row, &truth) in truth.iter().enumerate() {
            let ClassIndex(answer) = head.answer(features.row(row));
            cost.count(truth, answer, answer);
        }
        cost
    }

    /// The same where the labels of the images `beyond` are withdrawn too. `heads`: the one before, whose label it is, and the
    /// one after. An image that another fold's head lost is counted twice, so that this bounds the cost from above.
    #[must_use]
    pub fn with_withdrawn(
        mut self,
        beyond: &BTreeSet<usize>,
        truth: &[u32],
        features: &Tensor,
        [before, after]: [&LinearHead; 2],
    ) -> Self {
        for &row in beyond {
            let label = before.answer(features.row(row));
            if after.answer(features.row(row)) != label {
                continue;
            }
            self.flagged += 1;
            if label.0 == truth[row] {
                self.lost += 1;
                self.lost_with_flags += 1;
                let label = self.labels.entry(truth[row]).or_default();
                label.after = label.after.saturating_sub(1);
            }
        }
        self
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.right += other.right;
        self.flagged += other.flagged;
        self.lost += other.lost;
        self.lost_with_flags += other.lost_with_flags;
        for (&label, other) in &other.labels {
            let label = self.labels.entry(label).or_default();
            label.images += other.images;
            label.before += other.before;
            label.after += other.after;
        }
    }

    /// The bound that is broken; none where all hold.
    #[must_use]
    pub fn breaks(&self, bounds: Bounds) -> Option<Broken> {
        let lost = self.lost_pp().max(self.lost_with_flags_pp());
        if lost > bounds.loss_pp + 1e-9 {
            return Some(Broken::All(lost));
        }
        self.labels.iter().find_map(|(&label, cost)| {
            let lost = cost.before as i64 - cost.after as i64;
            let pp = Self::pp(lost, cost.images);
            let bounded = cost.images >= FEWEST_OF_LABEL && pp > bounds.label_loss_pp + 1e-9;
            bounded.then_some(Broken::Label(label, pp))
        })
    }
}

/// A bound that a strength does not keep; the loss in percentage points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Broken {
    /// Over all clean images.
    All(f64),
    /// Over those of a label.
    Label(u32, f64),
}
