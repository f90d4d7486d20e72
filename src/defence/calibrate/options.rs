//! How to calibrate.

use crate::defence::transplant;

/// How to calibrate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrateOptions {
    /// The deployment's secret.
    pub seed: u64,
    /// Share of clean images that the check may flag, if all had a suspect label.
    pub budget: f64,
    /// Share of clean images that have a suspect label and are flagged for it.
    pub traffic: f64,
    /// Donors that go into the bundle.
    pub donors: usize,
    /// Most images that thresholds are set on.
    pub images: usize,
    /// The check.
    pub rule: transplant::StoppingRule,
}

impl Default for CalibrateOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            budget: 0.03,
            traffic: 0.005,
            donors: 96,
            images: 1000,
            rule: transplant::StoppingRule::SUSPECT,
        }
    }
}
