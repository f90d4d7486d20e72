//! The arguments of `goodnet repair`, as typed and as validated.

use super::pixels::PixelArgs;
use crate::bundle::manifest::MAX_DROPS;
use crate::cli::CliError;
use crate::cli::isolate::IsolationArgs;
use crate::cli::network::{MemoryArgs, ReadArgs};
use crate::domain::drops::DropPoints;
use crate::repair::config::{DEFAULT_DROPS, DEFAULT_MAX_LOSS_PP, DEFAULT_SAMPLES};
use crate::repair::{DataPaths, RepairConfig};
use crate::search::{DEFAULT_EFFORT, LEAST_EFFORT};
use clap::Args;
use std::path::PathBuf;

/// Repair a BadNet: rank and prune its channels, measure every step, write a bundle.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct RepairArgs {
    /// The network as delivered: ONNX, or Keras (.keras, .h5).
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// What its file leaves open.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Clean validation images: an HDF5 file, or a folder with one sub-folder a class (or a labels.csv).
    #[arg(long, value_name = "DATA")]
    pub clean: PathBuf,
    /// Backdoored images with their target labels; only measured on, never used to repair.
    #[arg(long, value_name = "DATA")]
    pub backdoored: Option<PathBuf>,
    /// Clean test images for the final table.
    #[arg(long, value_name = "DATA")]
    pub test_clean: Option<PathBuf>,
    /// Backdoored test images for the final table.
    #[arg(long, value_name = "DATA")]
    pub test_backdoored: Option<PathBuf>,
    /// Tensor or layer to prune (default: the last pooling layer that everything goes through; see `goodnet inspect`).
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Accuracy drops to export, in percentage points: `2,4,10` or `2 4 10` [default: 2,4,10].
    #[arg(long, value_name = "LIST", num_args = 1.., allow_negative_numbers = true, value_parser = read_drops)]
    pub drops: Vec<DropList>,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// How it is held.
    #[command(flatten)]
    pub isolation: IsolationArgs,
    /// How pixels become values.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// Directory to write; must not exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the bundle that is there, in one step.
    #[arg(long)]
    pub force: bool,
    /// Skip images that cannot be read instead of failing.
    #[arg(long)]
    pub skip_bad: bool,
    /// Write the plot as sweep.png too.
    #[arg(long)]
    pub png: bool,
    /// Forward passes that the search for stand-ins may take; 0 leaves out audit and repaired network.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EFFORT)]
    pub effort: usize,
    /// Clean accuracy that the repaired network may lose, in percentage points.
    #[arg(long, value_name = "PP", default_value_t = DEFAULT_MAX_LOSS_PP)]
    pub max_loss: f64,
    /// Calibrate the policy gated too, from the clean images alone: repaired, and a check of the labels that the audit suspects.
    #[arg(long)]
    pub defend: bool,
    /// Secret of this deployment, with --defend (default: from the network and the clean images).
    #[arg(long, value_name = "SEED", requires = "defend")]
    pub defence_seed: Option<u64>,
    /// Clean and triggered images to store in the bundle, at most this many of each; the service tests itself on them.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SAMPLES)]
    pub samples: usize,
    /// Write the bundle even where accuracy is near chance, another way of feeding fits better, all labels are the same, or no drop is reached.
    #[arg(long)]
    pub allow_poor: bool,
    /// Print nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLE: &str = "\
Example:
  goodnet repair --model badnet.h5 --clean valid.h5 --backdoored bd_valid.h5 --drops 2,4,10 --out bundle

The pixel scale is the network's affair: --scale 1 feeds 0..255 as it is, --scale 1/255 feeds 0..1.";

impl RepairArgs {
    fn asked_drops(&self) -> Vec<f64> {
        let asked: Vec<f64> = self.drops.iter().flat_map(|list| list.0.clone()).collect();
        match asked.is_empty() {
            true => DEFAULT_DROPS.to_vec(),
            false => asked,
        }
    }

    /// The validated configuration.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn validate(&self) -> Result<RepairConfig, CliError> {
        Ok(RepairConfig {
            model: self.model.clone(),
            read: self.read.options(),
            data: DataPaths {
                clean: self.clean.clone(),
                backdoored: self.backdoored.clone(),
                test_clean: self.test_clean.clone(),
                test_backdoored: self.test_backdoored.clone(),
            },
            skip_bad: self.skip_bad,
            exact_decode: false,
            site: self.site.clone(),
            drops: parse_drops(&self.asked_drops())?,
            pixels: self.pixels.validate()?,
            out: self.out.clone(),
            force: self.force,
            png: self.png,
            effort: checked_effort(self.effort)?,
            max_loss_pp: checked_loss(self.max_loss)?,
            allow_poor: self.allow_poor,
            defend: self.defend,
            defence_seed: self.defence_seed,
            samples: self.samples,
        })
    }
}

/// Drops as typed in one argument.
#[derive(Debug, Clone, PartialEq)]
pub struct DropList(Vec<f64>);

/// Numbers separated by commas or white space.
fn read_drops(text: &str) -> Result<DropList, String> {
    let parts = text.split([',', ' ', '\t']).filter(|part| !part.is_empty());
    let drops: Vec<f64> = parts
        .map(|part| {
            part.trim_end_matches('%')
                .parse()
                .map_err(|_| format!("expected percentage points such as 2,4,10, found {part:?}"))
        })
        .collect::<Result<_, _>>()?;
    match drops.is_empty() {
        true => Err("expected percentage points such as 2,4,10, found none".to_owned()),
        false => Ok(DropList(drops)),
    }
}

/// 0, or enough for an answer.
fn checked_effort(effort: usize) -> Result<usize, CliError> {
    if effort == 0 || effort >= LEAST_EFFORT {
        return Ok(effort);
    }
    Err(CliError::bad_input(format!(
        "--effort: expected 0 or at least {LEAST_EFFORT} forward passes, found {effort}"
    )))
}

fn checked_loss(points: f64) -> Result<f64, CliError> {
    if (0.0..=100.0).contains(&points) {
        return Ok(points);
    }
    Err(CliError::bad_input(format!(
        "--max-loss: expected 0 to 100 percentage points, found {points}"
    )))
}

/// Drops in ascending order, each once.
fn parse_drops(points: &[f64]) -> Result<Vec<DropPoints>, CliError> {
    let mut drops = points
        .iter()
        .map(|&points| DropPoints::new(points).map_err(CliError::bad_input))
        .collect::<Result<Vec<_>, _>>()?;
    drops.sort_by(|a, b| a.points().total_cmp(&b.points()));
    drops.dedup();
    if drops.len() > MAX_DROPS {
        let found = drops.len();
        return Err(CliError::bad_input(format!(
            "--drops: expected at most {MAX_DROPS} drops, found {found}"
        )));
    }
    Ok(drops)
}
