//! The policies, and the check behind the strict one, `gated`: forward passes of B and clean images only.
//!
//! The check asks one question: does the answer come from the whole image, or from a part of it that carries the answer to any
//! other image?
//!
//! In reading order: [`policy`] (their names), [`classify`] (the network as the check sees it), [`grid`] (where a pixel lies in a
//! tensor), [`random`] (seeded draws), [`clean`] (the only data that thresholds may see), [`threshold`] (from clean scores to a
//! threshold), [`donors`] (clean images to paste onto), [`transplant`] (does a band of the image carry its label?),
//! [`artefacts`] (what the bundle keeps), [`measured`] (what it tells of a known attack), [`calibrate`](mod@calibrate) (offline),
//! [`checker`] (online).

pub mod artefacts;
pub mod calibrate;
pub mod checker;
pub mod classify;
pub mod clean;
pub mod donors;
pub mod grid;
pub mod measured;
pub mod policy;
pub mod random;
pub mod threshold;
pub mod transplant;

pub use artefacts::Artefacts;
pub use calibrate::{CalibrateOptions, calibrate};
pub use checker::{CheckResult, Checker};
pub use classify::{Classify, SessionClassifier};
pub use clean::CleanSet;
pub use measured::AttackRates;
pub use policy::Policy;
