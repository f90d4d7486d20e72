//! Online: one answer of B in, flagged or not out.

use super::artefacts::{
    ARTEFACTS_FILE, ArtefactError, Artefacts, DONORS_FILE, SECOND_FILE, Scores, donors_from_bytes,
};
use super::classify::Classify;
use super::donors::Donors;
use super::grid::Grid;
use super::policy::Policy;
use super::random::Draws;
use super::threshold::Threshold;
use super::transplant::Trial;
use super::{strip, transplant};
use crate::bundle::Bundle;
use crate::domain::label::ClassIndex;
use crate::input::InputSpec;
use crate::tensor::TensorView;
use serde::Serialize;

/// The check that a score belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Does a band of the image carry its label?
    Transplant,
    /// Does the label survive blending?
    Strip,
    /// Does the owner's second network answer otherwise?
    SecondNetwork,
}

impl Check {
    /// The name as written to JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transplant => "transplant",
            Self::Strip => "strip",
            Self::SecondNetwork => "second_network",
        }
    }
}

/// What one check said of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CheckResult {
    /// Which check.
    pub check: Check,
    /// Did the score reach the threshold?
    pub flagged: bool,
    /// Share of donors that turned, or of blends that kept the label, when the decision was clear: with an early stop a
    /// lower bound of the full score. Of the second network: 1 where it answers otherwise, else 0.
    pub score: f64,
    /// Scores at or above it are flagged; above 1 the check flags nothing.
    pub threshold: f64,
    /// Forward passes of B, or of the second network, that it took.
    pub forward_passes: usize,
}

/// What a policy said of an image.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Outcome {
    /// Did any check flag it?
    pub flagged: bool,
    /// Does B's answer look like an attacker's target?
    pub suspect_label: bool,
    /// The checks that ran, in order; none where the policy lets the answer pass as it is.
    pub checks: Vec<CheckResult>,
}

impl Outcome {
    /// Forward passes of B that the checks took.
    #[must_use]
    pub fn forward_passes(&self) -> usize {
        self.checks.iter().map(|check| check.forward_passes).sum()
    }

    fn take(&mut self, result: CheckResult) {
        self.flagged |= result.flagged;
        self.checks.push(result);
    }
}

/// The checks of a bundle; shared by all workers, each of which brings its own session of B.
#[derive(Debug, Clone)]
pub struct Checker {
    grid: Grid,
    artefacts: Artefacts,
    donors: Donors,
}

impl Checker {
    /// The checker of images of `spec`.
    #[must_use]
    pub fn new(spec: &InputSpec, artefacts: Artefacts, donors: Donors) -> Self {
        Self::on_grid(Grid::new(spec), artefacts, donors)
    }

    pub(super) fn on_grid(grid: Grid, artefacts: Artefacts, donors: Donors) -> Self {
        Self {
            grid,
            artefacts,
            donors,
        }
    }

    /// The checker of `bundle`; none where the bundle holds no artefacts and so knows `disagreement` only.
    ///
    /// # Errors
    /// If the artefacts are not usable.
    pub fn load(bundle: &Bundle) -> Result<Option<Self>, ArtefactError> {
        let Some(json) = bundle.file(ARTEFACTS_FILE) else {
            return Ok(None);
        };
        let artefacts = Artefacts::from_json(json)?;
        if artefacts.second && bundle.file(SECOND_FILE).is_none() {
            return Err(ArtefactError::Second);
        }
        let spec = &bundle.manifest().input;
        let bytes = bundle.file(DONORS_FILE).unwrap_or_default();
        let donors = donors_from_bytes(bytes, &artefacts.donor_labels, &Grid::new(spec))?;
        Ok(Some(Self::new(spec, artefacts, donors)))
    }

    pub(super) fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The artefacts.
    #[must_use]
    pub fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// The donors.
    #[must_use]
    pub fn donors(&self) -> &Donors {
        &self.donors
    }

    /// Does `class` look like an attacker's target?
    #[must_use]
    pub fn is_suspect(&self, class: ClassIndex) -> bool {
        self.artefacts.is_suspect(class.0)
    }

    /// Does `policy` let an answer with `class` pass without a check?
    #[must_use]
    pub fn asks_nothing(&self, policy: Policy, class: ClassIndex) -> bool {
        let transplant = self.artefacts.transplant_check(policy, class.0);
        let strip = self.artefacts.strip_threshold(policy, class.0);
        transplant.is_none() && strip.is_none()
    }

