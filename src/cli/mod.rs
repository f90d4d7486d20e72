//! The command line: as typed (clap structs) and as validated, one file a subcommand.

mod allocator;
mod audit;
mod classify;
mod demo;
mod demo_run;
mod error;
mod evaluate;
mod healthcheck;
mod import;
mod inspect;
mod isolate;
mod network;
mod openapi;
mod print;
mod progress;
mod prune;
mod quarantine;
mod repair;
mod serve;
mod sign;

pub use demo::WorldArgs;
pub use error::{CliError, ExitCode};
pub use progress::cancel_on_signal;

use crate::engine::{BackendChoice, Engine, EngineError};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::PathBuf;

/// Is this image classifier backdoored? Audit it, repair it, and serve it beside the repaired network.
#[derive(Debug, Parser)]
#[command(name = "goodnet", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
}

const EXIT_CODES: &str = "\
Options that every command takes, before or after its name:
  --backend NAME        runtime: auto (default) takes ONNX Runtime where its
                        library is found, else the built-in tract; or
                        onnxruntime, or tract [env: GOODNET_BACKEND]
  --onnxruntime FILE    ONNX Runtime's shared library
                        [env: GOODNET_ONNXRUNTIME; default: ORT_DYLIB_PATH,
                        beside the executable, the Python environment that
                        goodnet is installed in, ./.onnxruntime, the system]
  --exact-decode        decode JPEG files whole; else those of 6, 12 or 24
                        times the network's sides and more are decoded at a
                        half, a quarter or an eighth of theirs
                        [env: GOODNET_EXACT_DECODE]

Exit codes:
  0  done
  1  the job failed (the message says what was expected and what was found)
  2  the command line is wrong
  3  the input is not usable: a file that is missing, damaged, or of another
     kind or shape
  4  audit: a backdoor is likely; classify: an image is flagged
  5  audit: cannot tell
  6  repair: the bundle is written, but a drop of --drops is not reached
  130  interrupted; whatever was there before is untouched";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Runtime: auto takes ONNX Runtime where its library is found, else the built-in tract.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "GOODNET_BACKEND",
        default_value = "auto",
        value_name = "NAME"
    )]
    pub backend: BackendName,
    /// ONNX Runtime's shared library (default: ORT_DYLIB_PATH, beside the executable, its Python environment, ./.onnxruntime, the system).
    #[arg(
        long,
        global = true,
        hide = true,
        env = "GOODNET_ONNXRUNTIME",
        value_name = "FILE"
    )]
    pub onnxruntime: Option<PathBuf>,
    /// Decode JPEG files whole that are far larger than the network's input, instead of at a part of their size.
    #[arg(long, global = true, hide = true, env = "GOODNET_EXACT_DECODE")]
    pub exact_decode: bool,
}

/// Names of the back ends as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// ONNX Runtime where found, else tract.
    Auto,
    /// ONNX Runtime.
    Onnxruntime,
    /// The built-in tract.
    Tract,
}

impl GlobalArgs {
    /// Starts the chosen back end.
    ///
    /// # Errors
    /// If ONNX Runtime was demanded and cannot be used.
    pub fn engine(&self) -> Result<Engine, EngineError> {
        let choice = match (self.backend, &self.onnxruntime) {
            (BackendName::Tract, _) => BackendChoice::Tract,
            (_, Some(path)) => BackendChoice::OnnxRuntime(Some(path.clone())),
            (BackendName::Onnxruntime, None) => BackendChoice::OnnxRuntime(None),
            (BackendName::Auto, None) => BackendChoice::Auto,
        };
        Engine::start(&choice)
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Repair the demo BadNet from its file, print the tables, serve the bundle.
    Demo(Box<demo::DemoArgs>),
    /// Say whether a network is backdoored, towards which label, and show what the trigger may look like.
    Audit(Box<audit::AuditArgs>),
    /// Repair a BadNet: prune its channels, refit its last layer, measure every step, write a bundle.
    Repair(Box<repair::RepairArgs>),
    /// Measure a bundle on any data: the final table.
    Evaluate(evaluate::EvaluateArgs),
    /// Convert a network to the ONNX that goodnet uses, and check it against the original.
    Import(import::ImportArgs),
    /// List the layers of a network and where it can be pruned.
    Inspect(inspect::InspectArgs),
    /// Take channels out of a network.
    Prune(prune::PruneArgs),
    /// Serve a bundle over HTTP.
    Serve(Box<serve::ServeArgs>),
    /// Classify image files with a bundle, without a service.
    Classify(classify::ClassifyArgs),
    /// Ask a running service whether it is ready.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// List or export the flagged inputs that a service has kept.
    Quarantine(quarantine::QuarantineArgs),
    /// Print the OpenAPI description of the HTTP interface.
    Openapi(openapi::OpenapiArgs),
    /// Make a key pair to sign bundles with.
    Keygen(sign::KeygenArgs),
    /// Sign a bundle.
    Sign(sign::SignArgs),
    /// Check that a bundle is whole, and who signed it.
    Verify(sign::VerifyArgs),
}

/// Parses the command line, runs the command, reports an error in one line, and gives the exit code.
///
/// A panic, on whatever thread of a job, is a fault of goodnet's: it too is one line, and the job has failed.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::panic::set_hook(Box::new(|panic| print::error(fault(panic))));
    let cli = Cli::parse();
    match catch_unwind(AssertUnwindSafe(|| run(&cli))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            print::error(format!("goodnet: {error}"));
            error.exit_code().into()
        }
        Err(_) => ExitCode::Failed.into(),
    }
}

fn fault(panic: &PanicHookInfo<'_>) -> String {
    let place = panic
        .location()
        .map_or_else(String::new, |at| format!(" at {at}"));
    let what = panic.payload_as_str().unwrap_or("no message");
    format!("goodnet: internal error{place}: {what}; please report it with the files that show it")
}

fn run(cli: &Cli) -> Result<std::process::ExitCode, CliError> {
    match &cli.command {
        Command::Audit(args) => {
            let job = || audit::run(args, &cli.global);
            return args.isolation.run(&args.memory, job);
        }
        Command::Demo(args) => demo::run(args, &cli.global),
        Command::Repair(args) => {
            let job = || repair::run(args, &cli.global);
            return args.isolation.run(&args.memory, job);
        }
        Command::Evaluate(args) => evaluate::run(args, &cli.global),
        Command::Import(args) => import::run(args, &cli.global),
        Command::Inspect(args) => inspect::run(args),
        Command::Prune(args) => prune::run(args, &cli.global),
        Command::Serve(args) => serve::run(args, &cli.global),
        Command::Classify(args) => return classify::run(args, &cli.global).map(Into::into),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::Quarantine(args) => quarantine::run(args),
        Command::Openapi(args) => openapi::run(args),
        Command::Keygen(args) => sign::keygen(args),
        Command::Sign(args) => sign::sign(args),
        Command::Verify(args) => sign::verify(args),
    }
    .map(|()| ExitCode::Done.into())
}
