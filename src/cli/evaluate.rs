//! `goodnet evaluate`: the final table for a bundle, any time, on any data.

use super::progress::{Bars, cancel_on_signal};
use super::{CliError, GlobalArgs};
use crate::bundle::manifest::BADNET_FILE;
use crate::bundle::{self, Bundle};
use crate::defence::artefacts::SECOND_FILE;
use crate::defence::{Checker, Policy};
use crate::engine::Engine;
use crate::input::dataset::{DataSet, OpenOptions};
use crate::progress::tell_notes;
use crate::repair::report::{evaluation_table, policy_table};
use crate::repair::{Cancel, Evaluation, Networks, PolicyRow, evaluate_policies};
use clap::Args;
use std::path::{Path, PathBuf};

/// Measure a bundle: clean accuracy, ASR and what is flagged, for B, every B' and every G.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct EvaluateArgs {
    /// The bundle.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "models",
        env = "GOODNET_BUNDLE"
    )]
    pub bundle: PathBuf,
    /// Clean images with their labels.
    #[arg(long, value_name = "DATA")]
    pub clean: PathBuf,
    /// Backdoored images with their target labels.
    #[arg(long, value_name = "DATA")]
    pub backdoored: Option<PathBuf>,
    /// Policies to measure beside disagreement (default: all that the bundle was calibrated for).
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub policy: Vec<Policy>,
    /// Skip images that cannot be read instead of failing.
    #[arg(long)]
    pub skip_bad: bool,
    /// Print the table as JSON; shares are fractions 0..1.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLE: &str = "\
Example:
  goodnet evaluate --bundle bundle --clean test.h5 --backdoored bd_test.h5";

/// Runs the command.
///
/// # Errors
/// If the bundle or the data cannot be used.
pub(super) fn run(args: &EvaluateArgs, global: &GlobalArgs) -> Result<(), CliError> {
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    let manifest = bundle.manifest();
    let options = OpenOptions {
        skip_bad: args.skip_bad,
        ..OpenOptions::default()
    };
    let bars = Bars::new(args.json);
    let open = |path: &Path| {
        let set = DataSet::open(path, &options, &manifest.input, manifest.classes)
            .map_err(CliError::bad_input)?;
        tell_notes(&set, &bars);
        Ok::<_, CliError>(set)
    };
    let asked = asked_policies(args, &bundle)?;
    let clean = open(&args.clean)?;
    let backdoored = args.backdoored.as_deref().map(open).transpose()?;
    let engine = global.engine()?;
    let pruned: Vec<(f64, String)> = manifest
        .reached()
        .map(|(drop, record)| (drop, record.file.clone()))
        .collect();
    let networks = Networks::load(&engine, &pruned, |name| bundle.file(name))?;
    let cancel = cancel_on_signal();
    let evaluation = networks.evaluate(&clean, backdoored.as_ref(), &bars, &cancel)?;
    let sets = (&clean, backdoored.as_ref());
    let policies = match &asked {
        Some(asked) => measure_policies(asked, &bundle, &engine, sets, (&bars, &cancel))?,
        None => Vec::new(),
    };
    drop(bars);
    if args.json {
        return print_json(&evaluation, &policies);
    }
    println!("{}", evaluation_table(&evaluation.rows));
    if !policies.is_empty() {
        println!("{}", policy_table(&policies));
    }
    Ok(())
}

/// What the policies need, and which of them are to be measured.
struct Asked {
    checker: Checker,
    policies: Vec<Policy>,
}

/// The policies that are asked for; none where the bundle knows disagreement only.
fn asked_policies(args: &EvaluateArgs, bundle: &Bundle) -> Result<Option<Asked>, CliError> {
    let checker = Checker::load(bundle).map_err(CliError::bad_input)?;
    let mut asked = args.policy.iter();
    let asked = asked.any(|policy| *policy != Policy::Disagreement);
    let Some(checker) = checker else {
        if asked {
            return Err(CliError::bad_input(format!(
                "{}: expected a bundle made with `goodnet repair --defend`, found one that knows disagreement only",
                args.bundle.display()
            )));
        }
        return Ok(None);
    };
    let known = checker.artefacts().policies();
    let mut unknown = args.policy.iter();
    let unknown =
        unknown.find(|policy| **policy != Policy::Disagreement && !known.contains(policy));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = known.iter().map(|policy| policy.name()).collect();
        return Err(CliError::bad_input(format!(
            "{}: expected a bundle with what the policy {unknown} needs, found one for {}",
            args.bundle.display(),
            names.join(", ")
        )));
    }
    let policies = match args.policy.is_empty() {
        true => known,
        false => args.policy.clone(),
    };
    Ok(Some(Asked { checker, policies }))
}

fn measure_policies(
    asked: &Asked,
    bundle: &Bundle,
    engine: &Engine,
    sets: (&DataSet, Option<&DataSet>),
    (bars, cancel): (&Bars, &Cancel),
) -> Result<Vec<PolicyRow>, CliError> {
    let Some(badnet) = bundle.file(BADNET_FILE) else {
        return Ok(Vec::new());
    };
    Ok(evaluate_policies(
        engine,
        (badnet, bundle.file(SECOND_FILE)),
        &asked.checker,
        &asked.policies,
        sets,
        bars,
        cancel,
    )?)
}

/// The table as JSON: an object as before, with `policies` where the bundle knows more than disagreement.
fn print_json(evaluation: &Evaluation, policies: &[PolicyRow]) -> Result<(), CliError> {
    let mut value = serde_json::to_value(evaluation).map_err(CliError::failed)?;
    if !policies.is_empty() {
        value["policies"] = serde_json::to_value(policies).map_err(CliError::failed)?;
    }
    let text = serde_json::to_string_pretty(&value).map_err(CliError::failed)?;
    println!("{text}");
    Ok(())
}
