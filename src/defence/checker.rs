//! Online: one answer of B in, flagged or not out.

use super::artefacts::{ARTEFACTS_FILE, ArtefactError, Artefacts, DONORS_FILE, donors_from_bytes};
use super::classify::Classify;
use super::donors::Donors;
use super::grid::Grid;
use super::random::Draws;
use super::threshold::Threshold;
use super::transplant::{self, Trial, bands};
use crate::bundle::Bundle;
use crate::domain::label::ClassIndex;
use crate::input::InputSpec;
use serde::Serialize;

/// What the transplant check said of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Did a band turn enough donors?
    pub flagged: bool,
    /// Donors that a band must turn into the image's label, of [`CheckResult::donors`].
    pub needed: usize,
    /// Donors of a whole check; it ends as soon as the decision is clear.
    pub donors: usize,
    /// Every band of the image, from the top.
    pub bands: Vec<BandCount>,
    /// Forward passes of B that it took.
    pub forward_passes: usize,
}

/// What a band of the image did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BandCount {
    /// Its first row, in pixels of the network's input.
    pub first_row: usize,
    /// Its rows.
    pub rows: usize,
    /// Donors that it turned into the image's label.
    pub hits: usize,
    /// Donors that it was pasted onto.
    pub tried: usize,
}

/// The check of a bundle; shared by all workers, each of which brings its own session of B.
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

    /// The checker of `bundle`; none where the bundle holds no artefacts and so does not know `gated`.
    ///
    /// # Errors
    /// If the artefacts are not usable.
    pub fn load(bundle: &Bundle) -> Result<Option<Self>, ArtefactError> {
        let Some(json) = bundle.file(ARTEFACTS_FILE) else {
            return Ok(None);
        };
        let artefacts = Artefacts::from_json(json)?;
        let spec = &bundle.manifest().input;
        let bytes = bundle.file(DONORS_FILE).unwrap_or_default();
        let donors = donors_from_bytes(bytes, &artefacts.donor_labels, &Grid::new(spec))?;
        Ok(Some(Self::new(spec, artefacts, donors)))
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

    /// Is an answer with `class` checked?
    #[must_use]
    pub fn is_suspect(&self, class: ClassIndex) -> bool {
        self.artefacts.is_suspect(class.0)
    }

    /// Checks `image`, one preprocessed image that B (`network`) answers with `class`; none where `class` is not suspect.
    ///
    /// The same image gives the same result: its donors are drawn from the secret seed and its values.
    ///
    /// # Errors
    /// If the network fails.
    pub fn check<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
        class: ClassIndex,
    ) -> Result<Option<CheckResult>, C::Error> {
        let Some(threshold) = self.artefacts.thresholds.get(&class.0) else {
            return Ok(None);
        };
        let donors = self.donors_for(image, class);
        let trial = transplant::check(
            network,
            &self.grid,
            image,
            class,
            &donors,
            self.artefacts.rule,
            threshold.hits,
        )?;
        Ok(Some(result(&self.grid, &trial, threshold)))
    }

    /// The score of `image` that the check decides by ([`Artefacts::flags`]), with no early stop, in hits.
    ///
    /// # Errors
    /// If the network fails.
    pub fn score<C: Classify>(
        &self,
        network: &mut C,
        image: &[f32],
        class: ClassIndex,
    ) -> Result<usize, C::Error> {
        let donors = self.donors_for(image, class);
        let (grid, rule) = (&self.grid, self.artefacts.rule);
        transplant::score(network, grid, image, class, &donors, rule)
    }

    fn donors_for(&self, image: &[f32], class: ClassIndex) -> Vec<&[f32]> {
        let mut draws = Draws::from_image(self.artefacts.seed, "transplant", image);
        let count = self.artefacts.rule.donors;
        self.donors.pick(class.0, count, &mut draws)
    }
}

fn result(grid: &Grid, trial: &Trial, threshold: &Threshold) -> CheckResult {
    let counts = bands(grid.height).into_iter().zip(trial.bands);
    CheckResult {
        flagged: trial.flagged,
        needed: threshold.hits,
        donors: threshold.levels,
        bands: counts
            .map(|(rows, count)| BandCount {
                first_row: rows.start,
                rows: rows.len(),
                hits: count.hits,
                tried: count.tried,
            })
            .collect(),
        forward_passes: trial.forward_passes,
    }
}
