//! The method itself, pure: no files, no HTTP, no runtime types.
//!
//! In reading order: [`label`] (classes and N+1), [`scores`] (argmax, accuracy), [`activation`] (mean activation of
//! each channel), [`ranking`] (which channel goes first), [`mask`], [`sweep`] (what each removal does),
//! [`drops`] (which steps become repaired networks), [`verdict`] (GoodNet's answer), [`metrics`] (intervals, DER), [`detection`] (AUROC,
//! means over seeds),
//! [`evaluation`] (the final table).

pub mod activation;
pub mod detection;
pub mod drops;
pub mod evaluation;
pub mod head;
pub mod label;
pub mod mask;
pub mod metrics;
pub mod ranking;
pub mod refit;
pub mod scores;
pub mod sweep;
pub mod verdict;
