//! Logging: to standard error, for people or as JSON.
//!
//! Lines go through a bounded queue to a thread that writes them: a reader that stops, a closed pipe or a full disk costs lines,
//! which are counted, and never a request.

use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that wait to be written at most; more are dropped.
const MAX_WAITING: usize = 16 << 10;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines that were dropped because the queue was full.
#[must_use]
pub fn dropped_lines() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

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

/// Sends logs that pass `filter` to standard error; a second call changes nothing. Lines that still wait when the guard is dropped
/// get a second to be written.
///
/// # Errors
/// If the filter does not parse.
pub fn init(format: LogFormat, filter: &str) -> Result<WorkerGuard, FilterError> {
    let filter = parse(filter)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_WAITING)
        .thread_name("log")
        .finish(std::io::stderr());
    // As below, the first one stands.
    let _ = DROPPED.set(writer.error_counter());
    let logs = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(writer);
    // The first subscriber stands: a second one is refused, which is what we want.
    let _ = match format {
        LogFormat::Human => {
            let logs = logs.with_ansi(std::io::stderr().is_terminal());
            logs.finish().with(filter).try_init()
        }
        LogFormat::Json => {
            let logs = logs.json().flatten_event(true).with_target(true);
            logs.finish().with(filter).try_init()
        }
    };
    Ok(guard)
}

fn parse(filter: &str) -> Result<Targets, FilterError> {
    filter.parse().map_err(|error: ParseError| FilterError {
        text: filter.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use tracing::Level;

    #[test]
    fn a_filter_names_levels_for_all_and_for_targets() {
        let filter = parse("goodnet::request=warn,info").unwrap();
        assert!(filter.would_enable("goodnet::serve", &Level::INFO));
        assert!(!filter.would_enable("goodnet::serve", &Level::DEBUG));
        assert!(!filter.would_enable("goodnet::request", &Level::INFO));
        assert!(filter.would_enable("goodnet::request", &Level::WARN));
        let told = parse("goodnet=loud").unwrap_err().to_string();
        assert!(
            told.contains("expected a log filter such as `info`"),
            "{told}"
        );
    }
}
