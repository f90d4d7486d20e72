//! From files to tensors: one `preprocess` for repair and serving, and the data sets.
//!
//! In reading order: [`spec`] (what the network wants).

pub mod spec;

pub use spec::InputSpec;
