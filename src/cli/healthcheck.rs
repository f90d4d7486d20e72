//! `goodnet healthcheck`: asks a running service whether it is ready, for containers without a shell.

use super::CliError;
use clap::Args;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Ask a running service whether it is ready; exit code 0 says yes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet healthcheck --url http://127.0.0.1:8080/readyz")]
pub struct HealthcheckArgs {
    /// What to ask; plain HTTP only.
    #[arg(
        long,
        env = "GOODNET_HEALTHCHECK_URL",
        default_value = "http://127.0.0.1:8080/readyz",
        value_name = "URL"
    )]
    pub url: String,
}

/// A probe that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Runs `goodnet healthcheck`.
///
/// # Errors
/// If the service does not answer, or answers anything but 200.
pub(super) fn run(args: &HealthcheckArgs) -> Result<(), CliError> {
    let (host, path) = split(&args.url)?;
    let status =
        ask(host, path).map_err(|error| CliError::failed(format!("{}: {error}", args.url)))?;
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "{}: expected 200, found {status:?}",
        args.url
    )))
}

/// Host (with port) and path of a plain HTTP address.
fn split(url: &str) -> Result<(&str, &str), CliError> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        CliError::bad_input(format!(
            "expected an address that starts with http://, found {url:?}"
        ))
    })?;
    let path = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(path);
    Ok((host, if path.is_empty() { "/" } else { path }))
}

/// The first line of the answer.
fn ask(host: &str, path: &str) -> std::io::Result<String> {
    let with_port = if host
        .rsplit(':')
        .next()
        .is_some_and(|port| port.parse::<u16>().is_ok())
    {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut addresses = with_port.to_socket_addrs()?;
    let address = addresses
        .next()
        .ok_or_else(|| std::io::Error::other("the host has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    let text = String::from_utf8_lossy(&answer[..length]);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_host_and_path() {
        assert_eq!(split("http://a:1/readyz").unwrap(), ("a:1", "/readyz"));
        assert_eq!(split("http://a").unwrap(), ("a", "/"));
        assert!(split("https://a/").is_err());
    }
}
