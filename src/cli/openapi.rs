//! `goodnet openapi`: the description of the HTTP interface.

use super::{CliError, print};
use clap::Args;

/// Print the OpenAPI description of the HTTP interface.
#[derive(Debug, Args)]
#[command(
    after_help = "Example, after a change of the interface:\n  goodnet openapi > openapi.yaml"
)]
pub struct OpenapiArgs {}

/// Runs `goodnet openapi`.
///
/// # Errors
/// If the document cannot be written as YAML.
pub(super) fn run(_args: &OpenapiArgs) -> Result<(), CliError> {
    let text = crate::serve::routes::openapi::yaml().map_err(CliError::Failed)?;
    print::lines(text.trim_end());
    Ok(())
}
