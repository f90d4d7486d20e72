//! `goodnet-lab bench`: audit, repaired network and policies on every attack, on networks trained for it, and a report of it.
//!
//! A [`Case`] is an attack and a seed. For each one a BadNet is trained on synthetic faces and repaired on clean validation photos
//! alone (the public [`goodnet::repair::repair`], with no backdoored data); the bundle is then measured on test photos, as
//! `goodnet evaluate` does. Nothing of the test photos goes back into the repair.
//!
//! In reading order: [`suite`] (what is run), [`prepare`] (networks and bundles, kept in a work folder),
//! [`measure`](mod@measure) (one network's figures), [`record`] (the raw results, one JSON line a network), [`run`](mod@run) (all
//! of them), [`report`] (Markdown).

mod error;
pub mod measure;
pub mod prepare;
pub mod record;
pub mod report;
pub mod run;
pub mod suite;

pub use error::BenchError;
pub use record::Record;
pub use run::{Jobs, run};
pub use suite::{Case, Suite};
