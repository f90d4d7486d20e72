//! `goodnet evaluate`: the final table for a bundle, any time, on any data.

use super::progress::{Bars, cancel_on_signal};
use super::{CliError, GlobalArgs, print};
use crate::bundle::manifest::BADNET_FILE;
use crate::bundle::{self, Bundle};
use crate::defence::{Checker, Policy};
use crate::input::dataset::{DataSet, OpenOptions};
use crate::repair::report::{evaluation_table, policy_table};
use crate::repair::{BundleNetworks, Evaluation, PolicyRow, evaluate_gated};
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
    /// Policies to measure (default: all that the bundle has what they need for); the table always holds disagreement and repaired.
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
        exact_decode: global.exact_decode || manifest.exact_decode,
        names: manifest.labels.clone(),
        ..OpenOptions::default()
    };
    let bars = Bars::new(args.json);
    let open = |path: &Path| {
        DataSet::open(path, &options, &manifest.input, manifest.classes)
            .map_err(CliError::bad_input)
    };
    let checker = gated_checker(args, &bundle)?;
    let clean = open(&args.clean)?;
    clean.tell_clean(manifest.classes, &bars);
    let backdoored = args.backdoored.as_deref().map(open).transpose()?;
    if let Some(set) = &backdoored {
        set.tell(&bars);
        set.check_backdoored(&clean).map_err(CliError::bad_input)?;
    }
    let engine = global.engine()?;
    let networks = BundleNetworks::from_bundle(&engine, &bundle)?;
    let cancel = cancel_on_signal();
    let evaluation = networks.evaluate(&clean, backdoored.as_ref(), &bars, &cancel)?;
    let sets = (&clean, backdoored.as_ref());
    let policies = match (&checker, bundle.file(BADNET_FILE)) {
        (Some(checker), Some(badnet)) => {
            vec![evaluate_gated(
                &engine, badnet, &networks, checker, sets, &bars, &cancel,
            )?]
        }
        _ => Vec::new(),
    };
    drop(bars);
    if args.json {
        return print_json(&evaluation, &policies);
    }
    print::lines(evaluation_table(&evaluation.rows));
    if !policies.is_empty() {
        print::lines(policy_table(&policies));
    }
    Ok(())
}

/// What `gated` needs, where the bundle has it and the policy was not left out.
fn gated_checker(args: &EvaluateArgs, bundle: &Bundle) -> Result<Option<Checker>, CliError> {
    let repaired = bundle.manifest().repaired.is_some();
    if args.policy.contains(&Policy::Repaired) && !repaired {
        return Err(unknown(args, Policy::Repaired, "--effort N"));
    }
    let asked = args.policy.contains(&Policy::Gated);
    if !asked && !args.policy.is_empty() {
        return Ok(None);
    }
    let checker = Checker::load(bundle).map_err(CliError::bad_input)?;
    if asked && checker.is_none() {
        return Err(unknown(args, Policy::Gated, "--defend"));
    }
    Ok(checker)
}

fn unknown(args: &EvaluateArgs, policy: Policy, option: &str) -> CliError {
    CliError::bad_input(format!(
        "{}: expected a bundle made with `goodnet repair {option}` for the policy {policy}, found one without",
        args.bundle.display()
    ))
}

/// The table as JSON: an object as before, with `policies` where the bundle knows more than disagreement.
fn print_json(evaluation: &Evaluation, policies: &[PolicyRow]) -> Result<(), CliError> {
    let mut value = serde_json::to_value(evaluation).map_err(CliError::failed)?;
    if !policies.is_empty() {
        value["policies"] = serde_json::to_value(policies).map_err(CliError::failed)?;
    }
    let text = serde_json::to_string_pretty(&value).map_err(CliError::failed)?;
    print::json(&text);
    Ok(())
}
