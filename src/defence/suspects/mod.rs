//! Suspect labels: with many classes only a few can be an attacker's target, and they can be found from clean images.
//!
//! A backdoor makes B answer the target for almost any image that something like the trigger is painted on. So random
//! patterns are painted on clean images, and the labels that images are hijacked to unusually often are suspect.
//!
//! In reading order: [`pattern`] (what is painted), [`hijack`] (how often it hijacks), [`survey`] (random patterns,
//! every label), [`outlier`] (is a score out of line with the other labels'?), [`discover`](mod@discover) (all of it).

pub mod discover;
pub mod hijack;
pub mod outlier;
pub mod pattern;
pub mod survey;

pub use discover::{Candidate, Report, SuspectOptions, discover};
