//! What may go wrong with a runtime.

use std::path::PathBuf;

/// Why a network could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No library where one was demanded.
    #[error("ONNX Runtime was asked for but no library was found: {0}")]
    NoLibrary(String),
    /// This build has no tract to fall back to.
    #[cfg(not(feature = "tract"))]
    #[error("this build needs ONNX Runtime, and no library was found: {0}")]
    NoTract(String),
    /// The library was found but does not serve.
    #[error("{path}: not a usable ONNX Runtime library: {reason}")]
    BadLibrary {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The runtime refused the model.
    #[error("the runtime cannot load the model: {0}")]
    Load(String),
    /// The runtime failed while running.
    #[error("the runtime failed: {0}")]
    Run(String),
    /// Inputs or outputs are not as the caller expects.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What the caller relies on.
        expected: String,
        /// What is there.
        found: String,
    },
}

pub(super) fn mismatch(expected: &str, found: &str) -> EngineError {
    EngineError::Mismatch {
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

/// An error of a runtime without its line breaks.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
