//! The network that a command works on.

use super::CliError;
use crate::engine::images_a_run;
use crate::format::{Architecture, ReadOptions, read_network};
use crate::input::dataset::images_a_chunk;
use crate::onnx::activations::bytes_of_an_image;
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
    /// Architecture of a file that holds Keras weights alone: deepid, or the file that model.to_json() wrote.
    #[arg(long, value_name = "NAME|FILE.json")]
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
            architecture: self.architecture.clone(),
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
pub(super) fn load(file: &Path, read: &ReadOptions) -> Result<Model, CliError> {
    let imported = read_network(file, read).map_err(CliError::bad_input)?;
    prepare(&imported.model).map_err(|error| bad(file, error))
}

/// A bad-input error that names the file.
pub(super) fn bad(file: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::bad_input(format!("{}: {error}", file.display()))
}

/// Memory that a job may take.
#[derive(Debug, Clone, Args)]
pub struct MemoryArgs {
    /// Megabytes that the images and the layers of the network may take while it runs; a network that needs more is refused
    /// (default: three quarters of this machine's memory).
    #[arg(long, env = "GOODNET_MEMORY", value_name = "MB")]
    pub memory: Option<u64>,
}

impl MemoryArgs {
    /// Megabytes that a job may take; none where nobody says and the machine does not tell.
    pub(super) fn most(&self) -> Option<u64> {
        self.memory.or_else(usable_memory)
    }

    /// Refuses a network whose largest layer does not fit, before anything is sized by what it declares.
    ///
    /// # Errors
    /// If it does not fit, or cannot be read.
    pub(super) fn check(&self, file: &Path, read: &ReadOptions) -> Result<(), CliError> {
        let (layer, image) = bytes_of_an_image(&load(file, read)?);
        let threads = rayon::current_num_threads() as u64;
        let bytes = usize::try_from(image).unwrap_or(usize::MAX);
        let (at_once, held) = (
            images_a_run(bytes),
            images_a_chunk(bytes / size_of::<f32>()),
        );
        let layers = layer.saturating_mul(at_once as u64 * threads);
        let needed = layers.saturating_add(image.saturating_mul(held as u64)) >> 20;
        let Some(most) = self.most() else {
            return Ok(());
        };
        if needed <= most {
            return Ok(());
        }
        Err(bad(
            file,
            format!(
                "expected a network that runs in {most} MB, found one that needs at least {needed} MB on {threads} threads; --memory MB \
                 allows more, RAYON_NUM_THREADS fewer threads"
            ),
        ))
    }
}

/// Three quarters of this machine's memory in megabytes, where Linux says how much that is.
fn usable_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024 / 4 * 3)
}
