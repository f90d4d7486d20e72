//! The method itself, pure: no files, no HTTP, no runtime types.
//!
//! In reading order: [`label`] (classes and N+1), [`scores`] (argmax, accuracy), [`activation`] (mean absolute activation of
//! each channel), [`ranking`] (which channel goes first), [`mask`], [`sweep`] (what each removal does),
//! [`drops`] (which steps become repaired networks), [`verdict`] (GoodNet's answer), [`metrics`] (intervals, DER), [`mean`] (over
//! networks), [`evaluation`] (the final table); and of the repaired network [`head`] (the last linear layer), [`mod@refit`], and
//! [`distance`] and [`discriminant`] (which answers are withdrawn; both by [`cholesky`] and thresholds from
//! [`held_out`] images); and for the audit [`amplification`] (what the network makes of a change).

pub mod activation;
pub mod amplification;
pub mod cholesky;
pub mod discriminant;
pub mod distance;
pub mod drops;
pub mod evaluation;
pub mod head;
pub mod held_out;
pub mod label;
pub mod mean;
pub mod metrics;
pub mod ranking;
pub mod refit;
pub mod scores;
pub mod sweep;
pub mod verdict;

pub use goodnet_onnx::mask;
