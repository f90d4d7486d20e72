//! Is this network backdoored, towards which label, and what does the trigger look like?
//!
//! ```text
//! network + clean images -> search -> evidence -> amplification -> scores -> verdict -> report (JSON, page, pictures)
//! ```
//!
//! In reading order: [`score`] (from evidence to the score of every label), [`calibration`] (how rare a score is), [`verdict`] (the
//! answer), [`report`] (what is told), [`investigate`](mod@investigate) (search and report of a network), [`show`] (pictures and heat maps), [`png`], [`page`] (the report as a page), [`run`] (the job: from files to a
//! folder with the report).

mod amplify;
pub mod calibration;
pub mod investigate;
pub mod page;
pub mod png;
pub mod report;
pub mod run;
pub mod score;
pub mod show;
pub mod verdict;

pub(crate) use investigate::{Investigated, Watching, investigate};
pub use investigate::{Investigation, Subject};
pub use report::Report;
pub use run::{AuditConfig, AuditError, Audited, audit};
pub use verdict::{Outcome, Verdict};
