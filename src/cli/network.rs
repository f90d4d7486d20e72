//! The network that a command works on.

use super::CliError;
use crate::format::{Architecture, ReadOptions, read_network};
use crate::onnx::{Model, prepare};
use clap::Args;
use std::path::{Path, PathBuf};

/// A network file.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// Network: ONNX, or Keras (.keras, .h5).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the file leaves open.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// What a network's file leaves open.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    /// Architecture of a file that holds Keras weights alone.
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<Architecture>,
    /// Output that holds the scores, where the network has several.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// Height and width of the images, where the file leaves them open: 224x224.
    #[arg(long, value_name = "HxW", value_parser = parse_size)]
    pub input_size: Option<Size>,
}

/// A height and a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size([usize; 2]);

impl ReadArgs {
    /// As validated.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            architecture: self.architecture,
            output: self.output.clone(),
            input_size: self.input_size.map(|Size(size)| size),
        }
    }
}

fn parse_size(text: &str) -> Result<Size, String> {
    let side = |text: &str| text.parse::<usize>().ok().filter(|&side| side > 0);
    let sides = text.split_once(['x', 'X']);
    sides
        .and_then(|(height, width)| Some(Size([side(height)?, side(width)?])))
        .ok_or_else(|| format!("expected height and width as in 224x224, found {text:?}"))
}

/// Reads a network, opens its batch axis and lets it end in probabilities.
///
/// # Errors
/// If the file cannot be read or is no image classifier.
pub(super) fn load(file: &Path, read: &ReadArgs) -> Result<Model, CliError> {
    let imported = read_network(file, &read.options()).map_err(CliError::bad_input)?;
    prepare(&imported.model).map_err(|error| bad(file, error))
}

/// A bad-input error that names the file.
pub(super) fn bad(file: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::bad_input(format!("{}: {error}", file.display()))
}