    /// Checks `image`, one preprocessed image that B (`network`) answers with `class`.
    ///
    /// The same image gives the same outcome: its donors are drawn from the secret seed and its values.
    /// [`Policy::Disagreement`] runs no check: its rule needs B', not B. [`Policy::Confirmed`] without a second network is
    /// [`Policy::Gated`]; [`Policy::Layered`] asks one if there is one.
    ///
    /// # Errors
    /// If the network fails.
    pub fn check<C: Classify>(
        &self,
        network: &mut C,
        policy: Policy,
        image: &[f32],
        class: ClassIndex,
    ) -> Result<Outcome, C::Error> {
        let mut outcome = Outcome {
            suspect_label: self.is_suspect(class),
            ..Outcome::default()
        };
        if let Some((rule, threshold)) = self.artefacts.transplant_check(policy, class.0) {
            outcome.take(self.transplant(network, image, class, rule, threshold)?);
        }
        if let Some(threshold) = self.artefacts.strip_threshold(policy, class.0)
            && !outcome.flagged
        {
            outcome.take(self.strip(network, image, class, threshold)?);
        }
        if self.artefacts.asks_second(policy, class.0)
            && !outcome.flagged
            && let Some(second) = self.second(network, image)?
        {
            outcome.take(second_network(second != class));
        }
        Ok(outcome)
    }

    /// What the second network answers for `image`; none where there is no such network.
    ///
    /// # Errors
    /// If it fails.
    pub(super) fn second<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
    ) -> Result<Option<ClassIndex>, C::Error> {
        let answers = network.second(TensorView {
            shape: &self.grid.batch_shape(1),
            data: image,
        })?;
        Ok(answers.and_then(|answers| answers.first().copied()))
    }

    fn transplant<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
        class: ClassIndex,
        rule: transplant::Rule,
        threshold: &Threshold,
    ) -> Result<CheckResult, C::Error> {
        let donors = self.transplant_donors(image, class);
        let trial = transplant::check(
            network,
            &self.grid,
            image,
            class,
            &donors,
            rule,
            threshold.hits,
        )?;
        Ok(result(Check::Transplant, &trial, threshold))
    }

    fn strip<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
        class: ClassIndex,
        threshold: &Threshold,
    ) -> Result<CheckResult, C::Error> {
        let rule = self.artefacts.strip.rule;
        let donors = self.strip_donors(image, class);
        let trial = strip::check(
            network,
            &self.grid,
            image,
            class,
            &donors,
            rule,
            threshold.hits,
        )?;
        Ok(result(Check::Strip, &trial, threshold))
    }

    fn transplant_donors(&self, image: &[f32], class: ClassIndex) -> Vec<&[f32]> {
        let mut draws = Draws::of_image(self.artefacts.seed, "transplant", image);
        let count = self.artefacts.transplant.rule.donors;
        self.donors.pick(class.0, count, &mut draws)
    }

    fn strip_donors(&self, image: &[f32], class: ClassIndex) -> Vec<&[f32]> {
        let mut draws = Draws::of_image(self.artefacts.seed, "strip", image);
        let count = self.artefacts.strip.rule.blends;
        self.donors.pick(class.0, count, &mut draws)
    }

    /// The scores of `image` that the checks decide by ([`Artefacts::flags`]), with no early stop.
    ///
    /// # Errors
    /// If the network fails.
    pub fn scores<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
        class: ClassIndex,
    ) -> Result<Scores, C::Error> {
        let (grid, artefacts) = (&self.grid, &self.artefacts);
        let donors = self.transplant_donors(image, class);
        let mut carried = |rule| transplant::score(network, grid, image, class, &donors, rule);
        let transplant = carried(artefacts.transplant.rule)?;
        let suspect = carried(artefacts.suspect.rule)?;
        let donors = self.strip_donors(image, class);
        let strip = strip::score(network, grid, image, class, &donors, artefacts.strip.rule)?;
        Ok(Scores {
            transplant,
            suspect,
            strip,
        })
    }
}

fn second_network(otherwise: bool) -> CheckResult {
    CheckResult {
        check: Check::SecondNetwork,
        flagged: otherwise,
        score: f64::from(u8::from(otherwise)),
        threshold: 1.0,
        forward_passes: 1,
    }
}

fn result(check: Check, trial: &Trial, threshold: &Threshold) -> CheckResult {
    CheckResult {
        check,
        flagged: trial.flagged,
        score: trial.hits as f64 / threshold.levels.max(1) as f64,
        threshold: threshold.value,
        forward_passes: trial.forward_passes,
    }
}
