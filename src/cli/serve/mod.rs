//! `goodnet serve`: the options as typed, as validated, and the run.

mod args;
mod config;

pub(super) use args::ServeArgs;
pub(super) use args::seconds;

use super::{CliError, GlobalArgs};
use crate::bundle;
use crate::engine::Engine;
use crate::serve::ServeError;
use crate::serve::config::Config;
use crate::serve::control::{self, Events};
use crate::telemetry::{self, LogFormat};
use args::LogFormatName;
use std::net::SocketAddr;
use std::path::Path;

/// Runs `goodnet serve`.
///
/// # Errors
/// If the options, the bundle or the address are not usable.
pub(super) fn run(args: &ServeArgs, global: &GlobalArgs) -> Result<(), CliError> {
    super::allocator::return_large_blocks();
    let format = match args.logs.log_format {
        LogFormatName::Human => LogFormat::Human,
        LogFormatName::Json => LogFormat::Json,
    };
    let _logs = telemetry::init(format, &args.logs.log).map_err(CliError::bad_input)?;
    serve(args.config()?, args.listen, global)
}

/// Serves the bundle in `bundle` with the defaults on `address`.
///
/// # Errors
/// As [`run`].
pub(super) fn run_with_defaults(
    bundle: &Path,
    address: SocketAddr,
    global: &GlobalArgs,
) -> Result<(), CliError> {
    let _logs = telemetry::init(LogFormat::Human, "info").map_err(CliError::bad_input)?;
    let mut settings = Config::new(bundle.to_owned());
    settings.access.allowed_hosts = config::default_hosts(address);
    serve(settings, address, global)
}

fn serve(mut config: Config, address: SocketAddr, global: &GlobalArgs) -> Result<(), CliError> {
    config.limits.exact_decode = global.exact_decode;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(http_threads(config.inference.pool.workers))
        .enable_all()
        .thread_name("http")
        .build()
        .map_err(CliError::failed)?;
    // Before anything that takes time: a signal that finds no handler would end the process.
    let events = runtime
        .block_on(async { control::from_signals() })
        .map_err(CliError::failed)?;
    let bundle = bundle::load_signed(&config.source.dir, config.source.verifier.as_ref())
        .map_err(CliError::bad_input)?;
    let engine = global.engine()?;
    runtime.block_on(listen(address, config, engine, bundle, events))
}

/// HTTP takes a seventh of what inference takes; one thread more than that keeps the probes answered.
fn http_threads(workers: usize) -> usize {
    (workers / 6).max(1) + 1
}

async fn listen(
    address: SocketAddr,
    config: Config,
    engine: Engine,
    bundle: bundle::Bundle,
    events: Events,
) -> Result<(), CliError> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| CliError::bad_input(format!("cannot listen on {address}: {error}")))?;
    let address = listener.local_addr().map_err(CliError::failed)?;
    if config.access.keys.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who reaches this address may ask: set --keys");
    }
    tracing::info!(url = %format!("http://{address}/"), "listening");
    crate::serve::run(config, listener, engine, bundle, events)
        .await
        .map_err(|error| match error {
            ServeError::Quarantine(error) => CliError::bad_input(error),
            ServeError::Collector(error) => CliError::bad_input(error),
            error => CliError::failed(error),
        })
}
