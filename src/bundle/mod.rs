//! The bundle: a directory with manifest, ONNX files and sweep; the only thing that repair and serve share.
//!
//! In reading order: [`manifest`] (the schema), [`write`](mod@write) (whole or not at all), [`load`](mod@load) (verified or refused), [`networks`] (what answers), [`signature`] (by whom).

pub mod load;
pub mod manifest;
pub mod networks;
pub mod signature;
pub mod write;

pub use load::{Bundle, BundleError, load, load_signed};
pub use manifest::Manifest;
pub use networks::MissingFile;
pub use write::{BundleWriter, WriteError};

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes` in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
