//! `goodnet bench defence`: every policy on every attack, on networks trained for it, and a report of it.
//!
//! A [`Case`] is an attack and a seed. For each one a BadNet is trained on synthetic faces, repaired and calibrated on clean
//! validation photos alone (the public [`crate::repair::repair`], with no backdoored data), and every [`Rule`] is
//! measured on test photos. Nothing of the test photos goes back into a threshold.
//!
//! In reading order: [`suite`] (what is run), [`prepare`] (networks and bundles, kept in a work folder), [`rule`] (whose
//! answer is measured), `remember` (no image is run twice), [`measure`](mod@measure) (one network's figures), [`record`] (the raw
//! results, one JSON line a network), [`run`](mod@run) (all of them), [`report`] (Markdown).

mod error;
pub mod measure;
pub mod prepare;
pub mod record;
mod remember;
pub mod report;
pub mod rule;
pub mod run;
pub mod suite;

pub use error::BenchError;
pub use record::Record;
pub use rule::Rule;
pub use run::{Jobs, run};
pub use suite::{Case, Suite};
