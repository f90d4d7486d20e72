//! Why a data set was refused.

use std::path::{Path, PathBuf};

/// The file or folder, what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct DataError {
    /// The file or folder at fault.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub reason: String,
}

impl DataError {
    pub(super) fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
