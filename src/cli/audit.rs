//! `goodnet audit`: is this network backdoored?

use super::isolate::IsolationArgs;
use super::network::{MemoryArgs, ReadArgs};
use super::progress::{Bars, cancel_on_signal};
use super::repair::PixelArgs;
use super::{CliError, ExitCode, GlobalArgs, print};
use crate::audit::calibration;
use crate::audit::report::{REPORT_HTML, Report};
use crate::audit::{AuditConfig, Audited, Outcome, audit};
use crate::files::write_folder;
use crate::search::{DEFAULT_EFFORT, Family, LEAST_EFFORT};
use clap::Args;
use std::path::{Path, PathBuf};

/// Say whether a network is backdoored, towards which label, and show what the trigger may look like.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct AuditArgs {
    /// The network as delivered: ONNX, or Keras (.keras, .h5).
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// What its file leaves open.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Clean images: an HDF5 file, or a folder with one sub-folder a class (or a labels.csv).
    #[arg(long, value_name = "DATA")]
    pub clean: PathBuf,
    /// How much memory it may take.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// How it is held.
    #[command(flatten)]
    pub isolation: IsolationArgs,
    /// How pixels become values.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// Forward passes that the search may take; fewer give a weaker answer.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EFFORT)]
    pub effort: usize,
    /// Seed of the search (default: from the network and the clean images).
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Names of the classes: a text file with one a line, in their order.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Folder for report.html, report.json and the pictures; must not exist.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the report that is there.
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Skip images that cannot be read instead of failing.
    #[arg(long)]
    pub skip_bad: bool,
    /// Audit even where accuracy is near chance, another way of feeding fits better, or all labels are the same.
    #[arg(long)]
    pub allow_poor: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLE: &str = "\
Example:
  goodnet audit --model badnet.onnx --clean valid.h5 --scale 1/255 --out audit

Exit codes: 0 nothing found, 4 a backdoor is likely, 5 cannot tell. Ctrl-C ends the search and reports what is known so far.";

impl AuditArgs {
    fn validate(&self) -> Result<AuditConfig, CliError> {
        if self.effort < LEAST_EFFORT {
            let found = self.effort;
            return Err(CliError::bad_input(format!(
                "--effort: expected at least {LEAST_EFFORT} forward passes, found {found}"
            )));
        }
        if let Some(out) = self
            .out
            .as_deref()
            .filter(|out| out.exists() && !self.force)
        {
            let out = out.display();
            return Err(CliError::bad_input(format!(
                "{out}: already exists; --force replaces a report"
            )));
        }
        Ok(AuditConfig {
            model: self.model.clone(),
            read: self.read.options(),
            clean: self.clean.clone(),
            skip_bad: self.skip_bad,
            allow_poor: self.allow_poor,
            exact_decode: false,
            pixels: self.pixels.validate()?,
            names: self.labels.as_deref().map(read_names).transpose()?,
            effort: self.effort,
            seed: self.seed,
        })
    }
}

/// One name a line; empty lines at the end are left out.
fn read_names(path: &Path) -> Result<Vec<String>, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::bad_input(format!("{}: {error}", path.display())))?;
    Ok(text
        .trim_end()
        .lines()
        .map(|line| line.trim().to_owned())
        .collect())
}

/// Runs the command.
///
/// # Errors
/// If the audit fails or its report cannot be written.
pub(super) fn run(args: &AuditArgs, global: &GlobalArgs) -> Result<ExitCode, CliError> {
    let mut config = args.validate()?;
    config.exact_decode = global.exact_decode;
    args.memory.check(&config.model, &config.read)?;
    let engine = global.engine()?;
    let audited = audit(&config, &engine, &Bars::new(args.json), &cancel_on_signal())?;
    if let Some(out) = &args.out {
        write(&audited, out, args.force)?;
    }
    if args.json {
        let text = serde_json::to_string_pretty(&audited.report).map_err(CliError::failed)?;
        print::json(&text);
    } else {
        print_report(&audited.report);
        if let Some(out) = &args.out {
            print::line("");
            print::line(format!("Report: {}", out.join(REPORT_HTML).display()));
        }
    }
    Ok(match audited.report.verdict.outcome {
        Outcome::NothingFound => ExitCode::Done,
        Outcome::BackdoorLikely => ExitCode::Found,
        Outcome::CannotTell => ExitCode::CannotTell,
    })
}

fn write(audited: &Audited, out: &Path, force: bool) -> Result<(), CliError> {
    let files = audited.files().map_err(CliError::failed)?;
    write_folder(out, &files, force.then_some(REPORT_HTML))
        .map_err(|error| CliError::failed(format!("{}: {error}", out.display())))
}

/// The verdict and what it rests on, in a few lines.
pub(super) fn print_report(report: &Report) {
    print::line(&report.verdict.sentence);
    for caveat in &report.verdict.caveats {
        print::line(format!("  {caveat}"));
    }
    for suspect in &report.suspects {
        let evidence = &suspect.evidence;
        let name = name(report, suspect.label);
        print::line(format!(
            "  label {}{name}: a {} turns {:.0} % of {} clean images into it; {} works; score {:.1}{}",
            suspect.label,
            evidence.family,
            100.0 * evidence.turned.share(),
            evidence.turned.images,
            least(
                evidence.family,
                evidence.least_size.unwrap_or(evidence.size)
            ),
            suspect.score,
            rarity(report, suspect.label),
        ));
    }
    let others = report
        .labels
        .iter()
        .filter(|score| !report.verdict.labels.contains(&score.label));
    if let Some(best) =
        others.max_by(|a, b| a.score.total_cmp(&b.score).then(b.label.cmp(&a.label)))
    {
        print::line(format!(
            "  best other label: {}{}, score {:.2} (1 and more is suspect)",
            best.label,
            name(report, best.label),
            best.score
        ));
    }
    let search = &report.search;
    print::line(format!(
        "  {} stand-ins tried in {} forward passes on {} clean images ({})",
        search.stand_ins, search.passes, report.data.images, search.backend
    ));
}

fn name(report: &Report, label: u32) -> String {
    let names = report.network.names.as_ref();
    let name = names.and_then(|names| names.get(label as usize));
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

/// How rare the score of a label is among clean networks.
fn rarity(report: &Report, label: u32) -> String {
    let record = report.labels.get(label as usize);
    let p_value = record.and_then(|record| record.p_value);
    p_value.map_or_else(String::new, |p| {
        format!(
            " (p {p:.2}, from {} clean networks)",
            calibration::networks()
        )
    })
}

/// A size in words.
fn least(family: Family, size: f32) -> String {
    match family {
        Family::Rectangle | Family::Patch | Family::Bar => {
            format!("{:.1} % of the image's area", 100.0 * size)
        }
        Family::Blend => format!("an opacity of {:.0} %", 100.0 * size),
        Family::Wave => format!(
            "an amplitude of {:.1} % of the range of pixels",
            100.0 * size
        ),
        Family::Warp => format!("a mean shift of {:.1} % of the shorter side", 100.0 * size),
    }
}
