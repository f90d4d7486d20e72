//! The network that a command works on.

use super::CliError;
use crate::onnx::{Model, prepare};
use clap::Args;
use std::path::PathBuf;

/// A network file.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// ONNX file of an image classifier.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

impl NetworkArgs {
    /// Reads the network and opens its batch axis.
    ///
    /// # Errors
    /// If the file cannot be read or is no image classifier.
    pub fn load(&self) -> Result<Model, CliError> {
        let model = Model::load(&self.file).map_err(|error| self.bad(error))?;
        prepare(&model).map_err(|error| self.bad(error))
    }

    /// A bad-input error that names the file.
    pub fn bad(&self, error: impl std::fmt::Display) -> CliError {
        CliError::bad_input(format!("{}: {error}", self.file.display()))
    }
}
