//! `goodnet keygen`, `goodnet sign` and `goodnet verify`: signatures over bundles.

use super::{CliError, print};
use crate::bundle::{self, signature};
use crate::files::read_plain;
use crate::plain::plain;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Make a key pair to sign bundles with (minisign format).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet keygen --key goodnet.key --public-key goodnet.pub")]
pub struct KeygenArgs {
    /// Secret key to write; keep it off the machine that serves.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Public key to write; give it to `goodnet serve --require-signature`.
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,
}

/// Sign a bundle, after checking that it is whole.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet sign --bundle bundle --key goodnet.key")]
pub struct SignArgs {
    /// The bundle.
    #[arg(long, value_name = "DIR")]
    pub bundle: PathBuf,
    /// Secret key.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Password of a protected key; other users of the machine may see it: better a file, the environment, or the prompt.
    #[arg(
        long,
        env = "GOODNET_KEY_PASSWORD",
        hide_env_values = true,
        value_name = "TEXT"
    )]
    pub password: Option<String>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub password_file: Option<PathBuf>,
}

/// Check that a bundle is whole, and with a public key who signed it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet verify --bundle bundle --public-key goodnet.pub")]
pub struct VerifyArgs {
    /// The bundle.
    #[arg(long, value_name = "DIR")]
    pub bundle: PathBuf,
    /// Public key that must have signed it.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
}

/// Runs `goodnet keygen`.
///
/// # Errors
/// If a file exists or cannot be written.
pub(super) fn keygen(args: &KeygenArgs) -> Result<(), CliError> {
    signature::generate_keys(&args.key, &args.public_key).map_err(CliError::bad_input)?;
    print::line(format!("secret key: {}", args.key.display()));
    print::line(format!("public key: {}", args.public_key.display()));
    Ok(())
}

/// The password of the key: as given, from the file, or asked for where the key has one and there is somebody to ask.
fn password(args: &SignArgs) -> Result<Option<String>, CliError> {
    if let Some(path) = &args.password_file {
        let bytes = read_plain(path, MAX_PASSWORD_BYTES)
            .map_err(|error| CliError::bad_input(format!("{}: {error}", path.display())))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| CliError::bad_input(format!("{}: {error}", path.display())))?;
        return Ok(Some(text.lines().next().unwrap_or_default().to_owned()));
    }
    let given = args.password.clone();
    let asks = given.is_none()
        && std::io::stdin().is_terminal()
        && signature::is_protected(&args.key).map_err(CliError::bad_input)?;
    if !asks {
        return Ok(given);
    }
    let key = args.key.display().to_string();
    rpassword::prompt_password(format!("Password of {}: ", plain(&key)))
        .map(Some)
        .map_err(CliError::failed)
}

/// Longest file that holds a password.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;

/// Runs `goodnet sign`.
///
/// # Errors
/// If the bundle is not whole or the key cannot be used.
pub(super) fn sign(args: &SignArgs) -> Result<(), CliError> {
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    signature::sign(&args.bundle, &args.key, password(args)?).map_err(CliError::bad_input)?;
    print::line(format!(
        "signed {}: manifest {}",
        args.bundle.display(),
        bundle.manifest_sha256()
    ));
    Ok(())
}

/// Runs `goodnet verify`.
///
/// # Errors
/// If the bundle is not whole, or not signed by the key.
pub(super) fn verify(args: &VerifyArgs) -> Result<(), CliError> {
    let verifier = args
        .public_key
        .as_deref()
        .map(signature::Verifier::from_file)
        .transpose()
        .map_err(CliError::bad_input)?;
    let bundle =
        bundle::load_signed(&args.bundle, verifier.as_ref()).map_err(CliError::bad_input)?;
    let signed = match verifier {
        Some(_) => "whole, and signed with this key",
        None => "whole; no signature was asked for",
    };
    print::line(format!(
        "{}: {signed}; manifest {}",
        args.bundle.display(),
        bundle.manifest_sha256()
    ));
    Ok(())
}
