//! The network that a command works on.

use super::CliError;
use crate::format::{Architecture, read_model};
use crate::onnx::{Model, prepare};
use clap::Args;
use std::path::{Path, PathBuf};

/// A network file.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// Network: ONNX, or Keras (.keras, .h5).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Architecture of a file that holds Keras weights alone.
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<Architecture>,
}

/// Reads a network, opens its batch axis and lets it end in probabilities.
///
/// # Errors
/// If the file cannot be read or is no image classifier.
pub(super) fn load(file: &Path, architecture: Option<Architecture>) -> Result<Model, CliError> {
    let imported = read_model(file, architecture).map_err(CliError::bad_input)?;
    prepare(&imported.model).map_err(|error| bad(file, error))
}

/// A bad-input error that names the file.
pub(super) fn bad(file: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::bad_input(format!("{}: {error}", file.display()))
}
