//! `goodnet repair`: from a BadNet file and a validation set to a bundle.

use super::isolate::IsolationArgs;
use super::network::{MemoryArgs, ReadArgs};
use super::progress::{Bars, cancel_on_signal};
use super::{CliError, ExitCode, GlobalArgs, print};
use crate::bundle::manifest::MAX_DROPS;
use crate::domain::drops::DropPoints;
use crate::domain::sweep::Sweep;
use crate::input::spec::{ColorOrder, ResizeRule, parse_scale, parse_values};
use crate::repair::config::{DEFAULT_DROPS, DEFAULT_MAX_LOSS_PP, DEFAULT_SAMPLES};
use crate::repair::report::{
    drops_table, evaluation_table, gated_report, masked_because, repaired_sentence,
};
use crate::repair::{DataPaths, PixelRule, Progress, RepairConfig, RepairOutcome, repair};
use crate::search::{DEFAULT_EFFORT, LEAST_EFFORT};
use clap::{Args, ValueEnum};
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

/// How pixels become the network's values.
#[derive(Debug, Clone, Args)]
pub struct PixelArgs {
    /// Factor on pixels 0..255: a number or a fraction.
    #[arg(long, value_name = "S", default_value = "1")]
    pub scale: String,
    /// Subtracted after scaling: one value, or one a channel.
    #[arg(long, value_name = "LIST")]
    pub mean: Option<String>,
    /// Divides after subtraction: one value, or one a channel.
    #[arg(long, value_name = "LIST")]
    pub std: Option<String>,
    /// Order of the colour channels.
    #[arg(long, value_enum, default_value_t = ColorName::Rgb)]
    pub color: ColorName,
    /// What happens to images of another size than the network's.
    #[arg(long, value_enum, default_value_t = ResizeName::Stretch)]
    pub resize: ResizeName,
}

/// Colour orders as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorName {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Resize rules as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResizeName {
    /// Scale both sides to the network's.
    Stretch,
    /// Refuse other sizes.
    Exact,
}

impl PixelArgs {
    /// The validated rule.
    ///
    /// # Errors
    /// If a number cannot be read.
    pub fn validate(&self) -> Result<PixelRule, CliError> {
        let values = |text: &Option<String>| {
            text.as_deref()
                .map(parse_values)
                .transpose()
                .map_err(CliError::bad_input)
        };
        Ok(PixelRule {
            scale: parse_scale(&self.scale).map_err(CliError::bad_input)?,
            mean: values(&self.mean)?,
            std: values(&self.std)?,
            color: match self.color {
                ColorName::Rgb => ColorOrder::Rgb,
                ColorName::Bgr => ColorOrder::Bgr,
            },
            resize: match self.resize {
                ResizeName::Stretch => ResizeRule::Stretch,
                ResizeName::Exact => ResizeRule::Exact,
            },
        })
    }
}

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

/// Runs the command.
///
/// # Errors
/// If the repair fails.
pub(super) fn run(args: &RepairArgs, global: &GlobalArgs) -> Result<ExitCode, CliError> {
    let mut config = args.validate()?;
    config.exact_decode = global.exact_decode;
    args.memory.check(&config.model, &config.read)?;
    let engine = global.engine()?;
    let bars = Bars::new(args.quiet || args.json);
    if let Some(small) = config.drops.iter().find(|drop| drop.points() < 1.0) {
        let points = small.points();
        bars.warn(&format!(
            "drop {points} is {points} of a percentage point; for {} % of accuracy say {}",
            100.0 * points,
            100.0 * points
        ));
    }
    let outcome = repair(&config, &engine, &bars, &cancel_on_signal())?;
    drop(bars);
    if args.json {
        print_json(&outcome)?;
    } else if !args.quiet {
        print_outcome(&outcome, &config);
    }
    let missed = outcome
        .manifest
        .drops
        .iter()
        .any(|drop| drop.pruned.is_none());
    Ok(match missed && !args.drops.is_empty() {
        true => ExitCode::Missed,
        false => ExitCode::Done,
    })
}

fn print_json(outcome: &RepairOutcome) -> Result<(), CliError> {
    let value = serde_json::json!({
        "manifest": outcome.manifest,
        "sweep": outcome.sweep,
        "audit": outcome.audit,
        "evaluation": outcome.evaluation,
        "defence": outcome.defence,
        "attacks": outcome.attacks,
    });
    let text = serde_json::to_string_pretty(&value).map_err(CliError::failed)?;
    print::json(&text);
    Ok(())
}

fn ranking_of(sweep: &Sweep) -> String {
    let by = sweep.ranked_by.map(|by| {
        format!("; channels go in the order of their {by} on the clean images, the least first")
    });
    by.unwrap_or_default()
}

/// The tables that end a repair.
pub(super) fn print_outcome(outcome: &RepairOutcome, config: &RepairConfig) {
    let manifest = &outcome.manifest;
    let baseline = &outcome.sweep.baseline;
    print::line(format!(
        "{}: {} classes, site {} with {} channels, {} clean images",
        manifest.source.file,
        manifest.classes,
        manifest.site.tensor,
        manifest.site.channels,
        baseline.clean_images
    ));
    print::line("");
    print::line(format!(
        "The lab's pruning: drops on the validation set{}",
        ranking_of(&outcome.sweep)
    ));
    print::lines(drops_table(&manifest.drops, manifest.site.channels));
    for line in masked_because(&manifest.drops) {
        print::line(line);
    }
    for warning in &outcome.sweep.warnings {
        print::line(format!("warning: {warning}"));
    }
    let evaluation = &outcome.evaluation;
    let sets = match &evaluation.backdoored {
        Some(backdoored) => format!("{} and {backdoored}", evaluation.clean),
        None => evaluation.clean.clone(),
    };
    print::line("");
    print::line(format!(
        "Evaluation on {sets}; in brackets the 95 % interval in per cent"
    ));
    print::lines(evaluation_table(&evaluation.rows));
    if let Some(report) = &outcome.audit {
        print::line("");
        print::line("Audit: is it backdoored?");
        super::audit::print_report(report);
    }
    if let Some(sentence) = repaired_sentence(&evaluation.rows) {
        print::line("");
        print::line(sentence);
    }
    if let Some(defence) = &outcome.defence {
        print::line("");
        print::lines(gated_report(defence, &outcome.attacks).trim_end());
    }
    print::line("");
    print::line(format!("Bundle: {}", config.out.display()));
}
