//! From files to tensors: one `preprocess` for repair and serving, and the data sets.
//!
//! In reading order: [`spec`] (what the network wants), [`pixels`] (how an owner says it), [`sniff`] (what a file is), [`image`](mod@image) (files to pixels, under limits), [`detail`] (how many of them), [`work`] (what that costs), [`memory`] (and takes),
//! [`preprocess`] (pixels to values), [`dataset`] (labelled images, batch by batch).

pub mod dataset;
pub mod detail;
mod gif;
pub mod image;
mod jpeg;
pub mod memory;
mod picture;
pub mod pixels;
mod png;
pub mod preprocess;
mod resize;
pub mod sniff;
pub mod spec;
mod webp;
mod whole;
pub mod work;

pub use spec::InputSpec;
