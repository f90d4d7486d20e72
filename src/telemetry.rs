//! Logging: to standard error, for people or as JSON.

use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text.
    Human,
    /// One JSON object a line, its fields at the top level.
    Json,
}

/// A filter that does not parse.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a log filter such as `info` or `goodnet::request=warn,info`, found {text:?}: {reason}"
)]
pub struct FilterError {
    text: String,
    reason: String,
}

/// Sends logs that pass `filter` to standard error; a second call changes nothing.
///
/// # Errors
/// If the filter does not parse.
pub fn init(format: LogFormat, filter: &str) -> Result<(), FilterError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| FilterError {
        text: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // The first subscriber stands: a second one is refused, which is what we want.
    let _ = match format {
        LogFormat::Human => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_target(true).try_init(),
    };
    Ok(())
}
