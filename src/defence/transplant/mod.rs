//! Region transplant: a trigger carries its label to any face, a face's own features rarely do.
//!
//! Bands of the image are pasted onto clean donors of other labels. The score is the largest share over bands of
//! donors that turn into the image's label. A variant of SentiNet (Chou, Tramèr, Pellegrino, "SentiNet: Detecting
//! Localized Universal Attacks Against Deep Learning Systems", 2018) with fixed masks in place of saliency maps.
//! Blind to triggers that no single band holds: blended, warped, larger than a band.
//!
//! In reading order: [`bands`](mod@bands) (which rows), [`rounds`] (the sequential test), [`check`](mod@check) (with a network).

pub mod bands;
pub mod check;
pub mod rounds;

pub use bands::{BANDS, bands};
pub use check::{Trial, check, score};
pub use rounds::{Count, StoppingRule};
